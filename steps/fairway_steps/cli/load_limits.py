"""What a load test counts by, and what ends it early: from ``--limits`` and ``--slos``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairway_steps.config.units import parse_duration
from fairway_steps.errors import UsageError
from fairway_steps.model import Slo

if TYPE_CHECKING:
    from fairway_steps.loadtest.decision import Bound
    from fairway_steps.loadtest.streaming import Limit


def limits_of(text: str | None, slos: Sequence[Slo]) -> "list[Limit]":
    """``100ms,ttft:200ms`` and the latencies of SLOs: the limits to count by, the lowest first."""
    from fairway_steps.loadtest.streaming import METRICS, Limit
    from fairway_steps.model import Metric

    found = {Limit(slo.limit) for slo in slos if slo.metric is Metric.LATENCY and not slo.relative}
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


def bounds_of(slos: Sequence[Slo], limits: "Sequence[Limit]", *, stop_early: bool) -> "list[Bound]":
    """What an early end is decided by; none if nobody asked for one."""
    if not stop_early:
        return []
    if not slos:
        raise UsageError("--stop-early has nothing to decide by", mend="give --slos")
    from fairway_steps.loadtest.decision import Bound
    from fairway_steps.model import Metric
    from fairway_steps.words import limit_of, name_of

    responses = [limit.seconds for limit in limits if limit.metric == "response"]
    bounds = []
    for slo in slos:
        name = f"{name_of(slo)} of {limit_of(slo)}"
        if slo.relative:
            raise UsageError(
                f"--stop-early cannot decide {name_of(slo)} against the primary", mend="leave one of the two out"
            )
        if slo.metric in (Metric.ERROR_RATE, Metric.SUCCESS_RATE):
            allowed = slo.limit if slo.metric is Metric.ERROR_RATE else round(1 - slo.limit, 12)
            bounds.append(Bound(name, allowed, None, slo.min_requests))
        elif slo.metric is Metric.LATENCY and slo.quantile is not None:
            bounds.append(Bound(name, round(1 - slo.quantile, 12), responses.index(slo.limit), slo.min_requests))
        else:
            raise UsageError(f"--stop-early cannot decide {name_of(slo)}", mend="leave one of the two out")
    return bounds
