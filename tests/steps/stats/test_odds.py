"""The likelihood of an odds ratio in one stratum.

Checked against exact rational arithmetic over all sizes of sums, against scipy's noncentral hypergeometric distribution, and for
strata far larger than any sum could be written out. Left out: what evidence is made of it.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairway_steps.stats import odds
from fairway_steps.stats.odds import log_likelihoods

RATIOS = [Fraction(1, 20), Fraction(1, 2), Fraction(3, 2), Fraction(2), Fraction(20)]


def likelihoods(x, n_c, y, n_p, ratios=RATIOS):
    columns = (np.array([value], dtype=float) for value in (x, n_c, y, n_p))
    return log_likelihoods(*columns, np.log(np.array([float(ratio) for ratio in ratios])))[0]


def exact(x, n_c, y, n_p, ratio):
    e = x + y
    low, high = max(0, e - n_p), min(n_c, e)
    ways = [math.comb(n_c, j) * math.comb(n_p, e - j) for j in range(low, high + 1)]
    value = Fraction(0)
    for weight in reversed(ways):
        value = value * ratio + weight
    value *= ratio**low
    quotient = value / sum(ways)
    return x * (math.log(ratio.numerator) - math.log(ratio.denominator)) - (
        math.log(quotient.numerator) - math.log(quotient.denominator)
    )


@pytest.mark.parametrize(
    ("x", "n_c", "y", "n_p"),
    [
        (0, 0, 0, 0),
        (0, 10, 0, 10),
        (5, 5, 0, 10),
        (1, 1, 0, 1),
        (3, 300, 40, 3000),
        (80, 400, 81, 4000),  # just short enough to be summed with many others
        (80, 400, 82, 4000),  # just too long
        (10, 250, 240, 250),
        (300, 1000, 400, 1500),
        (900, 1000, 800, 1000),
        (90, 3000, 700, 30000),
        (0, 500, 400, 50000),
        (400, 500, 1, 50000),
        (400, 800, 400, 800),
        (3, 180, 5000, 6000),
    ],
)
def test_exact_rational_arithmetic_agrees(x, n_c, y, n_p):
    wanted = [exact(x, n_c, y, n_p, ratio) for ratio in RATIOS]
    assert likelihoods(x, n_c, y, n_p) == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=60)
@given(st.integers(0, 400), st.integers(0, 400), st.data())
def test_exact_rational_arithmetic_agrees_on_any_stratum(n_c, n_p, data):
    x, y = data.draw(st.integers(0, n_c)), data.draw(st.integers(0, n_p))
    wanted = [exact(x, n_c, y, n_p, ratio) for ratio in RATIOS]
    assert likelihoods(x, n_c, y, n_p) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(("x", "n_c", "y", "n_p"), [(80, 10**6, 80, 10**6), (3, 200, 157, 9000), (150, 200, 10, 1000)])
def test_odds_ratios_far_beyond_twenty_overflow_nothing(x, n_c, y, n_p):
    far = [Fraction(1, 200), Fraction(1, 80), Fraction(80), Fraction(200)]
    with np.errstate(all="raise", under="ignore"):
        found = likelihoods(x, n_c, y, n_p, far)
    assert found == pytest.approx([exact(x, n_c, y, n_p, ratio) for ratio in far], abs=1e-8)


def test_scipys_distribution_agrees():
    for ratio in (0.4, 2.0, 3.0):
        one, other = (stats.nchypergeom_fisher(3300, 300, 49, value).logpmf(9) for value in (ratio, 1.0))
        assert likelihoods(9, 300, 40, 3000, [ratio])[0] == pytest.approx(one - other, abs=1e-8)


@pytest.mark.parametrize(
    ("x", "n_c", "y", "n_p"),
    [
        (10**7, 10**9, 10**7, 10**9),
        (10**7, 10**9, 0, 10),
        (0, 10**9, 10**9, 10**9),
        (5 * 10**8, 10**9, 5 * 10**8, 10**9),
        (10**9, 10**9, 10**9, 10**9),
        (0, 1, 10**9, 10**9),
    ],
)
def test_a_thousand_million_requests_overflow_nothing(x, n_c, y, n_p):
    assert np.isfinite(likelihoods(x, n_c, y, n_p)).all()


def test_large_rare_counts_follow_the_binomial_limit():
    # With failures rare in both, x of e is binomial with share psi n_c / (psi n_c + n_p).
    x, y, n_c, n_p = 2500, 2500, 10**9, 2 * 10**9
    for ratio, got in zip((0.5, 2.0), likelihoods(x, n_c, y, n_p, [0.5, 2.0]), strict=True):
        one, other = (stats.binom.logpmf(x, x + y, value * n_c / (value * n_c + n_p)) for value in (ratio, 1.0))
        assert got == pytest.approx(one - other, abs=0.02)


def test_the_long_sums_and_the_short_ones_meet(monkeypatch):
    cases = [(60, 300, 50, 900), (90, 200, 60, 300), (0, 90, 140, 2000), (100, 100, 40, 400)]
    short = [likelihoods(*case) for case in cases]
    monkeypatch.setattr(odds, "SHORT", 20)
    for case, wanted in zip(cases, short, strict=True):
        assert likelihoods(*case) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize(
    ("x", "n_c", "y", "n_p"),
    [
        (1500, 3000, 1500, 3000),
        (9000, 90_000, 12_000, 110_000),
        (40_000, 50_000, 20_000, 50_000),
        (300, 10**6, 30_000, 10**8),
    ],
)
def test_every_so_many_terms_are_worth_all_of_them(monkeypatch, x, n_c, y, n_p):
    some = likelihoods(x, n_c, y, n_p)
    monkeypatch.setattr(odds, "NARROW", math.inf)
    assert some == pytest.approx(likelihoods(x, n_c, y, n_p), abs=1e-9)


def test_a_stratum_is_worth_the_same_alone_and_among_others():
    rng = np.random.default_rng(4)
    n_c, n_p = rng.poisson(200, 700), rng.poisson(900, 700)
    x, y = rng.binomial(n_c, 0.05), rng.binomial(n_p, 0.05)
    grid = np.linspace(-2.9, 2.9, 41)
    together = log_likelihoods(x * 1.0, n_c * 1.0, y * 1.0, n_p * 1.0, grid)
    for k in range(0, 700, 37):
        alone = log_likelihoods(*(np.array([v[k]], dtype=float) for v in (x, n_c, y, n_p)), grid)
        assert (alone[0] == together[k]).all()
