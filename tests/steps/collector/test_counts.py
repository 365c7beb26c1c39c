"""Covers: the exposition that a collector gives is one that can be read, whole, and begins with every series at zero."""

import math

from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.collector.compare import Kind
from fairway_steps.collector.counts import EDGES, Counts
from fairway_steps.metrics.exposition import parse
from fairway_steps.routing.bootstrap import LATENCIES


def read(counts):
    return {(one.name, *sorted(one.labels.items())): one.value for one in parse(counts.exposition())}


def test_what_has_not_happened_is_zero():
    values = read(Counts("v1", "v2", 1234.5))
    for version in ("v1", "v2"):
        key = ("fairway_collector_requests_total", ("code", "200"), ("error", ""), ("version", version))
        assert values[key] == 0
    assert values[("fairway_collector_comparisons_total", ("version", "v2"))] == 0
    for kind in Kind:
        assert values[("fairway_collector_differences_total", ("kind", kind.value), ("version", "v2"))] == 0
    assert values[("process_start_time_seconds",)] == 1234.5


@given(st.lists(st.floats(0, 100), max_size=30))
def test_the_histogram_has_the_edges_of_the_proxys(seconds):
    counts = Counts("v1", "v2", 0.0)
    for each in seconds:
        counts.answered("v2", 200, "", each)
    values = read(counts)
    name = "fairway_collector_request_duration_seconds"
    for edge in (*EDGES, math.inf):
        key = (f"{name}_bucket", ("le", "+Inf" if math.isinf(edge) else repr(edge)), ("version", "v2"))
        assert values[key] == sum(each <= edge for each in seconds)
    assert values[(f"{name}_count", ("version", "v2"))] == len(seconds)
    assert [round(edge * 1000) for edge in EDGES] == list(LATENCIES)


def test_every_kind_of_end_is_counted_once():
    counts = Counts("v1", "v2", 0.0)
    counts.answered("v2", 503, "", 0.1)
    counts.answered("v2", 0, "timeout", 30.0)
    counts.compared(None)
    counts.compared(Kind.LABEL)
    counts.not_compared["rate"] += 3
    counts.incomparable("no-json")
    counts.refused["path"] += 1
    counts.dropped["busy"] += 2
    values = read(counts)
    assert values[("fairway_collector_requests_total", ("code", "503"), ("error", ""), ("version", "v2"))] == 1
    assert values[("fairway_collector_requests_total", ("code", ""), ("error", "timeout"), ("version", "v2"))] == 1
    assert values[("fairway_collector_comparisons_total", ("version", "v2"))] == 2
    assert values[("fairway_collector_attempts_total", ("version", "v2"))] == 3
    assert values[("fairway_collector_differences_total", ("kind", "label"), ("version", "v2"))] == 1
    assert values[("fairway_collector_not_compared_total", ("reason", "rate"))] == 3
    assert values[("fairway_collector_refused_total", ("reason", "path"))] == 1
    assert values[("fairway_collector_dropped_total", ("reason", "busy"))] == 2
    assert counts.summary == "2 requests to v2, 2 compared, 1 differed (label 1), 2 dropped"
