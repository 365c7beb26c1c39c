"""The mean of values known to lie between 0 and 1, exactly, valid however often one looks and from the first value on.

The predictable plug-in empirical Bernstein confidence sequence: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
betting", JRSS-B 86(1), 2024 (theorem 2). It needs no burn-in and no variance; ``stats.reward`` is tighter with many users.
"""

import math
from dataclasses import dataclass

import numpy as np

from fairway_steps.stats.counts import running
from fairway_steps.stats.evidence import ALPHA, bar
from fairway_steps.stats.reward import Values, finite

LARGEST = 0.5
"""The largest bet: what each value may be weighed by."""


@dataclass(frozen=True, slots=True)
class BoundedMean:
    """What the mean may be after ``n`` values between 0 and 1, at level ``alpha``. Frozen: ``update`` gives the next state.

    ``low`` and ``high`` are the intersection of the intervals at all looks, one a value; the rest are running sums.
    """

    alpha: float = ALPHA
    n: int = 0
    total: float = 0.0
    spread: float = 0.0
    bets: float = 0.0
    weighed: float = 0.0
    cost: float = 0.0
    low: float = 0.0
    high: float = 1.0

    def update(self, values: Values) -> "BoundedMean":
        """The state after further values; any grouping gives the same bits. ValueError for one below 0 or above 1."""
        x = finite(values)
        if not x.size:
            return self
        if x.min() < 0 or x.max() > 1:
            raise ValueError(f"a value of {x.min() if x.min() < 0 else x.max():g} is not between 0 and 1")
        t = np.arange(self.n + 1, self.n + x.size + 1)
        total = running(self.total, x)
        mean = (0.5 + total) / (t + 1)
        before = np.concatenate(([(0.5 + self.total) / (self.n + 1)], mean[:-1]))
        spread = running(self.spread, (x - mean) ** 2)
        variance = (0.25 + np.concatenate(([self.spread], spread[:-1]))) / t
        level = bar(self.alpha / 2)
        bet = np.minimum(np.sqrt(2 * level / (variance * t * np.log1p(t))), LARGEST)
        bets, weighed = running(self.bets, bet), running(self.weighed, bet * x)
        cost = running(self.cost, (x - before) ** 2 * (-np.log1p(-bet) - bet))
        center, half = weighed / bets, (level + cost) / bets
        return BoundedMean(
            self.alpha,
            int(t[-1]),
            float(total[-1]),
            float(spread[-1]),
            float(bets[-1]),
            float(weighed[-1]),
            float(cost[-1]),
            max(self.low, float((center - half).max())),
            min(self.high, float((center + half).min())),
        )

    @property
    def interval(self) -> tuple[float, float]:
        """Means that the values do not exclude; where they exclude all (probability ``alpha`` at most), the point between."""
        if self.low <= self.high:
            return self.low, self.high
        middle = math.fsum((self.low, self.high)) / 2
        return middle, middle
