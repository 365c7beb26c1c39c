"""How far units lie over a limit, window by window: what the mean's asymptotic e-process is told. Pure.

A unit is a window, by its own value, or each request, by its latency. Of requests the sum of latencies is known, and the squares are bounded by
the worse edge of the bucket that each lies in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairway_steps.stats.columns import Columns
from fairway_steps.stats.counts import Array
from fairway_steps.stats.reward import MIN_UNITS, means_above


@dataclass(frozen=True, slots=True)
class Total:
    """Of ``n`` units: the sum of how far each lies over the limit, and at most the sum of its squares."""

    n: int
    total: float
    squares: float

    @property
    def sized(self) -> bool:
        """Whether there are enough of them."""
        return self.n >= MIN_UNITS and math.isfinite(self.squares)

    @property
    def testable(self) -> bool:
        """Whether they also have a spread to measure how far they lie over the limit by."""
        return self.sized and self.squares > self.total**2 / self.n


@dataclass(frozen=True)
class Away:
    """The same by window, a column each, and at which of ``end`` looks each became known."""

    sums: Array
    looks: Sequence[int]
    end: int

    def violated(self, begin: int) -> Array:
        """Ln e against "the mean keeps the limit" at each look, by what became known from the look ``begin`` on."""
        n, total, squares = self._by_look()[:, begin:].cumsum(axis=1)
        return means_above(n, total, squares)[0]

    def met(self, which: Sequence[bool]) -> Array:
        """Ln e against "the mean breaks the limit", by some windows alone."""
        n, total, squares = self._by_look(which).cumsum(axis=1)[:, -1:]
        return means_above(n, total, squares)[1]

    def total(self) -> Total:
        n, total, squares = self._by_look().cumsum(axis=1)[:, -1].tolist()
        return Total(int(n), total, squares)

    def _by_look(self, which: Sequence[bool] | None = None) -> Array:
        looks = np.array(self.looks, dtype=np.intp)
        if which is not None:
            looks, sums = looks[which], self.sums[:, which]
        else:
            sums = self.sums
        return np.array([np.bincount(looks, weights=row, minlength=max(1, self.end)) for row in sums])


def of_windows(above: Array, looks: Sequence[int], end: int) -> Away:
    """Each window as a unit, by how far its own value lies ``above``; NaN if it has none."""
    there = ~np.isnan(above)
    value = np.where(there, above, 0.0)
    return Away(np.array([there.astype(np.float64), value, value * value]), looks, end)


def of_requests(columns: Columns, limit: float, looks: Sequence[int], end: int) -> Away:
    """Each request as a unit, by its latency."""
    total = np.where(columns.timed > 0, columns.seconds - columns.timed * limit, 0.0)
    return Away(np.array([columns.timed, total, columns.squares(limit)]), looks, end)


def ratios(parts: Array, wholes: Array) -> Array:
    """NaN where there is no whole."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(wholes > 0, parts / wholes, np.nan)
