"""Covers: the closed forms against the whole test of a rate. What is said of a release: test_planning.py.

Leaves out: what is done about it (cli/test_begin.py, cli/test_plan.py).
"""

import pytest

from fairway_steps.stats.rate import log_e_met, log_e_violated, requests_to_prove
from fairway_steps.stats.reward import MIN_UNITS
from fairway_steps.undecidable import LEAST_WINDOWS, least_to_prove, log_e_if_all_break, log_e_if_none_breaks


@pytest.mark.parametrize("limit", [0.5, 0.05, 0.01, 1e-4])
def test_the_closed_forms_are_those_of_the_test_of_a_rate(limit):
    for n in (1, 7, 100, 5000):
        assert log_e_if_none_breaks(n, limit) == pytest.approx(log_e_met(0, n, limit), rel=1e-9, abs=1e-9)
        assert log_e_if_all_break(n, limit) >= log_e_violated(n, n, limit) - 1e-9
    assert log_e_if_all_break(50, limit) == pytest.approx(log_e_violated(50, 50, limit), rel=1e-6)
    assert least_to_prove(limit, 0.05) == requests_to_prove(limit)


def test_a_limit_of_zero_is_broken_by_one_and_proved_by_none():
    assert log_e_if_all_break(1, 0.0) == float("inf")
    assert log_e_if_none_breaks(10**6, 0.0) == 0.0


def test_windows_are_as_many_as_the_mean_s_test_takes():
    assert LEAST_WINDOWS == MIN_UNITS
