"""How many requests a decision takes. Checked by simulation of the decisions themselves, and against figures in the literature.

Left out: what a release makes of it.
"""

import math
from itertools import pairwise

import numpy as np
import pytest

from fairway_steps.stats.evidence import ALPHA, bar
from fairway_steps.stats.gain import Gains
from fairway_steps.stats.mann_whitney import Knobs, Label, compare_series
from fairway_steps.stats.plan import (
    boundaries,
    decided_by,
    requests_to_compare,
    requests_to_find,
    requests_to_prove_at,
    requests_to_prove_no_worse,
    units_to_find,
    values_to_compare,
)
from fairway_steps.stats.rate import log_e_met, log_e_violated, requests_to_prove

LOG_20 = math.log(20)


def simulated(limit, rate, harm, runs=1500, most=1200):
    """The sorted numbers of requests after which each of many releases is decided, from the e-values themselves."""
    rng = np.random.default_rng(12)
    errors = rng.binomial(1, rate, (runs, most)).cumsum(axis=1)
    n = np.arange(1, most + 1)
    table = {}
    decided = np.zeros((runs, most), dtype=bool)
    for k in range(most):
        for s in np.unique(errors[:, k]):
            log_e = log_e_violated if harm else log_e_met
            table[(s, k)] = log_e(int(s), int(n[k]), limit) >= LOG_20
        decided[:, k] = [table[(s, k)] for s in errors[:, k]]
    return np.sort(np.where(decided.any(axis=1), decided.argmax(axis=1) + 1, most + 1))


@pytest.mark.parametrize(("limit", "rate", "harm"), [(0.05, 0.15, True), (0.2, 0.08, False)])
def test_simulated_releases_are_decided_when_the_plan_says(limit, rate, harm):
    first = simulated(limit, rate, harm, most=400)
    planned = requests_to_find if harm else requests_to_prove_at
    for power in (0.5, 0.9):
        n = planned(limit, rate, power)
        share = float((first <= n).mean())
        assert share == pytest.approx(power, abs=0.05)


def test_twenty_percent_against_one_is_seen_after_nineteen_requests():
    assert requests_to_find(0.01, 0.2, 0.5) == 19


@pytest.mark.parametrize(
    ("rate", "median", "nine_of_ten"), [(0.015, 2900, 7155), (0.02, 850, 2050), (0.03, 350, 650), (0.05, 150, 250)]
)
def test_figures_of_an_independent_simulation(rate, median, nine_of_ten):
    # A fixed-seed simulation that looked every 50 requests: so medians lie up to 50 to 150 below it.
    assert median - 190 <= requests_to_find(0.01, rate, 0.5) <= median
    assert requests_to_find(0.01, rate) == pytest.approx(nine_of_ten, rel=0.11)


def test_a_version_without_errors_is_proved_at_once():
    for limit in (0.05, 0.01, 0.001):
        assert requests_to_prove_at(limit, 0.0) == pytest.approx(requests_to_prove(limit), abs=3)


def test_the_boundaries_are_where_the_e_values_cross():
    n = [10, 100, 417, 1000, 5000]
    for k, edge in zip(n, boundaries(n, 0.01), strict=True):
        assert edge > k or log_e_violated(edge, k, 0.01) >= LOG_20
        assert log_e_violated(edge - 1, k, 0.01) < LOG_20
    for k, edge in zip(n, boundaries(n, 0.01, harm=False), strict=True):
        assert edge < 0 or log_e_met(edge, k, 0.01) >= LOG_20
        assert log_e_met(edge + 1, k, 0.01) < LOG_20


def test_the_probability_of_a_decision_grows_to_one():
    course = decided_by(0.01, 0.05, every=10)
    so_far = [next(course) for _ in range(60)]
    assert [n for n, _ in so_far] == [10 * k for k in range(1, 61)]
    assert all(later >= before for (_, before), (_, later) in pairwise(so_far))
    assert so_far[-1][1] > 0.999


def test_what_is_never_decided_is_none():
    assert requests_to_find(0.01, 0.01) is None
    assert requests_to_find(0.01, 0.005) is None
    assert requests_to_prove_at(0.01, 0.01) is None
    assert requests_to_compare(0.01, 1.0, 0.5) is None
    assert requests_to_prove_no_worse(0.01, 0.5, odds_ratio=1.5) is None
    assert requests_to_compare(0.01, 1.03, 0.5) is None  # between the points of the grid
    assert requests_to_prove_no_worse(0.01, 0.5, margin=1.02) is None


def test_a_limit_of_zero_is_found_broken_by_the_first_error():
    assert requests_to_find(0.0, 0.1) == math.ceil(math.log(0.1) / math.log(0.9))
    assert requests_to_find(0.0, 1.0) == 1


@pytest.mark.parametrize(("rate", "median", "nine_of_ten"), [(0.02, 1900, 4300), (0.03, 600, 1400)])
def test_comparisons_of_an_independent_simulation(rate, median, nine_of_ten):
    odds = rate / (1 - rate) / (0.01 / 0.99)
    assert requests_to_compare(0.01, odds, 0.5, 0.5).candidate == pytest.approx(median, rel=0.17)
    assert requests_to_compare(0.01, odds, 0.5).candidate == pytest.approx(nine_of_ten, rel=0.1)


def test_a_small_share_of_the_traffic_costs_the_primary_more_and_the_candidate_less():
    half, tenth = (requests_to_compare(0.05, 2.0, share) for share in (0.5, 0.1))
    assert tenth.candidate < half.candidate
    assert tenth.primary == pytest.approx(9 * tenth.candidate, rel=0.02)
    assert requests_to_prove_no_worse(0.05, 0.5).candidate > half.candidate


def test_users_needed_for_a_difference():
    # An independent simulation of differences of .1 and .2 with a deviation of .75: 1900 and 600 users at power .9
    assert units_to_find(0.1, 0.75) == pytest.approx(1900, rel=0.05)
    assert units_to_find(0.2, 0.75) == pytest.approx(600, rel=0.25)
    assert units_to_find(100, 0.75) == 100
    assert units_to_find(0.1, 0.75, 0.5) < units_to_find(0.1, 0.75)


def test_nine_of_ten_releases_of_that_many_users_find_a_worse_reward():
    """Four users of the primary for each of the candidate, whose mean is 10 % lower, in windows of 20."""
    rng, ratio, factor = np.random.default_rng(11), 0.25, 0.98
    needed = units_to_find(0.08, 0.8, beside=factor * factor * ratio)
    n, windows, runs = 20, math.ceil(needed / 20), 200
    found = 0
    for _ in range(runs):
        own, other = rng.normal(0.9, 0.8, (windows, n)), rng.normal(1.0, 0.8, (windows, 4 * n))
        gains = Gains(*(np.array([np.full(windows, x.shape[1]), x.sum(1), (x * x).sum(1)]) for x in (own, other)))
        found += gains.log_es(factor, higher_is_better=True)[0].max() >= bar(ALPHA)
    assert 0.86 <= found / runs <= 0.99


@pytest.mark.parametrize(("allowed", "tolerance"), [(0.0, 0.25), (0.15, 0.25), (0.0, 0.6)])
def test_nine_of_ten_comparisons_of_that_many_values_show_a_shift(allowed, tolerance):
    rng, runs = np.random.default_rng(12), 200
    needed = values_to_compare(0.2, 0.25, 0.98, tolerance, allowed)
    knobs = Knobs(tolerance=tolerance, allowed_increase=1 + allowed)
    found = sum(
        compare_series(rng.normal(1.2, 0.25, needed), rng.normal(1.0, 0.25, needed), knobs).label is Label.HIGH
        for _ in range(runs)
    )
    assert 0.84 <= found / runs <= 0.96


def test_a_shift_that_the_knobs_never_tell_takes_no_number_of_values():
    assert values_to_compare(0.2, 0.1, 0.98, 0.25, 0.2) is None
    assert values_to_compare(0.2, 0.1, 0.98, 1.0) is None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: requests_to_find(1.5, 0.1), "a limit of 1.5 is not between 0 and 1"),
        (lambda: requests_to_find(0.1, -1), "a rate of -1 is not between 0 and 1"),
        (lambda: requests_to_find(0.1, 0.2, 1.0), "a power of 1 is not above 0 and at most 0.9999"),
        (lambda: requests_to_compare(0.0, 2, 0.5), "a rate of 0 is not between 0 and 1"),
        (lambda: requests_to_compare(0.1, 2, 1.0), "a share of 1 is not between 0 and 1"),
        (lambda: units_to_find(0, 1), "is not above 0"),
        (lambda: values_to_compare(0.1, 0, 0.98, 0.25), "is not above 0"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
