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
from collections.abc import Callable
from typing import Any

from fairway_steps.clock import Clock
from fairway_steps.loadtest.client import Client
from fairway_steps.loadtest.closed_loop import ClosedLoop
from fairway_steps.loadtest.open_loop import LEAD, OpenLoop
from fairway_steps.loadtest.plan import SECOND, AnyPlan, Plan
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Observer, Progress, Settings


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
        kind = OpenLoop if isinstance(plan, Plan) else ClosedLoop
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
