"""Covers: strata put together until each point has enough requests, quantiles as brackets, gaps in time, two sources.

Leaves out: how points are drawn (test_plots).
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.model import Histogram, Stratum
from fairway_steps.report import series
from sample_records import EDGES, promoted


def stratum(start, requests, *, weight=10, version="v2", errors=0, latency=None, seconds=0.0):
    failures = {"http-500": errors} if errors else {}
    return Stratum(version, start, start + 1.0, weight, requests, failures, latency, seconds)


def test_points_stand_on_enough_requests_and_lose_none():
    strata = [stratum(float(i), 7) for i in range(20)]
    merged = series.intervals(strata, "v2")
    assert all(series.ENOUGH <= s.requests < 2 * series.ENOUGH for s in merged)
    assert sum(s.requests for s in merged) == 140


def test_different_weights_are_never_put_together():
    strata = [stratum(0.0, 5, weight=10), stratum(1.0, 5, weight=25)]
    assert [s.weight for s in series.intervals(strata, "v2")] == [10, 25]


def test_long_releases_stay_readable():
    strata = [stratum(float(i), 500) for i in range(5000)]
    assert len(series.intervals(strata, "v2")) <= 2 * series.POINTS


def test_an_empty_interval_gives_no_rate():
    assert series.error_rates([stratum(0.0, 0)], "v2") == []
    assert series.means([stratum(0.0, 0)], "v2") == []
    assert series.quantiles([stratum(0.0, 5)], "v2", 0.5) == []


def test_rates_and_means():
    latency = Histogram((0.1, math.inf), (40, 0))
    (rate,) = series.error_rates([stratum(0.0, 40, errors=4)], "v2")
    (mean,) = series.means([stratum(0.0, 40, latency=latency, seconds=2.0)], "v2")
    (requests,) = series.request_rates([stratum(0.0, 40)], "v2")
    assert (rate.value, mean.value, requests.value) == (0.1, 0.05, 40.0)


@pytest.mark.parametrize(
    ("q", "expected"),
    [(0.25, (0.05, 0.0, 0.1)), (0.5, (0.1, 0.0, 0.1)), (0.75, (0.15, 0.1, 0.2)), (0.99, (0.2, 0.2, math.inf))],
)
def test_a_quantile_is_interpolated_in_its_bucket(q, expected):
    histogram = (
        Histogram((0.1, 0.2, math.inf), (10, 9, 1)) if q == 0.99 else Histogram((0.1, 0.2, math.inf), (10, 10, 0))
    )
    assert series.bracket(histogram, q) == pytest.approx(expected)


def test_no_observation_has_no_quantile():
    assert series.bracket(Histogram((0.1, math.inf), (0, 0)), 0.5) is None
    assert series.bracket(Histogram((), ()), 0.5) is None


@given(
    st.lists(st.integers(0, 1000), min_size=len(EDGES), max_size=len(EDGES)).filter(any),
    st.floats(0.001, 0.999),
)
def test_a_quantile_lies_in_its_bracket(counts, q):
    value, low, high = series.bracket(Histogram(EDGES, tuple(counts)), q)
    assert math.isfinite(value)
    assert low <= value <= high
    below = sum(n for edge, n in zip(EDGES, counts, strict=True) if edge <= low)
    within = sum(n for edge, n in zip(EDGES, counts, strict=True) if edge <= high)
    assert below <= q * sum(counts) * (1 + 1e-9)
    assert within >= q * sum(counts) * (1 - 1e-9)


def test_no_line_is_drawn_over_time_that_nobody_looked_at():
    points = series.request_rates([stratum(float(t), 30) for t in (0, 1, 2, 20, 21)], "v2")
    assert [len(run) for run in series.segments(points)] == [3, 2]
    assert series.segments([]) == []


def test_every_request_of_a_release_is_in_a_point():
    record = promoted()
    for version in record.versions:
        seen = sum(point.requests for point in series.request_rates(record.strata, version))
        assert seen == sum(s.requests for s in record.strata if s.version == version)


def two_sources(looks):
    """Requests of one source, and from 4 s later on their latencies of another."""
    for start in range(0, 15 * looks, 15):
        yield Stratum("v2", start, start + 15.0, 10, 90)
        latency = Histogram((0.1, 0.2, math.inf), (45, 45, 0))
        yield Stratum("v2", start + 4.0, start + 19.0, 10, 0, latency=latency, seconds=9.0)


def test_latencies_of_a_source_of_their_own_are_drawn_and_requests_have_their_own_time():
    strata = list(two_sources(40))
    assert {point.value for point in series.request_rates(strata, "v2")} == {6.0}
    assert {point.value for point in series.means(strata, "v2")} == {0.1}
    tails = series.quantiles(strata, "v2", 0.75)
    assert [point.value for point in tails] == pytest.approx([0.15] * len(tails))
    assert [sum(p.requests for p in points) for points in (tails, series.means(strata, "v2"))] == [3600, 3600]


def test_few_latencies_of_a_source_of_their_own_are_put_together():
    latency = Histogram((0.1, math.inf), (7, 0))
    strata = [Stratum("v2", float(i), i + 1.0, 10, 0, latency=latency) for i in range(20)]
    assert not any(point.few for point in series.quantiles(strata, "v2", 0.5))
