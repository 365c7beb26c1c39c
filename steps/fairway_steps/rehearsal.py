"""The rehearsal: a load test of the candidate while it has no users, judged by the release's own SLOs."""

from collections.abc import Sequence
from dataclasses import replace

from fairway_steps.clock import Clock
from fairway_steps.errors import UsageError
from fairway_steps.judge import judge
from fairway_steps.metrics.base import MetricSource
from fairway_steps.model import Slo, Stage, Verdict
from fairway_steps.record import Lease, Record, RecordStore, StageResult, amend, required


def rehearsed(slos: Sequence[Slo]) -> tuple[Slo, ...]:
    """Those that a load test of the candidate alone can tell: limits on its requests. Raises UsageError if there are none."""
    found = tuple(slo for slo in slos if slo.alone)
    if not found:
        raise UsageError(
            "no SLO can be judged by a load test of the candidate alone",
            mend="give one a limit on the error rate or the latency, or leave the load test out",
        )
    return found


def rehearse(store: RecordStore, lease: Lease, source: MetricSource, clock: Clock) -> StageResult:
    """Judge the load test that ``source`` tells of and keep the result in the record; the schedule is not touched by it.

    A person who has aborted the release meanwhile stands above it.
    """
    record = required(store, lease)
    result = judge(
        None,
        lease,
        source,
        None,
        lambda: "",
        clock,
        slos=rehearsed(record.slos),
        primary="",
        candidate=record.candidate.name,
        stages=(Stage(0, 0.0),),
        index=0,
        is_last=False,
        rules=record.rules,
    )
    verdict = result.assessment.verdict

    def kept(now: Record) -> Record:
        nonlocal result, verdict
        if word := now.aborted:
            verdict = word.verdict
            told = replace(result.assessment, verdict=verdict, reason=word.sentence)
            result = replace(result, assessment=told, basis=replace(result.basis, intervention=word))
        noted = now.noted(clock.now(), "rehearsal", result.assessment.reason, failed=verdict is not Verdict.ADVANCE)
        return replace(noted, rehearsal=result).renewed(clock.now())

    amend(store, lease, kept)
    return result
