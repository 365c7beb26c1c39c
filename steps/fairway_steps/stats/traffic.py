"""Whether traffic splits as the weights ask, valid however often one looks. Pure.

The Dirichlet-multinomial mixture (Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS
2022). A split that differs says that the route is not in effect, or that users do not stick: it is no fault of a version.
"""

import math
from collections.abc import Sequence

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
