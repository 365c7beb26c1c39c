"""SLOs on an average: a mean latency, and rates of which each window of time is one witness (``unit: stratum``).

Judged exactly (``stats.bets``), from how far each unit lies over the limit. Of a mean latency each request is a unit: the sum of latencies
is exact, and the squares are bounded by the histogram's edges. Where answers lie beyond the last edge they have no bound, so half of
the evidence comes from the windows' own means. Windows of which each is one unit need no independence of the requests within them.
That a mean is over its limit can be proved since no latency is negative; that it is within takes a ``timeout``, longer than which none is: a
request in a million that takes an hour would hide from all that came before it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.assess.counts import ROUNDING, between, quantile_of
from fairway_steps.assess.known import lacking
from fairway_steps.assess.rest import Ending, Open, Scene, few, no_data
from fairway_steps.assess.unpaired import by_windows
from fairway_steps.model import Doubt, Evidence, Metric, Result, Slo, Unit
from fairway_steps.stats.away import Away, Reach, Total, of_requests, of_windows, ratios
from fairway_steps.stats.bets import ENOUGH, ENOUGH_HERE
from fairway_steps.stats.columns import Columns, broken
from fairway_steps.stats.counts import Array
from fairway_steps.stats.late import mean_of
from fairway_steps.words import count, limit_of, name_of, number, seconds, share

UNBOUNDED = "nothing bounds a latency, so no number of them proves a mean; a timeout would, longer than which none is"


@dataclass(frozen=True)
class Average:
    """One SLO and the windows of a release."""

    slo: Slo
    scene: Scene

    def harm(self) -> list[Array]:
        """Ln e of harm after each of the scene's windows, by what became known from the first and from each change of weights on."""
        columns = self._columns(health=False)
        return [mean_of([away.violated(begin) for away in columns]) for begin in (0, *self.scene.changes)]

    def kept(self) -> float:
        """Ln e of health, by the stage's own evidence."""
        here = self._is_here
        return float(mean_of([away.met(here) for away in self._columns(health=True)])[0])

    def evidence(self, log_e: float, *, harmful: bool, open_: Open) -> Evidence:
        slo, scene = self.slo, self.scene
        if slo.relative and scene.problem:
            return no_data(slo, scene.problem)
        columns = [away.total() for away in self._columns(health=False)]
        requests = int(self._sizes.sum())
        in_stage = int(min(sizes[self._is_here].sum() for sizes in (self._sizes, self._own.requests)))
        if not requests or not columns[0].n or (slo.metric is Metric.LATENCY and not self._own.timed.any()):
            what = "request" if slo.metric.is_share else "latency"
            beside = f" beside {scene.primary}" if slo.relative else ""
            nor = ", or not their sum" if slo.metric is Metric.LATENCY_MEAN else ""
            return no_data(
                slo, f"no {what} of {scene.candidate} was measured{beside}{nor}, so {name_of(slo)} is not known"
            )
        best = max(columns, key=lambda away: (away.testable, away.n))
        low, high = best.interval()
        above = columns[0].total / columns[0].n
        kept = self.kept()
        if self.slo.metric is not Metric.LATENCY_MEAN or slo.unit is Unit.STRATUM:
            seen = f"{count(requests)} in {columns[0].n:,} windows"
        else:
            seen = count(requests)
        ending = self._ending(above, in_stage, seen, log_e, kept, open_, columns, harmful=harmful)
        sentence = f"{self._said(above, low, high)}, {ending.where} {self._bound}; {ending.after}"
        if ending.doubt is Doubt.BUCKETS:
            sentence = ending.after
        observed, reference = self._values(above)
        if slo.metric is Metric.LATENCY:
            observed = quantile_of(slo, scene.own, requests, int(self._own.errors.sum()))
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

    def _ending(  # noqa: PLR0911 - one return a meaning
        self,
        above: float,
        in_stage: int,
        seen: str,
        log_e: float,
        kept: float,
        open_: Open,
        columns: Sequence[Total],
        *,
        harmful: bool,
    ) -> Ending:
        """What the evidence comes to; over its limit without a test that could have proved it, a value is for a person."""
        perhaps, rounding = self._perhaps(), ROUNDING * (self._limit or 1.0)
        over = above > rounding
        may = over or (perhaps is not None and perhaps.total > perhaps.n * rounding)
        if harmful:
            return Ending(Result.FAIL, "over", f"seen after {seen}")
        if unknown := self._unknown(in_stage, kept, open_):
            return unknown
        if kept >= open_.enough:
            return Ending(Result.PASS, "within", f"proved by {count(in_stage)} at this weight")
        if may and not over and (hidden := between(self.slo, self.scene.candidate, self.scene.own)):
            return Ending(Result.INCONCLUSIVE, after=hidden, doubt=Doubt.BUCKETS)
        fewer = self._fewer(open_)
        if open_.must_prove:
            doubt = Doubt.FEW if fewer else Doubt.PROOF
            return self._unproved(in_stage, seen, kept, open_, "over" if may else "within", doubt)
        if fewer:
            return fewer
        if not may and log_e < open_.alarming:
            return Ending(Result.PASS, "within", f"seen after {seen}")
        where = "over" if over else "it may be over"
        if not any(away.testable for away in columns):
            why = f"have too little known of their spread for a proof, {ENOUGH} windows would"
            return Ending(Result.INCONCLUSIVE, where, f"{seen} {why}", doubt=Doubt.FEW)
        by_window = columns[-1]
        calm = max(log_e, by_window.log_e_alike, perhaps.log_e if perhaps else log_e) < open_.alarming
        return Ending(Result.INCONCLUSIVE, where, f"{seen} do not prove it", doubt=Doubt.OVER if calm else Doubt.HARM)

    def _unknown(self, in_stage: int, kept: float, open_: Open) -> Ending | None:
        """What must be known before anything is judged, and is not."""
        if sample := few(self.slo, in_stage, in_stage, kept, open_):
            return sample
        if unknown := lacking(self.slo, self.scene):
            return Ending(Result.INCONCLUSIVE, "against", unknown, doubt=Doubt.FEW)
        return by_windows(self.scene, 1 + self.slo.limit).doubt(self.scene, open_) if self.slo.relative else None

    def _perhaps(self) -> Total | None:
        """All windows by what may have broken a limit on latency, where edges or unknown latencies leave that open."""
        if self.slo.metric is not Metric.LATENCY:
            return None
        surely, most = (self._by_window(health=health) for health in (False, True))
        return most.total() if (surely.sums != most.sums).any() else None

    def _fewer(self, open_: Open) -> Ending | None:
        """Whether there are too few units to tell anything but by a proof, of the stage or in all: windows, or requests whose scatter is bounded."""
        *requests, by_window = self._columns(health=False)
        bounded = next((away for away in requests if math.isfinite(away.total().squares)), by_window)
        what = "window" if bounded is by_window else "request"
        why = " where no edge bounds the latencies" if requests and bounded is by_window else ""
        there = bounded.sums[0]
        asked = [(there[self._is_here], ENOUGH_HERE, "at this weight")]
        asked += [(there, ENOUGH, "in all")] if open_.is_last else []
        for units, least, where in asked:
            if (n := int(units.sum())) < least:
                after = f"{count(n, what)} {where} {'is' if n == 1 else 'are'} too few, {least} are needed{why}"
                return Ending(Result.INCONCLUSIVE, "against", after, least - n, Doubt.FEW)
        return None

    def _unproved(self, in_stage: int, seen: str, kept: float, open_: Open, where: str, doubt: Doubt) -> Ending:
        if not math.isfinite(self._reach.over):
            return Ending(Result.INCONCLUSIVE, where, UNBOUNDED, doubt=Doubt.UNPROVABLE)
        more = max(1, math.ceil(in_stage * (open_.enough / kept - 1))) if kept > 0 else in_stage
        return Ending(Result.INCONCLUSIVE, where, f"{seen} do not prove it kept", more, doubt)

    @property
    def _own(self) -> Columns:
        """The windows that tell of the SLO: those with the primary beside, or all; of a latency with their failures."""
        return self._told[0]

    @property
    def _looks(self) -> Sequence[int]:
        return self._told[1]

    @property
    def _told(self) -> tuple[Columns, Sequence[int]]:
        if self.slo.relative:
            return self.scene.shared.own, self.scene.shared.looks
        if self.slo.metric is Metric.LATENCY:
            return self.scene.joined.own, self.scene.joined.looks
        return self.scene.columns, range(len(self.scene.windows))

    @property
    def _is_here(self) -> list[bool]:
        return self.scene.judged(self._own.strata)

    @property
    def _sizes(self) -> Array:
        return self._own.timed if self.slo.metric is Metric.LATENCY_MEAN else self._own.sizes

    @property
    def _limit(self) -> float:
        if self.slo.relative:
            return 0.0
        return self.slo.limit if self.slo.metric is Metric.LATENCY_MEAN else self.slo.allowed

    def _columns(self, *, health: bool) -> list[Away]:
        """The units that became known with each window: those of each process of which the evidence is the mean."""
        by_window = self._by_window(health=health)
        if self.slo.metric is not Metric.LATENCY_MEAN or self.slo.unit is Unit.STRATUM:
            return [by_window]
        return [of_requests(self._own, self._limit, self._looks, by_window.end, self._reach), by_window]

    def _by_window(self, *, health: bool) -> Away:
        return of_windows(self._above(health=health), self._looks, len(self.scene.windows), self._reach)

    @property
    def _reach(self) -> Reach:
        """A share lies between 0 and 1, and so do two whose difference is asked for; a latency from 0 to its timeout."""
        if self.slo.relative:
            return Reach(1 + self.slo.limit, 1.0)
        if self.slo.metric is Metric.LATENCY_MEAN:
            return Reach(self._limit, math.inf if self.slo.timeout is None else self.slo.timeout - self._limit)
        return Reach(self._limit, 1 - self._limit)

    def _above(self, *, health: bool) -> Array:
        """How far each window's own value lies over the limit; NaN if it has none."""
        own = self._own
        if self.slo.metric is Metric.LATENCY_MEAN:
            return ratios(own.seconds, own.timed) - self._limit
        if self.slo.relative:
            other = self.scene.shared.other
            return ratios(own.errors, own.requests) - ratios((1 + self.slo.limit) * other.errors, other.requests)
        sums = own.sums(self.slo.limit if self.slo.metric is Metric.LATENCY else None)
        least, of_most, most, of_least = broken(sums, share=self.slo.metric.is_share)
        return ratios(most, of_least) - self._limit if health else ratios(least, of_most) - self._limit

    def _values(self, above: float) -> tuple[float, float | None]:
        """The candidate's value in the metric's unit, and the primary's."""
        if self.slo.relative:
            columns = self.scene.shared.own, self.scene.shared.other
            rates = zip(*(ratios(each.errors, each.requests).tolist() for each in columns), strict=True)
            both = [pair for pair in rates if not any(map(math.isnan, pair))]
            return sum(own for own, _ in both) / len(both), sum(other for _, other in both) / len(both)
        value = max(0.0, round(above + self._limit, 12))  # what is left of a difference by rounding is none
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
        least = told(max(0.0, ends[0]))
        reach = f"{least} to {told(ends[1])}" if math.isfinite(ends[1]) else f"from {least} on"
        interval = "" if self.slo.relative else f" (95 % interval {reach})"
        value, reference = self._values(above)
        if metric is Metric.LATENCY_MEAN:
            return f"the mean latency of {name} is {seconds(value)}{interval}"
        if metric is Metric.LATENCY:
            return f"{share(value)} of requests to {name} failed or took longer than {limit_of(self.slo)} in a window on average{interval}"
        verb = "answers" if metric is Metric.SUCCESS_RATE else "fails"
        beside = f" and {self.scene.primary} {share(reference)}" if reference is not None else ""
        return f"{name} {verb} {share(value)} of requests{beside} in a window on average{interval}"
