"""Whether answers are slow, against a limit and against the primary beside, valid however often one looks.

"The q quantile is at most L" means "at most a share 1 - q of the requests takes longer than L": a rate, so ``stats.rate`` judges
it. "Slower than the primary" means that more of the requests lie above an edge: a rate against a rate, so
``stats.comparison`` judges it, at several edges fixed beforehand, and the e-values are averaged; the mean of e-values is an
e-value whatever their dependence (Vovk and Wang, "E-values: calibration, combination and applications", Ann. Statist. 49(3), 2021).
A request that failed counts as one that took for ever. Latencies and limits are seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fairway_steps.model import Histogram
from fairway_steps.stats.comparison import MARGIN, WORSE_THAN, RateVsPrimary
from fairway_steps.stats.counts import Array, Counts
from fairway_steps.stats.evidence import ALPHA, NO_EVIDENCE, EValues
from fairway_steps.stats.latency import SAME
from fairway_steps.stats.rate import RateVsLimit

SHARES = (0.90, 0.95, 0.98, 0.99, 0.995)
"""The primary's quantiles at which a calibration puts the edges."""


@dataclass(frozen=True, slots=True)
class LatencyVsLimit:
    """The evidence on whether the ``quantile`` of the latency keeps ``limit`` seconds.

    Harm is told by ``least``, the requests that were surely slower, and health by ``most``, those that were not surely as fast:
    the same counts where the limit is an edge of the histogram, or latencies are raw. Make one with ``latency_vs_limit``.
    """

    limit: float
    quantile: float
    least: RateVsLimit
    most: RateVsLimit

    def update(self, least: Counts, of_most: Counts, most: Counts, of_least: Counts) -> "LatencyVsLimit":
        """The state after further strata: ``least`` of ``of_most`` surely, ``most`` of ``of_least`` perhaps were slower."""
        return replace(self, least=self.least.update(least, of_most), most=self.most.update(most, of_least))

    def then(self, later: "LatencyVsLimit") -> "LatencyVsLimit":
        """The state after all that ``later`` saw, too: other strata, as one look."""
        if (self.limit, self.quantile) != (later.limit, later.quantile):
            raise ValueError("evidence on another limit does not continue this")
        return replace(self, least=self.least.then(later.least), most=self.most.then(later.most))

    @property
    def exact(self) -> bool:
        return (self.least.errors, self.least.n) == (self.most.errors, self.most.n)

    @property
    def n(self) -> int:
        return self.most.n

    @property
    def now(self) -> EValues:
        return EValues(self.least.now.violated, self.most.now.met)

    @property
    def peak(self) -> EValues:
        return EValues(self.least.peak.violated, self.most.peak.met)

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Shares of slower requests that the counts do not exclude at any look."""
        return self.least.interval(alpha)[0], self.most.interval(alpha)[1]


def latency_vs_limit(limit: float, quantile: float) -> LatencyVsLimit:
    """The state before any request. Raises ValueError for a limit not above 0 and a quantile not between 0 and 1."""
    if not 0 < limit < math.inf:
        raise ValueError(f"a limit of {limit:g} s is not above 0")
    allowed = round(1 - checked_quantile(quantile), 12)
    return LatencyVsLimit(limit, quantile, RateVsLimit(allowed), RateVsLimit(allowed))


def checked_quantile(quantile: float) -> float:
    """``quantile`` itself. Raises ValueError unless it lies between 0 and 1, both excluded."""
    if not 0 < quantile < 1:
        raise ValueError(
            f"a quantile of {quantile:g} is not between 0 and 1, both excluded (0.99 is the 99th percentile)"
        )
    return quantile


@dataclass(frozen=True, slots=True)
class LatencyVsPrimary:
    """The evidence on whether the candidate is slower than the primary, from the requests above each of ``edges`` seconds.

    ``violated`` averages the e-values of all edges. ``met`` takes the weakest of them, for at every edge health must be proved,
    or that of the one edge ``gate``. Make one with ``latency_vs_primary``.
    """

    edges: tuple[float, ...]
    tests: tuple[RateVsPrimary, ...]
    gate: int | None = None
    peak: EValues = NO_EVIDENCE

    def update(
        self, over: Sequence[Counts], n: Counts, over_primary: Sequence[Counts], n_primary: Counts
    ) -> "LatencyVsPrimary":
        """The state after further strata: ``over[i]`` requests of ``n`` took longer than ``edges[i]``, failed ones included.

        Each count is one number, or one a stratum in the order of time; all edges are told at every look.
        """
        if not len(over) == len(over_primary) == len(self.edges):
            raise ValueError(
                f"counts above {len(over)} and {len(over_primary)} edges do not fit {len(self.edges)} edges"
            )
        walks = [
            test.walk(slow, n, slow_primary, n_primary)
            for test, slow, slow_primary in zip(self.tests, over, over_primary, strict=True)
        ]
        tests = tuple(walk[0] for walk in walks)
        violated, met = self._combined(np.array([walk[1] for walk in walks]), np.array([walk[2] for walk in walks]))
        if not violated.size:
            return self
        return replace(self, tests=tests, peak=self.peak.highest(EValues(float(violated.max()), float(met.max()))))

    def then(self, later: "LatencyVsPrimary") -> "LatencyVsPrimary":
        """The state after all that ``later`` saw, too: other strata, as one look."""
        if (self.edges, self.gate) != (later.edges, later.gate):
            raise ValueError("evidence at other edges does not continue this")
        merged = replace(self, tests=tuple(a.then(b) for a, b in zip(self.tests, later.tests, strict=True)))
        return replace(merged, peak=self.peak.highest(merged.now))

    @property
    def n(self) -> int:
        return self.tests[0].n

    @property
    def now(self) -> EValues:
        each = [test.now for test in self.tests]
        violated, met = self._combined(np.array([[e.violated] for e in each]), np.array([[e.met] for e in each]))
        return EValues(float(violated[0]), float(met[0]))

    def _combined(self, violated: Array, met: Array) -> tuple[Array, Array]:
        """From ln of the e-values of all edges (rows) at each look (columns)."""
        mean: Array = np.logaddexp.reduce(violated, axis=0) - math.log(len(self.edges))
        return mean, met.min(axis=0) if self.gate is None else met[self.gate]

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """The odds ratio of slower requests at the gate's edge, or at the middle one, not excluded at any look."""
        return self.tests[len(self.tests) // 2 if self.gate is None else self.gate].interval(alpha)


def latency_vs_primary(
    edges: Sequence[float], gate: int | None = None, worse_than: float = WORSE_THAN, margin: float = MARGIN
) -> LatencyVsPrimary:
    """The state before any request. Raises ValueError unless ``edges`` are finite, above 0 and rise."""
    rising = tuple(float(edge) for edge in edges)
    if not rising or any(not 0 < edge < math.inf for edge in rising) or list(rising) != sorted(set(rising)):
        raise ValueError(f"{list(edges)} are not edges in seconds that rise")
    if gate is not None and not 0 <= gate < len(rising):
        raise ValueError(f"there is no edge {gate} among {len(rising)}")
    return LatencyVsPrimary(rising, tuple(RateVsPrimary(worse_than, margin) for _ in rising), gate)


def exceedances(histogram: Histogram, edges: Sequence[float], failed: int = 0) -> tuple[int, ...]:
    """How many requests took longer than each of ``edges``, with ``failed`` ones, which the histogram does not hold, on top.

    Raises ValueError for an edge that is none of the histogram's.
    """
    found = []
    for edge in edges:
        if not any(math.isclose(edge, known, rel_tol=SAME) for known in histogram.edges):
            known = ", ".join(f"{at:g}" for at in histogram.edges)
            raise ValueError(f"{edge:g} s is not among the histogram's edges {known}")
        pairs = zip(histogram.edges, histogram.counts, strict=True)
        found.append(failed + sum(count for at, count in pairs if at > edge * (1 + SAME)))
    return tuple(found)


def over(samples: Sequence[float] | NDArray[np.float64], edges: Sequence[float]) -> tuple[int, ...]:
    """How many of raw latencies exceed each of ``edges``, in the same unit; a failed request is infinity. ValueError for NaN."""
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    if ordered.size and (np.isnan(ordered[-1]) or ordered[0] < 0):
        raise ValueError("a latency is negative or not a number")
    return tuple(int(count) for count in ordered.size - np.searchsorted(ordered, np.asarray(edges), side="right"))


def calibrated_edges(
    samples: Sequence[float] | NDArray[np.float64], shares: Sequence[float] = SHARES
) -> tuple[float, ...]:
    """The quantiles of the primary's raw latencies at which to compare; its samples must not be used again."""
    ordered = np.asarray(samples, dtype=np.float64)
    if not ordered.size or np.isnan(ordered).any():
        raise ValueError("there are no latencies to calibrate by, or one is not a number")
    at = np.quantile(ordered, [checked_quantile(share) for share in shares], method="inverted_cdf")
    return tuple(float(edge) for edge in np.unique(at[np.isfinite(at) & (at > 0)]))


def calibrated_buckets(histograms: Sequence[Histogram], shares: Sequence[float] = SHARES) -> tuple[float, ...]:
    """The edges common to all of the primary's ``histograms`` next to those quantiles; its counts must not be used again."""
    if not histograms:
        raise ValueError("there are no latencies to calibrate by")
    common = set.intersection(*(set(histogram.edges) for histogram in histograms))
    usable = sorted(edge for edge in common if 0 < edge < math.inf)
    total = sum(histogram.total for histogram in histograms)
    if not usable or not total:
        raise ValueError("the primary's histograms share no edge, or count no request")
    above = np.array([sum(exceedances(histogram, [edge])[0] for histogram in histograms) / total for edge in usable])
    some = [edge for edge, share in zip(usable, above, strict=True) if 0 < share < 1] or usable
    shares_of = dict(zip(usable, above.tolist(), strict=True))
    best = {min(some, key=lambda edge: abs(shares_of[edge] - (1 - checked_quantile(share)))) for share in shares}
    return tuple(sorted(best))
