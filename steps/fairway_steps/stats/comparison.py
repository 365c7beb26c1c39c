"""Whether the candidate fails more often than the primary that runs beside it, valid however often one looks.

A *stratum* is one interval at one weight. Given how many requests of both versions failed in it, the candidate's share of them depends
on the odds ratio psi alone (``stats.odds``), so traffic that drifts, and weights that change, cancel: no ramp can pass for a
regression. The product over the strata of conditional likelihood ratios psi against psi0, averaged over a fixed grid of psi above
psi0, is a nonnegative martingale at psi0 and a supermartingale for every odds ratio below it, by the monotone likelihood
ratio of Fisher's noncentral hypergeometric distribution (Lehmann and Romano, "Testing statistical hypotheses", 4.4-4.5). Counts-only
cousins: Lindon and Malek 2022; Turner and Grünwald, arXiv 2302.11401. Assumed: requests within a stratum are independent, given the rates.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fairway_steps.stats.counts import Array, Counts, rates, running
from fairway_steps.stats.evidence import ALPHA, NO_EVIDENCE, EValues, bar
from fairway_steps.stats.odds import log_likelihoods

if TYPE_CHECKING:
    from scipy import interpolate

POINTS = 40
REACH = math.log(20)
"""The grid: 40 odds ratios up to 20 times the one tested, evenly spaced in their logarithm."""

WHOLE, VIOLATED, MET = slice(None), slice(0, POINTS + 1), slice(POINTS + 1, None)
"""The parts of the grid that tell of one e-value each."""

AT_ONCE = 1024
"""Strata taken at once: their likelihoods then stay in the processor's cache."""

FARTHEST = 4.0
"""How far the odds ratio allowed in a stratum may lie from 1."""

WORSE_THAN = 1.0
MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Strata:
    """What a test read of strata: a row of counts for each of errors, n and the primary's, and a row of log likelihoods a stratum.

    At a ``part`` of the grid; None: at all of it.
    """

    table: Array
    likelihoods: Array
    part: slice | None = None

    def some(self, which: slice | NDArray[np.intp]) -> "Strata":
        return Strata(self.table[:, which], self.likelihoods[which], self.part)

    def at(self, part: slice) -> Array:
        return self.likelihoods if self.part == part else self.likelihoods[:, part]


@dataclass(frozen=True, slots=True)
class RateVsPrimary:
    """The evidence on the odds ratio of the candidate's failures to the primary's.

    ``violated`` refutes "at most ``worse_than``", ``met`` refutes "``margin`` or more". The state is the log likelihood
    at ``grid()``, the sums of Mantel and Haenszel, and the totals. Frozen: ``update`` gives the next state.
    """

    worse_than: float = WORSE_THAN
    margin: float = MARGIN
    errors: int = 0
    n: int = 0
    errors_primary: int = 0
    n_primary: int = 0
    likelihood: tuple[float, ...] = ()
    numerator: float = 0.0
    denominator: float = 0.0
    peak: EValues = NO_EVIDENCE

    def __post_init__(self) -> None:
        for name, value in (("an odds ratio", self.worse_than), ("a margin", self.margin)):
            if not 1 <= value <= 10:
                raise ValueError(f"{name} of {value:g} is not between 1 and 10")
        if not all(map(math.isfinite, self.likelihood)):
            raise ValueError("a log likelihood is infinite or not a number")
        rates(self.errors, self.n)
        rates(self.errors_primary, self.n_primary)

    def grid(self) -> Array:
        """The log odds ratios at which the likelihood is kept: the one tested, those above; the margin, those below."""
        steps = REACH * np.arange(POINTS + 1) / POINTS
        return np.concatenate((math.log(self.worse_than) + steps, math.log(self.margin) - steps))

    def update(
        self,
        errors: Counts,
        n: Counts,
        errors_primary: Counts,
        n_primary: Counts,
        *,
        allowed: float | Array = 1.0,
    ) -> "RateVsPrimary":
        """The state after further strata, one look after each: whole counts of both versions, in the order of time.

        All odds ratios are told as multiples of what is ``allowed`` in these strata, which must have been chosen before them.
        """
        return self.after(self.read(errors, n, errors_primary, n_primary, allowed=allowed))

    def walk(
        self, errors: Counts, n: Counts, errors_primary: Counts, n_primary: Counts
    ) -> tuple["RateVsPrimary", Array, Array]:
        """The same, and ln of both e-values after each stratum: violated, met."""
        strata = self.read(errors, n, errors_primary, n_primary)
        return self.after(strata), self.log_es(strata, VIOLATED), self.log_es(strata, MET)

    def read(
        self,
        errors: Counts,
        n: Counts,
        errors_primary: Counts,
        n_primary: Counts,
        *,
        allowed: float | Array = 1.0,
        part: slice | None = None,
    ) -> "Strata":
        """The likelihoods of strata, the dear part, once for all that is asked of them: at this part of the grid."""
        table = _table(errors, n, errors_primary, n_primary)
        each = np.broadcast_to(allowed, table.shape[1:])
        for value in each[~((each >= 1 / FARTHEST) & (each <= FARTHEST))]:
            raise ValueError(f"an odds ratio of {value:g} is not from {1 / FARTHEST:g} to {FARTHEST:g}")
        shift = np.array(list(map(math.log, each.tolist())))
        grid = self.grid() if part is None else self.grid()[part]
        return Strata(table, log_likelihoods(table[0], table[1], table[2], table[3], grid, shift), part)

    def after(self, strata: "Strata") -> "RateVsPrimary":
        """The state after them, one look after each."""
        likelihood, peak = self.likelihood, self.peak
        for path in self._paths(strata, WHOLE):
            likelihood, peak = tuple(path[-1].tolist()), _peak(path, peak)
        return replace(self._counted(strata.table), likelihood=likelihood, peak=peak) if strata.table.size else self

    def after_one_look(self, strata: "Strata") -> "RateVsPrimary":
        """The state after them, looked at once."""
        if not strata.table.size:
            return self
        # Added row by row, so that it has the same bits as by one look after each.
        likelihood = np.add.reduce(np.vstack((self.likelihood or np.zeros(2 * POINTS + 2), strata.at(WHOLE))), axis=0)
        state = replace(self._counted(strata.table), likelihood=tuple(likelihood.tolist()))
        return replace(state, peak=self.peak.highest(state.now))

    def log_es(self, strata: "Strata", part: slice) -> Array:
        """Ln of the e-value after each of them: of ``VIOLATED`` or ``MET``."""
        return np.concatenate([np.empty(0), *(_mixture(path) for path in self._paths(strata, part))])

    def met(self, strata: "Strata") -> float:
        """Ln of the e-value of health after all of them."""
        met = self.now.met
        for path in self._paths(strata, MET):
            met = float(_mixture(path[-1:])[0])
        return met

    def _paths(self, strata: "Strata", part: slice) -> Iterator[Array]:
        """By some strata at a time: the log likelihood after each, at this part of the grid."""
        rows, now = strata.at(part), np.array(self.likelihood or np.zeros(2 * POINTS + 2))[part]
        for start in range(0, len(rows), AT_ONCE):
            path = np.vstack((now, rows[start : start + AT_ONCE]))
            np.cumsum(path, axis=0, out=path)
            now = path[-1]
            yield path[1:]

    def _counted(self, table: Array) -> "RateVsPrimary":
        """With the totals of further strata, and the sums of Mantel and Haenszel."""
        x, n_c, y, n_p = table
        both = np.maximum(n_c + n_p, 1)
        return replace(
            self,
            errors=self.errors + int(x.sum()),
            n=self.n + int(n_c.sum()),
            errors_primary=self.errors_primary + int(y.sum()),
            n_primary=self.n_primary + int(n_p.sum()),
            numerator=float(running(self.numerator, x * (n_p - y) / both)[-1]),
            denominator=float(running(self.denominator, y * (n_c - x) / both)[-1]),
        )

    def then(self, later: "RateVsPrimary") -> "RateVsPrimary":
        """The state after all that ``later`` saw, too: other strata, as one look."""
        if (self.worse_than, self.margin) != (later.worse_than, later.margin):
            raise ValueError("evidence on other odds ratios does not continue this")
        if not (self.likelihood and later.likelihood):
            return self if self.likelihood else later
        likelihood = tuple(a + b for a, b in zip(self.likelihood, later.likelihood, strict=True))
        merged = RateVsPrimary(
            self.worse_than,
            self.margin,
            self.errors + later.errors,
            self.n + later.n,
            self.errors_primary + later.errors_primary,
            self.n_primary + later.n_primary,
            likelihood,
            self.numerator + later.numerator,
            self.denominator + later.denominator,
        )
        return replace(merged, peak=self.peak.highest(merged.now))

    @property
    def now(self) -> EValues:
        if not self.likelihood:
            return NO_EVIDENCE
        violated, met = mixtures(np.array([self.likelihood]))
        return EValues(float(violated[0]), float(met[0]))

    @property
    def odds_ratio(self) -> float | None:
        """The estimate of Mantel and Haenszel (J. Natl. Cancer Inst. 22, 1959); None as long as neither version failed."""
        if self.numerator == 0 and self.denominator == 0:
            return None
        return self.numerator / self.denominator if self.denominator else math.inf

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Odds ratios that the counts do not exclude at any look; 0 or infinity where they exclude none within the grid.

        By the likelihood averaged over all log odds ratios of the grid evenly, against that of each.
        """
        if not self.likelihood:
            return 0.0, math.inf
        from scipy import optimize  # noqa: PLC0415 - as much to import as all else here, and few ask for an interval

        curve = self._curve()
        low, high = float(curve.x[0]), float(curve.x[-1])
        turns = [t for t in np.real(curve.derivative().roots(extrapolate=False)) if low < t < high]
        mode = float(max([low, high, *turns], key=curve))
        width = 10 / math.sqrt(max(float(-curve(mode, 2)), 1e-12))
        near = np.linspace(max(low, mode - width), min(high, mode + width), 2001)
        fine = np.unique(np.concatenate((near, np.linspace(low, high, 2001))))
        heights = curve(fine)
        average = float(np.trapezoid(np.exp(heights - heights.max()), fine)) / (high - low)
        level = float(heights.max()) + math.log(average) - bar(alpha)

        def over(t: float) -> float:
            return float(curve(t)) - level

        return (
            0.0 if over(low) > 0 else math.exp(optimize.brentq(over, low, mode)),
            math.inf if over(high) > 0 else math.exp(optimize.brentq(over, mode, high)),
        )

    def _curve(self) -> "interpolate.CubicSpline":
        """The log likelihood between the points of the grid; it is smooth and concave."""
        from scipy import interpolate  # noqa: PLC0415 - likewise

        at, likelihood = self.grid(), np.array(self.likelihood)
        below = POINTS + 1 + np.flatnonzero(at[POINTS + 1 :] < at[0] - REACH / POINTS / 4)[::-1]
        keep = np.concatenate((below, np.arange(POINTS + 1)))
        return interpolate.CubicSpline(at[keep], likelihood[keep])


def log_likelihood_ratio(
    errors: int, n: int, errors_primary: int, n_primary: int, psi: float, psi0: float = 1.0
) -> float:
    """Ln of the conditional likelihood of the odds ratio ``psi`` over that of ``psi0``, for one stratum."""
    x, n_c, y, n_p = _table(errors, n, errors_primary, n_primary)
    for value in (psi, psi0):
        if not 0 < value < math.inf:
            raise ValueError(f"an odds ratio of {value:g} is not above 0")
    first, second = log_likelihoods(x, n_c, y, n_p, np.log(np.array([psi, psi0])))[0]
    return float(first - second)


def mantel_haenszel(strata: Sequence[tuple[int, int, int, int]]) -> float | None:
    """The common odds ratio of strata (errors, n, the primary's errors, its n)."""
    x, n, y, m = (list(column) for column in zip(*strata, strict=True)) if strata else ([], [], [], [])
    return RateVsPrimary().update(x, n, y, m).odds_ratio


def _table(errors: Counts, n: Counts, errors_primary: Counts, n_primary: Counts) -> Array:
    own, other = rates(errors, n), rates(errors_primary, n_primary, "the primary's requests")
    if own[0].shape != other[0].shape:
        raise ValueError(f"{own[0].size} strata of the candidate do not fit {other[0].size} of the primary")
    return np.array([*own, *other])


@functools.cache
def _weights() -> Array:
    """Proportional to the tested odds ratio over the alternative one, as logarithms, over the grid's points."""
    weights = -REACH * np.arange(1, POINTS + 1) / POINTS
    normed: Array = weights - special.logsumexp(weights)
    return normed


def mixtures(path: Array) -> tuple[Array, Array]:
    """Ln of both e-values at each row of log likelihoods at the grid."""
    return _mixture(path[:, VIOLATED]), _mixture(path[:, MET])


def _mixture(path: Array) -> Array:
    """Ln of the e-value at each row of log likelihoods: of the odds ratio tested, and of those beyond."""
    rows = path[:, 1:] - path[:, :1] + _weights()
    top = rows.max(axis=1)
    total: Array = top + np.log(np.exp(rows - top[:, None]).sum(axis=1))
    return total


def _peak(path: Array, peak: EValues) -> EValues:
    """The largest e-values at any look. An average is at most its largest part, so few looks need be computed in full."""
    rows = path[:, 1 : POINTS + 1].max(axis=1) - path[:, 0] > peak.violated
    rows |= path[:, POINTS + 2 :].max(axis=1) - path[:, POINTS + 1] > peak.met
    if not rows.any():
        return peak
    violated, met = mixtures(path[rows])
    return peak.highest(EValues(float(violated.max()), float(met.max())))
