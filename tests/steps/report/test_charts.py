"""Covers: which plots a release has and what they say: weights asked for and measured, limits drawn in, stages, ends.

Leaves out: how they are drawn (test_plots).
"""

from dataclasses import replace

import pytest

from fairway_steps.model import Metric, Slo
from fairway_steps.report import charts, series
from sample_records import START, broken, failing, never_ready, promoted, running, slow


def named(record):
    return {plot.name: plot for plot in charts.plots(record)}


def test_a_release_shows_weights_latency_errors_and_requests():
    assert list(named(promoted())) == ["weights", "evidence", "latency-p95", "errors", "requests"]


def test_weights_are_steps_as_asked_and_points_as_measured():
    record = promoted()
    steps, points = charts.weights(record).lines
    assert [mark.value for mark in steps.runs[0]] == [0, 0.1, 0.25, 0.5, 1.0, 1.0]
    assert len(points.runs[0]) == len(record.timeline) + len(record.results)
    assert points.runs[0][-1].value == record.results[-1].measured["v2"]


def test_limits_are_drawn_where_they_belong():
    plots = named(promoted())
    assert plots["latency-p95"].limits == [(0.05, "p95 limit 50 ms")]
    assert plots["errors"].limits == [(0.01, "limit 1 %")]
    assert plots["requests"].limits == []


def test_each_limited_quantile_and_the_mean_get_a_plot():
    slos = (Slo(Metric.LATENCY, 0.1, 0.99), Slo(Metric.LATENCY, 0.02, 0.5), Slo(Metric.LATENCY_MEAN, 0.03))
    names = list(named(replace(promoted(), slos=slos)))
    assert names[2:5] == ["latency-median", "latency-p99", "latency-mean"]


def test_without_a_latency_limit_p95_is_shown():
    assert "latency-p95" in named(replace(promoted(), slos=()))


@pytest.mark.parametrize(
    ("record", "end"), [(promoted(), "promoted"), (failing(), "rolled back"), (slow(), "rolled back")]
)
def test_the_end_is_a_moment(record, end):
    ((at, label, _),) = charts.moments(record)
    assert (at, label) == (record.timeline[-1].at - START, end)


def test_a_release_without_an_end_has_no_moment():
    assert charts.moments(running()) == []
    assert charts.moments(broken()) == []


def test_stages_are_bands():
    assert [label for _, _, label in charts.bands(promoted())] == ["10 %", "25 %", "50 %"]
    assert [label for _, _, label in charts.bands(running(), named=True)] == ["stage 1", "stage 2"]


def test_without_traffic_only_the_weights_are_shown():
    assert list(named(never_ready())) == ["weights"]


def test_descriptions_tell_the_range():
    told = named(failing())["errors"].description
    assert told.startswith("v1 0 % to 0 %; v2 1")
    assert "error rate is limited to 1 %" in told


def test_a_running_release_spans_what_is_known():
    record = running()
    assert series.span(record) == max(s.end for s in record.strata) - START
