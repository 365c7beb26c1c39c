"""Covers: rewards window by window: the same evidence as two whole arms where there is one window, few false alarms under drift and a ramp, units,
windows without users, and what has no variance.

Leaves out: whole arms (test_reward.py), and the sentences (assess/test_rewards.py).
"""

import math

import numpy as np
import pytest

from fairway_steps.model import Stratum
from fairway_steps.stats.evidence import bar
from fairway_steps.stats.gain import Gains
from fairway_steps.stats.reward import Moments, RewardVsPrimary


def window(version, values, at=0.0):
    array = np.asarray(values, dtype=float)
    return Stratum(version, at, at + 1, 50, 0, users=array.size, reward=array.sum(), squares=(array * array).sum())


def test_one_window_is_the_comparison_of_two_arms():
    rng = np.random.default_rng(1)
    own, other = rng.gamma(2, 1.1, 400), rng.gamma(2, 1.0, 900)
    arms = RewardVsPrimary(candidate=Moments().update(own), primary=Moments().update(other))
    gains = Gains.of([window("v2", own)], [window("v1", other)])
    violated, met = gains.log_es(1.0, higher_is_better=True)
    assert (violated[0], met[0]) == pytest.approx((arms.now.violated, arms.now.met), abs=1e-9)
    assert gains.interval() == pytest.approx(arms.interval(), abs=1e-9)
    assert gains.means() == pytest.approx((own.mean(), other.mean()))
    lower = gains.log_es(1.0, higher_is_better=False)
    assert (lower[0][0], lower[1][0]) == (met[0], violated[0])


def test_a_margin_scales_the_primary():
    rng = np.random.default_rng(2)
    own, other = rng.gamma(2, 1.0, 500), rng.gamma(2, 1.0, 500)
    allowed = Gains.of([window("v2", own)], [window("v1", other)]).log_es(0.9, higher_is_better=True)
    scaled = Gains.of([window("v2", own)], [window("v1", 0.9 * other)]).log_es(1.0, higher_is_better=True)
    assert [array[0] for array in allowed] == pytest.approx([array[0] for array in scaled], abs=1e-9)


def test_cents_or_euros_change_nothing():
    rng = np.random.default_rng(3)
    windows = [(rng.gamma(2, 1.0, 60), rng.gamma(2, 1.0, 90)) for _ in range(9)]
    one, hundred = (
        Gains.of([window("v2", k * a) for a, _ in windows], [window("v1", k * b) for _, b in windows]) for k in (1, 128)
    )
    for euros, cents in zip(
        one.log_es(1.0, higher_is_better=True), hundred.log_es(1.0, higher_is_better=True), strict=True
    ):
        assert euros.tolist() == cents.tolist()


def test_drift_and_a_ramp_are_no_loss():
    """The candidate's users come late, when all are worth less: pooled, the two differ by far."""
    rng, alarms, pooled = np.random.default_rng(4), 0, 0
    for _ in range(300):
        own, other = [], []
        for k in range(40):
            share, worth = (10 if k < 20 else 40), 0.5 - 0.3 * k / 40
            own.append(window("v2", rng.binomial(1, worth, share)))
            other.append(window("v1", rng.binomial(1, worth, 100 - share)))
        gains = Gains.of(own, other)
        alarms += gains.log_es(1.0, higher_is_better=True)[0].max() >= bar(0.05)
        n, m = (np.array([[s.users, s.reward] for s in some]).sum(axis=0) for some in (own, other))
        rates = n[1] / n[0], m[1] / m[0]
        pooled += (rates[1] - rates[0]) / math.sqrt(0.25 / n[0] + 0.25 / m[0]) > 1.645
    assert alarms <= 0.05 * 300
    assert pooled >= 0.5 * 300


@pytest.mark.parametrize("margin", [0.5, 0.8, 0.9])
def test_nor_do_they_where_the_margin_is_wide_and_just_kept(margin):
    rng, alarms = np.random.default_rng(7), 0
    for _ in range(200):
        own, other = (
            np.array([rng.binomial(1, share, size).sum() for _ in range(60)])
            for size, share in ((10, 0.02 * (1 - margin)), (90, 0.02))
        )
        sums = (np.stack([np.full(60, float(size)), x, x]) for size, x in ((10, own), (90, other)))
        alarms += Gains(*sums).log_es(1 - margin, higher_is_better=True)[0].max() >= bar(0.05)
    assert alarms <= 0.05 * 200


@pytest.mark.parametrize(("few", "many"), [(10, 90), (90, 10), (2, 98)])
@pytest.mark.parametrize("share", [0.003, 0.01, 0.03])
def test_users_who_seldom_do_anything_do_not_differ_because_none_of_a_small_arm_has_yet(share, few, many):
    rng, alarms = np.random.default_rng(6), 0
    for _ in range(200):
        own, other = (np.array([rng.binomial(1, share, size).sum() for _ in range(60)]) for size in (few, many))
        sums = (np.stack([np.full(60, float(size)), x, x]) for size, x in ((few, own), (many, other)))
        log_es = Gains(*sums).log_es(1.0, higher_is_better=True)
        alarms += max(path.max() for path in log_es) >= bar(0.05)
    assert alarms <= 0.05 * 200


@pytest.mark.parametrize(("few", "many"), [(10, 90), (90, 10), (50, 50)])
@pytest.mark.parametrize(
    "worth", [lambda rng, size: rng.lognormal(0, 2, size), lambda rng, size: rng.pareto(1.5, size)]
)
def test_users_of_whom_few_bring_most_do_not_differ_by_where_those_are(worth, few, many):
    rng, alarms = np.random.default_rng(8), 0
    for _ in range(200):
        arms = [worth(rng, (60, size)) for size in (few, many)]
        sums = (np.stack([np.full(60, float(x.shape[1])), x.sum(axis=1), (x * x).sum(axis=1)]) for x in arms)
        log_es = Gains(*sums).log_es(1.0, higher_is_better=True)
        alarms += max(path.max() for path in log_es) >= bar(0.05)
    assert alarms <= 0.05 * 200


def test_a_loss_is_found():
    rng, found = np.random.default_rng(5), 0
    for _ in range(60):
        own = [window("v2", rng.binomial(1, 0.2, 40)) for _ in range(40)]
        other = [window("v1", rng.binomial(1, 0.3, 60)) for _ in range(40)]
        found += Gains.of(own, other).log_es(1.0, higher_is_better=True)[0].max() >= bar(0.05)
    assert found >= 0.9 * 60


def test_windows_without_users_of_both_and_arms_without_variance_say_nothing():
    full, empty = window("v1", [1.0, 0.0] * 100), window("v2", [])
    alone = Gains.of([empty], [full])
    assert alone.means() is None
    assert [array.tolist() for array in alone.log_es(1.0, higher_is_better=True)] == [[0.0], [0.0]]
    assert alone.interval() == (-math.inf, math.inf)
    nothing = Gains.of([], [])
    assert (nothing.users, nothing.means(), nothing.testable) == (0, None, False)
    alike = Gains.of([window("v2", [0.1] * 300)], [window("v1", [0.1] * 300)])
    assert not alike.testable
    few = Gains.of([window("v2", [0.0, 1.0] * 49)], [full])
    assert not few.testable
