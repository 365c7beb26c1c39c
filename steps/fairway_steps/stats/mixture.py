"""Boundaries that a sum of deviations crosses at any time with probability at most alpha: mixtures of supermartingales.

Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Statist. 49(2),
2021: the normal mixtures (propositions 3 and 5 with the tuning of section 3.5) and the beta-binomial ones (6 and 7). ``s`` is the sum of
deviations from the mean under test, ``v`` its variance process (n times the variance), in the square of its unit. ``g`` and ``h`` say how far one
observation may lie below and above its mean: p and 1 - p for a hit of probability p. Logarithms are natural.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from fairway_steps.stats.counts import Array
from fairway_steps.stats.evidence import ALPHA, bar

SMALLEST = 1e-3
"""The least spread of a prior, as a share of g h."""


def best_rho(v: float, alpha: float = ALPHA) -> float:
    """The spread of the two-sided normal mixture that is tightest at ``v``; for the one-sided take twice the ``alpha``."""
    if not v > 0:
        raise ValueError(f"a variance process of {v:g} is not above 0")
    return v / (2 * bar(alpha) + math.log1p(2 * bar(alpha)))


def normal_two_sided(s: float, v: float, rho: float) -> float:
    """Ln of the mixture over both directions."""
    return 0.5 * math.log(rho / (v + rho)) + s * s / (2 * (v + rho))


def normal_two_sided_bound(v: float, rho: float, alpha: float = ALPHA) -> float:
    """The deviation at which ``normal_two_sided`` reaches ln 1/``alpha``."""
    return math.sqrt((v + rho) * (math.log1p(v / rho) + 2 * bar(alpha)))


def normal_one_sided(s: float, v: float, rho: float) -> float:
    """Ln of the mixture over upward deviations alone."""
    half = 0.5 * math.log(4 * rho / (v + rho)) + s * s / (2 * (v + rho))
    return half + float(special.log_ndtr(s / math.sqrt(v + rho)))


def normal_one_sideds(s: Array, v: Array, rho: float) -> Array:
    """``normal_one_sided`` of many at once: the same bits."""
    logs = np.array(list(map(math.log, (4 * rho / (v + rho)).tolist())))
    mixture: Array = 0.5 * logs + s * s / (2 * (v + rho)) + special.log_ndtr(s / np.sqrt(v + rho))
    return mixture


def normal_one_sided_bound(v: float, rho: float, alpha: float = ALPHA) -> float:
    """The deviation at which ``normal_one_sided`` reaches ln 1/``alpha``."""
    return _bound(lambda s: normal_one_sided(s, v, rho), normal_two_sided_bound(v, rho, alpha / 2), alpha)


def beta_spread(v: float, g: float, h: float, alpha: float = ALPHA, *, one_sided: bool = False) -> float:
    """The ``r`` of the beta-binomial mixture that is tight at ``v``, from the normal one's."""
    rho = best_rho(v, 2 * alpha if one_sided else alpha)
    return max(rho - g * h, SMALLEST * g * h)


def beta_binomial(s: float, v: float, g: float, h: float, r: float, *, one_sided: bool = False) -> float:
    """Ln of the beta-binomial mixture; ``one_sided`` over upward deviations alone."""
    width = g + h
    cut = h / width if one_sided else 1.0
    posterior = _log_incomplete((r + v - g * s) / (g * width), (r + v + h * s) / (h * width), cut)
    prior = _log_incomplete(r / (g * width), r / (h * width), cut)
    base = v / (g * h) * math.log(width)
    hits, misses = (v + h * s) / (h * width), (v - g * s) / (g * width)
    return base - hits * math.log(g) - misses * math.log(h) + posterior - prior


def beta_binomial_bound(
    v: float, g: float, h: float, r: float, alpha: float = ALPHA, *, one_sided: bool = False
) -> float:
    """The deviation at which ``beta_binomial`` reaches ln 1/``alpha``; at most ``v / g``, where every observation is the largest."""
    return _bound(lambda s: beta_binomial(s, v, g, h, r, one_sided=one_sided), v / g, alpha)


def rate_interval(hits: float, n: int, planned: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Rates that ``hits`` of ``n`` do not exclude at any look, each tested with a prior tuned to ``planned`` observations."""

    def excess(p: float) -> float:
        g, h = p, 1 - p
        v = p * (1 - p)
        return beta_binomial(hits - n * p, v * n, g, h, beta_spread(v * planned, g, h, alpha)) - bar(alpha)

    if not n:
        return 0.0, 1.0
    rate, tiny = hits / n, 1e-12
    low = 0.0 if hits == 0 or excess(tiny) < 0 else _root(excess, tiny, rate, 1e-14)
    high = 1.0 if hits == n or excess(1 - tiny) < 0 else _root(excess, rate, 1 - tiny, 1e-14)
    return low, high


def _bound(log_mixture: Callable[[float], float], top: float, alpha: float) -> float:
    threshold = bar(alpha)
    if log_mixture(top) < threshold:
        return top
    return _root(lambda s: log_mixture(s) - threshold, 0.0, top, 1e-12)


def _root(of: Callable[[float], float], low: float, high: float, exact: float) -> float:
    from scipy import optimize  # noqa: PLC0415 - as much to import as all else of a judgement, and only intervals ask for it

    return float(optimize.brentq(of, low, high, xtol=exact))


def _log_incomplete(a: float, b: float, x: float) -> float:
    whole = float(special.betaln(a, b))
    return whole if x == 1 else whole + math.log(special.betainc(a, b, x))
