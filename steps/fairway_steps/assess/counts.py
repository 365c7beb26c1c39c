"""What a release's windows say of one SLO's limit: how many requests broke it, at least and at most."""

import functools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from operator import add, attrgetter, methodcaller

from fairway_steps.model import Histogram, Slo, Stratum
from fairway_steps.stats.columns import Columns, broken
from fairway_steps.stats.counts import Array
from fairway_steps.stats.latency import quantile, tail
from fairway_steps.words import limit_of, name_of, seconds

ROUNDING = 1e-9
WHOLE = 2.0**53
"""Up to here a float holds a whole count as it is."""


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


def exceedances(sums: Array, slo: Slo) -> Exceedances:
    """Those of ``stats.columns.Columns.sums`` over some strata."""
    least, of_most, most, of_least = map(int, broken(sums, share=slo.metric.is_share))
    return Exceedances(least, of_most, most, of_least, slo.allowed)


def inconsistency(columns: Columns) -> str:
    """What is wrong with the counts, if anything."""
    return "" if _plainly_sound(columns) else next(filter(None, map(_flaw, columns.strata)), "")


def _plainly_sound(columns: Columns) -> bool:
    """Whether nothing is wrong, asked of all strata at once; those that hold more than is asked here are not plain."""
    for name in ("latencies", "comparisons", "differences"):
        if any(map(attrgetter(name), columns.strata)):
            return False
    failures = chain.from_iterable(map(methodcaller("values"), map(attrgetter("failures"), columns.strata)))
    if min(failures, default=0) < 0:
        return False
    if any(len(some.counts) != len(some.edges) for some in filter(None, map(attrgetter("latency"), columns.strata))):
        return False
    below: list[tuple[Array, Array | float]] = [(some.counts, WHOLE) for some in columns.buckets]
    below += [(columns.errors, columns.requests), (columns.requests, WHOLE), (columns.seconds, sys.float_info.max)]
    rise = all(_rise(some.edges) for some in columns.buckets)
    return rise and all(bool(((counts >= 0) & (counts <= most)).all()) for counts, most in below)


def _flaw(stratum: Stratum) -> str:
    histograms = [*filter(None, [stratum.latency]), *stratum.latencies.values()]
    counts = [stratum.requests, *stratum.failures.values(), stratum.comparisons, *stratum.differences.values()]
    for histogram in histograms:
        counts += histogram.counts
    if min(counts) < 0 or not math.isfinite(sum(counts)):  # a NaN makes the sum one
        return "one is negative or not a number"
    if not 0 <= stratum.seconds < math.inf:
        return "the sum of latencies is negative or not a number"
    if any(len(each.counts) != len(each.edges) or not _rise(each.edges) for each in histograms):
        return "the edges of a histogram do not rise to infinity"
    if stratum.errors > stratum.requests:
        return f"{stratum.errors} requests of {stratum.requests} failed"
    if stratum.differing > stratum.comparisons:
        return f"{stratum.differing} comparisons of {stratum.comparisons} differed"
    return ""


def between(slo: Slo, candidate: str, strata: Sequence[Stratum]) -> str:
    """Why the histograms cannot tell whether a limit on latency is kept; empty if it is an edge of all."""
    histograms = [each for each in together(strata) if not tail([each], slo.limit).exact]
    if not histograms:
        return ""
    cannot = f"whether {name_of(slo)} of {candidate} keeps {limit_of(slo)} cannot be told"
    if all(len(each.edges) == 1 for each in histograms):
        return f"{cannot}: how long {sum(each.total for each in histograms):,} requests took is not known"
    edges = tail(histograms, slo.limit)
    place = f"between the histogram's edges {seconds(edges.below)} and {seconds(edges.above)}"
    if math.isinf(edges.above):
        place = f"beyond the histogram's last edge, {seconds(edges.below)}"
    return f"{cannot}: that lies {place}; the nearest limit it can tell is {seconds(edges.nearest)}"


def quantile_of(slo: Slo, strata: Sequence[Stratum], requests: int, errors: int) -> float:
    """The quantile of all requests, of which failed ones took longest; those without a latency took as long as those with one."""
    assert slo.quantile is not None
    histograms, answered = together(strata), requests - errors
    timed = sum(histogram.total for histogram in histograms)
    known = min(1.0, timed / answered) if answered > 0 else 1.0
    return quantile(histograms, slo.quantile, errors * known, min(requests * known, timed + errors * known))


def together(strata: Sequence[Stratum]) -> list[Histogram]:
    """All latencies, as few histograms as their edges allow."""
    found: dict[tuple[float, ...], list[int]] = {}
    for histogram in (stratum.latency for stratum in strata if stratum.latency is not None):
        counts = found.get(histogram.edges)
        found[histogram.edges] = list(map(add, counts, histogram.counts)) if counts else list(histogram.counts)
    return [Histogram(edges, tuple(counts)) for edges, counts in found.items()]


@functools.lru_cache(maxsize=64)
def _rise(edges: tuple[float, ...]) -> bool:
    return bool(edges) and all(left < right for left, right in pairwise(edges)) and edges[-1] == math.inf
