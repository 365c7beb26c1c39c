"""Quantiles of raw samples, and one version's against another's, valid however often one looks.

Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification", Bernoulli 28(3),
2022: the confidence sequence of one quantile (theorem 1), of all at once (theorem 3), and the comparison of two samples
(theorem 5). An observation lies at or below the q quantile with probability q, so the number of those that do is a sum of which
the mixtures of ``stats.rate`` and ``stats.mixture`` know how far it may stray. Samples are numbers in any one unit; results keep it.
A failed request is infinity. Ties and atoms are counted to the cautious side.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fairway_steps.stats.counts import Array
from fairway_steps.stats.evidence import ALPHA, EValues, bar
from fairway_steps.stats.mixture import beta_binomial, beta_spread
from fairway_steps.stats.rate import ROUNDING, log_e_mets, log_e_violateds
from fairway_steps.stats.slowness import checked_quantile

Samples = Sequence[float] | NDArray[np.float64]

MARGIN = 0.10
SAME = 1e-12
"""Values closer than this share of themselves are ties, so that no change of unit can part them."""

CELLS = 256


def quantile_interval(samples: Samples, quantile: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Values of the ``quantile`` that the samples do not exclude at any look: two order statistics, or minus and plus infinity.

    The mixture is that of ``rate.confidence_interval`` for the share beyond, so the interval excludes a limit when that one does.
    """
    ordered, q = _ordered(samples), checked_quantile(quantile)
    n = ordered.size
    if not n:
        return -math.inf, math.inf
    share = 1 - q
    a, b = 1.0, q / share

    def inside(above: int) -> bool:
        """Whether the quantile may have so many samples above it."""
        mixture = special.betaln(a + above, b + n - above) - special.betaln(a, b)
        return bool(mixture - above * math.log(share) - (n - above) * math.log(q) < bar(alpha))

    expected = round(n * share)
    most = _last(lambda k: inside(expected + k), n - expected) + expected
    least = expected - _last(lambda k: inside(expected - k), expected)
    low = -math.inf if most >= n else float(ordered[n - most - 1])
    high = math.inf if least <= 0 else float(ordered[n - least])
    return low, high


def quantile_of(samples: Samples, quantile: float) -> float:
    """The smallest sample that at least ``quantile`` of them do not exceed. ValueError for none."""
    ordered = _ordered(samples)
    if not ordered.size:
        raise ValueError("there is no sample to take a quantile of")
    rank = math.ceil(ordered.size * checked_quantile(quantile) * (1 - SAME))
    return float(ordered[max(1, rank) - 1])


def compare_quantiles(candidate: Samples, primary: Samples, quantile: float, margin: float = MARGIN) -> EValues:
    """Ln of the e-values on the candidate's quantile being at most, and at least, 1 + ``margin`` times the primary's.

    ``violated`` refutes that it is at most that. Whatever the primary's quantile x is, the candidate's exceedances of x (1 +
    ``margin``) and the primary's of x make a product of two e-values; x is not known, so the smallest product over all x counts.
    """
    if not -1 < margin < math.inf:
        raise ValueError(f"a margin of {margin:g} is not above -1")
    share = 1 - checked_quantile(quantile)
    scaled, ordered = _ordered(candidate) / (1 + margin), _ordered(primary)
    for name, values in (("candidate", scaled), ("primary", ordered)):
        if not values.size:
            raise ValueError(f"there is no sample of the {name}")
        if values[0] < 0:
            raise ValueError(f"a sample of the {name} is negative, so it has no margin in percent")
    at = np.concatenate((scaled, ordered))
    at = np.sort(at[np.isfinite(at)])
    if not at.size:
        return EValues()

    def worse(x: Array) -> tuple[Array, Array]:
        beyond, reached = _above(scaled, x), _reached(ordered, x)
        return log_e_violateds(beyond, scaled.size, share), log_e_mets(reached, ordered.size, share)

    def better(x: Array) -> tuple[Array, Array]:
        beyond, reached = _above(ordered, x), _reached(scaled, x)
        return log_e_violateds(beyond, ordered.size, share), log_e_mets(reached, scaled.size, share)

    return EValues(_smallest_sum(worse, at), _smallest_sum(better, at))


def equal_quantiles_p(
    first: Samples, second: Samples, quantile: float, planned: float = 100, alpha: float = ALPHA
) -> float:
    """The anytime p-value of "both quantiles are the same", two-sided, with mixtures tuned to ``planned`` samples."""
    q = checked_quantile(quantile)
    spread = beta_spread(planned * q * (1 - q), q, 1 - q, alpha)
    one, two = _ordered(first), _ordered(second)
    if not (one.size and two.size):
        return 1.0
    at = np.unique(np.concatenate((one, two)))

    def table(n: int) -> Array:
        return np.array([beta_binomial(k - n * q, n * q * (1 - q), q, 1 - q, spread) for k in range(n + 1)])

    def least(ordered: Array) -> Array:
        """The smallest mixture over the numbers of samples that may lie at or below each x: from those below to those not above."""
        values = table(ordered.size)
        lowest = int(np.argmin(values))
        below = np.searchsorted(ordered, at, side="left")
        upto = np.searchsorted(ordered, at, side="right")
        found: Array = values[np.clip(lowest, below, upto)]
        return found

    return float(np.exp(-max(0.0, float((least(one) + least(two)).min()))))


def all_quantiles_bound(
    quantile: float,
    n: float,
    planned: float,
    alpha: float = ALPHA,
    delta: float = 0.5,
    s: float = 1.4,
    eta: float = 2.0,
) -> float:
    """How far the number of samples at or below any quantile may stray above its mean, for all quantiles and all n at once.

    The double stitching bound (theorem 3 with its defaults): ``delta`` spaces quantiles, ``s`` and ``eta`` space epochs.
    """
    q, t = checked_quantile(quantile), max(n, planned)
    k1, k2 = (eta**0.25 + eta**-0.25) / math.sqrt(2), (math.sqrt(eta) + 1) / 2
    logit = math.log(q / (1 - q))
    moved = special.expit(logit + 2 * delta * math.sqrt(planned * eta / t))
    r = q if q >= 0.5 else min(0.5, float(moved))
    variance = r * (1 - r)
    cells = math.sqrt(t / planned) * abs(logit) / (2 * delta) + 1
    zeta = float(special.zeta(s))
    level = s * math.log(math.log(eta * t / planned)) + s * math.log(cells)
    level += math.log(2 * zeta * (2 * zeta + 1) / (alpha * math.log(eta) ** s))
    skew = k2 * (1 - 2 * q) / 3 * level
    return (
        delta * math.sqrt(eta * t * variance / planned) + math.sqrt(k1 * k1 * variance * t * level + skew * skew) + skew
    )


def _ordered(samples: Samples) -> Array:
    try:
        ordered = np.sort(np.asarray(samples, dtype=np.float64).ravel())
    except (TypeError, ValueError) as error:
        raise ValueError("a sample is not a number") from error
    if ordered.size and np.isnan(ordered[-1]):
        raise ValueError("a sample is not a number")
    return ordered


def _above(ordered: Array, x: Array) -> Array:
    """How many lie above each x, ties left out."""
    return (ordered.size - np.searchsorted(ordered, x * (1 + SAME), side="right")).astype(np.float64)


def _reached(ordered: Array, x: Array) -> Array:
    """How many lie at or above each x, ties taken in."""
    return (ordered.size - np.searchsorted(ordered, x * (1 - SAME), side="left")).astype(np.float64)


def _smallest_sum(parts: Callable[[Array], tuple[Array, Array]], at: Array) -> float:
    """The smallest sum over ``at`` of a falling and a rising function, computing few of its values.

    Between two points the sum is at least the falling one at the right plus the rising one at the left: cells that cannot
    hold a smaller sum than the best so far are left out, the others are split.
    """
    best = math.inf
    cells = [(0, at.size - 1)]
    while cells:
        index = np.unique([edge for low, high in cells for edge in _split(low, high, max(2, CELLS // len(cells)))])
        falling, rising = parts(at[index])
        best = min(best, float((falling + rising).min()))
        ends = {int(i): (f, r) for i, f, r in zip(index, falling, rising, strict=True)}
        cells = [
            (low, high)
            for whole_low, whole_high in cells
            for low, high in pairwise(_split(whole_low, whole_high, max(2, CELLS // len(cells))))
            if high - low > 1 and ends[high][0] + ends[low][1] < best - ROUNDING
        ]
    return best


def _split(low: int, high: int, parts: int) -> list[int]:
    return sorted({low + (high - low) * k // parts for k in range(parts + 1)})


def _last(holds: Callable[[int], bool], end: int) -> int:
    """The largest k from 0 to ``end`` at which ``holds``, for one that holds at 0 and, once it fails, fails on."""
    if holds(end):
        return end
    low, high = 0, end
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
