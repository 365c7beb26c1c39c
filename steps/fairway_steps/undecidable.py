"""Which SLOs no outcome of a release can decide with the traffic there is. Pure, and without scipy: `begin` asks it as well.

The closed forms are those of ``stats.rate`` where no request breaks a limit, or every one does. A margin needs the primary beside, and one
on latency as many of its requests as tell where its quantile lies; what more it takes, its own errors and edges decide.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from fairway_steps.model import DEFAULT_RULES, LATE, Metric, Mode, Rules, Slo, Stage, Unit
from fairway_steps.stats.bets import ENOUGH, ENOUGH_HERE, log_e_above
from fairway_steps.windows import GROWTH
from fairway_steps.words import count, limit_of, name_of, seconds

LEAST_USERS = 100
STRICTEST = 0.001
"""A limit of 0, which nothing proves, takes as many requests in all as this one."""
QUANTILE_KNOWN = 10
"""So many of the primary's requests above its quantile tell where that lies (``stats.pairs``)."""
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
    flows, beside = [rate * stage.share for stage in stages], [rate * (1 - stage.weight / 100) for stage in stages]
    if not any(flows):
        return ()
    counted = [slo for slo in slos if slo.metric not in UNCOUNTED]
    return tuple(said for slo in counted if (said := problem_of(slo, slos, stages, flows, beside, rules, patience)))


def problem_of(  # noqa: PLR0911 - one return a meaning
    slo: Slo,
    slos: Sequence[Slo],
    stages: Sequence[Stage],
    flows: Sequence[float],
    beside: Sequence[float],
    rules: Rules,
    patience: Sequence[float],
) -> str:
    """Why no outcome decides the SLO, or nothing.

    ``flows`` are the candidate's requests per second in each stage, ``beside`` the primary's, and ``patience`` how long each may wait.
    """
    told = f"{name_of(slo)} (limit {limit_of(slo)})"
    guard = rules.mode is Mode.GUARD
    few = (
        _too_few(slo, told, stages, flows, patience)
        or (guard and _too_few_in_all(slo, told, stages, flows, patience))
        or (slo.relative and _too_few_beside(slo, told, stages, flows, beside, patience))
    )
    if few:
        return few
    found, proved = -math.log(level(slo, slos, rules)), 0.0 if guard else -math.log(rules.beta)
    if slo.unit is Unit.STRATUM:
        return _by_windows(slo, told, stages, patience, found, proved) or _few_windows(slo, told, stages, patience)
    last = math.floor(flows[-1] * (stages[-1].duration + patience[-1]))
    if slo.metric is Metric.LATENCY_MEAN:
        return _mean_unproved(slo, told, last, proved)
    if slo.relative or slo.metric is Metric.DIFFERENCE_RATE:
        return ""
    everything = math.floor(sum(flow * stage.duration for flow, stage in zip(flows, stages, strict=True)))
    if log_e_if_all_break(everything, slo.allowed) < found:
        return f"{told} can never be found broken: {count(everything)} of the candidate are too few, even if each breaks it"
    if proved and log_e_if_none_breaks(last, slo.allowed) < proved:
        return (
            f"{told} can never be proved kept: that takes {count(least_to_prove(slo.allowed, rules.beta))} of the candidate at the last "
            f"weight without a single breach, and the last stage brings {count(last)}, its patience included"
        )
    return ""


def _mean_unproved(slo: Slo, told: str, last: int, proved: float) -> str:
    """Half of the evidence comes from the windows, which say nothing of health that the requests do not."""
    if slo.timeout is None or not proved:
        return ""
    best = log_e_above(last * slo.limit, last * slo.limit**2, slo.timeout - slo.limit) - math.log(2)
    if best >= proved:
        return ""
    return (
        f"{told} can never be proved kept: {count(last)} in the last stage are too few beside a timeout of {seconds(slo.timeout)}, "
        f"even if each were answered at once"
    )


def _too_few_beside(
    slo: Slo,
    told: str,
    stages: Sequence[Stage],
    flows: Sequence[float],
    beside: Sequence[float],
    patience: Sequence[float],
) -> str:
    """Whether the primary has too little at the candidate's side to be compared with."""
    if any(stage.header for stage in stages):
        return ""
    for index, (stage, flow, other, wait) in enumerate(zip(stages, flows, beside, patience, strict=True)):
        served = math.floor(other * (stage.duration + wait))
        if flow and len(stages) > 1 and served < slo.min_requests:
            return (
                f"{told} can never be decided: stage {index + 1} brings {count(served, slo.metric.witness)} of the primary beside, its patience "
                f"included, and it takes {slo.min_requests} until a margin can be judged"
            )
    waits = [*[0.0] * (len(stages) - 1), patience[-1]]
    most = math.floor(
        sum(
            other * (stage.duration + wait)
            for flow, other, stage, wait in zip(flows, beside, stages, waits, strict=True)
            if flow
        )
    )
    least = slo.min_requests if slo.metric is not Metric.REWARD else LEAST_USERS
    if slo.metric is Metric.LATENCY:
        least = max(least, math.ceil(QUANTILE_KNOWN / slo.allowed))
    if most >= least:
        return ""
    what = count(most, slo.metric.witness)
    why = (
        f"its {name_of(slo)} is known"
        if least > slo.min_requests and slo.metric is Metric.LATENCY
        else "a margin can be judged"
    )
    return f"{told} can never be decided: the release brings {what} of the primary beside, and it takes {least:,} until {why}"


def _few_windows(slo: Slo, told: str, stages: Sequence[Stage], patience: Sequence[float]) -> str:
    """Which stage has too few windows of time, even if each is all good."""
    under, over = _reach(slo)
    for index, (stage, wait) in enumerate(zip(stages, patience, strict=True)):
        most = _windows(replace(stage, duration=stage.duration + wait))
        if most < ENOUGH_HERE and log_e_above(most * under, most * under**2, over) < -math.log(DEFAULT_RULES.beta):
            return (
                f"{told} can never be decided by strata: stage {index + 1} brings {count(most, 'window')} of time, its patience included, and "
                f"{ENOUGH_HERE} are needed"
            )
    return ""


def _reach(slo: Slo) -> tuple[float, float]:
    """How far a window can lie under the limit, and over it."""
    if slo.metric is Metric.LATENCY_MEAN:
        return slo.limit, math.inf if slo.timeout is None else slo.timeout - slo.limit
    return (1 + slo.limit, 1.0) if slo.relative else (slo.allowed, 1 - slo.allowed)


def _by_windows(
    slo: Slo, told: str, stages: Sequence[Stage], patience: Sequence[float], found: float, proved: float
) -> str:
    """Of windows of time, each one witness, at one look a second: even if each is all bad, or all good."""
    brought, last = (
        sum(map(_windows, stages)),
        _windows(replace(stages[-1], duration=stages[-1].duration + patience[-1])),
    )
    most = brought - _windows(stages[-1]) + last
    few = f"{told} can never be decided by strata: about {most} windows of time are too few, {ENOUGH} are needed unless fewer prove it kept"
    if slo.metric is Metric.LATENCY_MEAN:
        return few if most < ENOUGH and not proved else ""
    under, over = _reach(slo)
    if log_e_above(brought * over, brought * over**2, under) < found:
        return f"{told} can never be found broken by strata: about {brought} windows of time are too few, even if every request breaks it"
    best = log_e_above(last * under, last * under**2, over)
    if most < ENOUGH and not proved and best < -math.log(DEFAULT_RULES.beta):
        return few
    if best < proved:
        return f"{told} can never be proved kept by strata: about {last} windows in the last stage are too few, even if none breaks it"
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


def _too_few_in_all(
    slo: Slo, told: str, stages: Sequence[Stage], flows: Sequence[float], patience: Sequence[float]
) -> str:
    where = [bool(stage.mirror) or slo.metric is not Metric.DIFFERENCE_RATE for stage in stages]
    last = max((index for index, there in enumerate(where) if there), default=-1)
    waits = [patience[last] if index == last else 0.0 for index in range(len(stages))]
    most = sum(
        flow * (stage.duration + wait)
        for stage, flow, wait, there in zip(stages, flows, waits, where, strict=True)
        if there
    )
    if last < 0 or any(stage.header for stage in stages) or math.floor(most) >= slo.min_in_all:
        return ""
    brought = count(math.floor(most), slo.metric.witness)
    return (
        f"{told} can never be decided: the release brings {brought} of the candidate, the last patience included, and fewer than "
        f"{slo.min_in_all:,} could not prove it kept; a min-requests of its own asks for less"
    )


def least_in_all(slo: Slo) -> int:
    """How many requests a release takes in all, unless somebody says otherwise: as many as would prove an SLO kept, if none broke it.

    Fewer could tell nothing of health, whatever they were. 0 where that is not known beforehand: of a rate's margin the primary's own errors
    decide it, of what comes in windows or users these are counted.
    """
    counted = slo.metric is Metric.LATENCY or (slo.metric.is_share and not slo.relative)
    if not counted or slo.unit is not Unit.REQUEST:
        return 0
    return least_to_prove(slo.allowed or STRICTEST, DEFAULT_RULES.beta)


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


def lasting(windows: float) -> float:
    """How many seconds a stage of so many windows takes."""
    return windows if windows <= GROWTH else GROWTH * math.exp(windows / GROWTH - 1)


def _windows(stage: Stage) -> int:
    """How many windows a stage's looks make, one a second: they grow with its age (``windows``)."""
    even = min(stage.duration, GROWTH)
    return math.floor(even + GROWTH * math.log(max(1.0, stage.duration / GROWTH)))
