"""The e-values of ``stats.rate`` for one pair of counts, without numpy and scipy: for the load test, whose image has no scipy.

The same mixture, prior and meaning, to eight digits and more; see there for what they are.
"""

import math

from fairway_steps.stats.beta import log_above, log_below


def log_e_violated(errors: int, n: int, limit: float) -> float:
    """Ln of the e-value against "the true rate is at most ``limit``". ValueError for counts or a limit that cannot be."""
    a, b = _prior(errors, n, limit)
    if limit == 0:
        return math.inf if errors else 0.0
    return log_above(a + errors, b + n - errors, limit) - log_above(a, b, limit) - _likelihood(errors, n, limit)


def log_e_met(errors: int, n: int, limit: float) -> float:
    """Ln of the e-value against "the true rate is at least ``limit``"; 0 for a limit of 0. ValueError likewise."""
    a, b = _prior(errors, n, limit)
    if limit == 0:
        return 0.0
    return log_below(a + errors, b + n - errors, limit) - log_below(a, b, limit) - _likelihood(errors, n, limit)


def _prior(errors: int, n: int, limit: float) -> tuple[float, float]:
    if not (0 <= errors <= n and 0 <= limit < 1):
        raise ValueError(f"{errors} of {n} requests, held against a rate of {limit:g}, cannot be")
    return 1.0, (1 - limit) / limit if limit else math.inf


def _likelihood(errors: int, n: int, limit: float) -> float:
    return errors * math.log(limit) + (n - errors) * math.log1p(-limit)
