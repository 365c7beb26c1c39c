"""Which SLOs no outcome of a release can decide with the traffic there is. Pure, and without scipy: `begin` asks it as well.

The closed forms are those of ``stats.rate`` where no request breaks a limit, or every one does.
"""

import math
from collections.abc import Sequence

from fairway_steps.model import DEFAULT_RULES, LATE, Metric, Mode, Rules, Slo, Stage, Unit
from fairway_steps.windows import GROWTH
from fairway_steps.words import count, limit_of, name_of

LEAST_WINDOWS = LEAST_USERS = 100
UNCOUNTED = (Metric.REWARD, Metric.SERIES)
"""How many users and values come is not known beforehand."""


def undecidable(
    slos: Sequence[Slo],
    stages: Sequence[Stage],
    rate: float,
    *,
    rules: Rules = DEFAULT_RULES,
    patience: Sequence[float],
) -> tuple[str, ...]:
    """Which SLOs no outcome of a release decides at ``rate`` requests per second, and why: one sentence each."""
    flows = [rate * stage.share for stage in stages]
    if not any(flows):
        return ()
    counted = [slo for slo in slos if slo.metric not in UNCOUNTED]
    return tuple(said for slo in counted if (said := problem_of(slo, slos, stages, flows, rules, patience)))


def problem_of(
    slo: Slo,
    slos: Sequence[Slo],
    stages: Sequence[Stage],
    flows: Sequence[float],
    rules: Rules,
    patience: Sequence[float],
) -> str:
    """Why no outcome decides the SLO, or nothing. ``flows`` are the candidate's requests per second in each stage, ``patience`` its wait."""
    told = f"{name_of(slo)} (limit {limit_of(slo)})"
    if few := _too_few(slo, told, stages, flows, patience):
        return few
    brought = sum(map(_windows, stages))
    if slo.unit is Unit.STRATUM and brought < LEAST_WINDOWS:
        return (
            f"{told} can never be decided by strata: that takes {LEAST_WINDOWS} windows of time, and the release has about "
            f"{brought}, at one look a second"
        )
    if (
        slo.relative
        or slo.metric is Metric.DIFFERENCE_RATE
        or slo.metric is Metric.LATENCY_MEAN
        or slo.unit is Unit.STRATUM
    ):
        return ""
    everything = math.floor(sum(flow * stage.duration for flow, stage in zip(flows, stages, strict=True)))
    if log_e_if_all_break(everything, slo.allowed) < -math.log(level(slo, slos, rules)):
        return f"{told} can never be found broken: {count(everything)} of the candidate are too few, even if each breaks it"
    last = math.floor(flows[-1] * (stages[-1].duration + patience[-1]))
    if rules.mode is Mode.PROVE and log_e_if_none_breaks(last, slo.allowed) < -math.log(rules.beta):
        return (
            f"{told} can never be proved kept: that takes {count(least_to_prove(slo.allowed, rules.beta))} of the candidate at the last "
            f"weight without a single breach, and the last stage brings {count(last)}, its patience included"
        )
    return ""


def _too_few(slo: Slo, told: str, stages: Sequence[Stage], flows: Sequence[float], patience: Sequence[float]) -> str:
    """Which stage is too short for the minimum sample, or the whole release for a reward."""
    compared = slo.metric is Metric.DIFFERENCE_RATE
    for index, (stage, flow, wait) in enumerate(zip(stages, flows, patience, strict=True)):
        if stage.header or (compared and not stage.mirror):
            continue  # its testers decide how much; answers are compared where there is a mirror
        most = math.floor(flow * (stage.duration + wait))
        if most < slo.min_requests:
            return (
                f"{told} can never be decided: stage {index + 1} brings {count(most, slo.metric.witness)} of the candidate, its patience "
                f"included, and min-requests is {slo.min_requests}"
            )
    users = math.floor(sum(flow * stage.duration for flow, stage in zip(flows, stages, strict=True)))
    if slo.metric is Metric.REWARD and users < LEAST_USERS:
        return (
            f"{told} can never be decided: that takes {LEAST_USERS} users of each version, and the release brings {users:,} of "
            f"the candidate"
        )
    return ""


def level(slo: Slo, slos: Sequence[Slo], rules: Rules) -> float:
    """The level at which an SLO alone is proof of harm: its part of the evidence of all."""
    criticals = sum(other.critical for other in slos)
    mixed = rules.alpha * (0.5 if criticals else 1.0) * slo.weight / sum(other.weight for other in slos)
    alone = rules.alpha * 0.5 / criticals if slo.critical else 0.0
    return max(mixed, alone) * (1 - LATE)


def log_e_if_all_break(n: int, limit: float) -> float:
    """Ln of the e-value of harm where each of ``n`` requests breaks the limit, as a lower bound that is met to rounding."""
    if n == 0:
        return 0.0
    if limit == 0:
        return math.inf
    b = (1 - limit) / limit
    beta = math.lgamma(1 + n) + math.lgamma(b) - math.lgamma(1 + n + b) + math.log(b)
    return beta - b * math.log1p(-limit) - n * math.log(limit)


def log_e_if_none_breaks(n: int, limit: float) -> float:
    """Ln of the e-value of health where none of ``n`` requests breaks the limit; 0 for a limit of 0, which nothing proves."""
    if limit == 0:
        return 0.0
    b, fine = (1 - limit) / limit, math.log1p(-limit)
    part = math.log(-math.expm1((b + n) * fine)) - math.log(-math.expm1(b * fine))
    return math.log(b) - math.log(b + n) + part - n * fine


def least_to_prove(limit: float, beta: float) -> int:
    """How many requests, none of which breaks it, prove that a limit above 0 is kept."""
    high = 1
    while log_e_if_none_breaks(high, limit) < -math.log(beta):
        high *= 2
    low = high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if log_e_if_none_breaks(middle, limit) >= -math.log(beta) else (middle + 1, high)
    return low


def _windows(stage: Stage) -> int:
    """How many windows a stage's looks make, one a second: they grow with its age (``windows``)."""
    even = min(stage.duration, GROWTH)
    return math.floor(even + GROWTH * math.log(max(1.0, stage.duration / GROWTH)))
