"""How many requests, users or values decide an SLO: the needs that a plan adds up. Pure.

What is expected is a healthy version that breaks ``healthy`` of what each limit allows, and a harmful one that breaks it
``harmful`` times over; latencies scatter as a lognormal distribution with sigma 0.5. Nine releases of ten need no more.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from fairway_steps.model import Direction, Knobs, Metric, Slo, Stage, Unit
from fairway_steps.stats.plan import (
    requests_to_compare,
    requests_to_find,
    requests_to_prove_at,
    requests_to_prove_no_worse,
    units_to_find,
    values_to_compare,
)
from fairway_steps.undecidable import LEAST_USERS

SCATTER = 0.5
USUAL = 0.05
"""The change that is taken for allowed where an SLO allows none, to have harm to look for."""
UNFORESEEN = (Metric.LATENCY_MEAN, Metric.DIFFERENCE_RATE)
"""How much a mean scatters is not known beforehand, nor how many answers a collector compares."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is expected: ``rate`` requests per second of the whole service, and what versions are like.

    A healthy one breaks ``healthy`` of what a limit allows, a harmful one ``harmful`` times as much as it allows. ``errors`` is
    the primary's own error rate, for margins. For rewards, ``users`` per second of the whole service have had their window; for series a
    value comes every ``look`` seconds. Their coefficients of variation are ``reward_variation`` and ``series_variation``. None: not known.
    """

    rate: float
    healthy: float = 0.2
    harmful: float = 2.0
    errors: float = 0.01
    users: float | None = None
    reward_variation: float | None = None
    series_variation: float | None = None
    look: float = 1.0

    def flow(self, slo: Slo, stage: Stage) -> float:
        """How many of the candidate's witnesses come each second of a stage; 0 where that is not known."""
        if slo.metric is Metric.REWARD:
            return (self.users or 0.0) * part(slo, stage)
        if slo.metric is Metric.SERIES:
            return 1 / self.look if stage.share else 0.0
        return self.rate * stage.share

    def beside(self, slo: Slo, stage: Stage) -> float:
        """How many of the primary's come meanwhile."""
        if slo.metric is Metric.SERIES:
            return 1 / self.look
        return ((self.users or 0.0) if slo.metric is Metric.REWARD else self.rate) * (1 - stage.weight / 100)


def part(slo: Slo, stage: Stage) -> float:
    """The candidate's part of all that tells of an SLO, of several the one with the least; nobody sees a mirror's answers."""
    return 0.0 if slo.metric is Metric.REWARD and not stage.weight else stage.share


def part_of_both(slo: Slo, stage: Stage) -> float:
    """Its part of what is told of it and of the primary."""
    own = part(slo, stage)
    return own / (own + 1 - stage.weight / 100) if own else 0.0


def find(slo: Slo, alpha: float, traffic: Traffic, share: float) -> int | None:
    """Of the candidate, until it is found harmful at the level ``alpha``; ``share`` is its part of what it and the primary have. None: not known."""
    if slo.metric is Metric.REWARD:
        return _users(slo, harm_of(slo, traffic) - slo.limit, traffic, share, alpha)
    if slo.metric is Metric.SERIES:
        return _values(slo, traffic)
    if slo.metric in UNFORESEEN or slo.unit is Unit.STRATUM:
        return None
    if not slo.relative:
        return _found(slo.allowed, min(0.999, traffic.harmful * (slo.allowed or traffic.errors)), alpha)
    if slo.metric is not Metric.LATENCY:
        worse = traffic.harmful * (1 + slo.limit)
        needed = requests_to_compare(traffic.errors, worse, share, alpha=alpha, worse_than=1 + slo.limit)
    else:
        # Slower by a fifth more than the margin allows.
        needed = requests_to_compare(slo.allowed, _odds(slo, math.log(1.2)), share, alpha=alpha)
    return needed.candidate if needed else None


def prove(slo: Slo, beta: float, traffic: Traffic, share: float) -> int | None:
    """Of the candidate, until it is proved to keep the SLO at the level ``beta``. None: not known, or never."""
    if slo.metric in (*UNFORESEEN, Metric.SERIES) or slo.unit is Unit.STRATUM or slo.limit == 0:
        return None
    if slo.metric is Metric.REWARD:
        return _users(slo, slo.limit, traffic, share, beta)
    if not slo.relative:
        return _proved(slo.allowed, traffic.healthy * slo.allowed, beta)
    if slo.metric is not Metric.LATENCY:
        needed = requests_to_prove_no_worse(traffic.errors, share, 1 + slo.limit, beta=beta)
    else:
        needed = requests_to_prove_no_worse(slo.allowed, share, 1.0, _odds(slo, -math.log1p(slo.limit)), beta=beta)
    return needed.candidate if needed else None


def harm_of(slo: Slo, traffic: Traffic) -> float:
    """By what share of the primary's a harmful candidate's mean reward, or series, is worse."""
    return traffic.harmful * (_change(slo, traffic) or USUAL)


def _change(slo: Slo, traffic: Traffic) -> float:
    """The share of the primary's by which the candidate's mean may be worse, or its series differ."""
    if slo.metric is Metric.REWARD:
        return slo.limit
    knobs, normal = slo.knobs or Knobs(), NormalDist()
    given = [
        way
        for way, counts in (
            (knobs.allowed_increase, slo.direction is not Direction.HIGHER),
            (knobs.allowed_decrease, slo.direction is not Direction.LOWER),
        )
        if way is not None and counts
    ]
    if knobs.effect == "mean-ratio":
        return min((abs(ratio - 1) for ratio in given), default=0.0)
    spread = math.sqrt(2) * (traffic.series_variation or 0.0)
    return min((spread * abs(normal.inv_cdf(share)) for share in given if 0 < share < 1), default=0.0)


def _users(slo: Slo, away: float, traffic: Traffic, share: float, level: float) -> int | None:
    """Until means ``away`` from what the margin allows, as a share of the primary's, are told apart."""
    if traffic.reward_variation is None or not 0 < share < 1:
        return None
    factor = 1 + slo.limit if slo.better is Direction.LOWER else 1 - slo.limit
    ratio = share / (1 - share)
    needed = units_to_find(away, traffic.reward_variation, alpha=level, beside=factor * factor * ratio)
    return max(needed, math.ceil(LEAST_USERS * ratio))


def _values(slo: Slo, traffic: Traffic) -> int | None:
    if traffic.series_variation is None:
        return None
    knobs, harm = slo.knobs or Knobs(), harm_of(slo, traffic)
    needed = values_to_compare(harm, traffic.series_variation, knobs.confidence, knobs.tolerance, _change(slo, traffic))
    return max(needed, slo.min_requests) if needed is not None else None


@lru_cache
def _found(limit: float, rate: float, alpha: float) -> int | None:
    return requests_to_find(limit, rate, alpha=alpha)


@lru_cache
def _proved(limit: float, rate: float, beta: float) -> int | None:
    return requests_to_prove_at(limit, rate, beta=beta)


def _odds(slo: Slo, shift: float) -> float:
    """The odds ratio of exceeding the primary's quantile, of latencies ``exp(shift)`` times as long."""
    normal, above = NormalDist(), slo.allowed
    moved = 1 - normal.cdf(normal.inv_cdf(1 - above) - shift / SCATTER)
    return (moved / (1 - moved)) / (above / (1 - above))
