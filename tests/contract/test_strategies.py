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
from fairway_steps.cli import fairway
from fairway_steps.clock import SystemClock
from fairway_steps.errors import DomainError, UsageError
from fairway_steps.model import Routes, Stickiness
from fairway_steps.settled import await_settled
from releases import STRATEGIES, Release
from route_worlds import IN_CLUSTER, MORE, NAMES, world_of

FIRST, SECOND, THIRD = NAMES
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
