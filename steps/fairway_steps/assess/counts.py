"""What a release's windows say of one SLO's limit: how many requests broke it, at least and at most."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import add

from fairway_steps.model import Histogram, Metric, Slo, Stratum
from fairway_steps.stats.latency import Tail, tail

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Exceedances:
    """Between ``least`` of ``of_most`` and ``most`` of ``of_least`` requests broke a limit that a share ``allowed`` may."""

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

    @property
    def exact(self) -> bool:
        return (self.least, self.of_most) == (self.most, self.of_least)


@dataclass(frozen=True, slots=True)
class Sums:
    """Whole counts that add up over windows: requests, failed ones, latencies, and those surely and perhaps over a limit."""

    requests: int = 0
    errors: int = 0
    timed: int = 0
    over: int = 0
    perhaps: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.requests + other.requests,
            self.errors + other.errors,
            self.timed + other.timed,
            self.over + other.over,
            self.perhaps + other.perhaps,
        )

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(
            self.requests - other.requests,
            self.errors - other.errors,
            self.timed - other.timed,
            self.over - other.over,
            self.perhaps - other.perhaps,
        )

    def exceedances(self, slo: Slo) -> Exceedances:
        """A failed request is slower than any limit; whether the histogram holds it as well is not known."""
        if slo.metric.is_share:
            return Exceedances(self.errors, self.requests, self.errors, self.requests, slo.allowed)
        of_least = min(self.requests, self.timed + self.errors)
        return Exceedances(
            least=max(self.over, self.errors),
            of_most=max(self.requests, self.timed),
            most=min(of_least, self.perhaps + self.errors),
            of_least=of_least,
            allowed=slo.allowed,
        )


def sums(stratum: Stratum, limit: float | None) -> Sums:
    """One stratum's counts; ``limit`` is in seconds, None for a rate."""
    if limit is None or stratum.latency is None:
        return Sums(stratum.requests, stratum.errors, stratum.latency.total if stratum.latency else 0)
    found = over(stratum.latency, limit)
    return Sums(stratum.requests, stratum.errors, found.total, found.least, found.most)


def running(strata: Iterable[Stratum], slo: Slo) -> list[Sums]:
    """The counts after each stratum; of an SLO on differences each comparison is a request, and fails if the answers differed."""
    if slo.metric is Metric.DIFFERENCE_RATE:
        return list(accumulate(Sums(stratum.comparisons, stratum.differing) for stratum in strata))
    limit = slo.limit if slo.metric is Metric.LATENCY else None
    return list(accumulate(sums(stratum, limit) for stratum in strata))


@lru_cache(maxsize=1 << 15)
def over(histogram: Histogram, limit: float) -> Tail:
    return tail((histogram,), limit)


def inconsistency(strata: Sequence[Stratum]) -> str:
    """What is wrong with the counts, if anything."""
    for stratum in strata:
        counts = [stratum.requests, *stratum.failures.values(), *(stratum.latency.counts if stratum.latency else ())]
        counts += [stratum.comparisons, *stratum.differences.values()]
        if min(counts) < 0 or not math.isfinite(sum(counts)):  # a NaN makes the sum one
            return "one is negative or not a number"
        if not (math.isfinite(stratum.seconds) and stratum.seconds >= 0):
            return "the sum of latencies is negative or not a number"
        if stratum.latency and not (
            len(stratum.latency.counts) == len(stratum.latency.edges) and _rise(stratum.latency.edges)
        ):
            return "the edges of a histogram do not rise to infinity"
        if stratum.errors > stratum.requests:
            return f"{stratum.errors} requests of {stratum.requests} failed"
        if stratum.differing > stratum.comparisons:
            return f"{stratum.differing} comparisons of {stratum.comparisons} differed"
    return ""


def together(strata: Sequence[Stratum]) -> list[Histogram]:
    """All latencies, as few histograms as their edges allow."""
    found: dict[tuple[float, ...], list[int]] = {}
    for histogram in (stratum.latency for stratum in strata if stratum.latency is not None):
        counts = found.get(histogram.edges)
        found[histogram.edges] = list(map(add, counts, histogram.counts)) if counts else list(histogram.counts)
    return [Histogram(edges, tuple(counts)) for edges, counts in found.items()]


@lru_cache(maxsize=1 << 10)
def _rise(edges: tuple[float, ...]) -> bool:
    return bool(edges) and all(left < right for left, right in pairwise(edges)) and edges[-1] == math.inf
