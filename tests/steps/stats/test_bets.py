"""Covers: the exact test of a mean: its inequality, its expectation over all outcomes, heavy tails, the interval, many at once, and no bound.

Leaves out: which sums it is told of a release (assess/test_averages.py).
"""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.stats.away import log_es_above
from fairway_steps.stats.bets import BETS, COSTS, LEAST, LOG_WEIGHTS, log_e_above, mean_interval


@given(st.floats(-1, 1e6), st.sampled_from(range(len(BETS))))
def test_the_inequality_that_all_rests_on(x, k):
    assert 1 + BETS[k] * x >= math.exp(min(700.0, BETS[k] * x - COSTS[k] * x * x)) * (1 - 1e-12)


def test_the_weights_are_those_of_an_average():
    assert math.fsum(map(math.exp, LOG_WEIGHTS)) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("rare", [0.5, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("n", [1, 20, 400])
def test_its_expectation_is_at_most_one_over_all_outcomes_of_units_just_at_the_limit(rare, n):
    """Units of -1, and now and then one that is large, with mean 0: summed over the binomial distribution, no simulation."""
    large = (1 - rare) / rare
    expected = 0.0
    for k in range(n + 1):
        chance = math.exp(
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(rare)
            + (n - k) * math.log1p(-rare)
        )
        for way, span in ((1, 1.0), (-1, large)):
            total, squares = way * (k * large - (n - k)), k * large**2 + n - k
            expected += chance * math.exp(log_e_above(total, squares, span)) / 2
    assert expected <= 1 + 1e-9


def test_a_mean_that_rare_long_answers_break_is_never_proved_without_having_seen_them():
    """9,990 of 10,000 answers take 10 ms, the others up to the timeout of 200 s: 210 ms on average, and a limit of 100 ms."""
    proved, rng = 0, random.Random(4)
    for _ in range(100):
        total = squares = 0.0
        for _ in range(3000):
            away = 0.1 - (200.0 if rng.random() < 0.001 else 0.01)
            total, squares = total + away, squares + away * away
            if log_e_above(total, squares, 200 - 0.1) >= math.log(20):
                proved += 1
                break
    assert proved <= 5


def test_a_mean_far_below_its_limit_is_proved_the_sooner_the_shorter_the_timeout():
    def needed(timeout):
        return next(n for n in range(1, 100_000) if log_e_above(n * 0.05, n * 0.003, timeout - 0.1) >= math.log(20))

    assert needed(1.0) < needed(10.0) < 10 * needed(1.0) * 1.5


def test_a_limit_of_nothing_is_broken_by_one_and_no_bound_proves_nothing():
    assert log_e_above(0.1, 0.01, 0.0) == math.inf
    assert log_e_above(0.0, 0.0, 1.0) == 0.0
    assert log_e_above(5.0, math.inf, 1.0) == LEAST


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e12)), min_size=1, max_size=9), st.floats(1e-3, 1e3))
def test_many_at_once_are_each_alone(pairs, span):
    total, squares = (np.array(column) for column in zip(*pairs, strict=True))
    alone = [log_e_above(t, s, span) for t, s in pairs]
    assert log_es_above(total, squares, span).tolist() == pytest.approx(alone, rel=1e-9, abs=1e-9)
    some = log_es_above(total[-1:], squares[-1:], span)
    assert some[0] == log_es_above(total, squares, span)[-1]


def test_the_interval_holds_the_mean_and_ends_where_the_evidence_does():
    units = [(0.0, 1.0)[k % 10 == 0] for k in range(1000)]  # a tenth of them 1
    n, total, squares = 1000, sum(units), sum(unit * unit for unit in units)
    low, high = mean_interval(n, total, squares, 0.0, 1.0, 0.05)
    assert 0.05 < low < 0.1 < high < 0.16
    for value, way, span in ((low, 1, low), (high, -1, 1 - high)):
        moved = way * (total - n * value)
        assert log_e_above(moved, squares - 2 * value * total + n * value * value, span) == pytest.approx(
            math.log(40), abs=0.01
        )
    assert mean_interval(n, total, squares, 0.0, math.inf, 0.05) == (low, math.inf)
    assert mean_interval(0, 0.0, 0.0, 0.0, 1.0, 0.05) == (0.0, 1.0)
