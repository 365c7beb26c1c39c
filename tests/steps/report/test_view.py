"""Covers: the sentences and key figures of each ending, missing data said openly, events, changes, traffic, and each
verdict with its evidence.

Leaves out: their setting (test_html, test_text).
"""

import math
from dataclasses import replace

import pytest

from fairway_steps.assess import assess
from fairway_steps.model import Assessment, Evidence, Metric, Result, Slo, Unit, Verdict
from fairway_steps.record import StageResult
from fairway_steps.report import findings, view, wording
from fairway_steps.report.counts import ClientCount
from sample_records import ERRORS, START, TAIL, all_records, broken, failing, held, never_ready, promoted, running

HEADLINES = {
    "promoted": "v2 was promoted",
    "failing": "v2 was rolled back",
    "slow": "v2 was rolled back",
    "held": "The release of v2 is on hold",
    "never-ready": "v2 was rolled back",
    "broken": "The release of v2 is broken",
    "running": "The release of v2 is running",
}


@pytest.mark.parametrize("name", HEADLINES)
def test_headlines(name):
    assert view.headline(all_records()[name]) == HEADLINES[name]


def test_the_reason_is_a_sentence():
    assert view.reason(promoted()) == "v2 met every SLO in all stages."
    assert view.reason(running()) == "Stage 2 of 3: 25 % of iris goes to v2."
    assert view.reason(replace(promoted(), reason="")) == "All traffic of iris goes to v2."
    assert view.reason(replace(running(), stage=-1)) == "The release has not ended yet."


def figures(record, client=None):
    return {figure.label: figure for figure in view.figures(record, client)}


def test_key_figures():
    record = promoted()
    told = figures(record)
    assert told["Requests"].value == f"{sum(s.requests for s in record.strata) + 300:,}"
    assert told["Failed requests"].value == "0"
    assert told["Lost requests"].tone == "good"
    assert told["Stages passed"].value == "3 of 3"
    assert told["Waiting for evidence"].notes == ("84 % of 35.7 s",)


def test_failed_requests_are_told_by_version_and_class():
    failed = figures(failing())["Failed requests"]
    assert failed.tone == "bad"
    assert failed.notes == ("in the assessed intervals", "v1: 0", f"v2: http-500 {failed.value}")


def test_the_clients_count_is_shown_beside_the_proxys():
    told = figures(failing(), ClientCount(1600, {"v2": {"http-500": 31}}, 0))
    assert told["Requests"].value == "1,600"
    assert told["Requests"].notes[:2] == ("as the client saw it", "1,496 as the proxy counted")
    assert told["Failed requests"].value == "31"
    measured = figures(failing())["Failed requests"].value
    assert told["Failed requests"].notes[-1] == f"failed attempts in the assessed intervals: v2 http-500 {measured}"


def test_what_was_not_measured_is_not_told_as_zero():
    assert figures(never_ready())["Failed requests"].value == "–"  # noqa: RUF001 - an en dash is meant
    assert figures(replace(promoted(), counted={}))["Lost requests"].value == "–"  # noqa: RUF001 - likewise


def test_missing_data_are_named():
    assert view.gaps(promoted()) == []
    assert "No users' requests were measured: nothing in this report" in view.gaps(never_ready())[0]
    rehearsed = replace(never_ready(), rehearsal=promoted().results[0])
    assert "No users' requests were measured: but its rehearsal, nothing in this report" in view.gaps(rehearsed)[0]
    only_primary = replace(promoted(), strata=tuple(s for s in promoted().strata if s.version == "v1"), counted={})
    assert view.gaps(only_primary)[0].startswith("No request to v2 was measured")
    assert "did not count what was lost" in view.gaps(only_primary)[1]
    blind = Assessment(Verdict.HOLD, "no data", (Evidence(TAIL, Result.NO_DATA, "the metric is not there"),))
    record = replace(promoted(), results=(StageResult(START + 5, 1, 25, blind),))
    assert view.gaps(record) == ["No evidence on p95 latency in stage 2."]


def test_events_and_changes_are_told_in_order():
    first, second = view.events(broken())
    assert (first.at, first.step, first.failed) == ("+27 s", "begin", False)
    assert (second.step, second.failed) == ("ensure-safe", True)
    change = view.changes(promoted())[0]
    assert change.step == "stage 1"
    assert change.message.startswith(
        "asked for v1 90 %, v2 10 %; measured v1 95 %, v2 5 % over 60 requests; served after 1"
    )


def test_traffic_adds_up():
    record = promoted()
    rows = view.traffic(record)
    assert [(weight, version) for weight, version, *_ in rows][:2] == [("10 %", "v1"), ("10 %", "v2")]
    assert sum(int(row[2].replace(",", "")) for row in rows) == sum(s.requests for s in record.strata)
    assert all(row[4].endswith(" ms") for row in rows)


def test_traffic_has_the_latencies_of_a_source_of_their_own():
    record = promoted()
    apart = [replace(stratum, latency=None, seconds=0.0) for stratum in record.strata]
    apart += [replace(stratum, requests=0, failures={}) for stratum in record.strata]
    assert view.traffic(replace(record, strata=tuple(apart))) == view.traffic(record)


def test_findings_tell_the_evidence():
    (stage,) = findings.stages(failing())
    errors, tail = stage.findings
    assert (stage.title, stage.verdict, stage.tone) == ("Stage 1: 10 %", "rollback", "bad")
    assert (errors.slo, errors.limit, errors.result, errors.allowed) == ("error rate", "≤ 1 %", "fail", 0.01)
    assert (tail.slo, tail.limit, tail.result, tail.allowed) == ("p95 latency", "≤ 50 ms", "pass", pytest.approx(0.05))
    assert errors.observed == view.wording.percent(errors.rate)
    assert int(errors.exceeded) == round(errors.rate * int(errors.requests))


def test_of_windows_that_count_once_each_no_count_of_requests_is_told():
    slos = (replace(ERRORS, unit=Unit.STRATUM),)
    record = failing()
    told = assess(slos, record.strata, candidate="v2", primary="v1", rules=record.rules)
    (stage,) = findings.stages(replace(record, results=(replace(record.results[0], assessment=told),)))
    (errors,) = stage.findings
    assert (errors.exceeded, errors.rate, errors.interval) == (wording.NONE, None, wording.NONE)
    assert "in a window on average (95 % interval" in errors.sentence


def test_evidence_without_data_has_no_numbers():
    nothing = Assessment(
        Verdict.HOLD, "no data", (Evidence(ERRORS, Result.NO_DATA, "nothing there", observed=math.nan),)
    )
    (stage,) = findings.stages(replace(held(), results=(StageResult(START, 0, 10, nothing),)))
    (found,) = stage.findings
    assert {found.observed, found.interval, found.e_value, found.exceeded} == {"–"}  # noqa: RUF001 - an en dash is meant
    assert found.rate is None


def test_a_mean_is_no_share_of_requests():
    mean = Evidence(Slo(Metric.LATENCY_MEAN, 0.03), Result.PASS, "fine", requests=100, observed=0.02)
    assessed = Assessment(Verdict.ADVANCE, "fine", (mean,))
    (stage,) = findings.stages(replace(held(), results=(StageResult(START, 0, 10, assessed),)))
    found = stage.findings[0]
    assert (found.observed, found.limit, found.allowed, found.exceeded) == ("20 ms", "≤ 30 ms", None, "–")  # noqa: RUF001 - likewise


def test_a_rehearsal_is_told_before_the_stages_with_its_evidence():
    evidence = Evidence(ERRORS, Result.FAIL, "200 of 1,000 requests to v2 failed", 1000, 200, 0.2, 0.17, 0.23, 40.0)
    made = StageResult(
        START + 2, 0, 0, Assessment(Verdict.ROLLBACK, "v2 breaks its SLO", (evidence,)), samples={"v2": 1000}
    )
    plain = replace(never_ready(), rehearsal=made)
    (only,) = findings.stages(plain)
    assert (only.title, only.verdict) == ("Rehearsal: a load test of v2, which has no users", "rollback")
    assert only.facts[0] == ("requests", "v2 1,000")
    assert [(one.slo, one.observed, one.limit) for one in only.findings] == [("error rate", "20 %", "≤ 1 %")]
    assert [one.title for one in findings.stages(replace(promoted(), rehearsal=made))][1].startswith("Stage 1")
