"""Covers: a release that somebody else ends while one of its own steps writes the route: just before that write, just after it, or
once it was read back. The step fails and says so, the end stands as it was recorded, and the route holds what that end says.

Left out: real proxies, and the fences of those that have another token (tests/contract).
"""

from dataclasses import replace

import pytest

from fairway_steps.by_hand import set_by_hand
from fairway_steps.clock import FakeClock
from fairway_steps.errors import DomainError, FairwayError
from fairway_steps.intervention import Intervention
from fairway_steps.model import Outcome, Routes, Verdict, Version
from fairway_steps.overtaken import Aborted, Overtaken
from fairway_steps.record import FileStore, Lease
from fairway_steps.release import drop, promote, rollback, withdraw
from fairway_steps.weights import Confirmation, enter_stage
from fakes_routing import FakeRouter, Stored
from records import record

LEASE = Lease("iris-1", 1)
QUICK = Confirmation(settle=0.2, requests=0, wait=0.0)
SPLIT = Routes({"v1": 50, "v2": 50})
ABORTED = "release iris-1 has ended rolled-back meanwhile: on the word of alice; all traffic is on v1; begin a new one"
PROMOTED = "release iris-1 has ended promoted meanwhile: on the word of alice; all traffic is on v2; begin a new one"


class Overtaking(FakeRouter):
    """A route at which ``act`` happens once, ``when`` it is written."""

    def __init__(self, stored):
        super().__init__(stored)
        self.act, self.when = None, "before"

    def _around(self, write):
        act, self.act = self.act, None
        if act and self.when == "before":
            act()
        write()
        written = self.stored.routes
        if act and self.when != "before":
            act()
        return written if self.when == "read back" else self.stored.routes

    def apply(self, routes, versions, *, fence=0):
        return self._around(lambda: super(Overtaking, self).apply(routes, versions, fence=fence))

    def restore(self, snapshot, *, fence=0):
        return self._around(lambda: super(Overtaking, self).restore(snapshot, fence=fence))


class World:
    def __init__(self, folder, when):
        self.clock, self.stored = FakeClock(), Stored(Routes({"v1": 100}))
        self.router, self.store = Overtaking(self.stored), FileStore(folder / "record.json")
        original = self.router.snapshot()
        self.store.update(lambda _: record(original=original, stage=0))
        self.stored.routes, self.router.when = SPLIT, when
        self.given = (self.store, LEASE, self.router, self.clock)

    def other(self):
        """Another step of the release, with the same token and a router of its own."""
        return self.store, LEASE, FakeRouter(self.stored), self.clock

    def aborts(self, outcome=Outcome.ROLLED_BACK):
        rollback(*self.other(), outcome=outcome, reason="on the word of alice", confirm=QUICK)

    def promotes(self):
        promote(*self.other(), alive=lambda: "", confirm=QUICK)
        self.store.update(lambda r: replace(r, reason="on the word of alice"))


@pytest.fixture(params=["before", "after", "read back"])
def world(tmp_path, request):
    return World(tmp_path, request.param)


def promoting(given):
    promote(*given, alive=lambda: "", confirm=QUICK)


def entering(given):
    enter_stage(*given, index=1, confirm=QUICK)


def setting_by_hand(given):
    store, lease, router, clock = given
    set_by_hand(
        store, lease, router, clock, routes=Routes({"v1": 20, "v2": 80}), versions=store.load().versions, confirm=QUICK
    )


def dropping(given):
    given[0].update(lambda r: replace(r, rivals=(Version("v3", "http://127.0.0.1:8003"),)))
    drop(*given, name="v3", why="it was bad")


def rolling_back(given):
    rollback(*given, outcome=Outcome.HELD, reason="nobody approved it", confirm=QUICK)


def withdrawing(given):
    withdraw(*given, confirm=QUICK)


@pytest.mark.parametrize("step", [promoting, entering, setting_by_hand, dropping])
def test_what_would_give_a_candidate_more_gives_the_route_back(world, step):
    world.router.act = world.aborts
    with pytest.raises(Overtaken) as told:
        step(world.given)
    kept = world.store.load()
    assert str(told.value) == ABORTED
    assert (kept.outcome, kept.reason) == (Outcome.ROLLED_BACK, "on the word of alice")
    assert world.stored.routes == Routes({"v1": 100})
    assert kept.timeline[-1].asked == {"v1": 100}, "what was undone is not told as served"


@pytest.mark.parametrize("step", [rolling_back, withdrawing])
def test_what_would_take_a_promoted_one_back_leaves_it_the_traffic(world, step):
    world.router.act = world.promotes
    with pytest.raises(Overtaken) as told:
        step(world.given)
    assert str(told.value) == PROMOTED
    assert (world.store.load().outcome, world.stored.routes) == (Outcome.PROMOTED, Routes({"v2": 100}))


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.HELD])
def test_two_that_roll_back_agree_and_the_first_end_stands(world, outcome):
    world.router.act = lambda: world.aborts(outcome)
    ended = rollback(*world.given, outcome=Outcome.ROLLED_BACK, reason="harm", confirm=QUICK)
    assert (ended.outcome, ended.reason) == (outcome, "on the word of alice")
    assert world.stored.routes == Routes({"v1": 100})


def test_two_that_promote_agree(world):
    world.router.act = world.promotes
    promoting(world.given)
    assert (world.store.load().outcome, world.stored.routes) == (Outcome.PROMOTED, Routes({"v2": 100}))


@pytest.mark.parametrize("step", [promoting, entering, setting_by_hand])
def test_a_release_that_had_ended_is_not_touched(world, step):
    world.aborts()
    world.router.apply = None
    with pytest.raises(Overtaken, match="has ended rolled-back meanwhile"):
        step(world.given)


def test_one_whose_route_cannot_be_given_back_says_so(world):
    def unreachable(*_, **__):
        raise DomainError("the server is away")

    def ends():
        world.aborts()
        world.router.restore = world.router.give_all = unreachable

    world.router.act = ends
    with pytest.raises(FairwayError) as told:
        promoting(world.given)
    assert str(told.value) == (
        "release iris-1 has ended rolled-back meanwhile: on the word of alice; its route could not be put back: "
        "the server is away; run `fairway ensure-safe`"
    )


def test_weights_set_by_hand_are_no_way_round_an_abort_that_is_still_to_be_carried_out(world):
    def said():
        world.store.update(lambda r: replace(r, intervention=Intervention(Verdict.ROLLBACK, "alice", 1.0)))

    world.router.act = said
    with pytest.raises(Aborted, match="gets no other weights: the candidate was rolled back on the word of alice"):
        setting_by_hand(world.given)
    assert world.stored.routes == Routes({"v1": 100})
    assert world.store.load().timeline == ()
    world.router.apply = None
    with pytest.raises(Aborted, match="gets no other weights"):
        setting_by_hand(world.given)


def test_the_way_back_is_open_to_whoever_has_aborted(world):
    world.store.update(lambda r: replace(r, intervention=Intervention(Verdict.ROLLBACK, "alice", 1.0)))
    back = Routes({"v1": 100})
    set_by_hand(*world.given, routes=back, versions=world.store.load().versions, confirm=QUICK)
    assert (world.stored.routes, world.store.load().timeline[-1].why) == (back, "by hand")
