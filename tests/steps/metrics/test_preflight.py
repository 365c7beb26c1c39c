"""What is found of a source before a release: versions that do not show, mixed up, or alike; limits and units that do not fit.

Left out: how sources are inspected (test_prometheus.py and test_rest.py, against real servers).
"""

import math

import pytest

from fairway_steps.metrics.edges import Level
from fairway_steps.metrics.preflight import BOTH, Inspection, Seen, findings
from fairway_steps.model import Metric, Slo

EDGES = (0.005, 0.1, 0.25, 0.5, 1.0, math.inf)
ERRORS, P95 = Slo(Metric.ERROR_RATE, 0.01), Slo(Metric.LATENCY, 0.25, 0.95)


def seen(version: str, requests: int = 100, series: int = 3, edges=EDGES, keys=()) -> Seen:
    return Seen(version, series, requests, 300.0, edges, frozenset(keys or {version}), f"r{{v={version}}}")


def found(*versions: Seen, slos=(), expected=("v1", "v2"), weights=None, **about) -> dict[Level, str]:
    inspected = Inspection(**{"where": "prom", "seen": versions, "label": "v", **about})
    told = findings([inspected], slos, expected=expected, weights=weights or {})
    return {level: "; ".join(f"{f.sentence} | {f.mend}" for f in told if f.level is level) for level in Level}


def test_two_versions_that_show_are_fine():
    told = found(seen("v1"), seen("v2"), slos=[ERRORS, P95])
    assert told[Level.REFUSED] == told[Level.WARNING] == ""
    assert "prom has 3 series of v2, 100 requests in the last 300 s" in told[Level.OK]
    assert "250 ms is an edge of prom" in told[Level.OK]


def test_a_version_that_does_not_show_is_refused_with_what_there_is():
    told = found(seen("v1"), seen("v2", series=0), others=("v1", "v3"))
    assert "prom has no series of v2; its label v says v1, v3" in told[Level.REFUSED]
    assert "give label: and value:" in told[Level.REFUSED]


def test_a_candidate_that_has_no_traffic_yet_need_not_show():
    told = found(seen("v1"), seen("v2", series=0), expected=["v1"])
    assert told[Level.REFUSED] == ""
    assert "no series of v2 yet" in told[Level.OK]
    assert "no series of v1" in found(seen("v1", series=0), seen("v2"), expected=["v1"])[Level.REFUSED]


def test_a_primary_that_a_counter_says_is_idle_need_not_show_elsewhere():
    requests, latency = (frozenset({part}) for part in ("requests", "latency"))
    missing = Inspection("servers", (Seen("v1", 0), Seen("v2", 0)), latency)

    def told(count: int, window: float = 300.0) -> str:
        proxy = Inspection("proxy", (Seen("v1", 1, count, window), Seen("v2", 0)), requests)
        all_ = findings([proxy, missing], (), expected=["v1"], weights={"v1": 100})
        return "; ".join(one.sentence for one in all_ if one.level is Level.REFUSED)

    assert told(0) == ""
    assert told(1) == "servers has no series of v1", "it has had a request: then that is not its name"
    assert told(0, window=0.0) == "servers has no series of v1", "a counter without a window does not say idle"


def test_a_query_that_selects_the_same_for_both_is_refused():
    assert (
        "same series for v1 and v2, such as r{v=v1}"
        in found(seen("v1", keys="ab"), seen("v2", keys="bc"))[Level.REFUSED]
    )


@pytest.mark.parametrize(("requests", "refused"), [(500, True), (51, True), (50, False), (19, False)])
def test_a_version_without_traffic_that_counts_is_another_ones(requests, refused):
    told = found(seen("v1", 100), seen("v2", requests), weights={"v1": 100})
    assert ("v2 has no traffic" in told[Level.REFUSED]) is refused
    assert found(seen("v1", 100), seen("v2", requests), weights={"v1": 50, "v2": 50})[Level.REFUSED] == ""


@pytest.mark.parametrize(("steady", "refused"), [(299.0, False), (300.0, True)])
def test_requests_from_before_the_last_release_ended_are_the_versions_own(steady, refused):
    inspected = Inspection("prom", (seen("v1"), seen("v2", 500)))
    told = findings([inspected], (), expected=["v1"], weights={"v1": 100}, steady=steady)
    assert any("v2 has no traffic" in one.sentence for one in told) is refused


@pytest.mark.parametrize(
    ("limit", "level", "says"),
    [
        (0.25, Level.OK, "told exactly"),
        (0.3, Level.WARNING, "between the edges 250 ms and 500 ms of prom"),
        (0.3, Level.WARNING, "nearest limit it can tell is 250 ms"),
        (0.45, Level.WARNING, "nearest limit it can tell is 500 ms"),
        (1.0, Level.OK, "told exactly"),
        (250.0, Level.REFUSED, "beyond the last edge of prom (1 s)"),
        (250.0, Level.REFUSED, "is the unit right?"),
        (0.001, Level.REFUSED, "below the first edge of prom (5 ms)"),
    ],
)
def test_a_limit_is_held_against_the_edges(limit, level, says):
    told = found(seen("v1"), seen("v2"), slos=[Slo(Metric.LATENCY, limit, 0.95)])
    assert says in told[level]
    assert [other for other in (Level.REFUSED, Level.WARNING) if other is not level and told[other]] == []


def test_what_a_source_cannot_tell_is_refused():
    assert "counts no failures" in found(seen("v1"), seen("v2"), slos=[ERRORS], failures=False)[Level.REFUSED]
    mean = found(seen("v1"), seen("v2"), slos=[P95], mean=True)[Level.REFUSED]
    assert "mean latency and no quantile" in mean
    assert "no latencies of v1" in found(seen("v1", edges=()), seen("v2", edges=()), slos=[P95])[Level.REFUSED]
    idle = found(seen("v1", 0, edges=()), seen("v2", 0, edges=()), slos=[P95])
    assert (idle[Level.REFUSED], "no latencies of v1 yet" in idle[Level.OK]) == ("", True)


def test_each_part_answers_for_its_own():
    only = frozenset({"latency"})
    assert found(seen("v1"), seen("v2"), slos=[ERRORS], failures=False, parts=only)[Level.REFUSED] == ""
    requests = found(seen("v1", edges=()), seen("v2", edges=()), slos=[P95], parts=BOTH - only)
    assert requests[Level.REFUSED] == ""


@pytest.mark.parametrize(
    ("histogram", "unit", "refused"),
    [
        ("x_seconds", "ms", True),
        ("istio_request_duration_milliseconds", "s", True),
        ("nv_first_response_histogram_ms", "s", True),
        ("x_seconds", "s", False),
        ("latency", "ms", False),
    ],
)
def test_a_unit_that_contradicts_the_name_is_refused(histogram, unit, refused):
    told = found(seen("v1"), seen("v2"), histogram=histogram, unit=unit)
    assert ("by its name" in told[Level.REFUSED]) is refused


def test_what_the_server_says_is_passed_on():
    told = found(seen("v1"), seen("v2"), warnings=("a store is away",), absent=("errors_total",))
    assert "prom says: a store is away" in told[Level.WARNING]
    assert "no series errors_total at all" in told[Level.WARNING]


MARGIN = Slo(Metric.LATENCY, 0.1, 0.95, relative=True)


def shown(edges, under=(), version="v1"):
    return Seen(version, 3, under[-1] if under else 0, 300.0, (*edges, math.inf), frozenset({version}), "r", under)


def test_a_margin_that_no_edges_carry_is_refused_before_a_release():
    told = found(shown((0.1, 0.25, 0.5)), shown((0.1, 0.25, 0.5), version="v2"), slos=[MARGIN])
    assert told[Level.REFUSED].startswith(
        "the edges of prom are too far apart for a margin of 10 % on p95: edges at most 5 % apart are missing"
    )


def test_a_margin_is_told_where_the_primary_s_quantile_lies():
    edges = (0.1, 0.104, 0.25, 0.5)
    coarse = found(shown(edges, (50, 60, 90, 100, 100)), shown(edges, version="v2"), slos=[MARGIN])
    assert (
        "p95 of v1 lies between the edges 250 ms and 500 ms of prom, so a margin of 10 % on p95 cannot be told: edges at "
        "most 5 % apart are missing there"
    ) in coarse[Level.REFUSED]
    fine = found(shown(edges, (50, 96, 97, 100, 100)), shown(edges, version="v2"), slos=[MARGIN])
    assert fine[Level.REFUSED] == fine[Level.WARNING] == ""
    assert "p95 of v1 lies between the edges 100 ms and 104 ms of prom: a margin of 10 %" in fine[Level.OK]


def test_a_margin_is_refused_where_the_primary_s_quantile_lies_beyond_the_last_edge():
    edges = (0.1, 0.104, 5.0)
    beyond = found(shown(edges, (50, 60, 90, 100)), shown(edges, version="v2"), slos=[MARGIN])
    assert (
        "p95 of v1 lies beyond the last edge of prom (5 s), so a margin of 10 % on p95 cannot be told: edges at most 5 % apart are missing there"
    ) in beyond[Level.REFUSED]


def test_a_margin_that_some_edges_carry_is_warned_of():
    told = found(shown((0.1, 0.104, 0.25)), shown((0.1, 0.104, 0.25), version="v2"), slos=[MARGIN])
    assert "close enough for a margin of 10 % on p95 from 100 ms to 104 ms" in told[Level.WARNING]


def test_differences_take_a_source_that_compares():
    slos = [Slo(Metric.DIFFERENCE_RATE, 0.05)]
    told = found(seen("v1"), seen("v2"), slos=slos)
    assert "prom compares no answers, so difference-rate cannot be judged" in told[Level.REFUSED]
    assert "fairway collector" in told[Level.REFUSED]
    assert found(seen("v1"), seen("v2"), slos=slos, compares=True)[Level.REFUSED] == ""


def test_a_candidate_may_have_mirrored_requests_before_it_has_users():
    versions = (seen("v1", requests=100), seen("v2", requests=1000))
    weights = {"v1": 100}
    assert "v2 has no traffic" in found(*versions, weights=weights)[Level.REFUSED]
    assert found(*versions, weights=weights, parts=frozenset({"mirrored"}))[Level.REFUSED] == ""
