"""Parts of the beta function's integral in logarithms, with nothing but ``math``: for where scipy is too much to carry.

Of a, b > 0 and 0 < x < 1, the integral of t^(a-1) (1-t)^(b-1) from 0 to x is its continued fraction (DLMF 8.17.22) below the mean,
and the whole less its mirror image above it (DLMF 8.17.4); so nothing is lost in the tails. About the square root of a + b steps.
"""

import math
from typing import Any

TINY = 1e-300
CLOSE, MOST = 1e-15, 1_000_000
"""A fraction has converged once a step changes it by less than this part; it takes at most so many."""


def log_beta(a: float, b: float) -> float:
    """Ln of the whole integral, from 0 to 1."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def log_below(a: float, b: float, x: float) -> float:
    """Ln of the integral from 0 to ``x``."""
    return _log_part(a, b, math.log(x), math.log1p(-x), x)


def log_above(a: float, b: float, x: float) -> float:
    """Ln of the integral from ``x`` to 1."""
    return _log_part(b, a, math.log1p(-x), math.log(x), 1 - x)


def _log_part(a: float, b: float, log_x: float, log_rest: float, x: float) -> float:
    if x <= (a + 1) / (a + b + 2):
        return a * log_x + b * log_rest - math.log(a) - math.log(continued_fraction(a, b, x))
    whole = log_beta(a, b)
    rest = b * log_rest + a * log_x - math.log(b) - math.log(continued_fraction(b, a, 1 - x))
    return whole + math.log(-math.expm1(rest - whole)) if rest < whole else -math.inf


def continued_fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) of DLMF 8.17.22, by Lentz' method; quick below the mean."""
    value, c, d = 1.0, 1.0, 0.0
    for k in range(1, MOST):
        term: float = numerator(k, a, b, x)
        d = 1 / ((1 + term * d) or TINY)
        c = (1 + term / c) or TINY
        value *= c * d
        if abs(c * d - 1) < CLOSE:
            break
    return value


def numerator(k: int, a: Any, b: Any, x: float) -> Any:
    """The ``k``-th d of that fraction; of arrays of ``a`` and ``b`` one of each pair (``fractions``)."""
    m = k // 2
    if k % 2:
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
