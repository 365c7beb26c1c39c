"""Covers: which version is retired after which end, by which policy, not before it is quiet, and once.

Leaves out: how it is done (tests/steps/workload/test_ends.py).
"""

import math
from dataclasses import replace

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import DomainError
from fairway_steps.model import Outcome, Policy, Promotion, Routes
from fairway_steps.record import FileStore
from fairway_steps.retire import retire
from fairway_steps.routing.base import Served
from fakes_routing import FakeRouter, Stored
from fakes_workloads import FakeWorkloads
from records import record


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "r.json")


def ended(store, outcome, **fields):
    return store.update(lambda _: record(outcome=outcome, **fields))


def stable(name):
    return FakeRouter(Stored(Routes({name: 100})))


@pytest.mark.parametrize(
    ("outcome", "fields", "has", "done"),
    [
        (Outcome.PROMOTED, {}, "v2", ["unguard v2", "retire v1 scale"]),
        (Outcome.PROMOTED, {"primary_policy": Policy.DELETE}, "v2", ["unguard v2", "retire v1 delete"]),
        (Outcome.PROMOTED, {"primary_policy": Policy.KEEP}, "v2", ["unguard v2"]),
        (Outcome.PROMOTED, {"promotion": Promotion.COPY}, "v1", ["unguard v2", "retire v2 scale"]),
        (Outcome.ROLLED_BACK, {}, "v1", ["unguard v2", "retire v2 scale"]),
        (Outcome.ROLLED_BACK, {"candidate_policy": Policy.DELETE}, "v1", ["unguard v2", "retire v2 delete"]),
        (Outcome.HELD, {}, "v1", ["unguard v2"]),
        (Outcome.BROKEN, {}, "v1", []),
        (None, {}, "v1", []),
    ],
)
def test_who_has_lost_the_traffic_is_retired_by_its_policy(store, outcome, fields, has, done):
    held, workloads, clock = ended(store, outcome, **fields), FakeWorkloads(), FakeClock()
    after = retire(store, held, stable(has), workloads, clock, drain=5.0)
    assert workloads.done == done
    assert retire(store, after, stable(has), workloads, clock, drain=5.0) == after
    assert workloads.done == done, "once"
    names = {Outcome.PROMOTED: "Promoted", Outcome.ROLLED_BACK: "RolledBack", Outcome.HELD: "Held"}
    told = [("v2", names[outcome])] if outcome in names else []
    assert [(version, reason) for version, reason, *_ in workloads.told] == told


def test_without_a_cluster_there_is_nothing_to_do(store):
    held = ended(store, Outcome.PROMOTED)
    assert retire(store, held, stable("v2"), None, FakeClock(), drain=5.0) is held


def test_a_version_that_the_route_points_at_is_left_as_it_is(store):
    workloads = FakeWorkloads()
    after = retire(store, ended(store, Outcome.PROMOTED), stable("v1"), workloads, FakeClock(), drain=5.0)
    assert workloads.done == ["unguard v2"]
    assert after.events[-1].message == "v1 is left as it is: the route still points at it"


def test_a_version_gets_time_for_its_last_requests(store):
    router, workloads, clock = stable("v2"), FakeWorkloads(), FakeClock()
    counts = iter([10, 14, 15, 15])
    router.served = lambda: Served({"v1": next(counts)}, 0, 0)
    began = clock.now()
    retire(store, ended(store, Outcome.PROMOTED), router, workloads, clock, drain=5.0)
    assert clock.now() - began == 15.0
    assert workloads.done[-1] == "retire v1 scale"


def test_a_version_that_is_never_quiet_is_left_as_it_is(store):
    router, workloads, clock = stable("v2"), FakeWorkloads(), FakeClock()
    router.served = lambda: Served({"v1": int(clock.now())}, 0, 0)
    after = retire(store, ended(store, Outcome.PROMOTED), router, workloads, clock, drain=5.0)
    assert workloads.done == ["unguard v2"]
    assert after.events[-1].message == "v1 is left as it is: it still gets requests"


@pytest.mark.parametrize("every", [5.0, 30.0, 60.0])
@pytest.mark.parametrize("ends", [3.0, math.inf])
def test_counts_that_are_scraped_now_and_then_are_waited_for(store, every, ends):
    """40 requests a second to v1 until ``ends`` seconds from now, shown ``every`` seconds."""
    router, workloads, clock = stable("v2"), FakeWorkloads(), FakeClock()
    began = clock.now()

    def scraped():
        seen = clock.now() - (clock.now() - began + every / 2) % every
        return Served({"v1": int(40 * min(seen - began + every, ends + every))}, 0, 0, every=every)

    router.served = scraped
    after = retire(store, ended(store, Outcome.PROMOTED), router, workloads, clock, drain=5.0)
    if math.isinf(ends):
        assert after.events[-1].message == "v1 is left as it is: it still gets requests"
    else:
        assert workloads.done[-1] == "retire v1 scale"
        assert clock.now() - began <= 2 * (5 + every) + every


def test_counts_that_are_told_minutes_late_are_not_waited_for(store):
    router, workloads, clock = stable("v2"), FakeWorkloads(), FakeClock()
    router.served = lambda: Served({"v1": 5}, 0, 0, every=900.0)
    began = clock.now()
    after = retire(store, ended(store, Outcome.PROMOTED), router, workloads, clock, drain=5.0)
    assert after.events[-1].message == "v1 is left as it is: its requests are told only 900 s late"
    assert clock.now() == began


def test_a_source_that_is_away_is_no_word_of_quiet(store):
    router, workloads, clock = stable("v2"), FakeWorkloads(), FakeClock()
    router.served = lambda: Served({"v1": 5}, 0, 0, every=math.inf)
    after = retire(store, ended(store, Outcome.PROMOTED), router, workloads, clock, drain=0.0)
    assert workloads.done == ["unguard v2"]
    assert after.events[-1].message == "v1 is left as it is: whether it still gets requests is not told"
    counts = iter([Served({"v1": n}, 0, 0, every=every) for n, every in ((5, 0), (5, math.inf), (6, 0), (6, 0))])
    router.served = lambda: next(counts)
    store.update(lambda held: replace(held, retired=False))
    retire(store, store.load(), router, workloads, clock, drain=5.0)
    assert workloads.done[-1] == "retire v1 scale"
    assert next(counts, None) is None


def test_what_cannot_be_done_does_not_change_the_end(store):
    workloads = FakeWorkloads()
    workloads.fail["retire"] = DomainError("deployments are forbidden")
    after = retire(store, ended(store, Outcome.PROMOTED), stable("v2"), workloads, FakeClock(), drain=0.0)
    assert (after.outcome, after.events[-1].failed) == (Outcome.PROMOTED, False)
    assert after.events[-1].message == "v1 is left as it is: deployments are forbidden"


def test_what_was_done_is_noted(store):
    workloads = FakeWorkloads()
    workloads.said = "Deployment ns/v1 is scaled to 0"
    after = retire(store, ended(store, Outcome.PROMOTED), stable("v2"), workloads, FakeClock(), drain=0.0)
    assert after.events[-1].message == "Deployment ns/v1 is scaled to 0"
    assert store.load() == after
    assert replace(after, events=(), retired=False) == record(outcome=Outcome.PROMOTED)


def begun_here(store, router):
    store.update(lambda held: replace(held, release_id="iris-2", token=2, outcome=None))


def about_to_begin_here(store, router):
    store.update(lambda held: replace(held, token=2))


def begun_elsewhere(store, router):
    router.claim(router.fence() + 2)


def pointed_back(store, router):
    router.give_all(store.load().primary)


@pytest.mark.parametrize("meanwhile", [begun_here, about_to_begin_here, begun_elsewhere, pointed_back])
def test_a_version_that_is_wanted_again_while_it_was_waited_for_is_left_as_it_is(store, meanwhile):
    router, workloads, clock = stable("v2"), FakeWorkloads(), FakeClock()
    counts = iter([10, 12, 12])

    def served():
        count = next(counts)
        if count == 12:
            meanwhile(store, router)
        return Served({"v1": count}, 0, 0)

    router.served = served
    after = retire(store, ended(store, Outcome.PROMOTED), router, workloads, clock, drain=5.0)
    assert workloads.done == ["unguard v2"]
    here = meanwhile in (begun_here, about_to_begin_here)
    assert here or after.events[-1].message.startswith("v1 is left as it is: ")
    assert store.load().retired is not here
