"""Whether a rate keeps its limit, valid however often one looks.

The beta-binomial mixture of Robbins: the likelihood ratio against the limit p0, averaged over a Beta(a, b) prior cut
off at p0, is a nonnegative supermartingale that starts at 1 under every rate on the wrong side (Howard, Ramdas,
McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Statist. 49(2), 2021,
proposition 7). By Ville's inequality it reaches 1/alpha with probability at most alpha, whenever one stops.

All functions take whole counts: ``errors`` of ``n`` independent requests. The prior has mean ``limit``: a = 1,
b = (1 - limit) / limit. Logarithms are natural. Bad counts or limits raise ValueError.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from fairway_steps.stats.counts import Array, Counts, rates, running, whole
from fairway_steps.stats.evidence import ALPHA, NO_EVIDENCE, EValues, bar
from fairway_steps.stats.fractions import continued_fractions

UNDERFLOW = 1e-280
ZERO_LIMIT_PRIOR = 0.01
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class RateVsLimit:
    """The evidence on whether a rate keeps ``limit`` (a fraction), after ``errors`` of ``n`` requests.

    ``peak`` holds the largest e-values at any look so far, as logarithms. Frozen: ``update`` gives the next state.
    """

    limit: float
    errors: int = 0
    n: int = 0
    peak: EValues = NO_EVIDENCE

    def __post_init__(self) -> None:
        _checked(self.limit)
        rates(self.errors, self.n)

    def update(self, errors: Counts, n: Counts) -> "RateVsLimit":
        """The state after further strata, one look after each: whole counts, in the order of time."""
        e, m = rates(errors, n)
        total_errors, total = running(self.errors, e), running(self.n, m)
        if not total.size:
            return self
        peak = self.peak.highest(_peak(total_errors, total, self.limit))
        return RateVsLimit(self.limit, int(total_errors[-1]), int(total[-1]), peak)

    def then(self, later: "RateVsLimit") -> "RateVsLimit":
        """The state after all that ``later`` saw, too: other strata, as one look."""
        if self.limit != later.limit:
            raise ValueError(f"evidence on a limit of {later.limit:g} does not continue that on {self.limit:g}")
        return self.update(later.errors, later.n)

    @property
    def now(self) -> EValues:
        return EValues(log_e_violated(self.errors, self.n, self.limit), log_e_met(self.errors, self.n, self.limit))

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Rates that the counts do not exclude at any look."""
        return confidence_interval(self.errors, self.n, self.limit, alpha)


def log_e_violated(errors: int, n: int, limit: float) -> float:
    """Ln of the e-value against "the true rate is at most ``limit``": at ln 20 the limit is broken (alpha = 5 %).

    With a limit of 0 the first error is proof: infinity.
    """
    s, m = rates(errors, n)
    return float(_violated(s, m, _checked(limit))[0])


def log_e_met(errors: int, n: int, limit: float) -> float:
    """Ln of the e-value against "the true rate is at least ``limit``": at ln 20 the limit is kept (beta = 5 %).

    A limit of 0 cannot be proved: 0.
    """
    s, m = rates(errors, n)
    return float(_met(s, m, _checked(limit))[0])


def log_e_violateds(errors: Counts, n: Counts, limit: float) -> Array:
    """``log_e_violated`` of many counts at once; one ``n`` serves for all."""
    s = whole(errors, "number of errors")
    return _violated(*rates(s, np.broadcast_to(whole(n), s.shape)), _checked(limit))


def log_e_mets(errors: Counts, n: Counts, limit: float) -> Array:
    """``log_e_met`` of many counts at once; one ``n`` serves for all."""
    s = whole(errors, "number of errors")
    return _met(*rates(s, np.broadcast_to(whole(n), s.shape)), _checked(limit))


def by_chance(errors: int, n: int, limit: float) -> float:
    """How likely a rate just at the ``limit`` brings at least so many errors of ``n``, looked at once: the exact binomial test."""
    return float(special.betainc(errors, n - errors + 1, limit)) if errors else 1.0


def confidence_interval(errors: int, n: int, limit: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Rates that the counts do not exclude at any look, with confidence 1 - ``alpha``, as (low, high).

    The two-sided mixture of proposition 6 in the same paper, its prior at ``limit``.
    """
    rates(errors, n)
    a, b = _prior(_checked(limit) or ZERO_LIMIT_PRIOR)
    mixture = float(special.betaln(a + errors, b + n - errors) - special.betaln(a, b)) - bar(alpha)

    def excluded(rate: float) -> bool:
        return bool(mixture - special.xlogy(errors, rate) - special.xlog1py(n - errors, -rate) >= 0)

    if n == 0:
        return 0.0, 1.0
    rate = errors / n
    low = _edge(excluded, rate, 0.0) if errors else 0.0
    high = _edge(excluded, rate, 1.0) if errors < n else 1.0
    return low, high


def requests_to_prove(limit: float, errors: int = 0, beta: float = ALPHA) -> int:
    """How many requests prove that ``limit`` is kept, if no more than ``errors`` of them fail."""
    rates(errors, errors)
    if _checked(limit) == 0:
        raise ValueError("a limit of 0 cannot be proved")
    enough = bar(beta)
    high = max(1, errors)
    while log_e_met(errors, high, limit) < enough:
        high *= 2
    low = max(errors, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if log_e_met(errors, middle, limit) >= enough else (middle + 1, high)
    return high


SMALLEST = 1e-12
"""Limits nearer than this to 0 or 1: no traffic tells them from these."""


def _checked(limit: float) -> float:
    if not 0 <= limit < 1:
        raise ValueError(f"a limit of {limit:g} is not a share from 0 to below 1; 0.01 is 1 %")
    if 0 < limit < SMALLEST:
        raise ValueError(f"a limit of {limit:g} is too small to judge by; write 0, or {SMALLEST:g} or more")
    if 1 - limit < SMALLEST:
        raise ValueError(f"a limit of {limit:.17g} is too near to 1 to judge by; write {1 - 2 * SMALLEST:.12g} or less")
    return limit


def _prior(limit: float) -> tuple[float, float]:
    return 1.0, (1 - limit) / limit


def _violated(errors: Array, n: Array, limit: float) -> Array:
    if limit == 0:
        return np.where(errors > 0, np.inf, 0.0)
    return _log_e(errors, n, limit, _log_above)


def _met(errors: Array, n: Array, limit: float) -> Array:
    return np.zeros_like(n) if limit == 0 else _log_e(errors, n, limit, _log_below)


def _peak(errors: Array, n: Array, limit: float) -> EValues:
    """The largest e-values over all looks.

    The incomplete beta function is dear. What the mixture would be without the cut is an upper bound and cheap, so that only
    the looks which could hold the maximum are computed in full.
    """
    if limit == 0:
        return EValues(float(_violated(errors, n, limit).max()), 0.0)
    a, b = _prior(limit)
    whole = special.betaln(a + errors, b + n - errors) - errors * math.log(limit) - (n - errors) * math.log1p(-limit)
    found = []
    for log_e, mass in ((_violated, _log_above), (_met, _log_below)):
        most = whole - mass(np.array([a]), np.array([b]), limit) + ROUNDING
        first = int(np.argmax(most))
        best = max(0.0, float(log_e(errors[[first]], n[[first]], limit)[0]))
        open_ = most > best
        if open_.any():
            best = max(best, float(log_e(errors[open_], n[open_], limit).max()))
        found.append(best)
    return EValues(*found)


def _log_e(errors: Array, n: Array, limit: float, log_mass: Callable[[Array, Array, float], Array]) -> Array:
    a, b = _prior(limit)
    posterior = log_mass(a + errors, b + n - errors, limit)
    prior = log_mass(np.array([a]), np.array([b]), limit)
    return posterior - prior - errors * math.log(limit) - (n - errors) * math.log1p(-limit)


def _log_below(a: Array, b: Array, x: float) -> Array:
    """Ln of the integral of t^(a-1) (1-t)^(b-1) from 0 to ``x``."""
    return _log_mass(special.betainc(a, b, x), a, b, x, mirrored=False)


def _log_above(a: Array, b: Array, x: float) -> Array:
    """Ln of the same integral from ``x`` to 1."""
    return _log_mass(special.betaincc(a, b, x), b, a, 1 - x, mirrored=True)


def _log_mass(share: Array, a: Array, b: Array, x: float, *, mirrored: bool) -> Array:
    tiny = share <= UNDERFLOW
    logs: Array = special.betaln(a, b) + np.log(np.where(tiny, 1.0, share))
    log_x, log_rest = (math.log1p(-(1 - x)), math.log(1 - x)) if mirrored else (math.log(x), math.log1p(-x))
    if tiny.any():
        a, b = a[tiny], b[tiny]
        ln_a, ln_fraction = (np.array(list(map(math.log, some.tolist()))) for some in (a, continued_fractions(a, b, x)))
        logs[tiny] = a * log_x + b * log_rest - ln_a - ln_fraction
    return logs


def _edge(excluded: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where between two rates exclusion begins, by bisection down to neighbouring floats."""
    while True:
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            return outside
        inside, outside = (inside, middle) if excluded(middle) else (middle, outside)
