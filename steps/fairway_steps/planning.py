"""What a release's verdicts will take, before it starts: requests and time for each SLO, what can never be decided, better stages. Pure.

What is expected is a healthy version that breaks ``healthy`` of what each limit allows, and a harmful one that breaks it
``harmful`` times over; latencies scatter as a lognormal distribution with sigma 0.5. Nine releases of ten need no more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

from fairway_steps.errors import UsageError
from fairway_steps.model import DEFAULT_RULES, Metric, Mode, Rules, Slo, Stage, Unit
from fairway_steps.stats.plan import (
    requests_to_compare,
    requests_to_find,
    requests_to_prove_at,
    requests_to_prove_no_worse,
)
from fairway_steps.undecidable import UNCOUNTED, level, problem_of

SCATTER = 0.5
STEPS = ((120.0, 5.0), (600.0, 30.0), (math.inf, 60.0))
"""Durations are rounded up: below so many seconds to so many."""
SPARE = 1.2
UNFORESEEN = (Metric.LATENCY_MEAN, Metric.DIFFERENCE_RATE, *UNCOUNTED)
"""How much a mean scatters is not known beforehand, nor how many answers a collector compares, nor how many users come."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is expected: ``rate`` requests per second of the whole service, and what versions are like.

    A healthy one breaks ``healthy`` of what a limit allows, a harmful one ``harmful`` times as much as it allows. ``errors`` is
    the primary's own error rate, for margins.
    """

    rate: float
    healthy: float = 0.2
    harmful: float = 2.0
    errors: float = 0.01


@dataclass(frozen=True, slots=True)
class Need:
    """Requests of the candidate until an SLO is found broken, or proved kept; None: it cannot be.

    ``found_at`` and ``proved_at`` are the seconds since the first stage began, None where the release is over before.
    ``problem`` says why this release can never decide it; empty if it can.
    """

    slo: Slo
    find: int | None
    prove: int | None
    found_at: float | None
    proved_at: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """``requests`` of the candidate are expected in each stage; ``proposed`` are stages long enough for every SLO."""

    stages: tuple[Stage, ...]
    requests: tuple[int, ...]
    needs: tuple[Need, ...]
    proposed: tuple[Stage, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(need.problem for need in self.needs if need.problem)


def plan(
    slos: Sequence[Slo],
    stages: Sequence[Stage],
    traffic: Traffic,
    *,
    rules: Rules = DEFAULT_RULES,
    patience: Sequence[float] = (),
) -> Plan:
    """The plan of a release. ``patience`` is how long each stage waits for requests after its time, in seconds."""
    flows = [traffic.rate * stage.share for stage in stages]
    if not any(flows):
        raise UsageError(
            "no stage gives the candidate a share of the traffic, so its requests cannot be foreseen",
            mend="add a stage with a weight or a mirror",
        )
    brought = [flow * stage.duration for flow, stage in zip(flows, stages, strict=True)]
    share = sum(brought) / (traffic.rate * sum(stage.duration for stage in stages))
    needs = []
    for slo in slos:
        find, prove = _find(slo, slos, rules, traffic, share), _prove(slo, rules, traffic, stages[-1].share)
        waits = patience or [0.0] * len(stages)
        problem = "" if slo.metric in UNCOUNTED else problem_of(slo, slos, stages, flows, rules, waits)
        needs.append(
            Need(slo, find, prove, _reached(find, stages, flows), _reached_last(prove, stages, flows), problem)
        )
    return Plan(
        tuple(stages), tuple(math.floor(n) for n in brought), tuple(needs), _proposed(slos, stages, flows, needs, rules)
    )


def _find(slo: Slo, slos: Sequence[Slo], rules: Rules, traffic: Traffic, share: float) -> int | None:
    if slo.metric in UNFORESEEN or slo.unit is Unit.STRATUM:
        return None
    alpha = level(slo, slos, rules)
    if not slo.relative:
        return _found(slo.allowed, min(0.999, traffic.harmful * (slo.allowed or traffic.errors)), alpha)
    if slo.metric is not Metric.LATENCY:
        worse = traffic.harmful * (1 + slo.limit)
        needed = requests_to_compare(traffic.errors, worse, share, alpha=alpha, worse_than=1 + slo.limit)
    else:
        # Slower by a fifth more than the margin allows.
        needed = requests_to_compare(_above(slo), _odds(slo, math.log(1.2)), share, alpha=alpha)
    return needed.candidate if needed else None


def _prove(slo: Slo, rules: Rules, traffic: Traffic, share: float) -> int | None:
    if slo.metric in UNFORESEEN or slo.unit is Unit.STRATUM or slo.limit == 0:
        return None
    if not slo.relative:
        return _proved(slo.allowed, traffic.healthy * slo.allowed, rules.beta)
    if slo.metric is not Metric.LATENCY:
        needed = requests_to_prove_no_worse(traffic.errors, share, 1 + slo.limit, beta=rules.beta)
    else:
        odds = _odds(slo, -math.log1p(slo.limit))
        needed = requests_to_prove_no_worse(_above(slo), share, 1.0, odds, beta=rules.beta)
    return needed.candidate if needed else None


@lru_cache
def _found(limit: float, rate: float, alpha: float) -> int | None:
    return requests_to_find(limit, rate, alpha=alpha)


@lru_cache
def _proved(limit: float, rate: float, beta: float) -> int | None:
    return requests_to_prove_at(limit, rate, beta=beta)


def _above(slo: Slo) -> float:
    """The share of the primary's requests beyond the quantile."""
    return slo.allowed


def _odds(slo: Slo, shift: float) -> float:
    """The odds ratio of exceeding the quantile, of latencies ``exp(shift)`` times as long."""
    normal, above = NormalDist(), _above(slo)
    moved = 1 - normal.cdf(normal.inv_cdf(1 - above) - shift / SCATTER)
    return (moved / (1 - moved)) / (above / (1 - above))


def _reached(needed: int | None, stages: Sequence[Stage], flows: Sequence[float]) -> float | None:
    """Seconds from the beginning until the candidate has had so many requests; None if it never has."""
    if needed is None:
        return None
    elapsed, left = 0.0, float(needed)
    for stage, flow in zip(stages, flows, strict=True):
        if left <= flow * stage.duration:
            return elapsed + left / flow
        left -= flow * stage.duration
        elapsed += stage.duration
    return None


def _reached_last(needed: int | None, stages: Sequence[Stage], flows: Sequence[float]) -> float | None:
    """The same, of the last stage's requests alone."""
    if needed is None or needed > flows[-1] * stages[-1].duration:
        return None
    return sum(stage.duration for stage in stages[:-1]) + needed / flows[-1]


def _proposed(
    slos: Sequence[Slo], stages: Sequence[Stage], flows: Sequence[float], needs: Sequence[Need], rules: Rules
) -> tuple[Stage, ...]:
    """The same weights, as long each, for as many requests as the neediest SLO takes, and the minimum sample in each.

    To prove health takes as many in the last.
    """
    total = max((need.find for need in needs if need.find is not None), default=0)
    proof = max((need.prove for need in needs if need.prove is not None), default=0) if rules.mode is Mode.PROVE else 0
    counted = [slo.min_requests for slo in slos if slo.metric not in UNCOUNTED]
    least = max(counted, default=1)
    even = total / sum(flows)
    wanted = [
        max(even, SPARE * least / flow) if flow else stage.duration for stage, flow in zip(stages, flows, strict=True)
    ]
    wanted[-1] = max(wanted[-1], proof / flows[-1])
    return tuple(replace(stage, duration=_rounded(time)) for stage, time in zip(stages, wanted, strict=True))


def _rounded(seconds: float) -> float:
    step = next(step for below, step in STEPS if seconds <= below)
    return math.ceil(seconds / step) * step
