"""Mean rewards, one value a user, valid however often one looks once there are enough users.

The Gaussian-mixture asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", Ann. Statist. 52(6), 2024, 2613-2640 (theorem 2.2). Asymptotic: no verdict below
``MIN_UNITS`` an arm. The *unit* is the sticky user (or, for bursty errors, the stratum): each enters once, with what it was
worth within a closed window after it first came, zero if it stayed silent. Values that grow after they were counted, or requests counted
one by one where users repeat themselves, break the promise. Rewards are in any one unit; results keep it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fairway_steps.stats.counts import Array, running
from fairway_steps.stats.evidence import ALPHA, NO_EVIDENCE, EValues, bar
from fairway_steps.stats.mixture import best_rho, normal_one_sided

Values = Sequence[float] | NDArray[np.float64]

MIN_UNITS = 100
PLANNED = 5 * MIN_UNITS
"""Where the sequence is tightest, unless told: five times the least number of users."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Number, mean and variance of values that came in turn.

    Kept as sums about ``origin``, the first value, so that a large mean costs no digits. Frozen: ``update`` gives the next state.
    """

    n: int = 0
    origin: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def update(self, values: Values) -> "Moments":
        """The state after further values; any grouping of them gives the same bits. ValueError for what is not finite."""
        array = finite(values)
        if not array.size:
            return self
        origin = self.origin if self.n else float(array[0])
        away = array - origin
        total, squares = running(self.total, away)[-1], running(self.squares, away * away)[-1]
        return Moments(self.n + array.size, origin, float(total), float(squares))

    def then(self, later: "Moments") -> "Moments":
        """The state after all that ``later`` saw, too."""
        if not (self.n and later.n):
            return self if self.n else later
        shift = later.origin - self.origin
        total = later.total + later.n * shift
        squares = later.squares + 2 * shift * later.total + later.n * shift * shift
        return Moments(self.n + later.n, self.origin, self.total + total, self.squares + squares)

    @property
    def mean(self) -> float:
        return self.origin + self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The unbiased one; 0 for fewer than two values."""
        if self.n < 2:
            return 0.0
        return max(0.0, (self.squares - self.total * self.total / self.n) / (self.n - 1))


def mean_interval(moments: Moments, alpha: float = ALPHA, planned: float = PLANNED) -> tuple[float, float]:
    """Means that the values do not exclude at any look."""
    return _around(moments.mean, moments.variance, moments.n, alpha, planned)


def difference_interval(
    candidate: Moments, primary: Moments, alpha: float = ALPHA, planned: float = PLANNED
) -> tuple[float, float]:
    """Differences of means, candidate minus primary, not excluded at any look, for arms that grow at a constant ratio."""
    if not (candidate.n and primary.n):
        return -math.inf, math.inf
    variance = difference_variance(candidate, primary)
    return _around(candidate.mean - primary.mean, variance, candidate.n, alpha, planned)


def difference_variance(candidate: Moments, primary: Moments) -> float:
    """The variance, times the candidate's number, of the difference of means; neither arm's own is taken for less than that of both.

    Where few users do anything, none of a small arm may have: it would seem to be known for certain.
    """
    n, m = candidate.n, primary.n
    pooled = (n * candidate.variance + m * primary.variance) / (n + m)
    return max(candidate.variance, pooled) + max(primary.variance, pooled) * n / m


@dataclass(frozen=True, slots=True)
class RewardVsPrimary:
    """The evidence on the candidate's mean reward against the primary's.

    ``violated`` refutes "worse by at most ``margin``", ``met`` refutes "worse by ``margin`` or more": with a margin of 0, "no worse" and
    "no better". ``higher_is_better`` says which way is worse. No evidence below ``MIN_UNITS`` an arm, or without any variance.
    """

    planned: float = PLANNED
    margin: float = 0.0
    higher_is_better: bool = True
    candidate: Moments = field(default_factory=Moments)
    primary: Moments = field(default_factory=Moments)
    peak: EValues = NO_EVIDENCE

    def update(self, candidate: Values, primary: Values) -> "RewardVsPrimary":
        """The state after one look with further users of both versions, each with its reward."""
        after = replace(self, candidate=self.candidate.update(candidate), primary=self.primary.update(primary))
        return replace(after, peak=self.peak.highest(after.now))

    def then(self, later: "RewardVsPrimary") -> "RewardVsPrimary":
        """The state after all that ``later`` saw, too: other users, as one look."""
        after = replace(self, candidate=self.candidate.then(later.candidate), primary=self.primary.then(later.primary))
        return replace(after, peak=self.peak.highest(after.now))

    @property
    def n(self) -> int:
        return self.candidate.n

    @property
    def now(self) -> EValues:
        n, m = self.candidate.n, self.primary.n
        if min(n, m) < MIN_UNITS:
            return NO_EVIDENCE
        deviation = math.sqrt(difference_variance(self.candidate, self.primary))
        if deviation == 0:
            return NO_EVIDENCE
        gain = self.candidate.mean - self.primary.mean
        better = (gain if self.higher_is_better else -gain) + self.margin
        away, rho = n * better / deviation, best_rho(self.planned, 2 * ALPHA)
        return EValues(normal_one_sided(-away, n, rho), normal_one_sided(away, n, rho))

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Differences of means, candidate minus primary, that the rewards do not exclude at any look."""
        return difference_interval(self.candidate, self.primary, alpha, self.planned)


def ratio_rewards(numerators: Values, denominators: Values, ratio: float | None = None) -> list[float]:
    """One value a user whose mean is the ratio of sums, linearised about ``ratio`` (None: that of these users).

    z = R + (Y - R N) / mean N, by the delta method (Deng, Knoblich and Lu, KDD 2018). To compare two arms linearise both about the
    primary's ratio. ValueError for lengths that differ and for denominators that are negative or all zero.
    """
    y, n = finite(numerators), finite(denominators)
    if y.shape != n.shape:
        raise ValueError(f"{y.size} numerators do not fit {n.size} denominators")
    if (n < 0).any() or not n.any():
        raise ValueError("denominators are negative or all zero")
    about = float(y.sum() / n.sum()) if ratio is None else ratio
    values: list[float] = (about + (y - about * n) / n.mean()).tolist()
    return values


def adjusted(
    candidate: Values, candidate_before: Values, primary: Values, primary_before: Values
) -> tuple[list[float], list[float]]:
    """Both arms' rewards less what a value known of each user before the release explains: smaller variance, the same difference.

    CUPED: Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment
    data", WSDM 2013. One slope for both arms.
    """
    y = [finite(candidate), finite(primary)]
    x = [finite(candidate_before), finite(primary_before)]
    if any(a.shape != b.shape for a, b in zip(y, x, strict=True)):
        raise ValueError("each user needs a reward and a value from before")
    within_x = np.concatenate([a - a.mean() for a in x if a.size])
    within_y = np.concatenate([a - a.mean() for a in y if a.size])
    spread = float(within_x @ within_x)
    slope = float(within_x @ within_y) / spread if spread else 0.0
    center = float(np.concatenate(x).mean())
    first, second = ((a - slope * (b - center)).tolist() for a, b in zip(y, x, strict=True))
    return first, second


def finite(values: Values) -> Array:
    """``values`` as a flat array. Raises ValueError for one that is not a finite number."""
    try:
        array = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise ValueError("a value is not a number") from error
    if not np.isfinite(array).all():
        raise ValueError(f"a value of {array[~np.isfinite(array)][0]:g} is not a finite number")
    return array


def _around(center: float, variance: float, n: int, alpha: float, planned: float) -> tuple[float, float]:
    if n < 2 or variance == 0:  # values without any spread do not tell how far off their mean may be
        return -math.inf, math.inf
    spread = n / best_rho(planned, alpha)
    inside = 2 * (spread + 1) / (n * spread) * (bar(alpha) + 0.5 * math.log1p(spread))
    half = math.sqrt(variance * inside)  # infinite where no spread bounds it
    return center - half, center + half
