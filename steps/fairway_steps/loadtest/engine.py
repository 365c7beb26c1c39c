"""The engine: sends each request of a plan at its moment and keeps three times of it.

It knows nothing of HTTP. A ``Client`` opens ``Connection``s that carry one request at a time and report one
``Answer`` each; what a request is, is theirs. All times are nanoseconds of the monotonic clock since the start.

Request *i* is *sent* when it is handed to an idle connection, the one used last first, or when a new connection
begins to open for it; with ``connections`` open it waits, first come first served. It is never sent early, never
dropped and never sent twice. ``end - scheduled`` is then the response time that a user would have seen, whatever the
client had to wait for ("coordinated omission": G. Tene, "How not to measure latency", 2013).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairway_steps.clock import Clock
from fairway_steps.loadtest.client import Answer, Client, Connection, ConnectionFailed
from fairway_steps.loadtest.plan import SECOND, Plan
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.timer import timer

LEAD = 2_000_000  # ns between the call and the first request, so that it need not be late
MAX_VERSIONS = 100
"""Names of versions that are told apart; a header that names more is not a version's, and the rest are ``other``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``timeout`` seconds after its scheduled moment a request without an answer has failed, sent or not."""

    timeout: float = 10.0
    connections: int = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: requests planned, due so far, ended, and failed among those."""

    planned: int
    sent: int
    ended: int
    failed: int


async def run(
    plan: Plan,
    client: Client,
    settings: Settings,
    *,
    clock: Clock,
    progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Records:
    """Carry out ``plan`` and return what became of it, ``timeout`` seconds after its last moment at the latest.

    ``progress`` is called once a second and at the end. When ``stop`` is set nothing more is sent and what is under way ends as
    ``cancelled``, at once; so it does, without Records, when the caller is cancelled.
    """
    engine = _Engine(plan, client, settings, clock.now() + LEAD / SECOND)
    watchers: list[asyncio.Future[Any]] = [asyncio.create_task((stop or asyncio.Event()).wait())]
    if progress is not None:
        watchers.append(asyncio.create_task(_report(engine, progress)))
    try:
        await asyncio.wait([engine.finished, *watchers], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in watchers:
            task.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        await engine.close()
    if progress is not None:
        progress(engine.progress())
    if engine.finished.done():
        engine.finished.result()
    for task in watchers:
        if not task.cancelled():
            task.result()
    return engine.records


async def _report(engine: "_Engine", progress: Callable[[Progress], None]) -> None:
    while True:
        await asyncio.sleep(1)
        progress(engine.progress())


class _Engine:
    def __init__(self, plan: Plan, client: Client, settings: Settings, started: float) -> None:
        self.records = Records.empty(plan, started)
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._offsets, self._client, self._limit = plan.offsets, client, settings.connections
        self._timeout = round(settings.timeout * SECOND)
        self._next = self._failed = self._open = 0
        self._idle: list[Connection] = []
        self._backlog: deque[int] = deque()
        # Requests without an end, oldest first, and how to give each one up; None while it waits for a connection.
        self._pending: dict[int, Callable[[], object] | None] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._errors: dict[str, int] = {"": 0}
        self._versions: dict[str, int] = {"": 0}
        self._expiry: asyncio.TimerHandle | None = None
        self._timer = timer(self._loop, self._due)
        self._cpu = time.thread_time_ns()
        self._zero = time.monotonic_ns() + LEAD
        self._timer.set(self._zero + (self._offsets[0] if self._offsets else 0))

    def progress(self) -> Progress:
        return Progress(len(self._offsets), self._next, self._next - len(self._pending), self._failed)

    async def close(self) -> None:
        """Give up what is under way, close every connection."""
        self._timer.close()
        if self._expiry is not None:
            self._expiry.cancel()
        records = self.records
        records.stopped = self._next < len(self._offsets) or bool(self._pending)
        records.due = self._next
        if records.cpu == 0.0:
            self._account()
        for index, give_up in list(self._pending.items()):
            self._end(index, Answer(0, "cancelled"))
            if give_up is not None:
                give_up()
        records.error_names, records.version_names = list(self._errors), list(self._versions)
        for connection in self._idle:
            connection.abort()
        if self._opening:
            await asyncio.wait(self._opening)
        await asyncio.sleep(0)  # lets the transports close their sockets
        await self._client.close()

    def _now(self) -> int:
        return time.monotonic_ns() - self._zero

    def _due(self) -> None:
        """Send all that is due. The time is read once, so that answers are taken between two calls."""
        try:
            now, offsets = self._now(), self._offsets
            while self._next < len(offsets) and offsets[self._next] <= now:
                index = self._next
                self._next += 1
                self._start(index)
            if self._next < len(offsets):
                self._timer.set(self._zero + offsets[self._next])
                return
            self._timer.set(0)
            self._account()
            self._settle()
        except Exception as error:  # noqa: BLE001 - the loop would only log it, and the run never end
            self._timer.set(0)
            self.finished.set_exception(error)

    def _start(self, index: int) -> None:
        while self._idle:
            if self._send(self._idle.pop(), index):
                return
            self._open -= 1
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
        self.records.sent[index] = sent
        self._pending[index] = connection.abort
        return True

    def _connect(self, index: int) -> None:
        self._open += 1
        self.records.connections = max(self.records.connections, self._open)
        self.records.sent[index] = self._now()
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
            if not self.finished.done():
                self.finished.set_exception(error)
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
        elif (waiting := self._waiting()) is None:
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
        records = self.records
        records.end[index] = self._now()
        records.status[index] = answer.status
        records.upstream[index] = answer.upstream
        if answer.error:
            self._failed += 1
            records.error[index] = self._errors.setdefault(answer.error, len(self._errors))
            records.details.setdefault(answer.error, answer.detail)
        if answer.version:
            name = answer.version if len(self._versions) < MAX_VERSIONS or answer.version in self._versions else "other"
            records.version[index] = self._versions.setdefault(name, len(self._versions))
        del self._pending[index]
        self._settle()

    def _settle(self) -> None:
        if self._next == len(self._offsets) and not self._pending and not self.finished.done():
            self.finished.set_result(None)

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
        """The share of a core that this thread used while it was sending."""
        elapsed = max(1, self._now() + LEAD)
        self.records.cpu = (time.thread_time_ns() - self._cpu) / elapsed
