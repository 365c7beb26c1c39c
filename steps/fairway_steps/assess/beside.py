"""What was observed of both versions at the same time, for people, and what a histogram's edges leave open of it. Pure.

The primary's windows count as much as the candidate's do: so many requests of it as the candidate had in each. Otherwise a ramp
would compare the candidate's evening with the primary's whole day.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fairway_steps.assess.counts import ROUNDING
from fairway_steps.assess.shared import Shared
from fairway_steps.stats.columns import Columns
from fairway_steps.stats.counts import Array

FINE = 0.51


@dataclass(frozen=True)
class Beside:
    """What both did in the windows that they ``shared``."""

    shared: Shared

    @cached_property
    def requests(self) -> int:
        return int(self.shared.own.sizes.sum())

    @cached_property
    def requests_beside(self) -> int:
        return int(self.shared.other.sizes.sum())

    @cached_property
    def met(self) -> bool:
        """Whether there is a window in which both had requests."""
        return bool((self.shared.own.sizes * self.shared.other.sizes).any())

    @cached_property
    def weights(self) -> Array:
        """By how much each of the primary's windows counts."""
        weights: Array = self.shared.own.sizes / self.shared.other.sizes.clip(1)
        return weights

    def error_rates(self) -> tuple[float, float]:
        own, other = self.shared.own, self.shared.other
        return float(own.errors.sum()) / max(1, self.requests), other.error_rate(self.weights)

    def quantiles(self, q: float) -> tuple["Place", "Place"]:
        """Where the quantile of the candidate and of the primary lies."""
        return self._pools[0].place(q), self._pools[1].place(q)

    def over(self, line: float, beside: float) -> tuple[float, float]:
        """The share of the candidate's requests that surely took longer than ``line``, and of the primary's than ``beside``."""
        return self._pools[0].over(line)[0], self._pools[1].over(beside)[1]

    @cached_property
    def _pools(self) -> tuple["_Pool", "_Pool"]:
        own, other = self.shared.own, self.shared.other
        return _Pool.of(own, 1.0), _Pool.of(other, self.weights)


@dataclass(frozen=True, slots=True)
class Place:
    """A quantile is above the edge ``low`` and at most ``high``, in seconds; ``value`` is a guess between them.

    All are infinite where so many requests failed that the quantile is one of them.
    """

    low: float
    high: float
    value: float

    def fine(self, margin: float) -> bool:
        """Whether its edges are close enough, about half the margin apart, for ``value`` to be more than a guess."""
        return math.isfinite(self.high) and self.high <= (1 + FINE * margin) * self.low

    def surely_within(self, other: "Place", margin: float) -> bool:
        return math.isfinite(self.high) and self.high <= (1 + margin) * other.low * (1 + ROUNDING)

    def surely_beyond(self, other: "Place", margin: float) -> bool:
        return math.isfinite(other.high) and self.low * (1 + ROUNDING) >= (1 + margin) * other.high


@dataclass(frozen=True, slots=True)
class _Pool:
    """Weighted counts: of all requests, of failed ones, and of latencies, by the edges they were counted between."""

    requests: float
    errors: float
    timed: float
    histograms: Mapping[tuple[float, ...], Sequence[float]]

    @classmethod
    def of(cls, columns: Columns, weights: Array | float) -> "_Pool":
        requests, errors, timed = columns.weighted(weights)
        return cls(requests, errors, timed, columns.histograms(weights))

    def over(self, line: float) -> tuple[float, float]:
        """The shares of requests that surely and perhaps took longer than ``line`` seconds; a failed one did.

        Whether the histograms hold the failed ones as well is not known.
        """
        least = most = 0.0
        for edges, counts in self.histograms.items():
            least += math.fsum(counts[bisect_left(edges, line * (1 - ROUNDING)) + 1 :])
            most += math.fsum(counts[bisect_right(edges, line * (1 + ROUNDING)) :])
        fewest = min(self.requests, self.timed + self.errors)
        whole = self.requests or self.timed
        surely = max(self.errors, least - max(0.0, self.timed - whole))
        return (
            surely / whole if whole else 0.0,
            min(fewest, most + self.errors) / fewest if fewest else 1.0,
        )

    def place(self, q: float) -> Place:
        edges = sorted({0.0, *(edge for some in self.histograms for edge in some)})
        above = (1 - q) * (1 + ROUNDING)
        shares = [self.over(edge) for edge in edges]
        low = max((edge for edge, (least, _) in zip(edges, shares, strict=True) if least > above), default=0.0)
        high = min((edge for edge, (_, most) in zip(edges, shares, strict=True) if most <= above), default=math.inf)
        if math.isinf(high):
            return Place(low, high, math.inf)
        top, bottom = self.over(low)[1], self.over(high)[1]
        part = (top - (1 - q)) / (top - bottom) if top > bottom else 1.0
        return Place(low, high, low + min(1.0, max(0.0, part)) * (high - low))
