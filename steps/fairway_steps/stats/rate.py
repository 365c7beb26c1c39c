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

from scipy import special

ALPHA = 0.05
UNDERFLOW = 1e-280
ZERO_LIMIT_PRIOR = 0.01


def log_e_violated(errors: int, n: int, limit: float) -> float:
    """Ln of the e-value against "the true rate is at most ``limit``": at ln 20 the limit is broken (alpha = 5 %).

    With a limit of 0 the first error is proof: infinity.
    """
    _check(errors, n, limit)
    if limit == 0:
        return math.inf if errors else 0.0
    return _log_e(errors, n, limit, _log_above)


def log_e_met(errors: int, n: int, limit: float) -> float:
    """Ln of the e-value against "the true rate is at least ``limit``": at ln 20 the limit is kept (beta = 5 %).

    A limit of 0 cannot be proved: 0.
    """
    _check(errors, n, limit)
    return 0.0 if limit == 0 else _log_e(errors, n, limit, _log_below)


def confidence_interval(errors: int, n: int, limit: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Rates that the counts do not exclude at any look, with confidence 1 - ``alpha``, as (low, high).

    The two-sided mixture of proposition 6 in the same paper, its prior at ``limit``.
    """
    _check(errors, n, limit)
    a, b = _prior(limit or ZERO_LIMIT_PRIOR)
    mixture = float(special.betaln(a + errors, b + n - errors) - special.betaln(a, b)) + math.log(alpha)

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
    _check(errors, errors, limit)
    if limit == 0:
        raise ValueError("a limit of 0 cannot be proved")
    enough = math.log(1 / beta)
    high = max(1, errors)
    while log_e_met(errors, high, limit) < enough:
        high *= 2
    low = max(errors, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if log_e_met(errors, middle, limit) >= enough else (middle + 1, high)
    return high


def _check(errors: int, n: int, limit: float) -> None:
    if not 0 <= errors <= n:
        raise ValueError(f"{errors} errors of {n} requests cannot be")
    if not 0 <= limit < 1:
        raise ValueError(f"a limit of {limit} is not a rate below 1")


def _prior(limit: float) -> tuple[float, float]:
    return 1.0, (1 - limit) / limit


def _log_e(errors: int, n: int, limit: float, log_mass: Callable[[float, float, float], float]) -> float:
    a, b = _prior(limit)
    posterior, prior = log_mass(a + errors, b + n - errors, limit), log_mass(a, b, limit)
    return posterior - prior - errors * math.log(limit) - (n - errors) * math.log1p(-limit)


def _log_below(a: float, b: float, x: float) -> float:
    """Ln of the integral of t^(a-1) (1-t)^(b-1) from 0 to ``x``."""
    share = float(special.betainc(a, b, x))
    if share > UNDERFLOW:
        return float(special.betaln(a, b)) + math.log(share)
    return a * math.log(x) + b * math.log1p(-x) - math.log(a) - math.log(_continued_fraction(a, b, x))


def _log_above(a: float, b: float, x: float) -> float:
    """Ln of the same integral from ``x`` to 1."""
    share = float(special.betaincc(a, b, x))
    if share > UNDERFLOW:
        return float(special.betaln(a, b)) + math.log(share)
    return a * math.log(x) + b * math.log1p(-x) - math.log(b) - math.log(_continued_fraction(b, a, 1 - x))


def _continued_fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) of DLMF 8.17.22, by Lentz' method; far below the mean, where it is needed, it is quick."""
    tiny = 1e-300
    value, c, d = 1.0, 1.0, 0.0
    for k in range(1, 1_000_000):
        m = k // 2
        if k % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / ((1 + term * d) or tiny)
        c = (1 + term / c) or tiny
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _edge(excluded: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where between two rates exclusion begins, by bisection down to neighbouring floats."""
    while True:
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            return outside
        inside, outside = (inside, middle) if excluded(middle) else (middle, outside)
