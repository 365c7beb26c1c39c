"""Which SLOs no outcome of a release can decide with the traffic there is. Pure, and without scipy: `begin` asks it as well.

The closed forms are those of ``stats.rate`` where no request breaks a limit, or every one does. A margin needs the primary beside, and one
on latency as many of its requests as tell where its quantile lies; what more it takes, its own errors and edges decide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fairway_steps.model import DEFAULT_RULES, LATE, Metric, Mode, Rules, Slo, Stage, Unit
from fairway_steps.stats.bets import ENOUGH, ENOUGH_HERE, log_e_above
from fairway_steps.windows import brought
from fairway_steps.words import count, limit_of, name_of, seconds, share

LEAST_USERS = 100
STRICTEST = 0.001
"""A limit of 0, which nothing proves, takes as many requests in all as this one."""
QUANTILE_KNOWN = 10
"""So many of the primary's requests above its quantile tell where that lies (``stats.pairs``)."""


@dataclass(frozen=True, slots=True)
class Course:
    """What a release brings: ``flows`` of the candidate's requests per second in each of its ``stages``, and the primary's ``beside``.

    Each stage may wait for its ``patience`` (s) after its time. There is a look each ``interval`` (s), of which the first ``burn_in`` are no evidence.
    """

    stages: Sequence[Stage]
    flows: Sequence[float]
    beside: Sequence[float]
    patience: Sequence[float]
    interval: float = 1.0
    burn_in: int = 0

    @property
    def waits(self) -> tuple[float, ...]:
        """How long each stage may take where only the last one waits."""
        return tuple(stage.duration for stage in self.stages[:-1]) + self.longest[-1:]

    @property
    def longest(self) -> tuple[float, ...]:
        """How long each stage may take."""
        return tuple(stage.duration + wait for stage, wait in zip(self.stages, self.patience, strict=True))

    def windows(self, duration: float, *, whole: bool) -> int:
        """How many windows of time a stage brings; ``whole`` ones alone, of which nothing is still to come."""
        return brought(duration, self.interval, self.burn_in, whole=whole)


def undecidable(
    slos: Sequence[Slo],
    stages: Sequence[Stage],
    rate: float,
    *,
    rules: Rules = DEFAULT_RULES,
    patience: Sequence[float],
    interval: float = 1.0,
) -> tuple[str, ...]:
    """Which SLOs no outcome of a release decides at ``rate`` requests per second and a look each ``interval`` (s), and why: one sentence each.

    Of a series each look brings a value, also where the rate is not known (0); how many users come is not known beforehand.
    """
    flows, beside = [rate * stage.share for stage in stages], [rate * (1 - stage.weight / 100) for stage in stages]
    course = Course(stages, flows, beside, patience, interval, rules.burn_in)
    looks = replace(
        course, flows=[bool(stage.share) / interval for stage in stages], beside=[1 / interval] * len(flows)
    )
    told, own = [], of_each(rules, stages)
    for slo in slos:
        its = looks if slo.metric is Metric.SERIES else course
        if any(its.flows) and slo.metric is not Metric.REWARD:
            told.append(problem_of(slo, slos, its, own))
    return tuple(filter(None, told))


def problem_of(slo: Slo, slos: Sequence[Slo], course: Course, rules: Rules) -> str:  # noqa: PLR0911 - one return a meaning
    """Why no outcome decides the SLO, or nothing."""
    told = f"{name_of(slo)} (limit {limit_of(slo)})"
    guard = rules.mode is Mode.GUARD
    few = (
        _too_few(slo, told, course)
        or (guard and _too_few_in_all(slo, told, course))
        or (slo.relative and _too_few_beside(slo, told, course))
    )
    if few:
        return few
    found, proved = -math.log(level(slo, slos, rules)), 0.0 if guard else -math.log(rules.beta)
    if slo.unit is Unit.STRATUM:
        return _by_windows(slo, told, course, found, proved)
    last = math.floor(course.flows[-1] * course.longest[-1])
    if slo.metric is Metric.LATENCY_MEAN:
        return _mean_unproved(slo, told, last, proved)
    if slo.relative or slo.metric is Metric.DIFFERENCE_RATE:
        return ""
    everything = math.floor(sum(flow * stage.duration for flow, stage in zip(course.flows, course.stages, strict=True)))
    if log_e_if_all_break(everything, slo.allowed) < found:
        return f"{told} can never be found broken: {count(everything)} of the candidate are too few, even if each breaks it"
    if proved and log_e_if_none_breaks(last, slo.allowed) < proved:
        if not slo.allowed:
            return f"{told} can never be proved kept: no number of requests proves that nothing ever breaks it"
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


def _too_few_beside(slo: Slo, told: str, course: Course) -> str:
    """Whether the primary has too little at the candidate's side to be compared with."""
    if any(stage.header for stage in course.stages):
        return ""
    for index, (flow, other, longest) in enumerate(zip(course.flows, course.beside, course.longest, strict=True)):
        served = math.floor(other * longest)
        if flow and len(course.stages) > 1 and served < slo.min_requests:
            return (
                f"{told} can never be decided: stage {index + 1} brings {count(served, slo.metric.witness)} of the primary beside, its patience "
                f"included, and it takes {slo.min_requests} until a margin can be judged"
            )
    there = zip(course.flows, course.beside, course.waits, strict=True)
    most = math.floor(sum(other * lasting for flow, other, lasting in there if flow))
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


def _by_windows(slo: Slo, told: str, course: Course, found: float, proved: float) -> str:
    """Of windows of time, each one witness: even if each is all bad, or all good."""
    looked = f"at a look each {seconds(course.interval)}"
    in_all = sum(course.windows(stage.duration, whole=slo.relative) for stage in course.stages)
    each = [course.windows(lasting, whole=slo.relative) for lasting in course.waits]
    if slo.metric is not Metric.LATENCY_MEAN:
        under, over = _reach(slo)
        if log_e_above(in_all * over, in_all * over**2, under) < found:
            windows = f"about {count(in_all, 'window')} of time, {looked}, are too few"
            return f"{told} can never be found broken by strata: {windows}, even if every request breaks it"
        if proved and _best(slo, each[-1]) < proved:
            windows = f"about {count(each[-1], 'window')} in the last stage, {looked}, are too few"
            return f"{told} can never be proved kept by strata: {windows}, even if none breaks it"
    if not proved and sum(each) < ENOUGH and not _may_prove(slo, each[-1]):
        return (
            f"{told} can never be decided by strata: about {count(sum(each), 'window')} of time, {looked}, are too few, {ENOUGH} are needed "
            "unless fewer prove it kept"
        )
    for index, longest in enumerate(course.longest):
        most = course.windows(longest, whole=slo.relative)
        if most < ENOUGH_HERE and not _may_prove(slo, most):
            return (
                f"{told} can never be decided by strata: stage {index + 1} brings {count(most, 'window')} of time {looked}, its patience "
                f"included, and {ENOUGH_HERE} are needed"
            )
    return ""


def _may_prove(slo: Slo, windows: int) -> bool:
    """Whether so few windows may prove it kept, each as good as can be; of a margin they would have to be ones in which the primary fails."""
    return not slo.relative and _best(slo, windows) >= -math.log(DEFAULT_RULES.beta)


def _best(slo: Slo, windows: int) -> float:
    """Ln e of health where each of so many windows is as good as can be."""
    under, over = _reach(slo)
    return log_e_above(windows * under, windows * under**2, over)


def _reach(slo: Slo) -> tuple[float, float]:
    """How far a window can lie under the limit, and over it."""
    if slo.metric is Metric.LATENCY_MEAN:
        return slo.limit, math.inf if slo.timeout is None else slo.timeout - slo.limit
    return (1 + slo.limit, 1.0) if slo.relative else (slo.allowed, 1 - slo.allowed)


def _too_few(slo: Slo, told: str, course: Course) -> str:
    """Which stage is too short for the minimum sample, or the whole release for a reward."""
    compared = slo.metric is Metric.DIFFERENCE_RATE
    for index, (stage, flow, longest) in enumerate(zip(course.stages, course.flows, course.longest, strict=True)):
        if stage.header or (compared and not stage.mirror):
            continue  # its testers decide how much; answers are compared where there is a mirror
        most = math.floor(flow * longest)
        if most < slo.min_requests:
            return (
                f"{told} can never be decided: stage {index + 1} brings {count(most, slo.metric.witness)} of the candidate, its patience "
                f"included, and min-requests is {slo.min_requests}"
            )
    users = math.floor(sum(flow * stage.duration for flow, stage in zip(course.flows, course.stages, strict=True)))
    if slo.metric is Metric.REWARD and users < LEAST_USERS:
        return (
            f"{told} can never be decided: that takes {LEAST_USERS} users of each version, and the release brings {users:,} of "
            f"the candidate"
        )
    return ""


def _too_few_in_all(slo: Slo, told: str, course: Course) -> str:
    """Whether the whole release brings too few, its last stage that counts as long as it may wait."""
    where = [bool(stage.mirror) or slo.metric is not Metric.DIFFERENCE_RATE for stage in course.stages]
    last = max((index for index, there in enumerate(where) if there), default=-1)
    waits = [wait if index == last else 0.0 for index, wait in enumerate(course.patience)]
    each = zip(course.stages, course.flows, waits, where, strict=True)
    most = sum(flow * (stage.duration + wait) for stage, flow, wait, there in each if there)
    if last < 0 or any(stage.header for stage in course.stages) or math.floor(most) >= slo.min_in_all:
        return ""
    few = count(math.floor(most), slo.metric.witness)
    why = (
        f"fewer than {slo.min_in_all:,} could not prove it kept"
        if slo.allowed
        else f"a limit of 0, which nothing proves, takes {slo.min_in_all:,}, as many as one of {share(STRICTEST)}"
    )
    return (
        f"{told} can never be decided: the release brings {few} of the candidate, the last patience included, and {why}; a min-requests "
        "of its own asks for less"
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


def of_each(rules: Rules, stages: Sequence[Stage]) -> Rules:
    """The rules by which each candidate of these stages is judged."""
    return rules.each_of(max((len(stage.weights) for stage in stages), default=0) or 1)


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
