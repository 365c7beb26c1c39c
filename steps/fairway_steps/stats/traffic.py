"""Whether traffic splits as the weights ask, valid however often one looks. Pure.

The Dirichlet-multinomial mixture (Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS
2022). A split that differs says that the route is not in effect, or that users do not stick: it is no fault of a version.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

CONCENTRATION = 100.0


def log_e_split(counts: Sequence[int], shares: Sequence[float], concentration: float = CONCENTRATION) -> float:
    """Ln of the e-value against "each request goes to version i with probability ``shares[i]``"; ln 20 is an alarm.

    ``counts`` are whole requests by version, ``shares`` fractions that sum to one; a request for a version without a
    share is proof (infinity). The prior is Dirichlet with ``concentration`` times the shares. Raises ValueError for
    lengths that differ, negative counts and shares that do not sum to one.
    """
    if len(counts) != len(shares) or any(count < 0 for count in counts):
        raise ValueError(f"{list(counts)} are not counts of {len(shares)} versions")
    if any(share < 0 for share in shares) or not math.isclose(sum(shares), 1.0, abs_tol=1e-9):
        raise ValueError(f"{list(shares)} are not shares of one")
    if any(count and not share for count, share in zip(counts, shares, strict=True)):
        return math.inf
    log_e = math.lgamma(concentration) - math.lgamma(concentration + sum(counts))
    for count, share in zip(counts, shares, strict=True):
        if count:
            alpha = concentration * share
            log_e += math.lgamma(alpha + count) - math.lgamma(alpha) - count * math.log(share)
    return log_e


@dataclass(frozen=True, slots=True)
class SplitVsWeights:
    """The evidence that traffic does not split as ``shares`` ask, after ``counts`` since they were set.

    ``before`` is what earlier shares came to, as the logarithm of their e-value: the product goes on. Frozen.
    """

    shares: tuple[float, ...]
    counts: tuple[int, ...] = ()
    before: float = 0.0
    peak: float = 0.0
    concentration: float = CONCENTRATION

    def update(self, counts: Sequence[int]) -> "SplitVsWeights":
        """The state after one more look: requests by version since the last."""
        known = self.counts or (0,) * len(self.shares)
        if len(counts) != len(known):
            raise ValueError(f"{list(counts)} are not counts of {len(known)} versions")
        after = replace(self, counts=tuple(a + int(b) for a, b in zip(known, counts, strict=True)))
        return replace(after, peak=max(self.peak, after.log_e))

    def reweighted(self, shares: Sequence[float]) -> "SplitVsWeights":
        """The state when the weights are changed: the counts begin anew, the evidence stays."""
        return replace(self, shares=tuple(shares), counts=(), before=self.log_e)

    @property
    def log_e(self) -> float:
        """Ln of the e-value against "the traffic splits as asked"; at ln 20 it is an alarm."""
        return self.before + log_e_split(self.counts or (0,) * len(self.shares), self.shares, self.concentration)
