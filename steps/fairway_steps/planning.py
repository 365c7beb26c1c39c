"""What a release's verdicts will take, before it starts: requests and time for each SLO, what can never be decided, better stages. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from fairway_steps.errors import UsageError
from fairway_steps.model import DEFAULT_RULES, Mode, Rules, Slo, Stage, Unit
from fairway_steps.needs import Traffic, find, part_of_both, prove
from fairway_steps.stats.bets import ENOUGH, ENOUGH_HERE
from fairway_steps.undecidable import Course, level, of_each, problem_of
from fairway_steps.windows import closing

STEPS = ((120.0, 5.0), (600.0, 30.0), (math.inf, 60.0))
"""Durations are rounded up: below so many seconds to so many."""
SPARE = 1.2


@dataclass(frozen=True, slots=True)
class Need:
    """Requests, users or values of the candidate until an SLO is found broken, or proved kept; None: it cannot be, or is not known.

    ``found_at`` and ``proved_at`` are the seconds since the first stage began, None where the release is over before. So many are
    ``brought`` by it; of a series, by the longest of its stages, each of which is judged alone. ``problem`` says why this release can
    never decide it; empty if it can.
    """

    slo: Slo
    find: int | None
    prove: int | None
    found_at: float | None
    proved_at: float | None
    brought: int
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
    if not any(stage.share for stage in stages):
        raise UsageError(
            "no stage gives the candidate a share of the traffic, so its requests cannot be foreseen",
            mend="add a stage with a weight or a mirror",
        )
    waits, own = patience or [0.0] * len(stages), of_each(rules, stages)
    needs = tuple(_need(slo, slos, stages, traffic, own, waits) for slo in slos)
    brought = tuple(math.floor(traffic.rate * stage.share * stage.duration) for stage in stages)
    return Plan(tuple(stages), brought, needs, _proposed(stages, traffic, needs, rules))


def _need(
    slo: Slo, slos: Sequence[Slo], stages: Sequence[Stage], traffic: Traffic, rules: Rules, patience: Sequence[float]
) -> Need:
    flows = [traffic.flow(slo, stage) for stage in stages]
    shares = [part_of_both(slo, stage) for stage in stages]
    whole = sum(stage.duration for stage in stages)
    share = sum(each * stage.duration for each, stage in zip(shares, stages, strict=True)) / whole
    harm, health = find(slo, level(slo, slos, rules), traffic, share), prove(slo, rules.beta, traffic, shares[-1])
    beside = [traffic.beside(slo, stage) for stage in stages]
    course = Course(stages, flows, beside, patience, traffic.look, rules.burn_in)
    problem = problem_of(slo, slos, course, rules) if any(flows) else ""
    brought = [flow * stage.duration for flow, stage in zip(flows, stages, strict=True)]
    if slo.one_look:
        seen = [max(0.0, values - rules.burn_in) for values in brought]
        return Need(slo, harm, None, _at_an_end(harm, stages, seen), None, math.floor(max(seen)), problem)
    found_at, proved_at = _reached(harm, stages, flows), _reached_last(health, stages, flows)
    return Need(slo, harm, health, found_at, proved_at, math.floor(sum(brought)), problem)


def _reached(needed: int | None, stages: Sequence[Stage], flows: Sequence[float]) -> float | None:
    """Seconds from the beginning until the candidate has had so many; None if it never has."""
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
    """The same, of the last stage's alone."""
    if needed is None or needed > flows[-1] * stages[-1].duration:
        return None
    return sum(stage.duration for stage in stages[:-1]) + needed / flows[-1]


def _at_an_end(needed: int | None, stages: Sequence[Stage], values: Sequence[float]) -> float | None:
    """Seconds until the end of the first stage that alone has so many values; None if none has."""
    elapsed = 0.0
    for stage, many in zip(stages, values, strict=True):
        elapsed += stage.duration
        if needed is not None and needed <= many:
            return elapsed
    return None


def _proposed(stages: Sequence[Stage], traffic: Traffic, needs: Sequence[Need], rules: Rules) -> tuple[Stage, ...]:
    """The same weights, as long each, for as many as the neediest SLO takes, and the minimum sample in each and in all.

    To prove health takes as many in the last, and a series takes all of its values in each.
    """
    wanted = [0.0] * len(stages)
    for need in needs:
        flows = [traffic.flow(need.slo, stage) for stage in stages]
        if not any(flows):
            continue
        least, total = SPARE * need.slo.min_requests, float(max(need.find or 0, need.slo.min_in_all))
        if need.slo.one_look:
            least, total = max(least, total + rules.burn_in), 0.0
        fewest = [min(flow, _beside(need.slo, traffic, stage)) for flow, stage in zip(flows, stages, strict=True)]
        each = [max(total / sum(flows), least / few) if few else 0.0 for few in fewest]
        if rules.mode is Mode.PROVE and need.prove and flows[-1]:
            each[-1] = max(each[-1], need.prove / flows[-1])
        if need.slo.unit is Unit.STRATUM:
            windows = max(math.ceil(ENOUGH / sum(map(bool, flows))), ENOUGH_HERE)
            lasting = next(
                islice(closing(traffic.look, rules.burn_in), windows, None)
            )  # and one to spare in each stage
            each = [max(time, lasting) if time else 0.0 for time in each]
        wanted = list(map(max, wanted, each))
    times = [_rounded(time) if time else stage.duration for time, stage in zip(wanted, stages, strict=True)]
    return tuple(replace(stage, duration=time) for stage, time in zip(stages, times, strict=True))


def _beside(slo: Slo, traffic: Traffic, stage: Stage) -> float:
    """How many of the primary come each second, which must be as many as of the candidate; no fewer where nothing is compared."""
    return traffic.beside(slo, stage) if slo.relative else math.inf


def _rounded(seconds: float) -> float:
    step = next(step for below, step in STEPS if seconds <= below)
    return math.ceil(seconds / step) * step
