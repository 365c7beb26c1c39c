"""How far units lie over a limit, window by window: what the test of a mean is told (``stats.bets``). Pure.

A unit is a window, by its own value, or each request, by its latency. Of requests the sum of latencies is known, and the squares are bounded by
the worse edge of the bucket that each lies in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairway_steps.stats.bets import BETS, COSTS, ENOUGH, ENOUGH_HERE, LEAST, LOG_WEIGHTS, log_e_above, mean_interval
from fairway_steps.stats.columns import Columns
from fairway_steps.stats.counts import Array
from fairway_steps.stats.evidence import ALPHA
from fairway_steps.stats.mixture import best_rho, normal_one_sided
from fairway_steps.stats.reward import PLANNED


@dataclass(frozen=True, slots=True)
class Reach:
    """No unit lies further than ``under`` below the limit, nor further than ``over`` above it; that may be infinite."""

    under: float
    over: float = math.inf


@dataclass(frozen=True, slots=True)
class Total:
    """Of ``n`` units: the sum of how far each lies over the limit, and at most the sum of its squares."""

    n: int
    total: float
    squares: float
    reach: Reach

    @property
    def testable(self) -> bool:
        """Whether there are enough of them, and a bound on how they scatter."""
        return self.n >= ENOUGH and math.isfinite(self.squares)

    @property
    def log_e(self) -> float:
        """Ln e against "the mean keeps the limit", by one look."""
        return log_e_above(self.total, self.squares, self.reach.under)

    @property
    def log_e_alike(self) -> float:
        """The same if units scatter alike to both sides, whatever their span: no proof, but a doubt that comes sooner.

        Then exp(s total - s^2 squares / 2) is a supermartingale for each s (de la Peña, "A general class of exponential inequalities for
        martingales and ratios", Ann. Probab. 27(1), 1999).
        """
        if self.n < ENOUGH_HERE or not 0 < self.squares < math.inf:
            return 0.0
        deviation = self.total / math.sqrt(self.squares / self.n)
        return normal_one_sided(deviation, self.n, best_rho(PLANNED, 2 * ALPHA))

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """How far over the limit the mean may lie, by all looks."""
        return mean_interval(self.n, self.total, self.squares, -self.reach.under, self.reach.over, alpha)


@dataclass(frozen=True)
class Away:
    """The same by window, a column each, and at which of ``end`` looks each became known."""

    sums: Array
    looks: Sequence[int]
    end: int
    reach: Reach

    def violated(self, begin: int) -> Array:
        """Ln e against "the mean keeps the limit" at each look, by what became known from the look ``begin`` on."""
        _, total, squares = self._by_look()[:, begin:].cumsum(axis=1)
        return log_es_above(total, squares, self.reach.under)

    def met(self, which: Sequence[bool]) -> Array:
        """Ln e against "the mean breaks the limit", by some windows alone; none as long as nothing bounds a unit."""
        _, total, squares = self._by_look(which).cumsum(axis=1)[:, -1:]
        return log_es_above(-total, squares, self.reach.over) if math.isfinite(self.reach.over) else np.zeros(1)

    def total(self) -> Total:
        n, total, squares = self._by_look().cumsum(axis=1)[:, -1].tolist()
        return Total(int(n), total, squares, self.reach)

    def _by_look(self, which: Sequence[bool] | None = None) -> Array:
        looks = np.array(self.looks, dtype=np.intp)
        if which is not None:
            looks, sums = looks[which], self.sums[:, which]
        else:
            sums = self.sums
        return np.array([np.bincount(looks, weights=row, minlength=max(1, self.end)) for row in sums])


def of_windows(above: Array, looks: Sequence[int], end: int, reach: Reach) -> Away:
    """Each window as a unit, by how far its own value lies ``above``; NaN if it has none."""
    there = ~np.isnan(above)
    value = np.where(there, above, 0.0)
    return Away(np.array([there.astype(np.float64), value, value * value]), looks, end, reach)


def of_requests(columns: Columns, limit: float, looks: Sequence[int], end: int, reach: Reach) -> Away:
    """Each request as a unit, by its latency."""
    total = np.where(columns.timed > 0, columns.seconds - columns.timed * limit, 0.0)
    return Away(np.array([columns.timed, total, columns.squares(limit, limit + reach.over)]), looks, end, reach)


def log_es_above(total: Array, squares: Array, span: float) -> Array:
    """``stats.bets.log_e_above`` of many at once, to rounding; the same bits in any company, for each row of powers is whole."""
    if span <= 0:
        return np.where(total > 0, np.inf, 0.0)
    reach, spread = total[:, None] / span, squares[:, None] / span / span
    rows = np.array(LOG_WEIGHTS) + np.array(BETS) * reach - np.array(COSTS) * spread
    top = np.maximum(rows.max(axis=1), LEAST)
    sums = np.exp(rows - top[:, None]).sum(axis=1)
    logs = np.array([math.log(each) if each else 0.0 for each in sums.tolist()])
    return np.where((total == 0) & (squares == 0), 0.0, np.maximum(LEAST, top + logs))


def ratios(parts: Array, wholes: Array) -> Array:
    """NaN where there is no whole."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(wholes > 0, parts / wholes, np.nan)
