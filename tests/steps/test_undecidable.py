"""Covers: the closed forms against the whole test of a rate. What is said of a release: test_planning.py.

Leaves out: what is done about it (cli/test_begin.py, cli/test_plan.py).
"""

import pytest

from fairway_steps.model import Metric, Slo, Unit
from fairway_steps.stats.pairs import FIRST
from fairway_steps.stats.rate import log_e_met, log_e_violated, requests_to_prove
from fairway_steps.undecidable import (
    QUANTILE_KNOWN,
    least_in_all,
    least_to_prove,
    log_e_if_all_break,
    log_e_if_none_breaks,
)


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


def test_a_quantile_of_the_primary_is_known_by_as_many_requests_as_the_comparison_takes():
    assert QUANTILE_KNOWN == FIRST


@pytest.mark.parametrize(("slo", "least"), [(Slo(Metric.ERROR_RATE, 0.01), 417), (Slo(Metric.ERROR_RATE, 0.001), 4188),
    (Slo(Metric.SUCCESS_RATE, 0.95), 82), (Slo(Metric.LATENCY, 0.25, 0.95), 82), (Slo(Metric.LATENCY, 0.1, 0.99, relative=True), 417)])  # fmt: skip
def test_a_release_takes_as_many_requests_as_could_prove_it_well(slo, least):
    assert least_in_all(slo) == least == requests_to_prove(slo.allowed)


@pytest.mark.parametrize("slo", [Slo(Metric.ERROR_RATE, 0.0), Slo(Metric.SUCCESS_RATE, 1.0)])
def test_a_limit_of_zero_takes_as_many_as_one_of_a_tenth_of_a_percent(slo):
    assert least_in_all(slo) == least_in_all(Slo(Metric.ERROR_RATE, 0.001)) == 4188


@pytest.mark.parametrize("slo", [Slo(Metric.ERROR_RATE, 0.5, relative=True), Slo(Metric.LATENCY_MEAN, 0.1),
    Slo(Metric.ERROR_RATE, 0.01, unit=Unit.STRATUM)])  # fmt: skip
def test_where_that_is_not_known_beforehand_the_minimum_sample_of_a_stage_is_all(slo):
    assert least_in_all(slo) == 0
