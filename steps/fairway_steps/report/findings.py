"""Each verdict with its evidence, as words and figures ready to be set. Pure."""

import math
from dataclasses import dataclass

from fairway_steps.model import Evidence, Metric, Result, Slo, Unit, Verdict
from fairway_steps.record import Record, StageResult
from fairway_steps.report import wording
from fairway_steps.words import times

TONES = {
    Verdict.ADVANCE: "good",
    Verdict.PROMOTE: "good",
    Verdict.ROLLBACK: "bad",
    Verdict.HOLD: "warn",
    Result.PASS: "good",
    Result.FAIL: "bad",
    Result.INCONCLUSIVE: "warn",
    Result.NO_DATA: "warn",
}


ARMS = {Verdict.PROMOTE: "won", Verdict.ROLLBACK: "leaves", Verdict.HOLD: "open"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One SLO in one assessment. ``allowed`` is the rate of exceeding requests that the limit grants, None for a mean."""

    slo: str
    limit: str
    result: str
    tone: str
    observed: str
    exceeded: str
    requests: str
    interval: str
    e_value: str
    health: str
    missing: str
    sentence: str
    rate: float | None
    low: float | None
    high: float | None
    allowed: float | None


@dataclass(frozen=True, slots=True)
class ArmView:
    """What became of one of several candidates."""

    version: str
    verdict: str
    tone: str
    sentence: str


@dataclass(frozen=True, slots=True)
class StageView:
    """One assessment at one stage."""

    title: str
    verdict: str
    tone: str
    reason: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    arms: tuple[ArmView, ...] = ()


def stages(record: Record) -> list[StageView]:
    """Every assessment, in the order in which they were made."""
    made, title = record.rehearsal, f"Rehearsal: a load test of {record.candidate.name}, which has no users"
    rehearsed = [_view(record, made, title)] if made else []
    return [*rehearsed, *(_stage(record, result) for result in record.results)]


def _stage(record: Record, result: StageResult) -> StageView:
    got = wording.shares(result.measured, fractions=True) if result.measured is not None else "not measured"
    title = f"Stage {result.stage + 1}: {wording.stage(record, result.stage, result.weight)}"
    return _view(record, result, title, ("measured", got))


def _view(record: Record, result: StageResult, title: str, *more: tuple[str, str]) -> StageView:
    verdict = result.assessment.verdict
    samples = ", ".join(f"{name} {wording.count(n)}" for name, n in result.samples.items()) or wording.NONE
    facts = (
        *more,
        ("requests", samples),
        ("waited", wording.duration(result.waited)),
        ("at", wording.since(record.created, result.at)),
    )
    return StageView(
        title=title,
        verdict=verdict.value,
        tone=TONES[verdict],
        reason=wording.sentence(result.assessment.reason, record),
        facts=facts,
        findings=tuple(_finding(record, evidence) for evidence in result.assessment.evidence),
        arms=arms(record, result),
    )


def arms(record: Record, result: StageResult) -> tuple[ArmView, ...]:
    """One sentence for each of several candidates."""
    return tuple(
        ArmView(arm.version, ARMS[arm.verdict], TONES[arm.verdict], wording.sentence(arm.sentence, record))
        for arm in result.assessment.arms
    )


def _finding(record: Record, evidence: Evidence) -> Finding:
    slo = evidence.slo
    a_rate = slo.metric not in (Metric.LATENCY_MEAN, Metric.REWARD, Metric.SERIES)
    known = a_rate and slo.unit is Unit.REQUEST and evidence.requests > 0  # a window is over by a share, not by a count
    counted = a_rate and not slo.relative
    bounded = evidence.low is not None and evidence.high is not None
    return Finding(
        slo=wording.metric(slo),
        limit=wording.bound(slo),
        result=evidence.result.value.replace("-", " "),
        tone=TONES[evidence.result],
        observed=wording.measure(slo, evidence.observed),
        exceeded=wording.count(evidence.exceeded) if known else wording.NONE,
        requests=wording.count(evidence.requests),
        interval=_interval(evidence) if bounded else wording.NONE,
        e_value=wording.e_value(evidence.log_e) if evidence.requests else wording.NONE,
        health=wording.e_value(evidence.log_e_met) if evidence.requests and a_rate else wording.NONE,
        missing=wording.count(evidence.missing) if evidence.missing else "",
        sentence=wording.sentence(evidence.sentence, record),
        rate=evidence.exceeded / evidence.requests if known and counted else None,
        low=evidence.low if counted else None,
        high=evidence.high if counted else None,
        allowed=_allowed(slo),
    )


def _interval(evidence: Evidence) -> str:
    """Of the share of requests that exceed the limit, or of the odds ratio to the primary."""
    assert evidence.low is not None
    assert evidence.high is not None
    if evidence.slo.metric in (Metric.REWARD, Metric.SERIES):
        return f"difference {evidence.low:.3g} to {evidence.high:.3g}"
    if not evidence.slo.relative:
        return f"{wording.percent(evidence.low)} to {wording.percent(evidence.high)}"
    high = times(evidence.high) if math.isfinite(evidence.high) else "no end"
    return f"odds {evidence.low:.3g} to {high}"


def _allowed(slo: Slo) -> float | None:
    """The share of requests that may exceed the limit; None for a mean and for a margin, which are no shares."""
    if slo.relative:
        return None
    if slo.metric.is_share:
        return 1 - slo.limit if slo.metric is Metric.SUCCESS_RATE else slo.limit
    return 1 - slo.quantile if slo.quantile is not None else None
