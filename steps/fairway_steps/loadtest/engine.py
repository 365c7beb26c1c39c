"""The engine: sends each request of a plan at its moment and keeps three times of it.

It knows nothing of HTTP. A ``Client`` opens ``Connection``s that carry one request at a time and report one
``Answer`` each; what a request is, is theirs. All times are nanoseconds of the monotonic clock since the start.

Request *i* is *sent* when it is handed to an idle connection, the one used last first, or when a new connection
begins to open for it; with ``connections`` open it waits, first come first served. It is never sent early, never
dropped and never sent twice. ``end - scheduled`` is then the response time that a user would have seen, whatever the
client had to wait for ("coordinated omission": G. Tene, "How not to measure latency", 2013).

In a closed loop requests have no moments of their own: one is due as soon as its user is free, so that what a stalled
server keeps from being sent is not seen. It is there for comparison with tools that know nothing else.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fairway_steps.clock import Clock
from fairway_steps.loadtest.client import Answer, Client, Connection, ConnectionFailed
from fairway_steps.loadtest.plan import SECOND, AnyPlan, Closed, Plan
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.timer import timer

LEAD = 2_000_000  # ns between the call and the first request, so that it need not be late
UNREACHED_PAUSE = 0.02
"""Seconds that a user of a closed loop waits after a connection could not be opened."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``timeout`` seconds after its scheduled moment a request without an answer has failed, sent or not."""

    timeout: float = 10.0
    connections: int = 64


class Progress(NamedTuple):
    """How far a run has come: requests planned (0: not known), due so far, ended, and failed among those."""

    planned: int
    sent: int
    ended: int
    failed: int


class Observer:
    """Is told of each request that ended. This one does not care."""

    def ended(self, index: int, took: int, answer: Answer) -> None:
        """Request ``index`` ended ``took`` nanoseconds after its moment."""


class Run:
    """One plan being carried out; ``records`` may be read once ``result`` has returned.

    ``zero`` is the start by ``time.monotonic_ns``, so that several may have the same. Create it within the event loop.
    """

    def __init__(
        self,
        plan: AnyPlan,
        client: Client,
        settings: Settings,
        *,
        clock: Clock,
        zero: int = 0,
        observer: Observer | None = None,
    ) -> None:
        now = time.monotonic_ns()
        self.client, self.zero = client, zero or now + LEAD
        kind = _Engine if isinstance(plan, Plan) else _ClosedLoop
        self._engine = kind(plan, client, settings, clock.now() + (self.zero - now) / SECOND, self.zero, observer)

    @property
    def progress(self) -> Progress:
        return self._engine.progress()

    @property
    def oldest(self) -> int:
        """The first request that has not ended: of all before it the end is known."""
        return self._engine.oldest()

    def stop(self) -> None:
        """Send nothing more; what is under way ends as ``cancelled``, at once."""
        self._engine.finish()

    def enough(self) -> None:
        """Send nothing more, and wait for what is under way."""
        self._engine.enough()

    async def result(self) -> Records:
        """What became of the plan, ``timeout`` seconds after its last moment at the latest."""
        engine = self._engine
        try:
            await engine.finished
        finally:
            await engine.close()
        return engine.records


async def run(
    plan: AnyPlan,
    client: Client,
    settings: Settings,
    *,
    clock: Clock,
    progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Records:
    """Carry out ``plan`` and return what became of it.

    ``progress`` is called once a second and at the end. When ``stop`` is set nothing more is sent and what is under way ends as
    ``cancelled``, at once; so it does, without Records, when the caller is cancelled.
    """
    running = Run(plan, client, settings, clock=clock)
    watchers: list[asyncio.Future[Any]] = []
    if stop is not None and stop.is_set():
        running.stop()
    elif stop is not None:
        watchers.append(asyncio.create_task(_on(stop, running)))
    if progress is not None:
        watchers.append(asyncio.create_task(_report(running, progress)))
    try:
        records = await running.result()
    finally:
        for task in watchers:
            task.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
    if progress is not None:
        progress(running.progress)
    return records


async def _on(stop: asyncio.Event, running: Run) -> None:
    await stop.wait()
    running.stop()


async def _report(running: Run, progress: Callable[[Progress], None]) -> None:
    while True:
        await asyncio.sleep(1)
        progress(running.progress)


class _Engine:
    """An open loop."""

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
        if self._expiry is not None:
            self._expiry.cancel()
        records = self.records
        records.stopped = records.stopped or not self._exhausted() or bool(self._pending)
        self._ended = True
        records.due = self._next
        self._account()
        for index, give_up in list(self._pending.items()):
            self._end(index, Answer(0, "cancelled"))
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
            now, offsets = self._now(), self._offsets
            while not self._ended and self._next < len(offsets) and offsets[self._next] <= now:
                index = self._next
                self._next += 1
                self._start(index)
            if self._next < len(offsets) and not self._ended:
                self._timer.set(self._zero + offsets[self._next])
                return
            self._timer.set(0)
            self._ended = True
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
        sent = self._now()
        if not connection.send(index):
            return False
        self.records.slip[index] = sent - self._offsets[index]
        self._pending[index] = connection.abort
        return True

    def _connect(self, index: int) -> None:
        self._open += 1
        self.records.connections = max(self.records.connections, self._open)
        self.records.slip[index] = self._now() - self._offsets[index]
        task = self._loop.create_task(self._opened(index))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        self._pending[index] = task.cancel

    async def _opened(self, index: int) -> None:
        """Open a connection for the request ``index``; what goes wrong on the way is that request's failure."""
        try:
            connection = await self._client.connect(self._done)
        except ConnectionFailed as failure:
            if index in self._pending:
                self._end(index, Answer(0, failure.error, detail=failure.detail))
                self._closed()
        except Exception as error:  # noqa: BLE001 - see _due
            self.fail(error)
        else:
            if index not in self._pending:
                connection.abort()
            elif connection.send(index):
                self._pending[index] = connection.abort
            else:
                self._end(index, Answer(0, "reset", detail="the connection was closed as soon as it was open"))
                self._closed()

    def _done(self, connection: Connection, index: int, answer: Answer) -> None:
        self._end(index, answer)
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

    def _end(self, index: int, answer: Answer) -> None:
        took = (answer.at or time.monotonic_ns()) - self._zero - self._offsets[index]
        self.records.end(index, took, answer, self._zero)
        if answer.error:
            self._failed += 1
        if self._observer is not None:
            self._observer.ended(index, took, answer)
        del self._pending[index]
        if self._ended and not self._pending:
            self._settle()

    def _settle(self) -> None:
        if self._ended and not self._pending:
            self.finish()

    def _expire(self) -> None:
        """Fail what is too old. All have the same timeout, so one timer, set for the oldest, serves them all."""
        self._expiry = None
        freed = 0
        while self._pending:
            index, give_up = next(iter(self._pending.items()))
            left = self._offsets[index] + self._timeout - self._now()
            if left > 0:
                self._expiry = self._loop.call_later(left / SECOND, self._expire)
                break
            self._end(index, Answer(0, "timeout", detail=f"no answer within {self._timeout / SECOND:g} s"))
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


class _ClosedLoop(_Engine):
    """Each of a few users sends the next request when the last one has ended."""

    records: Records

    def _begin(self) -> None:
        assert isinstance(self.records.plan, Closed)
        self._plan = self.records.plan
        self._timer.set(self._zero)

    def progress(self) -> Progress:
        planned = 0 if self._plan.requests is None else self._plan.limit
        return Progress(planned, self._next, self._next - len(self._pending), self._failed)

    def _exhausted(self) -> bool:
        return self._next >= self._plan.limit or self._now() >= self._plan.end

    def _due(self) -> None:
        self._timer.set(0)
        for _ in range(self._plan.users):
            self._again()

    def _again(self) -> None:
        """A user is free."""
        try:
            if self._ended or self._exhausted():
                self._ended = True
                self._account()
                self._settle()
                return
            index = self._next
            self._next += 1
            self.records.grow(self._now())
            self._start(index)
        except Exception as error:  # noqa: BLE001 - see _Engine._due
            self.fail(error)

    def _end(self, index: int, answer: Answer) -> None:
        super()._end(index, answer)
        if self._ended:
            return
        if answer.status == 0 and answer.error:
            self._loop.call_later(UNREACHED_PAUSE, self._again)
        else:
            self._loop.call_soon(self._again)
