"""What all tests share: whole counts in, and what follows from e-values. Left out: the tests themselves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.model import Result
from fairway_steps.stats.counts import rates, running, whole
from fairway_steps.stats.evidence import EValues, anytime_p, bar, finding


@pytest.mark.parametrize("bad", [-1, 0.5, math.nan, math.inf, "many", [1, -2], [None], {}])
def test_only_whole_counts_are_taken(bad):
    with pytest.raises(ValueError, match="a count"):
        whole(bad)


def test_counts_may_be_one_or_many():
    assert whole(3).tolist() == [3]
    assert whole([1, 2]).tolist() == [1, 2]
    assert whole(np.array([10**9])).tolist() == [10**9]
    assert whole([]).size == 0


def test_errors_fit_their_requests():
    with pytest.raises(ValueError, match="6 errors of 5 requests cannot be"):
        rates([1, 6], [5, 5])
    with pytest.raises(ValueError, match="2 numbers of errors do not fit 1 numbers of requests"):
        rates([1, 1], [5])


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.integers(0, 30), st.floats(-1e6, 1e6))
def test_sums_that_run_do_not_depend_on_where_they_are_cut(steps, cut, start):
    array = np.array(steps, dtype=float)
    whole_run = running(start, array)
    first = running(start, array[:cut])
    rest = running(float(first[-1]) if first.size else start, array[cut:])
    assert np.concatenate((first, rest)).tolist() == whole_run.tolist()


def test_the_bar_and_the_p_value():
    assert bar(0.05) == pytest.approx(math.log(20))
    assert anytime_p(math.log(20)) == pytest.approx(0.05)
    assert anytime_p(-5) == anytime_p(0) == 1
    assert anytime_p(math.inf) == 0
    for bad in (0, 1, -1, math.nan):
        with pytest.raises(ValueError, match="is not between 0 and 1"):
            bar(bad)


def test_harm_once_found_stays_and_health_must_hold_now():
    strong, none = EValues(5, 5), EValues(-1, -1)
    assert finding(none, none) is Result.INCONCLUSIVE
    assert finding(EValues(met=5), EValues(met=5)) is Result.PASS
    assert finding(none, EValues(met=5)) is Result.INCONCLUSIVE
    assert finding(none, EValues(violated=5)) is Result.FAIL
    assert finding(strong, none) is Result.FAIL
    assert finding(EValues(violated=3.0), none, alpha=0.01) is Result.INCONCLUSIVE
    assert EValues(1, 2).highest(EValues(2, 1)) == EValues(2, 2)
