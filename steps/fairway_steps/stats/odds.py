"""The likelihood of an odds ratio, given the margins of one stratum: Fisher's noncentral hypergeometric distribution.

With ``x_c`` of ``n_c`` requests of the candidate and ``x_p`` of ``n_p`` of the primary failed, e = x_c + x_p in all, the number
of the candidate's failures given e depends on the odds ratio psi alone: its probability is C(n_c, x) C(n_p, e - x) psi^x / P(psi) with
P(psi) = sum over j of C(n_c, j) C(n_p, e - j) psi^j (Cox, "Analysis of binary data", 1970; Fisher 1935). Whatever the common
rate was in that stratum, and however it drifts from stratum to stratum, it cancels.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fairway_steps.stats.counts import Array

SHORT = 160
"""Sums of so many terms are taken term by term for many strata at once, where no power of an odds ratio overflows."""
LARGEST = 690.0

CHUNK = 256
"""Strata taken at once, so that what is worked on stays in the processor's cache."""

PER_DEVIATION = 2.5
"""Nodes per standard deviation in long sums: the trapezoidal rule on a bell curve errs by exp(-2 pi^2 2.5^2) < 1e-53."""

NARROW = 12.0
"""With fewer standard deviations every term is taken: the curve may end at the edge of what is possible while still high."""

WIDE = 11.0
"""Standard deviations to either side of the mode that long sums take in; the rest is below exp(-60)."""


def log_likelihoods(
    errors_c: Array, n_c: Array, errors_p: Array, n_p: Array, log_odds: Array, shift: Array | float = 0.0
) -> Array:
    """Ln of the conditional likelihood of each log odds ratio, up to a constant of the stratum: shape (strata, odds ratios).

    x ln(psi) - ln(P(psi)/P(1)): 0 at an odds ratio of 1. Exact to rounding for all counts. ``shift`` moves all log odds
    ratios, in each stratum by its own.
    """
    total = errors_c + errors_p
    low, high = np.maximum(0, total - n_p), np.minimum(n_c, total)
    shifts = np.broadcast_to(shift, total.shape)
    out = np.empty((errors_c.size, log_odds.size))
    terms = high - low
    plain = (terms > 0) & (terms <= np.minimum(SHORT, LARGEST / np.maximum(1.0, log_odds.max() + shifts)))
    out[terms == 0] = 0.0
    rows = np.flatnonzero(plain)
    rows = rows[np.argsort(terms[rows], kind="stable")]
    for start in range(0, rows.size, CHUNK):
        some = rows[start : start + CHUNK]
        odds = log_odds[:, None] + shifts[some]
        sums = _short(n_c[some], n_p[some], total[some], low[some], terms[some], odds)
        out[some] = ((errors_c[some] - low[some]) * odds - sums).T
    for row in np.flatnonzero((terms > 0) & ~plain):
        counts = errors_c[row], n_c[row], n_p[row], total[row], low[row], high[row]
        out[row] = _long(*counts, log_odds + shifts[row])
    return out


def _short(n_c: Array, n_p: Array, total: Array, low: Array, terms: Array, log_odds: Array) -> Array:
    """Ln(sum of w_j psi^j / sum of w_j) over j = 0..terms by Horner's rule; all terms are positive, so nothing cancels.

    A column a stratum, so that each operation runs over many of them at once.
    """
    j = np.arange(int(terms.max()))
    inside = j < terms[:, None]
    up = (n_c - low)[:, None] - j, (total - low)[:, None] - j
    down = low[:, None] + j + 1, (n_p - total + low)[:, None] + j + 1
    ratio = np.where(inside, up[0] * up[1] / (down[0] * down[1]), 1.0)
    logs = np.concatenate((np.zeros((terms.size, 1)), np.cumsum(np.log(ratio), axis=1)), axis=1)
    np.copyto(logs[:, 1:], -np.inf, where=~inside)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True)).T.copy()
    psi = np.exp(np.vstack((log_odds, np.zeros(terms.size))))
    value = np.zeros(psi.shape)
    for weight in weights[::-1]:
        value *= psi
        value += weight
    np.log(value, out=value)
    sums: Array = value[:-1] - value[-1]
    return sums


def _long(x: float, n_c: float, n_p: float, total: float, low: float, high: float, log_odds: Array) -> Array:
    """The same for one stratum with many terms.

    The terms follow a bell curve so wide that a sum over every h-th of them, h below half a standard deviation, is the whole
    sum to rounding (Poisson's summation formula); where the curve is narrow, every term is taken.
    """
    odds = np.append(log_odds, 0.0)
    modes = np.array([_mode(n_c, n_p, total, psi) for psi in np.exp([odds.min(), odds.max()])])
    widths = np.array([_deviation(n_c, n_p, total, mode) for mode in np.clip(modes, low, high)])
    start = max(low, math.floor(modes[0] - WIDE * widths[0] - SHORT))
    stop = min(high, math.ceil(modes[1] + WIDE * widths[1] + SHORT))
    narrowest = min(widths.min(), _deviation(n_c, n_p, total, min(max(modes[0], low + 1), high - 1)))
    step = math.floor(narrowest / PER_DEVIATION) if narrowest > NARROW else 1
    nodes = np.arange(start, stop + 1, step)
    logs = _log_choose(n_c, nodes, x) + _log_choose(n_p, total - nodes, total - x)
    tilted = logs[:, None] + (nodes - x)[:, None] * odds
    top = tilted.max(axis=0)
    sums: Array = top + np.log(np.exp(tilted - top).sum(axis=0))
    relative: Array = sums[-1] - sums[:-1]
    return relative


def _mode(n_c: float, n_p: float, total: float, psi: float) -> float:
    """Where the terms are largest: the root of (n_c - j)(e - j) psi = j (n_p - e + j)."""
    if math.isclose(psi, 1.0, rel_tol=1e-12):
        return n_c * total / (n_c + n_p)
    a, b, c = psi - 1, -((n_c + total) * psi + n_p - total), psi * n_c * total
    return 2 * c / (-b + math.sqrt(max(0.0, b * b - 4 * a * c)))


def _deviation(n_c: float, n_p: float, total: float, mode: float) -> float:
    """The standard deviation of the terms about their mode, from the curvature of their logarithm."""
    parts = mode, n_c - mode, total - mode, n_p - total + mode
    return 1 / math.sqrt(sum(1 / max(part, 0.5) for part in parts))


def _log_choose(n: float, k: NDArray[np.float64], reference: float) -> Array:
    """Ln of C(n, k)/C(n, reference), accurate also where both are astronomically large (Loader 2000: Stirling's remainder apart)."""
    value: Array = _entropy(n, k) - _entropy(n, np.array(reference))
    return value


def _entropy(n: float, k: NDArray[np.float64]) -> Array:
    rest = n - k
    large = -special.xlogy(k, k / n) - special.xlogy(rest, rest / n)
    small: Array = -_stirling(k) - _stirling(rest) - 0.5 * (np.log(np.maximum(k, 1)) + np.log(np.maximum(rest, 1)))
    result: Array = large + small
    return result


def _stirling(k: NDArray[np.float64]) -> Array:
    """Ln k! - (k ln k - k + ln(k)/2): with ln(2 pi)/2 in it, so that k = 0 gives 0."""
    big = np.maximum(k, 1.0)
    series = 0.5 * math.log(2 * math.pi) + (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / big**2) / big**2) / big**2) / big
    exact = special.gammaln(k + 1) - special.xlogy(k, k) + k - 0.5 * np.log(big)
    result: Array = np.where(k > 30, series, exact)
    return result
