"""The contract of two releases, each with its own record, on one route of one service: whoever has lost the route to the other neither
takes it back nor undoes anything, whatever it calls and whenever the other came in between.

Left out: two services in one route (test_shared_route.py), two holders of one record (tests/steps/test_begin.py).
"""

import pytest

from fairway_steps.errors import Fenced
from fairway_steps.model import Outcome, Routes, Stage
from fairway_steps.record import Lease
from fairway_steps.release import ensure_safe, promote
from fairway_steps.strategy import Strategy
from fairway_steps.weights import enter_stage
from releases import CONFIRM, SECOND, Release
from route_worlds import WORLDS, world_of

STAGES = (Stage(50, 1.0),)


@pytest.fixture(params=WORLDS)
def world(request, tmp_path):
    with world_of(request.param, tmp_path, request.getfixturevalue) as made:
        yield made


@pytest.fixture
def two(world, tmp_path):
    """Two releases of the same versions, each with a record of its own."""
    folders = [tmp_path / name for name in ("one", "two")]
    return [Release(world, Strategy.CANARY, STAGES, folder) for folder in folders]


def enter(release):
    record = release.store.load()
    lease = Lease(record.release_id, record.token)
    enter_stage(release.store, lease, release.world.router(), release.clock, index=0, confirm=CONFIRM)
    return lease


def end(release, lease):
    return promote(
        release.store, lease, release.world.router(), release.clock, alive=lambda: "", confirm=CONFIRM, by="me"
    )


def make_safe(release):
    return ensure_safe(release.store, release.world.router(), release.clock, holder="exit handler")


@pytest.mark.parametrize("ended", [False, True])
def test_a_release_that_has_lost_its_route_does_not_undo_the_one_that_has_it(world, two, ended):
    one, other = two
    one.begin()
    other.begin("b")
    lease = enter(other)
    if ended:
        end(other, lease)
    served, stored = world.router().read(), world.router().fence()
    for call in (lambda: enter(one), lambda: one.begin("c", resume=True), lambda: make_safe(one)):
        with pytest.raises(Fenced):
            call()
    assert make_safe(one) == ("none", one.store.load()), "it has ended by then, and there is nothing to do"
    record = one.store.load()
    assert (record.outcome, record.token) == (Outcome.BROKEN, 1)
    assert "the route is now of another release (token 11, " in record.reason
    assert (world.router().read(), world.router().fence()) == (served, stored)
    if not ended:
        end(other, lease)
    assert world.router().read() == Routes({SECOND: 100})


@pytest.mark.parametrize("call", [make_safe, lambda release: release.begin("c", resume=True)])
def test_of_two_that_take_the_route_at_once_one_is_fenced_off_and_its_record_is_as_it_was(
    world, two, call, monkeypatch
):
    one, other = two
    one.begin()
    held, made = one.store.load(), world.router

    def late():
        """A router whose claim comes after the other release has begun."""
        router = made()
        claim = router.claim

        def after_the_other(fence):
            if other.store.load() is None:
                other.begin("b")
            claim(fence)

        router.claim = after_the_other
        return router

    other.world = type("World", (), {"router": staticmethod(made), "known": world.known})
    monkeypatch.setattr(world, "router", late)
    with pytest.raises(Fenced, match=r"is now of another release \(token 11, "):
        call(one)
    assert (one.store.load().token, made().fence()) == (held.token, 11)
    lease = enter(other)
    for again in (call, make_safe) if call is not make_safe else ():
        with pytest.raises(Fenced):
            again(one)
    assert make_safe(one)[0] == "none", "it has ended by then"
    assert end(other, lease).outcome is Outcome.PROMOTED


def test_a_release_that_is_taken_over_goes_on_and_its_way_back_is_its_own(world, two):
    one, _ = two
    first = one.begin()
    enter(one)
    taken = one.begin("b", resume=True)
    assert (taken.token, world.router().fence()) == (first.token + 1, first.token + 1)
    with pytest.raises(Fenced):
        world.router().apply(Routes({SECOND: 100}), world.known, fence=first.token)
    assert make_safe(one)[0] == "restored"
    assert world.router().fence() == taken.token + 1


class Killed(BaseException):
    """Nothing catches it."""


@pytest.mark.parametrize("after", ["the record", "the refused claim"])
@pytest.mark.parametrize("call", [make_safe, lambda release: release.begin("c", resume=True)])
def test_who_was_killed_as_it_took_the_route_over_undoes_nothing_of_the_one_that_has_it_since(
    world, two, call, after, monkeypatch
):
    one, other = two
    one.begin()
    made, update = world.router, one.store.update

    def dying():
        router = made()
        claim = router.claim

        def killed(fence):
            if after == "the record":
                raise Killed
            other.begin("b")
            monkeypatch.setattr(one.store, "update", no_more)
            claim(fence)

        router.claim = killed
        return router

    def no_more(change):
        raise Killed

    other.world = type("World", (), {"router": staticmethod(made), "known": world.known})
    with monkeypatch.context() as patched:
        patched.setattr(world, "router", dying)
        with pytest.raises(Killed):
            call(one)
    monkeypatch.setattr(one.store, "update", update)
    if after == "the record":
        other.begin("b")
    lease = enter(other)
    served = made().read()
    for again in (lambda release: release.begin("d", resume=True), make_safe):
        with pytest.raises(Fenced, match="is now of another release"):
            again(one)
    assert made().read() == served
    assert end(other, lease).outcome is Outcome.PROMOTED
