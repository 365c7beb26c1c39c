"""Mean rewards of users: intervals, the e-process against the primary, and what makes one value of a user.

Checked against the formula of the paper, numpy and statsmodels, and by simulation under looks at every step. Left out: who wins
among several (test_winner).
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

from fairway_steps import codec
from fairway_steps.stats.reward import (
    MIN_UNITS,
    Moments,
    RewardVsPrimary,
    adjusted,
    difference_interval,
    mean_interval,
    ratio_rewards,
)

values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


@given(values, st.integers(0, 60))
def test_moments_are_numpys_and_any_grouping_gives_the_same_bits(data, cut):
    moments = Moments().update(data)
    assert moments.mean == pytest.approx(np.mean(data), rel=1e-9, abs=1e-6)
    assert moments.variance == pytest.approx(np.var(data, ddof=1), rel=1e-6, abs=1e-4)
    first = codec.decode(Moments, codec.encode(Moments().update(data[:cut])))
    assert first.update(data[cut:]) == moments
    joined = Moments().update(data[:cut]).then(Moments().update(data[cut:]))
    assert (joined.n, joined.mean) == (moments.n, pytest.approx(moments.mean, rel=1e-9, abs=1e-6))
    assert joined.variance == pytest.approx(moments.variance, rel=1e-6, abs=1e-4)


def test_moments_of_far_apart_parts_are_joined():
    one, other = [5.0, 6.0, 9.0], [-20.0, -11.0, 3.0, 4.0]
    joined = Moments().update(one).then(Moments().update(other))
    assert (joined.mean, joined.variance) == pytest.approx((np.mean(one + other), np.var(one + other, ddof=1)))


def test_a_large_mean_costs_no_digits():
    moments = Moments().update([1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.3])
    assert moments.variance == pytest.approx(0.01, rel=1e-5)


def test_the_interval_is_the_papers_formula():
    # Waudby-Smith et al. 2024, theorem 2.2, with rho squared tuned to n*, written out as it stands there.
    data = np.random.default_rng(1).normal(3, 2, 700)
    n, alpha, planned = data.size, 0.05, 500
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned
    half = data.std(ddof=1) * math.sqrt(2 * (n * rho2 + 1) / (n * n * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))
    assert mean_interval(Moments().update(data)) == pytest.approx((data.mean() - half, data.mean() + half), abs=1e-12)


def test_the_difference_weighs_both_variances():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 400), rng.normal(1, 2, 800)
    low, high = difference_interval(Moments().update(b), Moments().update(a))
    assert low < 1 < high
    pooled = (800 * b.var(ddof=1) + 400 * a.var(ddof=1)) / 1200  # the smaller variance is not believed below it
    spread = b.var(ddof=1) + pooled * 2
    one = mean_interval(Moments().update((b - b.mean()) / b.std(ddof=1)))
    assert (high - low) / 2 == pytest.approx(one[1] * math.sqrt(spread), rel=1e-9)


def test_no_verdict_with_few_users_or_without_variance():
    few = RewardVsPrimary().update([1.0, 2.0] * 49, [9.0, 8.0] * 200)
    assert few.candidate.n == MIN_UNITS - 2
    assert (few.now.violated, few.now.met) == (0, 0)
    flat = RewardVsPrimary().update([1.0] * 200, [2.0] * 200)
    assert (flat.now.violated, flat.now.met) == (0, 0)


def test_a_loss_a_gain_and_which_way_is_better():
    rng = np.random.default_rng(3)
    low, high = rng.normal(0, 0.75, 1500), rng.normal(0.15, 0.75, 1500)
    assert RewardVsPrimary().update(low, high).now.violated > math.log(20)
    assert RewardVsPrimary().update(high, low).now.met > math.log(20)
    assert RewardVsPrimary(higher_is_better=False).update(high, low).now.violated > math.log(20)
    assert RewardVsPrimary(margin=0.3).update(low, high).now.met > math.log(20)
    assert RewardVsPrimary(margin=0.3).update(low, high).now.violated < 0


@given(st.sampled_from([1000.0, 1e-3, 7.0]))
def test_units_change_nothing(unit):
    rng = np.random.default_rng(4)
    a, b = rng.normal(5, 1, 200), rng.normal(5.2, 1, 200)
    one, other = RewardVsPrimary().update(a, b), RewardVsPrimary().update(unit * a, unit * b)
    assert (other.now.violated, other.now.met) == pytest.approx((one.now.violated, one.now.met), rel=1e-9)
    assert other.interval() == pytest.approx([unit * edge for edge in one.interval()], rel=1e-9)


def test_false_alarms_are_rare_under_looks_all_along():
    rng = np.random.default_rng(5)
    runs, alarms = 300, 0
    for _ in range(runs):
        test = RewardVsPrimary()
        for _ in range(40):
            test = test.update(rng.exponential(1, 25), rng.exponential(1, 25))
        alarms += test.peak.violated >= math.log(20)
    assert alarms <= 0.05 * runs


def test_a_ratio_is_the_mean_of_its_linearised_values():
    y, n = [2.0, 0.0, 9.0, 4.0], [4.0, 1.0, 10.0, 3.0]
    z = ratio_rewards(y, n)
    assert np.mean(z) == pytest.approx(15 / 18)
    # The delta method's variance of a ratio of means, written out.
    r, mean = 15 / 18, 4.5
    delta = (np.var(y, ddof=1) - 2 * r * np.cov(y, n)[0, 1] + r * r * np.var(n, ddof=1)) / mean**2
    assert np.var(z, ddof=1) == pytest.approx(delta)
    assert np.mean(ratio_rewards([1.0, 1.0], [2.0, 2.0], ratio=0.4)) == pytest.approx(0.5)


def test_what_was_known_before_takes_variance_away_and_leaves_the_difference():
    rng = np.random.default_rng(6)
    before = rng.normal(0, 1, 1000)
    treated = np.repeat([1.0, 0.0], 500)
    reward = 0.2 * treated + 2 * before + rng.normal(0, 0.3, 1000)
    own, other = adjusted(reward[:500], before[:500], reward[500:], before[500:])
    assert np.var(own) < 0.1 * np.var(reward[:500])
    # The same estimate as least squares with a common slope.
    design = np.column_stack([np.ones(1000), treated, before])
    assert np.mean(own) - np.mean(other) == pytest.approx(OLS(reward, design).fit().params[1], abs=1e-9)


def test_states_pass_through_json_and_join():
    one = RewardVsPrimary().update(range(150), range(5, 155))
    again = codec.decode(RewardVsPrimary, codec.encode(one))
    assert again == one
    joined, whole = again.then(one), one.update(range(150), range(5, 155))
    assert joined.now.violated == pytest.approx(whole.now.violated, rel=1e-9)
    assert joined.n == 300


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Moments().update([1.0, math.nan]), "a value of nan is not a finite number"),
        (lambda: Moments().update([math.inf]), "a value of inf is not a finite number"),
        (lambda: Moments().update(["x"]), "a value is not a number"),
        (lambda: ratio_rewards([1.0], [1.0, 2.0]), "1 numerators do not fit 2 denominators"),
        (lambda: ratio_rewards([1.0], [0.0]), "denominators are negative or all zero"),
        (lambda: adjusted([1.0], [1.0, 2.0], [1.0], [1.0]), "each user needs a reward and a value from before"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
