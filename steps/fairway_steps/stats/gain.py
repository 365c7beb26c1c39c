"""The mean reward of the candidate's users against that of the primary's in the same windows, valid however often one looks.

As ``stats.reward`` compares two arms, but window by window: each of the candidate's users is compared with the mean of the primary's users of its own
window, so what both met alike cancels, and no ramp passes for a loss. Given each window's numbers of users the sum of these
differences has the variance v_c sum n + v_p sum n^2/m, whose asymptotic mixture is that of Waudby-Smith and others (Ann. Statist.
52(6), 2024, theorem 2.2). Neither v is taken for less than that of both arms together: of a hundred users who seldom do anything none
may have, and would seem to differ not at all. Assumed: each user enters once, with a closed window, and users are independent given the window's mean.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairway_steps.model import Stratum
from fairway_steps.stats.counts import Array
from fairway_steps.stats.evidence import ALPHA, bar
from fairway_steps.stats.mixture import best_rho, normal_one_sideds
from fairway_steps.stats.reward import MIN_UNITS, PLANNED


@dataclass(frozen=True)
class Gains:
    """By window: the numbers of users, the sums of their rewards and of the squares, of both versions."""

    own: Array
    other: Array

    @classmethod
    def of(cls, own: Sequence[Stratum], other: Sequence[Stratum]) -> "Gains":
        return cls(_sums(own), _sums(other))

    def some(self, which: "np.ndarray[tuple[int], np.dtype[np.intp]] | slice") -> "Gains":
        return Gains(self.own[:, which], self.other[:, which])

    @property
    def users(self) -> int:
        return int(self.own[0].sum())

    def log_es(self, factor: float, *, higher_is_better: bool) -> tuple[Array, Array]:
        """Ln of the e-values after each window: against "the mean is no worse than ``factor`` times the primary's", and "no better"."""
        n, total, variance = self._running(factor)
        away = total if higher_is_better else -total
        violated, met = np.zeros(n.size), np.zeros(n.size)
        told = np.flatnonzero(variance > 0)
        deviations, rho = away[told] / np.sqrt(variance[told] / n[told]), best_rho(PLANNED, 2 * ALPHA)
        violated[told] = normal_one_sideds(-deviations, n[told], rho)
        met[told] = normal_one_sideds(deviations, n[told], rho)
        return violated, met

    def means(self) -> tuple[float, float] | None:
        """The candidate's mean, and what it would be if its users were the primary's of the same windows; None without both."""
        n, total, _ = self._running(1.0)
        if not n.size or not n[-1]:
            return None
        own = float(self.own[1, self._both].sum() / n[-1])
        return own, own - float(total[-1] / n[-1])

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Differences of the means, candidate minus primary, that are not excluded at any look."""
        n, total, variance = (float(column[-1]) if column.size else 0.0 for column in self._running(1.0))
        if not variance:
            return -math.inf, math.inf
        spread = n / best_rho(PLANNED, alpha)
        inside = 2 * (spread + 1) / (n * spread) * (bar(alpha) + 0.5 * math.log1p(spread))
        half = math.sqrt(variance / n * inside)
        return total / n - half, total / n + half

    @property
    def testable(self) -> bool:
        return bool(self.own.size and self._running(1.0)[2][-1] > 0)

    @property
    def _both(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        both: np.ndarray[tuple[int], np.dtype[np.bool_]] = (self.own[0] > 0) & (self.other[0] > 0)
        return both

    def _running(self, factor: float) -> tuple[Array, Array, Array]:
        """After each window: users, the sum of the differences to ``factor`` times the primary's mean, its variance (0: not known)."""
        own, other = self.own * self._both, self.other * self._both
        users = np.maximum(other[0], 1)
        total = np.cumsum(own[1] - factor * own[0] * other[1] / users)
        stretched = np.cumsum(own[0] * own[0] / users)
        (n, first), (m, second) = (_variances(some.cumsum(axis=1)) for some in (own, other))
        # Just within the margin, the variance of what is rare is the primary's by the factor, not by its square.
        alike, second = max(factor, factor * factor) * second, factor * factor * second
        floor, pooled = ((n * first + m * some) / np.maximum(n + m, 1) for some in (alike, second))
        variance = np.maximum(first, floor) * n + np.maximum(second, pooled) * stretched
        return n, total, np.where(np.minimum(n, m) >= MIN_UNITS, variance, 0.0)


def _sums(strata: Sequence[Stratum]) -> Array:
    return np.array([[s.users, s.reward, s.squares] for s in strata], dtype=np.float64).reshape(-1, 3).T


def _variances(sums: Array) -> tuple[Array, Array]:
    """How many there are, and their variance; 0 for fewer than two, and where rounding is all there is."""
    n, total, squares = sums
    about = total * total / np.maximum(n, 1)
    spread = np.where(squares - about > 1e-12 * squares, squares - about, 0.0)
    return n, spread / np.maximum(n - 1, 1)
