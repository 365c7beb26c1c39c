"""The difference of two cumulative readings: exact counts, and what a reset leaves to be known.

Left out: where readings come from (test_scrape.py).
"""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.metrics.base import Counters, decode_counters, difference, encode_counters

EDGES = (0.1, 0.5, math.inf)


def counters(requests=0, failures=None, latency=(0, 0, 0), seconds=0.0):
    return Counters(requests, failures or {}, dict(zip(EDGES, latency, strict=True)), seconds)


def test_counts_between_two_readings():
    before = counters(10, {"http-500": 1}, (5, 9, 10), 2.0)
    after = counters(25, {"http-500": 1, "connect": 2}, (10, 22, 25), 5.5)
    stratum = difference("v2", 25, before, after, 100.0, 110.0)
    assert (stratum.version, stratum.weight, stratum.start, stratum.end) == ("v2", 25, 100.0, 110.0)
    assert stratum.requests == 15
    assert stratum.failures == {"connect": 2}
    assert stratum.latency is not None
    assert (stratum.latency.edges, stratum.latency.counts) == (EDGES, (5, 8, 2))
    assert stratum.seconds == 3.5


def test_after_a_reset_what_is_shown_is_what_happened_since():
    before = counters(100, {"http-500": 9}, (50, 90, 100), 20.0)
    after = counters(7, {"http-500": 1}, (3, 6, 7), 1.5)
    stratum = difference("v2", 25, before, after, 0.0, 1.0)
    assert (stratum.requests, stratum.failures, stratum.seconds) == (7, {"http-500": 1}, 1.5)
    assert stratum.latency is not None
    assert stratum.latency.counts == (3, 3, 1)


def test_a_failure_counter_that_went_down_betrays_a_reset_that_the_requests_hide():
    before = counters(5, {"http-500": 5})
    after = counters(8, {"http-500": 1})
    assert difference("v2", 25, before, after, 0.0, 1.0).requests == 8


def test_a_source_without_latencies_has_no_histogram():
    assert difference("v2", 25, Counters(1), Counters(3), 0.0, 1.0).latency is None


def test_between_histograms_of_other_edges_only_the_common_ones_are_compared():
    before = Counters(10, latency={0.1: 4, 0.5: 8, math.inf: 10})
    after = Counters(20, latency={0.1: 9, 0.25: 15, math.inf: 20})
    histogram = difference("v2", 25, before, after, 0.0, 1.0).latency
    assert histogram is not None
    assert (histogram.edges, histogram.counts) == ((0.1, math.inf), (5, 5))


def test_a_latency_that_the_reading_before_did_not_have_is_not_told_for_all_time_at_once():
    ever = {"time-to-first-token": {0.1: 90_000, math.inf: 100_000}}
    before, after = Counters(100_000), Counters(100_010, latencies=ever)
    assert difference("v2", 25, before, after, 0.0, 1.0).latencies == {}
    more = {"time-to-first-token": {0.1: 90_004, math.inf: 100_009}}
    then = difference("v2", 25, after, Counters(100_019, latencies=more), 1.0, 2.0).latencies
    assert then["time-to-first-token"].counts == (4, 5)
    begun = difference("v2", 25, Counters(0), Counters(8, latencies={"x": {math.inf: 8}}), 0.0, 1.0)
    assert begun.latencies["x"].counts == (8,), "of a process that began since, it is all"
    restarted = difference("v2", 25, Counters(9), Counters(8, latencies={"x": {math.inf: 8}}), 0.0, 1.0)
    assert restarted.latencies["x"].counts == (8,)


STEPS = st.lists(st.tuples(*[st.integers(0, 50)] * 4), min_size=1, max_size=6)


@given(STEPS, st.data())
def test_however_often_it_is_read_the_same_is_counted(steps, data):
    """Reading at every moment, or at any choice of them, gives the same sums."""
    readings = [counters()]
    for fast, middle, slow, failed in steps:
        last = readings[-1]
        low, mid, top = (last.latency[edge] for edge in EDGES)
        readings.append(
            counters(
                last.requests + fast + middle + slow,
                {"http-500": last.failures.get("http-500", 0) + failed},
                (low + fast, mid + fast + middle, top + fast + middle + slow),
            )
        )
    kept = [readings[0], *[r for r in readings[1:-1] if data.draw(st.booleans())], readings[-1]]
    strata = [difference("v", 1, a, b, 0.0, 1.0) for a, b in pairwise(kept)]
    assert sum(s.requests for s in strata) == readings[-1].requests
    assert sum(s.errors for s in strata) == readings[-1].failures["http-500"]
    assert sum(s.latency.total for s in strata if s.latency) == readings[-1].latency[math.inf]


def test_comparisons_are_counted_as_requests_are():
    before, after = (
        Counters(9, comparisons=5, differences={"label": 1}, attempts=20),
        Counters(9, comparisons=9, differences={"label": 1, "drift": 2}, attempts=30),
    )
    stratum = difference("v2", 0, before, after, 0.0, 1.0)
    assert (stratum.comparisons, stratum.differences, stratum.attempts) == (4, {"drift": 2}, 10)
    assert decode_counters(encode_counters(after)) == after
    older = {name: value for name, value in encode_counters(before).items() if name != "attempts"}
    assert difference("v2", 0, decode_counters(older), after, 0.0, 1.0).attempts == 25, "as if all had been made"
    fresh = difference("v2", 0, after, Counters(9, comparisons=3), 0.0, 1.0)
    assert (fresh.comparisons, fresh.requests) == (3, 9), "all counters of a process are reset together"


def test_counters_travel_in_a_cursor_and_one_of_an_older_version_has_no_comparisons():
    counters = Counters(3, {"connect": 1}, {0.5: 2, math.inf: 3}, 0.7, 2, {"label": 1})
    value = encode_counters(counters)
    assert decode_counters(value) == counters
    older = {name: value[name] for name in ("requests", "failures", "latency", "seconds")}
    assert decode_counters(older) == Counters(3, {"connect": 1}, {0.5: 2, math.inf: 3}, 0.7)
