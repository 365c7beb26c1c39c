"""Covers: strata as windows of time: what takes in what, that no count is lost, that versions stay aligned, that the rule looks at the clock
alone, that kept windows stay as they are.

Leaves out: who adds what when (test_judge.py), and what the windows are evidence of (test_assess.py).
"""

import math
from dataclasses import replace
from itertools import islice, pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.model import Histogram, Stratum
from fairway_steps.windows import Ends, added, brought, closing, merge, windows


def second(at, version="v2", weight=10, requests=3, **fields):
    return Stratum(version, float(at), at + 1.0, weight, requests, {"http-500": 1}, **fields)


def filled(seconds, *versions, **fields):
    strata = ()
    for at in range(seconds):
        strata = added(strata, [second(at, version, **fields) for version in versions or ("v2",)])
    return strata


def spans(strata):
    return [(s.start, s.end) for s in strata]


@pytest.mark.parametrize(("seconds", "most"), [(30, 30), (600, 130), (3600, 180), (86_400, 280)])
def test_an_hour_is_few_windows_and_a_day_not_many_more(seconds, most):
    at, strata = 0, ()
    step = max(1, seconds // 3600)
    while at < seconds:
        strata = added(strata, [Stratum("v2", float(at), float(at + step), 10, step)])
        at += step
    assert len(strata) <= most
    assert sum(s.requests for s in strata) == at
    assert all(left.end == right.start for left, right in pairwise(strata))


def test_the_first_windows_are_single_readings_and_later_ones_grow():
    kept = filled(200)
    assert spans(kept)[:30] == [(float(t), t + 1.0) for t in range(30)]
    assert all(s.end - s.start >= (s.start - 0) / 30 for s in kept[:-1])


@pytest.mark.parametrize(("interval", "burn_in"), [(1.0, 0), (1.0, 1), (0.1, 2), (15.0, 1)])
def test_how_many_windows_a_stage_brings_is_known_beforehand(interval, burn_in):
    strata = ()
    for look in range(250):
        start, end = look * interval, (look + 1) * interval
        strata = added(strata, [Stratum("v2", start, end, 10, 3, settling=look < burn_in)])
        counted = [window for window in windows(strata) if not window.settling]
        closed = [window for window in counted if not window.is_open]
        assert brought(end, interval, burn_in, whole=False) == len(counted), look
        assert brought(end, interval, burn_in, whole=True) == len(closed), look
        assert not closed or next(islice(closing(interval, burn_in), len(closed) - 1, None)) == pytest.approx(
            closed[-1].end
        )


def test_versions_share_their_windows_even_where_one_was_silent():
    strata = ()
    for at in range(300):
        seen = ["v1", "v2"] if at % 3 else ["v1"]
        strata = added(strata, [second(at, version, weight=90 if version == "v1" else 10) for version in seen])
    assert {(s.start, s.end) for s in strata if s.version == "v2"} <= {
        (s.start, s.end) for s in strata if s.version == "v1"
    }
    assert sum(s.requests for s in strata if s.version == "v2") == 600


def test_a_change_of_weights_begins_a_new_run():
    kept = filled(100)
    more = added(kept, [second(100, weight=25)])
    assert more[: len(kept)] == kept
    after = more
    for at in range(101, 125):
        after = added(after, [second(at, weight=25)])
    assert [s for s in after if s.weight == 25] == [second(at, weight=25) for at in range(100, 125)]


def test_what_settles_stays_alone():
    kept = filled(100)
    more = added(kept, [replace(second(100), settling=True)])
    assert more[-1].settling
    assert len(more) == len(kept) + 1
    assert not added(more, [second(101)])[-1].settling


def test_what_is_closed_takes_in_nothing():
    kept = filled(100)
    last = kept[-1]
    assert list(windows(kept))[-1].is_open
    assert added(kept, [second(100)])[-1].end == 101
    assert added(kept, [second(100)], closed=Ends(last.end))[-1] == second(100)


def test_histograms_that_cannot_be_added_are_kept_apart():
    kept = filled(100, latency=Histogram((1.0, math.inf), (3, 0)))
    other = second(100, latency=Histogram((2.0, math.inf), (3, 0)))
    assert added(kept, [other])[-1] == other


def test_histograms_with_different_edges_are_dropped_when_merged_by_hand():
    one = Stratum("v1", 0.0, 1.0, 10, 3, {}, Histogram((1.0,), (3,)))
    other = Stratum("v1", 1.0, 2.0, 10, 4, {}, Histogram((2.0,), (4,)))
    silent = Stratum("v1", 2.0, 3.0, 10, 0)
    assert merge(one, other).latency is None
    assert merge(one, silent).latency == merge(silent, one).latency == one.latency
    assert merge(one, other).requests == 7


strata = st.lists(
    st.builds(
        lambda v, at, weight, counts, errors: Stratum(
            v, at, at + 1.0, weight, sum(counts), {"http-500": errors}, Histogram((1.0, 2.0), tuple(counts)), 0.5
        ),
        st.sampled_from(["v1", "v2"]),
        st.integers(0, 300).map(float),
        st.sampled_from([10, 50]),
        st.lists(st.integers(0, 100), min_size=2, max_size=2),
        st.integers(0, 5),
    ),
    max_size=100,
)


def test_the_order_of_two_strata_of_one_span_changes_nothing():
    given_strata = [second(0), second(0, requests=0), second(0, "v1")]
    told = [[window.strata for window in windows(mixed)] for mixed in permutations(given_strata)]
    assert all(each == told[0] for each in told)


@given(strata)
def test_no_count_is_lost_however_they_come(given_strata):
    kept = ()
    for stratum in sorted(given_strata, key=lambda s: s.start):
        kept = added(kept, [stratum])
    for version in ("v1", "v2"):
        for weight in (10, 50):
            before = [s for s in given_strata if (s.version, s.weight) == (version, weight)]
            after = [s for s in kept if (s.version, s.weight) == (version, weight)]
            assert sum(s.requests for s in after) == sum(s.requests for s in before)
            assert sum(s.errors for s in after) == sum(s.errors for s in before)
            assert sum(s.latency.total for s in after if s.latency) == sum(s.latency.total for s in before)


@given(st.lists(st.integers(0, 50), min_size=40, max_size=120))
def test_where_a_window_ends_tells_nothing_of_what_was_counted(requests):
    kept = ()
    for at, number in enumerate(requests):
        kept = added(kept, [second(at, requests=max(1, number))])
    assert spans(kept) == spans(filled(len(requests)))


def test_what_was_compared_is_not_lost_in_a_larger_window():
    strata = ()
    for at in range(200):
        more = {"comparisons": 2, "differences": {("label", "drift")[at % 2]: 1}}
        strata = added(strata, [second(at, weight=0, **more)])
    assert len(strata) < 200
    assert sum(s.comparisons for s in strata) == 400
    assert [sum(s.differences.get(kind, 0) for s in strata) for kind in ("label", "drift")] == [100, 100]


def test_latencies_of_a_source_of_their_own_stand_beside_one_another_also_at_the_same_times():
    """Requests and latencies of both versions, read at the same moments: two windows each second, with both versions in each."""
    strata = ()
    for at in range(100):
        own = [second(at, version) for version in ("v1", "v2")]
        timed = [replace(s, requests=0, failures={}, latency=Histogram((0.1, math.inf), (2, 1))) for s in own]
        strata = added(strata, [own[0], timed[0], own[1], timed[1]])
    found = list(windows(strata))
    assert {frozenset(window.strata) for window in found} == {frozenset({"v1", "v2"})}
    assert all(len({bool(s.latency) for s in window.strata.values()}) == 1 for window in found)
    assert sum(s.requests for s in strata) == 600
    assert sum(s.latency.total for s in strata if s.latency) == 600


@pytest.mark.parametrize("behind", [0.0, 0.3])
def test_two_sources_keep_twice_the_windows_of_one_and_lose_no_count(behind):
    """Ten minutes of a look a second; the second source is read at the same moments, or a little later."""
    strata = ()
    for at in range(600):
        own = [second(at, version) for version in ("v1", "v2")]
        timed = [
            replace(s, start=at + behind, end=at + behind + 1, requests=0, failures={}, latency=Histogram((1.0,), (3,)))
            for s in own
        ]
        strata = added(strata, [*own, *timed])
    assert len(list(windows(strata))) <= 2 * len(list(windows(filled(600, "v1", "v2"))))
    assert sum(s.requests for s in strata) == sum(s.latency.total for s in strata if s.latency) == 2 * 3 * 600
    assert sum(s.errors for s in strata) == 2 * 600


def test_a_window_of_counts_takes_in_no_latencies_that_stand_alone():
    strata = filled(200)
    (*_, last), timed = windows(strata), second(200, requests=0, latency=Histogram((1.0,), (3,)))
    assert last.is_open
    found = added(strata, [replace(timed, failures={})])
    assert found[:-1] == strata


@pytest.mark.parametrize("shift", [0.0, 0.4, 8.0, 14.0])
@pytest.mark.parametrize("lost", [{"v1": {3}}, {"v2": {3, 4}}, {"v1": set(range(40))}])
def test_latencies_that_are_missing_part_no_counts_of_two_versions(shift, lost):
    """Forty readings of 15 s from two sources, of which the second is read later and misses some of a version."""
    strata = []
    for at in range(40):
        for version in ("v1", "v2"):
            one = Stratum(version, 15.0 * at, 15.0 * at + 15, 50, 300)
            timed = replace(
                one, start=one.start + shift, end=one.end + shift, requests=0, latency=Histogram((1.0,), (3,))
            )
            strata += [one] if at in lost.get(version, ()) else [one, timed]
    found = list(windows(strata))
    counts, timed = ([w for w in found if w.is_timed is kind] for kind in (False, True))
    assert [(w.start, set(w.strata)) for w in counts] == [(15.0 * at, {"v1", "v2"}) for at in range(40)]
    assert all(
        (v in w.strata) is (round(w.start - shift) // 15 not in lost.get(v, ())) for w in timed for v in ("v1", "v2")
    )
    assert [w.start for w in found] == sorted(w.start for w in found)
