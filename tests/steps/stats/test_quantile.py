"""Quantiles of samples, alone and against another version's.

Checked against confseq's published values, against the definition written out, and by simulation under looks at every step. Left
out: the mixtures beneath (test_mixture, test_rate).
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway_steps.stats.quantile import (
    all_quantiles_bound,
    compare_quantiles,
    equal_quantiles_p,
    quantile_interval,
    quantile_of,
)
from fairway_steps.stats.rate import confidence_interval, log_e_met, log_e_mets, log_e_violated, log_e_violateds

samples = st.lists(st.floats(0.001, 1000), min_size=1, max_size=120)
quantiles = st.sampled_from([0.1, 0.5, 0.9, 0.95])
A = np.arange(1.0, 1001)


@pytest.mark.parametrize(
    ("quantile", "offset", "published"),
    [(0.5, 70, 0.814704), (0.5, 85, 0.0838055), (0.5, 100, 0.0054947), (0.9, 55, 0.0340463)],
)
def test_published_p_values(quantile, offset, published):
    # test/uniform_boundaries_unittest.cpp of confseq: 1..1000 against the same moved, tuned to 100 samples
    assert equal_quantiles_p(A, A + offset, quantile) == pytest.approx(published, abs=5e-7)
    assert equal_quantiles_p(A + offset, A, quantile) == pytest.approx(published, abs=5e-7)


@pytest.mark.parametrize(("quantile", "published"), [(0.5, 68.62803), (0.9, 43.72119), (0.1, 59.96521)])
def test_published_double_stitching_bounds(quantile, published):
    # likewise, with n = 1000, alpha = .05, tuned to 100
    assert all_quantiles_bound(quantile, 1000, 100) == pytest.approx(published, abs=5e-6)


@settings(max_examples=60)
@given(samples, samples, quantiles, st.sampled_from([0.0, 0.1, 0.5]))
def test_the_definition_written_out(candidate, primary, quantile, margin):
    x = [value / (1 + margin) for value in candidate]
    share = 1 - quantile

    def worst(first, second):
        return min(
            log_e_violated(sum(v > at * (1 + 1e-12) for v in first), len(first), share)
            + log_e_met(sum(v >= at * (1 - 1e-12) for v in second), len(second), share)
            for at in [*first, *second]
        )

    found = compare_quantiles(candidate, primary, quantile, margin)
    assert found.violated == pytest.approx(worst(x, primary), abs=1e-9)
    assert found.met == pytest.approx(worst(primary, x), abs=1e-9)


@given(samples, samples, quantiles, st.sampled_from([1000.0, 1e-3, 3.7]))
def test_units_change_nothing(candidate, primary, quantile, unit):
    scaled = compare_quantiles([unit * v for v in candidate], [unit * v for v in primary], quantile)
    assert scaled == compare_quantiles(candidate, primary, quantile)
    low, high = quantile_interval(candidate, quantile)
    assert quantile_interval([unit * v for v in candidate], quantile) == (unit * low, unit * high)


@given(samples, samples, quantiles)
def test_slower_samples_are_never_better(candidate, primary, quantile):
    now, worse = (compare_quantiles([f * v for v in candidate], primary, quantile) for f in (1, 1.5))
    assert worse.violated >= now.violated - 1e-9
    assert worse.met <= now.met + 1e-9


def test_many_samples_with_few_evaluations():
    rng = np.random.default_rng(6)
    fast, slow = rng.lognormal(0, 0.5, 20_000), rng.lognormal(math.log(1.4), 0.5, 20_000)
    assert compare_quantiles(slow, fast, 0.99, 0.1).violated > math.log(20)
    assert compare_quantiles(fast, fast, 0.99, 0.1).violated < 0
    assert compare_quantiles(fast, slow, 0.99, 0.1).met > math.log(20)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_the_cells_that_are_left_out_hold_nothing_smaller(quantile):
    rng = np.random.default_rng(7)
    x, y = rng.lognormal(0.1, 0.5, 3000), rng.lognormal(0, 0.5, 2500)
    at = np.concatenate((x, y))
    above = (x > at[:, None] * (1 + 1e-12)).sum(axis=1)
    reached = (y >= at[:, None] * (1 - 1e-12)).sum(axis=1)
    share = 1 - quantile
    every = log_e_violateds(above, 3000, share) + log_e_mets(reached, 2500, share)
    assert compare_quantiles(x, y, quantile, 0).violated == every.min()


def test_failed_requests_are_slower_than_all():
    half = [1.0] * 50 + [math.inf] * 50
    assert compare_quantiles(half, [1.0] * 100, 0.9).violated > math.log(20)
    assert compare_quantiles([math.inf] * 9, [math.inf] * 9, 0.9).violated == 0
    assert quantile_of(half, 0.9) == math.inf
    assert quantile_of(half, 0.5) == 1.0


@settings(max_examples=80)
@given(samples, quantiles)
def test_the_interval_excludes_a_limit_when_the_rate_beyond_it_is_excluded(values, quantile):
    # Each is the other's inversion: the limit x is too low if more than 1 - q of the samples are surely above it.
    low, high = quantile_interval(values, quantile)
    share = round(1 - quantile, 12)
    assert low <= quantile_of(values, quantile) <= high
    for x in (low, high):
        if math.isfinite(x):
            above = sum(v > x for v in values)
            reached = sum(v >= x for v in values)
            assert confidence_interval(above, len(values), share)[0] <= share + 1e-9
            assert confidence_interval(reached, len(values), share)[1] >= share - 1e-9


def test_too_few_samples_bound_nothing():
    assert quantile_interval([], 0.5) == (-math.inf, math.inf)
    assert quantile_interval([1, 2, 3], 0.99) == (-math.inf, math.inf)


def test_the_interval_misses_rarely_under_looks_all_along():
    rng = np.random.default_rng(8)
    runs, missed = 200, 0
    for _ in range(runs):
        values = rng.exponential(1, 400)
        looks = (quantile_interval(values[:n], 0.9) for n in range(20, 401, 20))
        missed += any(not low <= math.log(10) <= high for low, high in looks)
    assert missed <= 0.05 * runs


def test_an_interval_holds_exactly_the_counts_its_mixture_allows():
    # R-6 order statistics by hand: n = 1000 at the median, the mixture of Beta(1, 1): 446 and 555 samples below are not excluded.
    low, high = quantile_interval(A, 0.5)
    below = [
        k for k in range(1001) if confidence_interval(k, 1000, 0.5)[0] <= 0.5 <= confidence_interval(k, 1000, 0.5)[1]
    ]
    assert (low, high) == (below[0], below[-1] + 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: quantile_interval([1], 0), "a quantile of 0 is not between 0 and 1"),
        (lambda: quantile_interval([1], 100), "a quantile of 100 is not between 0 and 1"),
        (lambda: quantile_interval([math.nan], 0.5), "a sample is not a number"),
        (lambda: quantile_interval(["x"], 0.5), "a sample is not a number"),
        (lambda: quantile_of([], 0.5), "there is no sample to take a quantile of"),
        (lambda: compare_quantiles([], [1], 0.5), "there is no sample of the candidate"),
        (lambda: compare_quantiles([1], [-1], 0.5), "a sample of the primary is negative"),
        (lambda: compare_quantiles([1], [1], 0.5, -1), "a margin of -1 is not above -1"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
