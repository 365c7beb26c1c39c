"""Covers: a route that somebody else changes during a stage: put right twice, given up at the third time with the field manager's
name; when nobody looks.

Leaves out: who is told by which back end (tests/contract/test_claims.py).
"""

import json
from dataclasses import replace

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.codec import encode
from fairway_steps.drift import EVERY, Drift
from fairway_steps.errors import DomainError, Fenced, Refused, TransientError
from fairway_steps.model import HeaderMatch, Mirror, Outcome, Routes, Stage
from fairway_steps.record import FileStore, Lease, WeightChange
from fairway_steps.release import ensure_safe, rollback, withdraw
from fairway_steps.routing.claims import Claims
from fairway_steps.weights import Confirmation, announced
from fakes_routing import FakeRouter, Stored
from records import record

NOW = 1_700_000_000.0
WANTED, GIT = Routes({"v1": 90, "v2": 10}), Routes({"v1": 100})
ARGO = Claims("Argo CD (Application shop)", "spec: …", "argocd-controller")


class World:
    def __init__(self, tmp_path, **fields):
        self.clock = FakeClock(NOW)
        self.store = FileStore(tmp_path / "record.json")
        changes = (WeightChange(NOW, 0, {"v1": 90, "v2": 10}, settled_after=0.0, why="stage"),)
        fields = {"stage": 0, "timeline": changes, "original": json.dumps(encode(GIT))} | fields
        self.store.update(lambda _: record(**fields))
        self.router = FakeRouter(Stored(WANTED, fence=1))
        self.router.claimed = ARGO
        self.drift = self.another()

    def another(self) -> Drift:
        """The same in another process."""
        return Drift(self.store, Lease("iris-1", 1), self.router, self.clock)

    def revert(self, routes: Routes = GIT) -> None:
        self.router.stored.routes = routes
        self.clock.sleep(EVERY)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def notes(world):
    return [event.message for event in world.store.load().events if event.step == "route"]


def test_weights_are_put_right_twice_and_the_third_time_the_release_stops_and_names_who_fought(world):
    for held, drift in ((1, world.drift), (2, world.another())):
        world.revert()
        drift()
        assert world.router.read() == WANTED
        assert len(notes(world)) == held
    assert "argocd-controller (Argo CD (Application shop)) changed the route: it held v1 100 %" in notes(world)[0]
    world.revert(Routes({"v1": 50, "v2": 50}))
    with pytest.raises(
        DomainError,
        match=r"argocd-controller .* for the third time: the release stops; let it leave the split alone:\nspec",
    ):
        world.another()()
    assert world.router.read() == GIT


def test_a_route_as_it_should_be_is_left_alone_and_asked_for_now_and_then(world, monkeypatch):
    asked = []
    monkeypatch.setattr(world.router, "read", lambda: asked.append(1) or WANTED)
    world.drift()
    world.drift()
    world.clock.sleep(EVERY)
    world.drift()
    assert (len(asked), notes(world)) == (2, [])


@pytest.mark.parametrize(
    "fields",
    [
        {"stage": -1, "timeline": ()},
        {"timeline": (WeightChange(NOW, -1, {"v1": 100}, why="rolled back"),)},
        {"outcome": Outcome.ROLLED_BACK},
    ],
)
def test_where_no_stage_is_to_be_served_nobody_looks(tmp_path, fields):
    world = World(tmp_path, **fields)
    world.revert()
    world.drift()
    assert world.router.read() == GIT


def test_a_holder_that_was_taken_over_does_not_write(world):
    world.router.stored.fence = 2
    world.revert()
    with pytest.raises(Fenced):
        world.drift()
    assert world.router.read() == GIT


def test_a_server_that_is_away_is_asked_again_later(world, monkeypatch):
    def away():
        raise TransientError("away")

    with monkeypatch.context() as patched:
        patched.setattr(world.router, "read", away)
        world.drift()
    world.revert()
    world.drift()
    assert world.router.read() == WANTED


def test_the_name_of_a_header_is_the_same_in_any_case(tmp_path):
    world = World(tmp_path, stages=(Stage(0, 5.0, header="X-Test=1"), Stage(50, 5.0)))
    world.router.stored.routes = Routes(GIT.weights, (HeaderMatch("x-test", "1", "v2"),))
    world.drift()
    assert notes(world) == []
    world.revert()
    world.drift()
    assert world.router.read().matches == (HeaderMatch("X-Test", "1", "v2"),)


def test_a_backend_that_is_not_ours_ends_the_stage(world):
    world.router.stored.unknown = "other"
    with pytest.raises(Refused, match="other"):
        world.drift()


def test_a_mirror_through_a_collector_is_put_right_too(tmp_path):
    wanted = Routes({"v1": 100}, mirror=Mirror("collector", 50))
    stages = (Stage(0, 5.0, mirror=50, through="http://c:8090"), Stage(10, 5.0))
    changes = (WeightChange(NOW, 0, {"v1": 100}, settled_after=0.0, why="stage"),)
    world = World(tmp_path, stages=stages, timeline=changes)
    world.router.stored.routes = wanted
    world.drift()
    assert notes(world) == []
    world.revert()
    world.drift()
    assert world.router.read() == wanted


def test_while_a_step_of_the_release_changes_the_weights_nothing_is_put_right(world):
    world.store.update(lambda r: announced(r, world.clock, Confirmation()))
    world.revert(Routes({"v2": 100}))
    world.drift()
    assert world.router.stored.routes == Routes({"v2": 100})
    world.store.update(lambda r: replace(r, changing_until=0.0))
    world.revert(Routes({"v2": 100}))
    world.drift()
    assert world.router.stored.routes == WANTED


@pytest.mark.parametrize("way", ["rollback", "withdraw"])
def test_the_way_back_of_another_process_is_not_taken_for_somebodys_change(world, monkeypatch, way):
    """The proxy takes two looks of this process to serve it."""
    looks = iter([world.drift, world.drift])

    def settled():
        look = next(looks, None)
        if look:
            world.clock.sleep(EVERY)
            look()
        return look is None

    monkeypatch.setattr(world.router, "settled", settled)
    given = world.store, Lease("iris-1", 1), world.router, world.clock
    if way == "rollback":
        rollback(*given, outcome=Outcome.ROLLED_BACK, reason="harm", confirm=Confirmation())
    else:
        withdraw(*given, confirm=Confirmation())
    assert world.router.stored.routes == GIT
    assert notes(world) == []
    assert world.store.load().changing_until == 0.0


@pytest.mark.parametrize(
    "error", [TransientError("the API server is away"), DomainError("you may not patch ConfigMaps")]
)
@pytest.mark.parametrize("way", ["withdraw", "ensure-safe"])
def test_users_go_back_also_while_the_record_cannot_be_written(world, monkeypatch, error, way):
    def refused(_):
        raise error

    monkeypatch.setattr(world.store, "update", refused)
    ways = {
        "withdraw": lambda *world: withdraw(world[0], Lease("iris-1", 1), *world[1:], confirm=Confirmation()),
        "ensure-safe": lambda *world: ensure_safe(*world, holder="x"),
    }
    with pytest.raises(type(error), match=error.message):
        ways[way](world.store, world.router, world.clock)
    assert world.router.stored.routes == GIT
