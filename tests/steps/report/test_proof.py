"""The plot of the evidence over time: what it shows of a good and of a bad release, and that it ends where the proof was.

Leaves out: the evidence itself (steps/assess), and how plots are drawn (test_plots.py).
"""

import math
from dataclasses import replace

import pytest

from fairway_steps.model import Metric, Rules, Slo
from fairway_steps.report.proof import LEAST, MOST, evidence
from sample_records import ERRORS, TAIL, failing, never_ready, promoted


def drawn(record):
    return evidence(record, 40.0, (), ())


def test_of_a_bad_release_it_rises_to_the_proof_and_ends_there():
    plot = drawn(failing())
    together = plot.lines[0].runs[0]
    assert plot.limits == [(pytest.approx(20), "proof of harm: 20")]
    assert together[-1].value >= 20 > together[-2].value
    assert together[-1].label.startswith("all SLOs together: e-value ")
    assert plot.description.endswith("20 is proof.")


def test_of_a_good_release_it_stays_below():
    plot = drawn(promoted())
    assert [line.style for line in plot.lines] == ["main", "thin", "thin"]
    assert all(LEAST <= mark.value < 20 for line in plot.lines for run in line.runs for mark in run)
    assert 20 < len(plot.lines[0].runs[0]) <= 62
    assert plot.lines[0].runs[0][0].value == 1


def test_proof_is_where_the_rules_put_it_and_one_slo_needs_no_second_line():
    plot = drawn(replace(failing(), slos=(ERRORS,), rules=Rules(alpha=0.01)))
    assert plot.limits[0][0] == pytest.approx(100)
    assert len(plot.lines) == 1


@pytest.mark.parametrize(
    ("critical", "expected"),
    [
        ((True, False), [(40, "proof of harm: 40")]),
        ((True, True), [(40, "proof of harm: 40"), (80, "of a critical SLO alone: 80")]),
    ],
)
def test_with_critical_slos_proof_takes_more(critical, expected):
    marked = tuple(
        replace(slo, critical=is_critical) for slo, is_critical in zip((ERRORS, TAIL), critical, strict=True)
    )
    plot = drawn(replace(failing(), slos=marked))
    assert [(pytest.approx(value), label) for value, label in plot.limits] == expected
    assert plot.description.endswith("40 is proof.")
    lines = [[mark.value for mark in line.runs[0]] for line in plot.lines]
    reached = lines[0][-1] >= 40 or max(line[-1] for line in lines[1:]) >= expected[-1][0]
    assert reached


def test_without_evidence_there_is_nothing_to_draw():
    for record in (
        never_ready(),
        replace(promoted(), slos=(Slo(Metric.LATENCY_MEAN, 0.1),)),
        replace(promoted(), slos=()),
    ):
        assert drawn(replace(record, strata=() if record.slos else record.strata)).lines[0].runs == []


def test_values_stay_within_the_axis_whatever_the_evidence():
    plot = drawn(replace(failing(), slos=(replace(ERRORS, limit=0.0),)))
    values = [mark.value for mark in plot.lines[0].runs[0]]
    assert all(LEAST <= value <= MOST and math.isfinite(value) for value in values)
