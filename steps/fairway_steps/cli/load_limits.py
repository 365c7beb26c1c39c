"""What a load test counts by, and what ends it early: from ``--limits`` and ``--slos``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairway_steps.config import Objectives
from fairway_steps.config.units import parse_duration
from fairway_steps.errors import UsageError
from fairway_steps.model import Metric, Slo

if TYPE_CHECKING:
    from fairway_steps.loadtest.decision import Decision
    from fairway_steps.loadtest.streaming import Limit


def limits_of(text: str | None, slos: Sequence[Slo]) -> "list[Limit]":
    """``100ms,ttft:200ms`` and the latencies of SLOs: the limits to count by, the lowest first."""
    from fairway_steps.loadtest.streaming import METRICS, Limit

    found = {Limit(slo.limit) for slo in slos if slo.metric is Metric.LATENCY and slo.alone}
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        metric, colon, lasting = part.rpartition(":")
        if colon and metric not in METRICS:
            raise UsageError(f"--limits: {metric!r} is not measured", mend=f"it is one of {', '.join(METRICS)}")
        try:
            seconds = parse_duration(lasting)
        except ValueError as error:
            raise UsageError(f"--limits: {error}") from error
        if seconds <= 0:
            raise UsageError("--limits: a latency of 0 is no limit")
        found.add(Limit(seconds, metric or "response"))
    return sorted(found, key=lambda limit: (METRICS.index(limit.metric), limit.seconds))


def judged_by(slos: Sequence[Slo], limits: "Sequence[Limit]") -> bool:
    """Whether these limits are all that latencies are judged by: SLOs on rates alone judge none."""
    if not slos:
        return any(limit.metric == "response" for limit in limits)
    return all(slo.metric.is_share or (slo.metric is Metric.LATENCY and slo.alone) for slo in slos)


def decision_of(
    objectives: Objectives | None, limits: "Sequence[Limit]", stage: int, *, stop_early: bool
) -> "Decision":
    """What an early end is decided by; nothing if nobody asked for one."""
    from fairway_steps.loadtest.decision import Bound, Decision
    from fairway_steps.model import Unit
    from fairway_steps.words import limit_of, name_of

    if not stop_early:
        return Decision()
    if objectives is None or not objectives.slos:
        raise UsageError("--stop-early has nothing to decide by", mend="give --slos")
    if stage < 0:
        raise UsageError(f"--stage {stage} is no stage", mend="stages are counted from 0")
    responses = [limit.seconds for limit in limits if limit.metric == "response"]
    bounds = []
    for slo in objectives.slos:
        name = f"{name_of(slo)} of {limit_of(slo)}"
        mend = "leave one of the two out"
        if slo.relative:
            raise UsageError(f"--stop-early cannot decide {name_of(slo)} against the primary", mend=mend)
        if slo.of:
            raise UsageError(f"--stop-early cannot decide {name_of(slo)}, which is no response's latency", mend=mend)
        if slo.metric not in (Metric.ERROR_RATE, Metric.SUCCESS_RATE, Metric.LATENCY) or slo.unit is not Unit.REQUEST:
            raise UsageError(f"--stop-early cannot decide {name_of(slo)}, which is no count of its requests", mend=mend)
        place = responses.index(slo.limit) if slo.metric is Metric.LATENCY else None
        bounds.append(Bound(name, slo.allowed, place, slo.min_requests, slo.weight, slo.critical))
    return Decision(bounds, objectives.rules, stage)
