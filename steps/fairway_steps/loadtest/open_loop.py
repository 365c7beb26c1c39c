"""Requests sent at their moments: the open loop of the engine (see ``engine``), which the closed loop borrows from."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from fairway_steps.loadtest.client import CANCELLED, TIMEOUT, Answer, Client, Connection, ConnectionFailed, Exhausted
from fairway_steps.loadtest.lateness import patience
from fairway_steps.loadtest.plan import SECOND, AnyPlan
from fairway_steps.loadtest.pulse import Pulse
from fairway_steps.loadtest.records import UNSEEN, Records
from fairway_steps.loadtest.settings import Observer, Progress, Settings
from fairway_steps.loadtest.timer import timer

LEAD = 2_000_000  # ns between the call and the first request, so that it need not be late


class OpenLoop:
    """One plan under way. It sends nothing more once it has ended; ``finished`` is done when all that was sent has."""

    def __init__(
        self,
        plan: AnyPlan,
        client: Client,
        settings: Settings,
        started: float,
        zero: int,
        observer: Observer | None,
    ) -> None:
        self.records = Records.empty(plan, started)
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._offsets, self._client, self._limit = self.records.offsets, client, settings.connections
        self._timeout = round(settings.timeout * SECOND)
        self._patience = round(patience(settings.timeout) * SECOND)
        self._zero, self._observer = zero, observer
        self._next = self._failed = self._open = 0
        self._ended = False  # nothing more is to be sent
        self._idle: list[Connection] = []
        self._backlog: deque[int] = deque()
        # Requests without an end, oldest first, and how to give each one up; None while it waits for a connection.
        self._pending: dict[int, Callable[[], object] | None] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._cpu = client.cpu_ns()
        self._accounted = False
        self._timer = timer(self._loop, self._due)
        self._pulse = Pulse(self._loop, self._now, self.records.pauses)
        self._begin()

    def _begin(self) -> None:
        self._timer.set(self._zero + (self._offsets[0] if self._offsets else 0))

    def progress(self) -> Progress:
        return Progress(len(self._offsets), self._next, self._next - len(self._pending), self._failed)

    def oldest(self) -> int:
        return next(iter(self._pending), self._next)

    def enough(self) -> None:
        self.records.stopped = self.records.stopped or not self._exhausted()
        self._ended = True
        self._account()
        self._settle()

    def finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)

    async def close(self) -> None:
        """Give up what is under way, close every connection."""
        self._timer.close()
        self._pulse.close()
        if self._expiry is not None:
            self._expiry.cancel()
        records = self.records
        records.stopped = records.stopped or not self._exhausted() or bool(self._pending)
        self._ended = True
        records.due = self._next
        self._account()
        for index, give_up in list(self._pending.items()):
            self._end(index, Answer(0, CANCELLED))
            if give_up is not None:
                give_up()
        for connection in self._idle:
            connection.abort()
        if self._opening:
            await asyncio.wait(self._opening)
        await asyncio.sleep(0)  # lets the transports close their sockets
        await self._client.close()

    def _now(self) -> int:
        return time.monotonic_ns() - self._zero

    def _exhausted(self) -> bool:
        """Whether all that was planned has begun."""
        return self._next >= len(self._offsets)

    def _due(self) -> None:
        """Send all that is due. The time is read once, so that answers are taken between two calls."""
        try:
            offsets, planned = self._offsets, len(self._offsets)
            now = time.monotonic_ns() - self._zero
            while (index := self._next) < planned and not self._ended:
                if (due := offsets[index]) > now:
                    self._timer.set(self._zero + due)
                    self._pulse.beat(due, now)
                    return
                self._next = index + 1
                self._start(index)
            self._timer.set(0)
            self._ended = True
            self._pulse.beat(0, now)
            self._account()
            self._settle()
        except Exception as error:  # noqa: BLE001 - the loop would only log it, and the run never end
            self._timer.set(0)
            self.fail(error)

    def _start(self, index: int) -> None:
        while self._idle:
            if self._send(self._idle.pop(), index):
                break
            self._open -= 1
        else:
            if self._open < self._limit:
                self._connect(index)
            else:
                self._pending[index] = None
                self._backlog.append(index)
                self.records.backlog = max(self.records.backlog, len(self._backlog))
        if self._expiry is None:
            self._expire()

    def _send(self, connection: Connection, index: int) -> bool:
        sent = time.monotonic_ns()
        if not connection.send(index):
            return False
        self.records.slip[index] = sent - self._zero - self._offsets[index]
        self._pending[index] = connection.abort
        return True

    def _connect(self, index: int) -> None:
        self._open += 1
        self.records.connections = max(self.records.connections, self._open)
        began = self._now()
        self.records.slip[index] = began - self._offsets[index]
        task = self._loop.create_task(self._opened(index, began))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        self._pending[index] = task.cancel

    async def _opened(self, index: int, began: int) -> None:
        """Open a connection for the request ``index``; what goes wrong on the way is that request's failure.

        Where the client did not run meanwhile, the request is sent as much later.
        """
        try:
            connection = await self._client.connect(self._done)
        except ConnectionFailed as failure:
            if isinstance(failure, Exhausted):
                self.records.exhausted = failure.detail
            if index in self._pending:
                self._end(index, Answer(0, failure.error, detail=failure.detail))
                self._closed()
        except Exception as error:  # noqa: BLE001 - see _due
            self.fail(error)
        else:
            self.records.opened += 1
            self.records.slip[index] += self._pulse.missed(began)
            if index not in self._pending:
                connection.abort()
            elif connection.send(index):
                self._pending[index] = connection.abort
            else:
                self._end(index, Answer(0, "reset", detail="the connection was closed as soon as it was open"))
                self._closed()

    def _done(self, connection: Connection, index: int, answer: Answer, at: int) -> None:
        self._end(index, answer, at)
        if not answer.reusable:
            self._closed()
        elif not self._backlog or (waiting := self._waiting()) is None:
            self._idle.append(connection)
        elif not self._send(connection, waiting):
            self._open -= 1
            self._connect(waiting)

    def _closed(self) -> None:
        """A connection is gone: open another for the request that waits longest."""
        self._open -= 1
        if (waiting := self._waiting()) is not None:
            self._connect(waiting)

    def _waiting(self) -> int | None:
        while self._backlog:
            index = self._backlog.popleft()
            if index in self._pending:
                return index
        return None

    def _end(self, index: int, answer: Answer, at: int = 0) -> None:
        """Request ``index`` has ended, now or ``at`` that moment."""
        took = (at or time.monotonic_ns()) - self._zero - self._offsets[index]
        if answer.error == TIMEOUT and took > self._patience:  # who did not run may have missed its answer
            self.records.details.setdefault(TIMEOUT, answer.detail)
            took, answer = UNSEEN, Answer(0, CANCELLED)
        self.records.end(index, took, answer, self._zero)
        if answer.since and (missed := self._pulse.missed(answer.since - self._zero)):
            self.records.waits[index] = missed
        if answer.error:
            self._failed += 1
        # What was not sent is no evidence.
        if self._observer is not None and (slip := round(self.records.slip[index])) >= 0:
            self._observer.ended(index, took, answer, slip + self._pulse.missed(self._offsets[index] + slip))
        del self._pending[index]
        if not self._pending:
            if self._ended:
                self._settle()
            elif self._next < len(self._offsets):  # of a closed loop never: somebody is free now
                self._pulse.rest()

    def _settle(self) -> None:
        if self._ended and not self._pending:
            self.finish()

    def _expire(self) -> None:
        """Fail what is too old. All have the same timeout, so one timer, set for the oldest, serves them all."""
        self._expiry = None
        freed, now = 0, time.monotonic_ns()
        while self._pending:
            index, give_up = next(iter(self._pending.items()))
            end = self._zero + self._offsets[index] + self._timeout
            if end > now:
                self._expiry = self._loop.call_later(max(0, end - time.monotonic_ns()) / SECOND, self._expire)
                break
            missing = "answer" if self.records.opened else "connection"
            self._end(index, Answer(0, TIMEOUT, detail=f"no {missing} within {self._timeout / SECOND:g} s"), now)
            if give_up is not None:
                give_up()
                freed += 1
        for _ in range(freed):
            self._closed()

    def _account(self) -> None:
        """The share of a core that was used while there was something to send."""
        if not self._accounted:
            self._accounted = True
            self.records.cpu = (self._client.cpu_ns() - self._cpu) / max(1, self._now() + LEAD)
