"""What latency histograms tell of a limit and of a quantile. Pure.

"The q quantile is at most L" means "at most a share 1 - q of the requests takes longer than L": a rate, told exactly by
a bucket that ends at L, and bounded by the neighbouring edges where none does. A quantile read off a histogram is an
interpolation, off by as much as the bucket is wide: good to look at, not to judge by.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.model import Histogram

SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Tail:
    """Of ``total`` observed requests, at least ``least`` and at most ``most`` took longer than the ``limit``.

    ``below`` and ``above`` are the edges in seconds between which the limit lies; equal if it is an edge.
    """

    least: int
    most: int
    total: int
    limit: float
    below: float
    above: float

    @property
    def exact(self) -> bool:
        return self.below == self.above

    @property
    def nearest(self) -> float:
        """The edge nearest to the limit by which one could judge exactly; infinity if there is none."""
        return nearest(self.limit, [edge for edge in (self.below, self.above) if 0 < edge < math.inf] or [math.inf])


def tail(histograms: Sequence[Histogram], limit: float) -> Tail:
    """What all ``histograms`` together tell of the requests over ``limit`` seconds; each is read by its own edges."""
    least = most = total = 0
    below, above = math.inf, 0.0
    for histogram in histograms:
        same = [edge for edge in histogram.edges if math.isclose(edge, limit, rel_tol=SAME)]
        lower = same[0] if same else max((edge for edge in histogram.edges if edge < limit), default=0.0)
        upper = same[0] if same else min(edge for edge in histogram.edges if edge > limit)
        least += _over(histogram, upper)
        most += _over(histogram, lower)
        total += histogram.total
        below, above = min(below, lower), max(above, upper)
    return Tail(least, most, total, limit, below, above)


def nearest(limit: float, edges: Sequence[float]) -> float:
    """The edge, or the lower of two, that is nearest to a limit."""
    return min(edges, key=lambda edge: abs(edge - limit))


def quantile(histograms: Sequence[Histogram], q: float, failed: float = 0, of: float | None = None) -> float:
    """The latency in seconds that at most ``1 - q`` of all requests exceed, interpolated within its bucket.

    ``failed`` requests count as slower than all others; ``of`` is the number of all requests, where the histograms do not
    hold them all. Infinity if the quantile lies in the last bucket or among the failed.
    """
    buckets: Counter[float] = Counter()
    for histogram in histograms:
        buckets.update(dict(zip(histogram.edges, histogram.counts, strict=True)))
    total = buckets.total()
    rank = (total + failed - (1 - q) * (total if of is None else of)) * (1 - SAME)
    seen, start = 0, 0.0
    for edge, count in sorted(buckets.items()):
        if count and seen + count >= rank:
            share = max(0.0, rank - seen) / count
            return edge if math.isinf(edge) else start + share * (edge - start)
        seen, start = seen + count, edge
    return math.inf


def _over(histogram: Histogram, limit: float) -> int:
    return sum(count for edge, count in zip(histogram.edges, histogram.counts, strict=True) if edge > limit)
