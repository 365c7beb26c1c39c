"""Latencies against a limit and against the primary: from raw samples and from buckets, with failures as endless.

Left out: the tests of rates beneath (test_rate, test_comparison), and where histograms come from.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps import codec
from fairway_steps.model import Histogram
from fairway_steps.stats.comparison import RateVsPrimary
from fairway_steps.stats.latency import tail
from fairway_steps.stats.rate import RateVsLimit
from fairway_steps.stats.slowness import (
    LatencyVsLimit,
    LatencyVsPrimary,
    calibrated_buckets,
    calibrated_edges,
    exceedances,
    latency_vs_limit,
    latency_vs_primary,
    over,
)

HISTOGRAM = Histogram((0.1, 0.25, 0.5, math.inf), (700, 280, 15, 5))


def test_a_limit_on_an_edge_is_the_rate_of_what_is_slower():
    found = tail([HISTOGRAM], 0.25)
    test = latency_vs_limit(0.25, 0.99).update(found.least, found.total, found.most, found.total)
    rate = RateVsLimit(0.01).update(20, 1000)
    assert test.exact
    assert (test.now, test.peak, test.interval()) == (rate.now, rate.peak, rate.interval())


def test_a_limit_between_edges_fails_only_by_the_upper_and_passes_only_by_the_lower():
    def judged(histogram, limit):
        found = tail([histogram], limit)
        return latency_vs_limit(limit, 0.9).update(found.least, found.total, found.most, found.total)

    between = judged(HISTOGRAM, 0.2)  # 2 % are slower than .25, 30 % than .1: 10 % may be
    assert not between.exact
    assert max(between.now.violated, between.now.met) < 0
    assert judged(Histogram((0.1, 0.25, math.inf), (700, 100, 200)), 0.2).now.violated > 10
    assert judged(Histogram((0.1, 0.25, math.inf), (980, 10, 10)), 0.2).now.met > 10
    low, high = between.interval()
    assert low < 0.02
    assert high > 0.30


@given(st.lists(st.integers(0, 100), min_size=3, max_size=3), st.integers(0, 30))
def test_raw_samples_and_buckets_with_the_limit_as_an_edge_say_the_same(counts, failed):
    samples = [value for value, count in zip((0.05, 0.2, 0.7), counts, strict=True) for _ in range(count)]
    histogram = Histogram((0.1, 0.25, math.inf), tuple(counts))
    raw = over([*samples, *[math.inf] * failed], [0.1, 0.25])
    assert raw == exceedances(histogram, [0.1, 0.25], failed)


def test_what_lies_just_at_an_edge_is_not_slower():
    assert over([0.1, 0.1000001], [0.1]) == (1,)


def test_the_mean_of_the_edges_is_told_and_the_weakest_of_them():
    a, b = RateVsPrimary().update(40, 300, 250, 3000), RateVsPrimary().update(6, 300, 20, 3000)
    test = latency_vs_primary([0.1, 0.5]).update([40, 6], 300, [250, 20], 3000)
    mean = math.log((math.exp(a.now.violated) + math.exp(b.now.violated)) / 2)
    assert test.now.violated == pytest.approx(mean, abs=1e-12)
    assert test.now.met == min(a.now.met, b.now.met)
    gated = latency_vs_primary([0.1, 0.5], gate=0).update([40, 6], 300, [250, 20], 3000)
    assert (gated.now.met, gated.interval()) == (a.now.met, a.interval())


def test_a_slower_version_is_found_and_an_equal_one_is_not():
    rng = np.random.default_rng(5)
    edges = calibrated_edges(rng.lognormal(0, 0.5, 5000))
    state = {name: latency_vs_primary(edges) for name in ("slower", "equal")}
    for _ in range(40):
        load = rng.uniform(0.5, 3)  # what drifts for both alike
        primary = load * rng.lognormal(0, 0.5, 200)
        for name, factor in (("slower", 1.3), ("equal", 1.0)):
            candidate = factor * load * rng.lognormal(0, 0.5, 50)
            state[name] = state[name].update(over(candidate, edges), 50, over(primary, edges), 200)
    assert state["slower"].peak.violated > math.log(20)
    assert state["equal"].peak.violated < math.log(20)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=6))
def test_any_grouping_of_looks_gives_the_same_bits_and_passes_through_json(looks):
    one = latency_vs_primary([1, 2])
    for a, b, c, d in looks:
        one = one.update([a + b, b], 20, [c + d, d], 30)
        one = codec.decode(LatencyVsPrimary, codec.encode(one))
    first, second = [a + b for a, b, _, _ in looks], [b for _, b, _, _ in looks]
    third, fourth = [c + d for _, _, c, d in looks], [d for _, _, _, d in looks]
    assert (
        latency_vs_primary([1, 2]).update([first, second], [20] * len(looks), [third, fourth], [30] * len(looks)) == one
    )


@given(st.floats(0.001, 10), st.lists(st.floats(0.001, 100), min_size=1, max_size=50))
def test_seconds_and_milliseconds_give_the_same_counts(edge, samples):
    # Exactly, for a factor that floats carry exactly.
    assert over(samples, [edge]) == over([1024 * value for value in samples], [1024 * edge])


def test_a_calibration_sets_edges_at_the_primarys_quantiles():
    samples = [k / 1000 for k in range(1, 1001)]
    assert calibrated_edges(samples) == pytest.approx((0.9, 0.95, 0.98, 0.99, 0.995))
    assert calibrated_edges([*samples, *[math.inf] * 1000], shares=(0.4, 0.9)) == pytest.approx((0.8,))
    histogram = Histogram((0.1, 0.5, 0.9, 0.99, 1.2, math.inf), (100, 400, 400, 90, 10, 0))
    assert calibrated_buckets([histogram]) == (0.9, 0.99)


def test_a_state_of_limits_passes_through_json_and_retries():
    first = latency_vs_limit(0.2, 0.9).update([5, 1], [100, 20], [9, 2], [100, 20])
    later = latency_vs_limit(0.2, 0.9).update(7, 50, 8, 50)
    again = codec.decode(LatencyVsLimit, codec.encode(first))
    assert again.then(later) == first.update(7, 50, 8, 50)
    pair = latency_vs_primary([1.0]).update([3], 10, [4], 20)
    assert pair.then(pair).tests[0].n == 20


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: latency_vs_limit(0.1, 0), "a quantile of 0 is not between 0 and 1"),
        (lambda: latency_vs_limit(0.1, 1), "a quantile of 1 is not between 0 and 1"),
        (lambda: latency_vs_limit(0.1, 99), "0.99 is the 99th percentile"),
        (lambda: latency_vs_limit(0, 0.9), "a limit of 0 s is not above 0"),
        (lambda: latency_vs_limit(math.nan, 0.9), "a limit of nan s is not above 0"),
        (lambda: latency_vs_primary([]), "are not edges in seconds that rise"),
        (lambda: latency_vs_primary([2, 1]), "are not edges in seconds that rise"),
        (lambda: latency_vs_primary([1, math.inf]), "are not edges in seconds that rise"),
        (lambda: latency_vs_primary([1], gate=1), "there is no edge 1 among 1"),
        (lambda: latency_vs_primary([1]).update([1, 2], 5, [1], 5), "counts above 2 and 1 edges do not fit 1 edges"),
        (lambda: latency_vs_primary([1]).update([6], 5, [1], 5), "6 errors of 5 requests cannot be"),
        (lambda: exceedances(HISTOGRAM, [0.3]), "0.3 s is not among the histogram's edges 0.1, 0.25, 0.5, inf"),
        (lambda: over([math.nan], [1]), "a latency is negative or not a number"),
        (lambda: over([-1], [1]), "a latency is negative or not a number"),
        (lambda: calibrated_edges([]), "there are no latencies to calibrate by"),
        (lambda: calibrated_buckets([]), "there are no latencies to calibrate by"),
        (lambda: calibrated_buckets([Histogram((math.inf,), (5,))]), "share no edge"),
        (lambda: latency_vs_limit(1, 0.5).then(latency_vs_limit(2, 0.5)), "evidence on another limit"),
        (lambda: latency_vs_primary([1]).then(latency_vs_primary([2])), "evidence at other edges"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
