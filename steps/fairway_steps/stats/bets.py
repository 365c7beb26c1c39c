"""Whether the mean of some units is above 0, exactly and however often one looks, by their sum and the sum of their squares. Pure.

Units that are never below ``-span``, such as latencies less their limit: with x = unit / span >= -1,

    1 + s x >= exp(s x - cost(s) x^2),  cost(s) = -ln(1 - s) - s,  0 <= s < 1

(Fan, Grama and Liu, "Exponential inequalities for martingales with applications", Electron. J. Probab. 20, 2015, lemma 4.1). If
the mean of each unit, given those before it, is at most 0, the product of the left sides is a nonnegative supermartingale, and so, at
most, is that of the right ones: an e-process for each s, and their average over a fixed grid is one, too. Nothing is asked of how units
scatter, nor how many there are, and a sum of squares that is too large proves the less.
"""

import math
from collections.abc import Callable

BETS: tuple[float, ...] = tuple(0.9 / 3**k for k in range(16))
"""The values of s; small ones are for units some of which are very large beside the span."""

LOG_WEIGHTS: tuple[float, ...] = tuple(
    0.25 * math.log(bet) - math.log(math.fsum(each**0.25 for each in BETS)) for bet in BETS
)
COSTS: tuple[float, ...] = tuple(-math.log1p(-bet) - bet for bet in BETS)
LEAST = -700.0
"""No ln e is lower."""

GRID = 200
ENOUGH = 100
"""With fewer units it is for a person, as long as nothing is proved: so few tell hardly anything of a mean."""
ENOUGH_HERE = 10
"""So many at least must be of the stage that is judged."""


def log_e_above(total: float, squares: float, span: float) -> float:
    """Ln of the e-value against "the mean is at most 0"; with a ``span`` of 0 one unit above it refutes that."""
    if total == squares == 0:
        return 0.0
    if span <= 0:
        return math.inf if total > 0 else 0.0
    reach, spread = total / span, squares / span / span
    logs = [weight + bet * reach - cost * spread for weight, bet, cost in zip(LOG_WEIGHTS, BETS, COSTS, strict=True)]
    if (top := max(logs)) <= LEAST:
        return LEAST
    return max(LEAST, top + math.log(math.fsum(math.exp(log - top) for log in logs)))


def mean_interval(n: int, total: float, squares: float, low: float, high: float, alpha: float) -> tuple[float, float]:
    """What the mean of units between ``low`` and ``high`` may be by all looks, each end at half of ``alpha``; no end above if ``high`` is infinite."""
    if not n or math.isinf(squares):
        return low, high
    mean, enough = min(high, max(low, total / n)), math.log(2 / alpha)

    def excluded(value: float, way: int, end: float) -> bool:
        away, spread = total - n * value, squares - 2 * value * total + n * value * value
        return log_e_above(way * away, max(0.0, spread), abs(value - end)) >= enough

    first = _farthest(lambda value: excluded(value, 1, low), mean, low)
    return first, _farthest(lambda value: excluded(value, -1, high), mean, high) if math.isfinite(high) else high


def _farthest(excluded: Callable[[float], bool], mean: float, end: float) -> float:
    """From the mean on, the first value that is excluded: with it, all beyond it are. The ``end`` if none is."""
    inside = mean
    for step in range(1, GRID):
        outside = mean + (end - mean) * step / GRID
        if excluded(outside):
            for _ in range(50):
                middle = (inside + outside) / 2
                inside, outside = (inside, middle) if excluded(middle) else (middle, outside)
            return outside
        inside = outside
    return end
