"""Covers: setting weights and knowing that they are served (read-back, the proxy's word, counting), a stage entered once however
often it is called, where its evidence begins, and a mirror that silences its route.

Leaves out: real proxies (tests/contract, tests/e2e).
"""

import itertools
import math
from dataclasses import replace

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import Fenced, NotSettled, TransientError
from fairway_steps.intervention import Intervention
from fairway_steps.metrics.base import Reading
from fairway_steps.model import Mirror, Routes, Rules, Stage, Stratum, Verdict, Version
from fairway_steps.record import FileStore, Lease
from fairway_steps.routing.base import Served
from fairway_steps.routing.claims import Claims
from fairway_steps.weights import Confirmation, enter_stage, set_weights
from fakes_routing import FakeRouter, Stored
from records import record

VERSIONS = {name: Version(name, f"http://{name}:1") for name in ("v1", "v2")}
SPLIT = Routes({"v1": 90, "v2": 10})


class Serving(FakeClock):
    """Time in which a router serves: each sleep adds the given requests to its counters; the first ``late`` are all v1's."""

    def __init__(self, router, late=0, **requests):
        super().__init__()
        self.router, self.requests, self.late = router, requests, late

    def sleep(self, seconds):
        super().sleep(seconds)
        self.late -= 1
        self.router.counts.update({"v1": 1} if self.late >= 0 else self.requests)


@pytest.fixture
def router():
    return FakeRouter(Stored(Routes({"v1": 100})))


def change(router, clock, confirm=None, **more):
    values = {"routes": SPLIT, "versions": VERSIONS, "fence": 1, "stage": 0, "why": "stage"}
    return set_weights(router, clock, confirm=confirm or Confirmation(), **values | more)


def test_where_requests_went_is_counted(router):
    set_ = change(router, Serving(router, v1=9, v2=1))
    assert router.stored.routes == SPLIT
    assert (set_.asked, set_.measured, set_.counted) == ({"v1": 90, "v2": 10}, {"v1": 0.9, "v2": 0.1}, 20)


def test_without_traffic_there_is_nothing_to_count(router):
    set_ = change(router, FakeClock(), Confirmation(wait=2.0))
    assert (set_.measured, set_.counted) == (None, 0)


def test_a_proxy_that_does_not_take_it_is_an_error_in_time(router):
    router.settles, clock = False, FakeClock()
    started = clock.now()
    with pytest.raises(NotSettled, match="does not serve the stored route after 3 s"):
        change(router, clock, Confirmation(settle=3.0))
    assert 3 <= clock.now() - started < 4


def test_a_write_that_something_else_undid_is_noticed(router):
    router.apply = lambda routes, versions, fence=0: Routes({"v1": 100})
    with pytest.raises(NotSettled, match="was accepted, but the route now holds v1 100 %: somebody changed it"):
        change(router, FakeClock())


def test_who_undid_a_write_is_named_and_how_to_make_it_stop(router):
    router.apply = lambda routes, versions, fence=0: Routes({"v1": 100})
    router.claimed = Claims("Argo CD (Application shop)", "spec: …", "argocd-controller")
    with pytest.raises(
        NotSettled,
        match=r"v1 100 %: argocd-controller \(Argo CD \(Application shop\)\) changed it; let it leave the split alone:\nspec",
    ):
        change(router, FakeClock())


def test_a_split_that_contradicts_the_weights_is_noticed(router):
    with pytest.raises(NotSettled, match="is not the split v1 90 %, v2 10 %"):
        change(router, Serving(router, v2=1), Confirmation(requests=50, wait=10))


def test_requests_under_way_when_a_version_left_are_no_contradiction(router):
    set_ = change(router, Serving(router, v1=9, v2=1), routes=Routes({"v1": 100}))
    assert set_.measured == {"v1": 0.9, "v2": 0.1}


def test_a_version_that_left_but_gets_most_requests_is_one(router):
    with pytest.raises(NotSettled, match="is not the split v1 100 %"):
        change(router, Serving(router, v1=1, v2=9), routes=Routes({"v1": 100}))


def test_a_word_that_comes_before_the_deed_is_waited_for(router):
    clock = Serving(router, late=60, v1=1, v2=9)
    set_ = change(router, clock, routes=Routes({"v1": 10, "v2": 90}))
    assert set_.measured == {"v1": 0.1, "v2": 0.9}
    assert 1 < set_.settled_after < 6


def test_a_word_that_no_deed_follows_is_an_error_once_the_time_to_settle_is_over(router):
    clock = Serving(router, v2=1)
    started = clock.now()
    with pytest.raises(NotSettled, match="is not the split"):
        change(router, clock, Confirmation(settle=3.0))
    assert 3 <= clock.now() - started < 5


class Source:
    """Hands out one stratum of the candidate a reading."""

    def __init__(self):
        self.asked = []

    def read(self, versions, weights, cursor, now):
        self.asked.append((dict(weights), cursor))
        stratum = Stratum("v2", now - 1, now, weights.get("v2", 0), 3)
        return Reading((stratum,), f"cursor{len(self.asked)}")


@pytest.fixture
def store(tmp_path):
    store = FileStore(tmp_path / "r.json")
    store.update(lambda _: record(cursor="begin"))
    return store


def enter(store, router, index, clock=None, source=None, lease=None):
    confirm = Confirmation(wait=0.1)
    return enter_stage(
        store, lease or Lease(), router, clock or FakeClock(), index=index, confirm=confirm, source=source
    )


def test_a_stage_is_written_down_once(store, router):
    first = enter(store, router, 0)
    again = enter(store, router, 0, FakeClock(1_800_000_000.0))
    assert again == first
    assert [c.stage for c in store.load().timeline] == [0]
    enter(store, router, 1)
    assert [dict(c.asked) for c in store.load().timeline] == [{"v1": 90, "v2": 10}, {"v1": 75, "v2": 25}]
    assert store.load().stage == 1


def test_whoever_lets_a_stage_be_entered_is_in_the_record_also_when_it_was_entered_before(store, router):
    for by in ("", "alice"):
        enter_stage(store, Lease(), router, FakeClock(), index=0, confirm=Confirmation(requests=0), by=by)
    said = [event.message for event in store.load().events if "word" in event.message]
    assert said == ["stage 1: on the word of alice"]


def test_a_stage_that_was_cut_off_after_its_write_tells_that_it_was_entered_again(store, router):
    enter(store, router, 0)
    assert store.load().events == ()
    router.stored.routes = Routes({"v1": 75, "v2": 25})  # written by an attempt that was killed before it could say so
    enter(store, router, 1)
    enter(store, router, 1)
    held = store.load()
    assert [(change.stage, dict(change.asked)) for change in held.timeline][1:] == [(1, {"v1": 75, "v2": 25})]
    assert [event.step for event in held.events] == ["set-weights"] * 2
    assert "stage 2: v1 75 %, v2 25 % was stored already" in held.events[0].message


def test_a_stage_entered_again_repairs_the_route(store, router):
    enter(store, router, 0)
    router.stored.routes = Routes({"v1": 100})
    enter(store, router, 0)
    assert router.stored.routes == SPLIT


def test_the_evidence_of_a_stage_begins_a_look_after_it_is_served(store, router):
    source, clock = Source(), FakeClock()
    began = clock.now()
    enter(store, router, 0, clock, source=source)
    assert clock.now() - began == 1.0
    clock.sleep(1.0)
    enter(store, router, 1, clock, source=source)
    assert source.asked == [
        ({"v1": 100}, "begin"),
        ({"v1": 90, "v2": 10}, "cursor1"),
        ({"v1": 90, "v2": 10}, "cursor2"),
        ({"v1": 75, "v2": 25}, "cursor3"),
    ]
    held = store.load()
    assert [(s.weight, s.settling) for s in held.strata] == [(0, True), (10, True), (10, False), (25, True)]
    assert (held.cursor, held.cursor_stage, held.changing_until) == ("cursor4", 1, 0.0)


def test_without_a_burn_in_it_begins_at_once(store, router):
    store.update(lambda r: replace(r, rules=Rules(burn_in=0)))
    clock = FakeClock()
    began = clock.now()
    enter(store, router, 0, clock, source=Source())
    assert clock.now() - began < 0.5, "no longer than it took to count"


def test_a_change_that_was_killed_takes_what_came_before_it_once_and_the_rest_is_no_evidence(store, router):
    source = Source()
    apply = router.apply
    router.apply = lambda *given, **more: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        enter(store, router, 0, source=source)
    assert store.load().changing_until > FakeClock().now()
    router.apply = apply
    enter(store, router, 0, FakeClock(1_700_000_010.0), source=source)
    assert [(s.weight, s.settling) for s in store.load().strata] == [(0, True), (10, True)]


class Behind(Source):
    """Tells what was half a minute ago, a stratum of ten seconds a reading."""

    def read(self, versions, weights, cursor, now):
        until = now - 30.0
        reading = super().read(versions, weights, cursor, until)
        return replace(reading, strata=(replace(reading.strata[0], start=until - 10.0),), until=until)


def test_what_is_told_late_of_the_weights_before_is_evidence_on_them(store, router):
    source, clock = Behind(), FakeClock()
    enter(store, router, 0, clock, source=source)
    clock.sleep(42.0)
    enter(store, router, 1, clock, source=source)
    clock.sleep(11.0)
    enter(store, router, 2, clock, source=source)
    told = [(s.weight, s.settling) for s in store.load().strata]
    assert told == [(0, True), (0, True), (10, False), (10, False), (10, False), (10, False)]


def test_since_an_attempt_that_was_cut_off_nothing_is_evidence_on_the_weights_before(store, router):
    source, clock = Behind(), FakeClock()
    enter(store, router, 0, clock, source=source)
    clock.sleep(60.0)
    apply = router.apply
    router.apply = lambda *given, **more: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        enter(store, router, 1, clock, source=source)
    router.apply = apply
    clock.sleep(31.0)
    enter(store, router, 1, clock, source=source)
    told = [(s.weight, s.settling) for s in store.load().strata]
    assert told == [(0, True), (0, True), (10, False), (25, True)]
    assert store.load().changing_since is None


def test_a_source_that_is_away_does_not_stop_a_stage(store, router):
    class Away:
        def read(self, *_):
            raise TransientError("away")

    enter(store, router, 0, source=Away())
    assert store.load().cursor == "begin"
    assert store.load().stage == 0


def test_a_stage_of_an_aborted_release_is_not_entered(store, router):
    before = store.update(lambda held: replace(held, intervention=Intervention(Verdict.ROLLBACK, "alice", 1.0)))
    assert dict(enter(store, router, 0).asked) == {"v1": 100}
    assert (store.load(), router.read()) == (before, Routes({"v1": 100}))


def test_a_holder_that_lost_its_lease_changes_nothing(store, router):
    store.update(lambda r: record(token=2, cursor=r.cursor))
    with pytest.raises(Fenced):
        enter(store, router, 0, lease=Lease("iris-1", 1))
    assert router.stored.routes.weights == {"v1": 100}


@pytest.mark.parametrize("every", [15.0, math.inf])
def test_counts_that_may_be_of_the_time_before_are_not_held_against_a_split(router, every):
    """All that is shown was asked before the change."""
    counted = itertools.count(0, 1000)
    router.served = lambda: Served({"v1": next(counted)}, 0, 0, lasting=False, every=every)
    assert change(router, FakeClock()).measured is None
    router.served = lambda: Served({"v1": next(counted)}, 0, 0, lasting=False, every=1.0)
    with pytest.raises(NotSettled, match="which is not the split"):
        change(router, FakeClock())


class Silenced(Serving):
    """A proxy that answers everybody itself as soon as the route has a mirror, unless it ``implements`` them."""

    def __init__(self, router, implements=False, **requests):
        super().__init__(router, **requests)
        self.implements = implements

    def sleep(self, seconds):
        if self.router.stored.routes.mirror is None or self.implements:
            super().sleep(seconds)
        else:
            FakeClock.sleep(self, seconds)
            self.router.counts.update(v2=1)  # copies, perhaps


MIRRORED = Routes({"v1": 100}, mirror=Mirror("v2", 50))


def test_a_proxy_that_silences_a_route_with_a_mirror_is_found_by_its_requests(router):
    with pytest.raises(
        NotSettled, match="since requests are mirrored none reaches v1 any more, and 10 did just before"
    ):
        change(router, Silenced(router, v1=2), routes=MIRRORED)


@pytest.mark.parametrize("clock", ["implements", "idle"])
def test_a_mirror_is_believed_where_requests_go_on_or_there_were_none(router, clock):
    time = Silenced(router, implements=True, v1=2, v2=1) if clock == "implements" else FakeClock()
    set_ = change(router, time, routes=MIRRORED)
    assert set_.measured == ({"v1": 1} if clock == "implements" else None), "copies are no requests of users"


class Scraped(Silenced):
    """The same users behind a Prometheus: what they asked is shown every five seconds, all at once."""

    def sleep(self, seconds):
        FakeClock.sleep(self, seconds)
        if int(self.time / 5) > int((self.time - seconds) / 5):
            self.router.counts.update(v1=200)


def test_a_source_that_jumps_is_no_word_of_silence(router):
    time = Scraped(router)
    time.time = 999.5
    change(router, time, routes=MIRRORED)
    assert time.time < 1004, "no second scrape within what was counted"
    assert router.counts["v1"] == 200, "the one just before the mirror"


def test_the_route_goes_back_at_once_when_a_split_is_not_taken_up(tmp_path, router):
    store = FileStore(tmp_path / "record.json")
    store.update(lambda _: record(original=router.snapshot(), stages=(Stage(10, 5.0),)))
    router.settles = False
    with pytest.raises(NotSettled, match="does not serve the stored route"):
        enter_stage(store, Lease("iris-1", 1), router, FakeClock(), index=0, confirm=Confirmation(settle=3.0))
    assert router.read() == Routes({"v1": 100})
    assert store.load().timeline == ()


def test_the_route_goes_back_at_once_when_a_mirror_silences_it(tmp_path, router):
    store = FileStore(tmp_path / "record.json")
    stages = (Stage(0, 5.0, mirror=50), Stage(50, 5.0))
    store.update(lambda _: record(original=router.snapshot(), stages=stages))
    with pytest.raises(NotSettled, match="since requests are mirrored"):
        enter_stage(store, Lease("iris-1", 1), router, Silenced(router, v1=2), index=0, confirm=Confirmation())
    assert router.read() == Routes({"v1": 100})
    assert store.load().timeline == ()
