"""Whoever carries out a run: the tasks, one for each endpoint, and the process that sends them from its own event loop.

For more than one process see ``several``.
"""

import asyncio
import gc
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from fairway_steps.clock import Clock
from fairway_steps.loadtest.client import Target
from fairway_steps.loadtest.engine import Run
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import AnyPlan, Closed
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Progress, Settings
from fairway_steps.loadtest.tally import Counts, Tally, merge

RATE_EACH = 4000.0
"""Requests per second that one process sends without being late."""
CLOSED_RATE = 1000.0


@dataclass(frozen=True, slots=True)
class Task:
    """One endpoint's part of a run. ``payloads`` are as the target prepared them; ``version`` is what it is one of, if known.

    With ``limits`` (seconds) what was closed is counted while the run goes on.
    """

    target: Target
    plan: AnyPlan
    payloads: Payloads = field(default_factory=Payloads)
    settings: Settings = field(default_factory=Settings)
    version: str = ""
    limits: tuple[float, ...] | None = None

    def share(self, worker: int, workers: int) -> "Task":
        """What one process of several does of it."""
        connections = len(range(worker, self.settings.connections, workers))
        return replace(
            self,
            plan=self.plan.share(worker, workers),
            payloads=self.payloads.share(worker, workers),
            settings=replace(self.settings, connections=max(1, connections)),
        )


@dataclass(frozen=True, slots=True)
class News:
    """How far each endpoint is, and what was counted of all of them."""

    progress: tuple[Progress, ...]
    counts: Counts = field(default_factory=dict)


def enough_workers(tasks: Sequence[Task], cores: int) -> int:
    """How many processes the rate of ``tasks`` needs, at most one a core, and no more than any of them has connections."""
    rate = sum(task.plan.rate or CLOSED_RATE for task in tasks)
    needed = math.ceil(rate / RATE_EACH)
    return max(1, min(needed, cores, *(task.settings.connections for task in tasks)))


class Crew(Protocol):
    """Whoever sends. ``news`` may be asked at any time; ``stop`` gives up what is under way, ``enough`` waits for it."""

    def news(self) -> News: ...
    def stop(self) -> None: ...
    def enough(self) -> None: ...
    async def result(self) -> list[list[Records]]:
        """Of each endpoint, the records of each process."""


class Here:
    """All in this process. Create it within the event loop."""

    def __init__(self, tasks: Sequence[Task], clock: Clock, zero: int = 0) -> None:
        self._tallies = [_tally(task) for task in tasks]
        if not zero:
            settle()
        clients = [task.target.open(task.payloads) for task in tasks]
        zero = zero or time.monotonic_ns() + 5_000_000 * len(tasks)
        self._runs: list[Run] = []
        for task, tally, client in zip(tasks, self._tallies, clients, strict=True):
            self._runs.append(Run(task.plan, client, task.settings, clock=clock, zero=zero, observer=tally))

    def news(self) -> News:
        counts: Counts = {}
        for run, tally in zip(self._runs, self._tallies, strict=True):
            if tally is not None:
                merge(counts, tally.closed(run.oldest))
        return News(tuple(run.progress for run in self._runs), counts)

    def stop(self) -> None:
        for run in self._runs:
            run.stop()

    def enough(self) -> None:
        for run in self._runs:
            run.enough()

    async def result(self) -> list[list[Records]]:
        ends = [asyncio.ensure_future(run.result()) for run in self._runs]
        try:
            return [[records] for records in await asyncio.gather(*ends)]
        finally:
            self.stop()
            await asyncio.gather(*ends, return_exceptions=True)
            gc.unfreeze()


def _tally(task: Task) -> Tally | None:
    if task.limits is None or isinstance(task.plan, Closed):
        return None
    return Tally(task.plan.offsets, task.plan.warm_up, task.limits, task.version)


def settle() -> None:
    """What is there now is not searched again while requests wait; a search takes 0.1 s, so it is done before the start."""
    gc.collect()
    gc.freeze()
