"""SLOs on an average: a mean latency, and rates of which each window of time is one witness (``unit: stratum``).

Judged by the mean's asymptotic e-process (``stats.reward``), from how far each unit lies over the limit. Of a mean latency each request is
a unit: the sum of latencies is exact, and the spread is bounded by the histogram's edges. Where answers lie beyond the last edge it
has no bound, so half of the evidence comes from the windows' own means. Windows of which each is one unit need no independence
of the requests within them, and at least 100 of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from fairway_steps.assess.counts import ROUNDING, sums
from fairway_steps.assess.evidence import mixed
from fairway_steps.assess.pairs import known, size
from fairway_steps.assess.rest import Ending, Open, Scene, missing_here, no_data, too_few
from fairway_steps.model import Doubt, Evidence, Metric, Result, Slo, Stratum, Unit
from fairway_steps.stats.evidence import EValues, log_sum
from fairway_steps.stats.reward import MIN_UNITS, above_interval, mean_above
from fairway_steps.windows import Window
from fairway_steps.words import count, limit_of, name_of, number, seconds, share


@dataclass(frozen=True, slots=True)
class Away:
    """Of so many units: the sum of how far each lies over the limit, and at most the sum of its squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Away") -> "Away":
        return Away(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @classmethod
    def one(cls, value: float) -> "Away":
        return cls(1, value, value * value)

    @property
    def e_values(self) -> EValues:
        return mean_above(self.n, self.total, self.squares)

    @property
    def testable(self) -> bool:
        return self.n >= MIN_UNITS and math.isfinite(self.squares)


NOTHING = Away()


@dataclass(frozen=True, slots=True)
class Average:
    """One SLO and the windows of a release."""

    slo: Slo
    scene: Scene

    def harm(self) -> list[float]:
        """Ln e of harm after each of the scene's windows."""
        columns = self._columns(self._known, health=False)
        paths = []
        for begin in (0, *self.scene.changes):
            found = zip(*(accumulate(column[begin:]) for column in columns), strict=True)
            paths.append([0.0] * begin + [_mean([away.e_values.violated for away in now]) for now in found])
        return mixed(paths)

    def kept(self) -> float:
        """Ln e of health, by the stage's own evidence."""
        return _mean([_sum(column).e_values.met for column in self._columns(self._here, health=True)])

    def evidence(self, log_e: float, *, harmful: bool, open_: Open) -> Evidence:
        slo, scene = self.slo, self.scene
        if slo.relative and scene.problem:
            return no_data(slo, scene.problem)
        columns = [_sum(column) for column in self._columns(self._known, health=False)]
        requests, in_stage = self._requests(self._known), self._requests(self._here)
        if not requests or not columns[0].n:
            lacking = "request" if slo.metric.is_share else "latency"
            beside = f" beside {scene.primary}" if slo.relative else ""
            return no_data(
                slo, f"no {lacking} of {scene.candidate} was measured{beside}, so {name_of(slo)} is not known"
            )
        best = max(columns, key=lambda away: (away.testable, away.n))
        low, high = above_interval(best.n, best.total, best.squares)
        above = columns[0].total / columns[0].n
        kept = self.kept()
        if self.slo.metric is not Metric.LATENCY_MEAN or slo.unit is Unit.STRATUM:
            seen = f"{count(requests)} in {columns[0].n:,} windows"
        else:
            seen = count(requests)
        ending = self._ending(above, in_stage, seen, log_e, kept, open_, columns, harmful=harmful)
        sentence = f"{self._said(above, low, high)}, {ending.where} {self._bound}; {ending.after}"
        observed, reference = self._values(above)
        return Evidence(
            slo=slo,
            result=ending.result,
            sentence=sentence,
            requests=requests,
            observed=observed,
            log_e=log_e,
            missing=ending.missing,
            log_e_met=kept,
            reference=reference,
            doubt=ending.doubt,
        )

    def _ending(
        self,
        above: float,
        in_stage: int,
        seen: str,
        log_e: float,
        kept: float,
        open_: Open,
        columns: Sequence[Away],
        *,
        harmful: bool,
    ) -> Ending:
        """What the evidence comes to; over its limit without a test that could have proved it, a value is for a person."""
        over = above > ROUNDING * (self._limit or 1.0)
        if harmful:
            return Ending(Result.FAIL, "over", f"seen after {seen}")
        if missing := missing_here(self.slo, in_stage):
            result, after = too_few(self.slo, in_stage)
            return Ending(result, "against", after, missing, Doubt.FEW)
        if kept >= open_.enough:
            return Ending(Result.PASS, "within", f"proved by {count(in_stage)} at this weight")
        if open_.must_prove:
            more = max(1, math.ceil(in_stage * (open_.enough / kept - 1))) if kept > 0 else in_stage
            return Ending(
                Result.INCONCLUSIVE, "over" if over else "within", f"{seen} do not prove it kept", more, Doubt.PROOF
            )
        if not over:
            return Ending(Result.PASS, "within", f"seen after {seen}")
        testable = any(away.testable for away in columns)
        calm = testable and log_e < open_.alarming
        why = (
            "do not prove it"
            if testable
            else f"have too little known of their spread for a proof, {MIN_UNITS} windows would"
        )
        return Ending(Result.INCONCLUSIVE, "over", f"{seen} {why}", doubt=Doubt.OVER if calm else Doubt.HARM)

    @property
    def _known(self) -> list[list[Window]]:
        return known(self.scene) if self.slo.relative else [[window] for window in self.scene.windows]

    @property
    def _here(self) -> list[list[Window]]:
        weight, name = self.scene.weight, self.scene.candidate
        return [[w for w in now if weight in (None, w.strata[name].weight)] for now in self._known]

    @property
    def _limit(self) -> float:
        if self.slo.relative:
            return 0.0
        return self.slo.limit if self.slo.metric is Metric.LATENCY_MEAN else self.slo.allowed

    def _requests(self, known_: Sequence[Sequence[Window]]) -> int:
        own = [window.strata[self.scene.candidate] for now in known_ for window in now]
        if self.slo.metric is Metric.LATENCY_MEAN:
            return sum(stratum.latency.total for stratum in own if stratum.latency)
        return sum(map(size, own))

    def _columns(self, known_: Sequence[Sequence[Window]], *, health: bool) -> list[list[Away]]:
        """The units that became known with each window: those of each process of which the evidence is the mean."""
        by_window = [_sum([self._of_window(window, health=health) for window in now]) for now in known_]
        if self.slo.metric is not Metric.LATENCY_MEAN or self.slo.unit is Unit.STRATUM:
            return [by_window]
        own = self.scene.candidate
        return [[_sum([_of_requests(w.strata[own], self._limit) for w in now]) for now in known_], by_window]

    def _of_window(self, window: Window, *, health: bool) -> Away:
        """How far the window's own value lies over the limit; nothing if it has none."""
        own = window.strata[self.scene.candidate]
        if self.slo.metric is Metric.LATENCY_MEAN:
            timed = own.latency.total if own.latency else 0
            return Away.one(own.seconds / timed - self._limit) if timed else NOTHING
        if self.slo.relative:
            other = window.strata[self.scene.primary]
            if not (own.requests and other.requests):
                return NOTHING
            return Away.one(own.errors / own.requests - (1 + self.slo.limit) * other.errors / other.requests)
        if self.slo.metric is Metric.LATENCY and own.latency is None:
            return NOTHING
        found = sums(own, self.slo.limit if self.slo.metric is Metric.LATENCY else None).exceedances(self.slo)
        broke, of = (found.most, found.of_least) if health else (found.least, found.of_most)
        return Away.one(broke / of - self._limit) if of else NOTHING

    def _values(self, above: float) -> tuple[float, float | None]:
        """The candidate's value in the metric's unit, and the primary's."""
        if self.slo.relative:
            both = [(w.strata[self.scene.candidate], w.strata[self.scene.primary]) for now in self._known for w in now]
            rates = [(c.errors / c.requests, p.errors / p.requests) for c, p in both if c.requests and p.requests]
            return sum(own for own, _ in rates) / len(rates), sum(other for _, other in rates) / len(rates)
        value = above + self._limit
        return 1 - value if self.slo.metric is Metric.SUCCESS_RATE else value, None

    @property
    def _bound(self) -> str:
        if self.slo.relative:
            return f"what a margin of {number(100 * self.slo.limit)} % allows"
        if self.slo.metric is Metric.LATENCY:
            return f"the {share(self._limit)} that {name_of(self.slo)} allows"
        return f"the limit of {limit_of(self.slo)}"

    def _said(self, above: float, low: float, high: float) -> str:
        name, metric = self.scene.candidate, self.slo.metric
        told = seconds if metric is Metric.LATENCY_MEAN else share
        ends = (low + self._limit, high + self._limit)
        if metric is Metric.SUCCESS_RATE:
            ends = (1 - ends[1], 1 - ends[0])
        known_ = all(map(math.isfinite, ends)) and not self.slo.relative
        interval = f" (95 % interval {told(max(0.0, ends[0]))} to {told(ends[1])})" if known_ else ""
        value, reference = self._values(above)
        if metric is Metric.LATENCY_MEAN:
            return f"the mean latency of {name} is {seconds(value)}{interval}"
        if metric is Metric.LATENCY:
            return f"{share(value)} of requests to {name} failed or took longer than {limit_of(self.slo)} in a window on average{interval}"
        verb = "answers" if metric is Metric.SUCCESS_RATE else "fails"
        beside = f" and {self.scene.primary} {share(reference)}" if reference is not None else ""
        return f"{name} {verb} {share(value)} of requests{beside} in a window on average{interval}"


def _of_requests(stratum: Stratum, limit: float) -> Away:
    """Each request by its latency: their sum is known, the squares by the worse edge of the bucket each lies in."""
    histogram = stratum.latency
    if histogram is None or not histogram.total:
        return NOTHING
    squares, below = 0.0, 0.0
    for edge, many in zip(histogram.edges, histogram.counts, strict=True):
        if many:
            squares += many * max((edge - limit) ** 2, (below - limit) ** 2)
        below = edge
    return Away(histogram.total, stratum.seconds - histogram.total * limit, squares)


def _sum(units: Sequence[Away]) -> Away:
    return sum(units, NOTHING)


def _mean(logs: Sequence[float]) -> float:
    return log_sum(logs) - math.log(len(logs))
