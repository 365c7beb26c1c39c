"""A release by each strategy through any world of a route, to each of its ends, by the functions that the steps call."""

import pytest

from fairway_steps.begin import begin
from fairway_steps.clock import SystemClock
from fairway_steps.errors import Fenced
from fairway_steps.model import Outcome, Routes, Stage
from fairway_steps.record import FileStore, Lease
from fairway_steps.release import ensure_safe, promote, rollback
from fairway_steps.strategy import Strategy
from fairway_steps.weights import Confirmation, enter_stage
from route_worlds import NAMES

FIRST, SECOND, _ = NAMES
CONFIRM = Confirmation(settle=10.0, requests=0, wait=0.0)
TESTERS = Stage(0, 1.0, header="x-canary=always")
STRATEGIES = {
    "canary": (Strategy.CANARY, (Stage(10, 1.0), Stage(50, 1.0))),
    "canary, testers first": (Strategy.CANARY, (TESTERS, Stage(50, 1.0))),
    "blue-green": (Strategy.BLUE_GREEN, (Stage(50, 1.0), Stage(100, 1.0))),
    "mirror": (Strategy.MIRROR, (Stage(0, 1.0, mirror=50), Stage(50, 1.0))),
    "mirror, answers compared": (Strategy.MIRROR, (Stage(0, 1.0, mirror=50, through="collector"),)),
    "none": (Strategy.NONE, ()),
}


class Release:
    """A release of the second version, as far as it may be begun."""

    def __init__(self, world, strategy, stages, folder):
        self.world, self.strategy = world, strategy
        if any(stage.through for stage in stages):
            collector = world.lab.collector() if hasattr(world.lab, "collector") else None
            uri = collector.uri if collector else "http://127.0.0.1:4"
            stages = tuple(Stage(s.weight, s.duration, s.header, s.mirror, uri) if s.through else s for s in stages)
            if collector:
                world.lab.versions = world.lab.versions | {collector.name: collector}
        self.stages, self.store, self.clock = stages, FileStore(folder / "record.json"), SystemClock()

    def begin(self, holder="a", *, resume=False):
        return begin(
            self.store, self.world.router(), self.clock,
            service="iris", route="theirs", primary=self.world.known[FIRST], candidate=self.world.known[SECOND],
            strategy=self.strategy, stages=self.stages, slos=(), holder=holder, lease_for=60.0, resume=resume, gone=lambda _: resume,
        )  # fmt: skip

    def run(self, end):
        """Through its stages to an end; each step has a router of its own, as a process of its own has."""
        record = self.begin()
        lease = Lease(record.release_id, record.token)
        for index in range(len(self.stages)):
            enter_stage(self.store, lease, self.world.router(), self.clock, index=index, confirm=CONFIRM)
        router = self.world.router()
        if end == "promoted":
            return promote(self.store, lease, router, self.clock, alive=lambda: "", confirm=CONFIRM)
        if end == "rolled back":
            back = Outcome.ROLLED_BACK
            return rollback(self.store, lease, router, self.clock, outcome=back, reason="", confirm=CONFIRM)
        _, record = ensure_safe(self.store, router, self.clock, holder="b")
        with pytest.raises(Fenced):  # the killed one was not dead
            self.world.router().apply(Routes({SECOND: 100}), self.world.known, fence=lease.token)
        return record
