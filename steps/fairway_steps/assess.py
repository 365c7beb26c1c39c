"""From counts to a verdict. Pure: missing data is never a pass.

Harm is proved by an e-process over the whole release (``stats.rate``), so it may be looked for at any moment: a
candidate that keeps its SLOs is rolled back with probability at most ``alpha``, however many looks are taken, for the
SLOs that are tested share ``alpha`` equally. Going on is a matter of a stage's end: enough requests at its weight,
and every observed value within its limit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from fairway_steps.model import Assessment, Evidence, Histogram, Metric, Result, Slo, Stratum, Verdict
from fairway_steps.stats.evidence import ALPHA
from fairway_steps.stats.latency import Tail, quantile, tail
from fairway_steps.stats.rate import confidence_interval, log_e_violated
from fairway_steps.words import count, interval, limit_of, name_of, seconds, share, value_of

ROUNDING = 1e-9


def assess(
    slos: Sequence[Slo],
    strata: Sequence[Stratum],
    *,
    candidate: str,
    weight: int | None = None,
    at_horizon: bool = True,
    is_last: bool = False,
    alpha: float = ALPHA,
    on_inconclusive: Verdict = Verdict.HOLD,
) -> Assessment | None:
    """The verdict on ``candidate``, or None while there is none yet: before the horizon only proof of harm is one.

    ``strata`` are those of the whole release so far, of any version; those at ``weight`` percent are the stage's own
    and must hold the minimum sample (None: all must). ``on_inconclusive`` is what comes of evidence that decides nothing:
    HOLD, ROLLBACK or PROMOTE; for want of data it is never PROMOTE.
    """
    evidence = weigh(slos, strata, candidate=candidate, weight=weight, at_horizon=at_horizon, alpha=alpha)
    return decide(
        evidence, candidate=candidate, at_horizon=at_horizon, is_last=is_last, on_inconclusive=on_inconclusive
    )


def weigh(
    slos: Sequence[Slo],
    strata: Sequence[Stratum],
    *,
    candidate: str,
    weight: int | None = None,
    at_horizon: bool = True,
    alpha: float = ALPHA,
) -> tuple[Evidence, ...]:
    """The evidence for each SLO, in their order."""
    own = [stratum for stratum in strata if stratum.version == candidate]
    stage = own if weight is None else [stratum for stratum in own if stratum.weight == weight]
    tested = sum(slo.metric is not Metric.LATENCY_MEAN for slo in slos)
    scales = _Scales(candidate, own, stage, at_horizon, math.log(max(1, tested) / alpha))
    return tuple(scales.weigh(slo) for slo in slos)


def decide(
    evidence: Sequence[Evidence],
    *,
    candidate: str,
    at_horizon: bool,
    is_last: bool,
    on_inconclusive: Verdict = Verdict.HOLD,
    problem: str = "",
) -> Assessment | None:
    """What follows from the evidence; ``problem`` says why the source could not be read at the end."""
    evidence = tuple(evidence)
    failed = [item for item in evidence if item.result is Result.FAIL]
    if failed:
        return Assessment(Verdict.ROLLBACK, "; ".join(item.sentence for item in failed), evidence)
    if not at_horizon:
        return None
    cautious = Verdict.ROLLBACK if on_inconclusive is Verdict.ROLLBACK else Verdict.HOLD
    if problem or not evidence:
        return Assessment(cautious, f"no evidence: {problem or 'there is no SLO to judge by'}", evidence)
    if missing := [item for item in evidence if item.result is Result.NO_DATA]:
        return Assessment(cautious, missing[0].sentence, evidence)
    onward = Verdict.PROMOTE if is_last else Verdict.ADVANCE
    if open_ := [item for item in evidence if item.result is Result.INCONCLUSIVE]:
        verdict = cautious if on_inconclusive in (Verdict.HOLD, Verdict.ROLLBACK) else onward
        return Assessment(verdict, open_[0].sentence, evidence)
    met = ", ".join(value_of(item) for item in evidence)
    return Assessment(onward, f"{candidate} keeps its SLOs: {met}", evidence)


@dataclass(frozen=True, slots=True)
class _Exceedances:
    """Between ``least`` of ``of_most`` and ``most`` of ``of_least`` requests broke a limit that ``allowed`` of them may."""

    least: int
    of_most: int
    most: int
    of_least: int
    allowed: float

    @property
    def within(self) -> bool:
        return self.most <= self.allowed * self.of_least * (1 + ROUNDING)

    @property
    def beyond(self) -> bool:
        return self.least > self.allowed * self.of_most * (1 + ROUNDING)


@dataclass(frozen=True, slots=True)
class _Scales:
    """The candidate's strata, and how strong (``bar``, in ln e) a proof of harm must be."""

    candidate: str
    strata: Sequence[Stratum]
    stage: Sequence[Stratum]
    at_horizon: bool
    bar: float

    def weigh(self, slo: Slo) -> Evidence:
        if problem := _inconsistency(self.strata):
            return self._no_data(slo, f"the counts of {self.candidate} cannot be: {problem}")
        if slo.metric is Metric.ERROR_RATE:
            return self._error_rate(slo)
        if not any(histogram.total for histogram in _histograms(self.strata)):
            return self._no_data(slo, f"no latency of {self.candidate} was measured, so {name_of(slo)} is not known")
        return self._latency(slo) if slo.metric is Metric.LATENCY else self._mean(slo)

    def _error_rate(self, slo: Slo) -> Evidence:
        requests, errors = _requests(self.strata), _errors(self.strata)
        if not requests:
            return self._no_data(slo, f"no request to {self.candidate} was measured, so {name_of(slo)} is not known")
        found = _Exceedances(errors, requests, errors, requests, slo.limit)
        observed = errors / requests
        head = f"{self.candidate} fails {share(observed)} of requests ({{interval}})"
        return self._test(slo, found, observed, _requests(self.stage), head, "")

    def _latency(self, slo: Slo) -> Evidence:
        assert slo.quantile is not None
        histograms, requests, errors = _histograms(self.strata), _requests(self.strata), _errors(self.strata)
        over = tail(histograms, slo.limit)
        of_least = min(requests, over.total + errors)
        found = _Exceedances(
            least=max(over.least, errors),
            of_most=max(requests, over.total),
            most=min(of_least, over.most + errors),
            of_least=of_least,
            allowed=round(1 - slo.quantile, 12),
        )
        observed = quantile(histograms, slo.quantile, errors, of_least)
        in_stage = min(_requests(self.stage), tail(_histograms(self.stage), slo.limit).total + _errors(self.stage))
        missing = max(0, slo.min_requests - in_stage)
        if not over.exact and not found.within and not found.beyond:
            return self._unresolved(slo, found, over, observed, missing)
        head = f"{name_of(slo)} of {self.candidate} is {seconds(observed) if math.isfinite(observed) else 'beyond measure'}"
        slower = "failed or took longer" if errors else "took longer"
        detail = (
            f": {share(found.least / found.of_most)} of requests {slower} ({{interval}}), {share(found.allowed)} may"
        )
        return self._test(slo, found, observed, in_stage, head, detail)

    def _unresolved(self, slo: Slo, found: _Exceedances, over: Tail, observed: float, missing: int) -> Evidence:
        sentence = (
            f"whether {name_of(slo)} of {self.candidate} keeps {limit_of(slo)} cannot be told: that lies between the "
            f"histogram's edges {seconds(over.below)} and {seconds(over.above)}; the nearest limit it can tell is "
            f"{seconds(over.nearest)}"
        )
        return Evidence(slo, Result.INCONCLUSIVE, sentence, found.of_least, found.least, observed, missing=missing)

    def _test(self, slo: Slo, found: _Exceedances, observed: float, in_stage: int, head: str, detail: str) -> Evidence:
        log_e = log_e_violated(found.least, found.of_most, found.allowed)
        low, _ = confidence_interval(found.least, found.of_most, found.allowed)
        _, high = confidence_interval(found.most, found.of_least, found.allowed)
        missing = max(0, slo.min_requests - in_stage)
        result, where, after = Result.INCONCLUSIVE, "over", f"{count(found.of_least)} do not prove it"
        if log_e >= self.bar:
            result, after = Result.FAIL, f"seen after {count(found.of_most)}"
        elif missing:
            result, after = _too_few(slo, in_stage)
            where = "with" if found.within else "over"
        elif found.within:
            result, where, after = Result.PASS, "within", f"seen after {count(found.of_least)}"
        limit = f"a limit of {limit_of(slo)}" if where == "with" else f"the limit of {limit_of(slo)}"
        sentence = f"{head}, {where} {limit}{detail}; {after}".format(interval=interval(low, high))
        return Evidence(slo, result, sentence, found.of_least, found.least, observed, low, high, log_e, missing)

    def _mean(self, slo: Slo) -> Evidence:
        total = sum(histogram.total for histogram in _histograms(self.strata))
        observed = sum(stratum.seconds for stratum in self.strata if stratum.latency) / total
        in_stage = sum(histogram.total for histogram in _histograms(self.stage))
        missing = max(0, slo.min_requests - in_stage)
        said = f"the mean latency of {self.candidate} is {seconds(observed)}"
        once = "compared once, at the stage's end, for a mean from sums has no interval"
        if missing:
            result, why = _too_few(slo, in_stage)
            rest = f"with a limit of {limit_of(slo)}; {why}"
        elif not self.at_horizon:
            result, rest = Result.INCONCLUSIVE, f"with a limit of {limit_of(slo)}; it is {once}"
        elif observed <= slo.limit * (1 + ROUNDING):
            result, rest = Result.PASS, f"within the limit of {limit_of(slo)}; {once}; seen after {count(total)}"
        else:
            result, rest = Result.FAIL, f"over the limit of {limit_of(slo)}; {once}; seen after {count(total)}"
        return Evidence(slo, result, f"{said}, {rest}", total, 0, observed, missing=missing)

    def _no_data(self, slo: Slo, sentence: str) -> Evidence:
        return Evidence(slo, Result.NO_DATA, sentence, missing=slo.min_requests)


def _too_few(slo: Slo, in_stage: int) -> tuple[Result, str]:
    """A stage without a request is one without data, whatever the stages before it showed."""
    if not in_stage:
        return Result.NO_DATA, "no request at this weight was measured"
    are = "is" if in_stage == 1 else "are"
    return Result.INCONCLUSIVE, f"{count(in_stage)} at this weight {are} too few, {slo.min_requests} are needed"


def _requests(strata: Sequence[Stratum]) -> int:
    return sum(stratum.requests for stratum in strata)


def _errors(strata: Sequence[Stratum]) -> int:
    return sum(stratum.errors for stratum in strata)


def _histograms(strata: Sequence[Stratum]) -> list[Histogram]:
    return [stratum.latency for stratum in strata if stratum.latency is not None]


def _inconsistency(strata: Sequence[Stratum]) -> str:
    """What is wrong with the counts, if anything; ``not x >= 0`` is true for NaN as well."""
    for stratum in strata:
        counts = [stratum.requests, *stratum.failures.values(), *(stratum.latency.counts if stratum.latency else ())]
        if any(not number >= 0 for number in counts):
            return "one is negative or not a number"
        if not (math.isfinite(stratum.seconds) and stratum.seconds >= 0):
            return "the sum of latencies is negative or not a number"
        if stratum.latency and not _well_formed(stratum.latency):
            return "the edges of a histogram do not rise to infinity"
    if _errors(strata) > _requests(strata):
        return f"{_errors(strata)} requests of {_requests(strata)} failed"
    return ""


def _well_formed(histogram: Histogram) -> bool:
    edges = histogram.edges
    rising = all(left < right for left, right in pairwise(edges))
    return bool(edges) and len(edges) == len(histogram.counts) and rising and edges[-1] == math.inf
