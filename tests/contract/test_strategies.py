"""Every strategy over every back end, to each of its ends, by the functions that the steps call: promoted, rolled back, and killed in
the middle of a stage. At every end the route is wholly one version's, no rule of Fairway's is left, and what is not ours is byte-equal;
after a rollback all of it is. What a back end cannot carry is refused before anything is written. The cells of docs/matrix.md.

Left out: what else a back end must do (test_router.py), judgement (tests/steps), traffic (tests/e2e).
"""

import itertools
import json

import click
import pytest

import matrix
from fairway_steps.begin import begin
from fairway_steps.cli import fairway
from fairway_steps.clock import SystemClock
from fairway_steps.errors import DomainError, Fenced, UsageError
from fairway_steps.model import Outcome, Routes, Stage, Stickiness
from fairway_steps.record import FileStore, Lease
from fairway_steps.release import ensure_safe, promote, rollback
from fairway_steps.strategy import Strategy
from fairway_steps.weights import Confirmation, await_settled, enter_stage
from route_worlds import IN_CLUSTER, MORE, NAMES, world_of

FIRST, SECOND, THIRD = NAMES
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
SPLITS = {
    "A/B/n split": Routes({FIRST: 50, SECOND: 30, THIRD: 20}),
    "A/B split, users kept on their version": Routes({FIRST: 50, SECOND: 50}, sticky=Stickiness(header="x-user")),
}
ENDS = ("promoted", "rolled back", "killed")
BACK_ENDS = {
    "envoy": "Envoy (files)",
    "httproute": "HTTPRoute",
    "grpcroute": "GRPCRoute",
    "virtualservice": "VirtualService",
    "modelmesh": "VirtualService before a ModelMesh",
    "ksvc": "Knative Service",
    "inferenceservice": "InferenceService (Knative)",
    "standard": "InferenceService (Standard)",
    "llminferenceservice": "LLMInferenceService",
}
PARAMS = [
    pytest.param("envoy", marks=pytest.mark.local),
    *IN_CLUSTER,
    *MORE,
    *(pytest.param(f"real-{kind}", marks=pytest.mark.cluster) for kind in IN_CLUSTER | MORE),
]


@pytest.fixture(params=PARAMS)
def back_end(request):
    return request.param


@pytest.fixture
def tell(back_end, record_property):
    """Say what a strategy did at the back end; it must be what the page says."""

    def told(strategy, outcome, *, page):
        cell = BACK_ENDS[back_end.removeprefix("real-")]
        record_property(matrix.CELL, (strategy, cell, outcome))
        known = set(matrix.load().get(strategy, {}).get(cell, {}).values())
        assert page or known == {outcome}, "docs/matrix.json says otherwise: `make matrix`"

    return told


@pytest.fixture
def page(request):
    """Whether the page is being written."""
    return bool(request.config.getoption("--matrix"))


@pytest.fixture
def worlds(back_end, tmp_path, request):
    """New worlds of the back end, one after another."""
    count = itertools.count()

    def opened():
        folder = tmp_path / str(next(count))
        folder.mkdir()
        return world_of(back_end, folder, request.getfixturevalue)

    return opened


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

    def begin(self):
        return begin(
            self.store, self.world.router(), self.clock,
            service="iris", route="theirs", primary=self.world.known[FIRST], candidate=self.world.known[SECOND],
            strategy=self.strategy, stages=self.stages, slos=(), holder="a", lease_for=60.0, resume=False, gone=lambda _: False,
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


def stored(world):
    return world.lab.spec() if hasattr(world.lab, "spec") else world.foreign()


def why(error, world):
    """The reason without the names of a test's own objects."""
    text = str(error.message)
    for uri, name in [(world.lab.ref.name, "NAME")] if hasattr(world.lab, "ref") else []:
        text = text.replace(uri, name)
    return text.partition(": ")[2] if ": " in text else text


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_ends_with_one_version_and_nothing_of_ours(strategy, worlds, tell, page, tmp_path):
    named, stages = STRATEGIES[strategy]
    for number, end in enumerate(ENDS):
        with worlds() as world:
            release = Release(world, named, stages, tmp_path / str(number))
            before, foreign = stored(world), world.foreign()
            try:
                record = release.run(end)
            except (DomainError, UsageError) as refused:
                assert stored(world) == before, "it was refused after something was written"
                assert release.store.load() is None
                tell(strategy, f"refused: {why(refused, world)}", page=page)
                return
            stable = SECOND if end == "promoted" else FIRST
            assert (record.stable.name, world.router().read()) == (stable, Routes({stable: 100}))
            assert world.foreign() == foreign
            assert "fairway-match" not in json.dumps(stored(world))
            if end != "promoted":
                assert stored(world) == before
    tell(strategy, matrix.WORKS, page=page)


@pytest.mark.parametrize("strategy", SPLITS)
def test_a_split_of_several_versions_is_stored_served_and_taken_back(strategy, worlds, tell, page):
    routes = SPLITS[strategy]
    with worlds() as world:
        before = stored(world)
        try:
            saved = world.router().snapshot()
            world.router().preflight([routes], world.known)
            router = world.router()
            assert router.apply(routes, world.known) == routes
        except (DomainError, UsageError, KeyError) as refused:
            assert stored(world) == before, "it was refused after something was written"
            reason = why(refused, world) if not isinstance(refused, KeyError) else "it holds no third version"
            tell(strategy, f"refused: {reason}", page=page)
            return
        await_settled(router, router.clock if hasattr(router, "clock") else SystemClock(), 10.0)
        router.restore(saved)
        assert stored(world) == before
    tell(strategy, matrix.WORKS, page=page)


def test_performance_touches_no_route(tell, page):
    """A load test has no option that names one; and its pods have no right to change any (tests/workflows)."""
    names = {option.name for option in fairway.get_command(click.Context(fairway), "load-test").params}
    assert "route" not in names
    tell("performance", "not applicable: no route is touched", page=page)


def test_all_back_ends_are_named():
    assert set(BACK_ENDS) == {"envoy", *IN_CLUSTER, *MORE}
