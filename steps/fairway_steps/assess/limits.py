"""One SLO with a limit of its own: the evidence after every window, and what it says in the end.

Answers are compared while requests are mirrored, and in no other stage: what they said holds at every weight, so it is not asked
for anew at each.
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from fairway_steps.assess.counts import Exceedances, between, exceedances, quantile_of
from fairway_steps.assess.known import lacking
from fairway_steps.assess.rest import Open, Scene, few, missing_here, no_data, unproved
from fairway_steps.model import Doubt, Evidence, Metric, Result, Slo
from fairway_steps.stats.columns import broken
from fairway_steps.stats.counts import Array
from fairway_steps.stats.rate import (
    by_chance,
    confidence_interval,
    log_e_met,
    log_e_violated,
    log_e_violateds,
    requests_to_prove,
)
from fairway_steps.words import count, interval, limit_of, name_of, seconds, share


@dataclass(frozen=True)
class Limit:
    """An error rate, a success rate, a difference rate or a latency quantile against a fixed limit."""

    slo: Slo
    scene: Scene

    def harm(self) -> list[Array]:
        """Ln e of harm after each of the scene's windows, by what became known from the first and from each change of weights on, from what surely broke the limit."""
        paths = []
        for begin in (0, *self.scene.changes):
            sums = self._sums[:, begin:].cumsum(axis=1)
            least, of_most, _, _ = broken(sums, share=self.slo.metric.is_share)
            paths.append(log_e_violateds(least, of_most, self.slo.allowed))
        return paths

    def kept(self) -> float:
        """Ln e of health, by the stage's own evidence: what was well at a lower weight proves nothing of a higher one."""
        return _log_e_kept(self._here)

    @cached_property
    def _sums(self) -> Array:
        """A column a window; of an SLO on differences each comparison is a request, and fails if the answers differed."""
        if self.slo.metric is Metric.DIFFERENCE_RATE:
            return self.scene.columns.compared
        return self.scene.columns.sums(self.slo.limit if self.slo.metric is Metric.LATENCY else None)

    @cached_property
    def _here(self) -> Exceedances:
        here = slice(None) if self.slo.metric is Metric.DIFFERENCE_RATE else self.scene.is_here
        return exceedances(self._sums[:, here].sum(axis=1), self.slo)

    def evidence(self, log_e: float, *, harmful: bool, open_: Open) -> Evidence:
        slo, scene = self.slo, self.scene
        requests, errors, timed, _, _ = map(int, total := self._sums.sum(axis=1))
        if not requests and slo.metric is Metric.DIFFERENCE_RATE:
            return no_data(slo, f"no answer of {scene.candidate} was compared, so {name_of(slo)} is not known")
        if not requests:
            return no_data(slo, f"no request to {scene.candidate} was measured, so {name_of(slo)} is not known")
        if slo.metric is Metric.LATENCY and not timed:
            return no_data(slo, f"no latency of {scene.candidate} was measured, so {name_of(slo)} is not known")
        found, result = exceedances(total, slo), Result.INCONCLUSIVE
        observed, head, detail = self._observed(requests, errors, found)
        in_stage = self._here.of_least
        missing = missing_here(slo, in_stage)
        kept = _log_e_kept(self._here)
        sample, unknown = few(slo, in_stage, found.of_least, kept, open_), lacking(slo, scene)
        if not (harmful or sample or unknown) and (hidden := self._hidden(found)):
            return Evidence(slo, result, hidden, found.of_least, found.least, observed, doubt=Doubt.BUCKETS)
        low, _ = confidence_interval(found.least, found.of_most, found.allowed)
        _, high = confidence_interval(found.most, found.of_least, found.allowed)
        where = f"it may be {self._far_side}" if found.within and not harmful else self._far_side
        after = f"{self._count(found.of_least)} do not prove it"
        alarming = max(log_e, self._perhaps(found)) >= open_.alarming
        alarming |= by_chance(found.least, found.of_most, found.allowed) < open_.once
        doubt: Doubt | None = Doubt.HARM if alarming else Doubt.OVER
        if harmful:
            result, after, doubt = Result.FAIL, f"seen after {self._count(found.of_most)}", None
        elif sample:
            result, after, missing, doubt = sample.result, sample.after, sample.missing, sample.doubt
            where = "with" if found.within else where
        elif unknown:
            where, after, doubt = "against", unknown, Doubt.FEW
        elif open_.must_prove and kept < open_.enough:
            more = self._to_prove(self._here, open_.enough)
            doubt = unproved(slo, found.of_least) if found.allowed else Doubt.UNPROVABLE
            missing, where = more, "within" if found.within else where
            would = f"about {more:,} more would" if found.allowed else "no number of them would"
            after = f"{self._count(in_stage)}{self._at_weight} do not prove that it is kept, {would}"
        elif found.within and log_e < open_.alarming:
            result, where, doubt = Result.PASS, "within", None
            seen = f"seen after {self._count(found.of_least)}"
            after = f"proved by {self._count(in_stage)}{self._at_weight}" if kept >= open_.enough else seen
        limit = f"a limit of {limit_of(slo)}" if where == "with" else f"the limit of {limit_of(slo)}"
        bounds = (1 - high, 1 - low) if slo.metric is Metric.SUCCESS_RATE else (low, high)
        sentence = f"{head}, {where} {limit}{detail}; {after}".format(interval=interval(*bounds))
        return Evidence(
            slo, result, sentence, found.of_least, found.least, observed, low, high, log_e, missing, kept, doubt=doubt
        )

    def _perhaps(self, found: Exceedances) -> float:
        """Ln e of harm at one look, if all that may have broken the limit did: where edges hide them, more that surely did are no comfort."""
        return log_e_violated(found.most, found.of_least, found.allowed) if found.most > found.least else -math.inf

    @property
    def _at_weight(self) -> str:
        return "" if self.slo.metric is Metric.DIFFERENCE_RATE else " at this weight"

    def _count(self, number: int) -> str:
        return count(number, self.slo.metric.witness)

    @property
    def _far_side(self) -> str:
        return "under" if self.slo.metric is Metric.SUCCESS_RATE else "over"

    def _observed(self, requests: int, errors: int, found: Exceedances) -> tuple[float, str, str]:
        """The metric's own value, and how a sentence begins and goes on; ``{interval}`` stands for the interval."""
        name = self.scene.candidate
        if self.slo.metric is Metric.ERROR_RATE:
            rate = errors / requests
            return rate, f"{name} fails {share(rate)} of requests ({{interval}})", ""
        if self.slo.metric is Metric.SUCCESS_RATE:
            rate = 1 - errors / requests
            return rate, f"{name} answers {share(rate)} of requests ({{interval}})", ""
        if self.slo.metric is Metric.DIFFERENCE_RATE:
            rate = errors / requests
            head = f"{name} differs from {self.scene.primary or 'the primary'} in {share(rate)} of comparisons ({{interval}})"
            return rate, head, self._kinds()
        observed = quantile_of(self.slo, self.scene.own, requests, errors)
        head = f"{name_of(self.slo)} of {name} is {seconds(observed) if math.isfinite(observed) else 'beyond measure'}"
        slower = "failed or took longer" if errors else "took longer"
        broke = share(found.least / found.of_most)
        return observed, head, f": {broke} of requests {slower} ({{interval}}), {share(found.allowed)} may"

    def _kinds(self) -> str:
        """How they differ, the most frequent first."""
        found: Counter[str] = Counter()
        for stratum in self.scene.own:
            found.update(stratum.differences)
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return f": {', '.join(f'{kind} {number:,}' for kind, number in ordered)}" if ordered else ""

    def _hidden(self, found: Exceedances) -> str:
        """Why the histogram's edges around the limit leave open on which side of it the counts are, if they do."""
        if self.slo.metric is not Metric.LATENCY or found.within or found.beyond:
            return ""
        return between(self.slo, self.scene.candidate, self.scene.own)

    def _to_prove(self, found: Exceedances, enough: float) -> int:
        """How many requests more would prove the limit kept, if as many of them break it as until now did."""
        if found.allowed == 0 or not found.within:
            return self.slo.min_requests
        n = found.of_least
        for _ in range(20):
            broken = math.ceil(found.most / found.of_least * n)
            again = requests_to_prove(found.allowed, broken, math.exp(-enough))
            if again <= n:
                break
            n = again
        return max(1, n - found.of_least)


def _log_e_kept(found: Exceedances) -> float:
    """Ln e against "the limit is broken", from what perhaps broke it."""
    return log_e_met(found.most, found.of_least, found.allowed)
