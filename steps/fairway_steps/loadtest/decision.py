"""Whether what was measured decides: every limit is provably kept, or one is provably broken.

The same e-processes as those of an assessment (``stats.rate``, here without scipy), so a run may be looked at every second and end at any of
these looks: the chance of a wrong end stays at ``ALPHA`` in either direction. Limits share it equally when one is broken; when all
are to be kept, each must be proved for itself (intersection-union: Berger 1982).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.loadtest.tally import Count
from fairway_steps.stats.evidence import ALPHA
from fairway_steps.stats.light import log_e_met, log_e_violated


@dataclass(frozen=True, slots=True)
class Bound:
    """At most a share of ``allowed`` requests may break a limit: the one in ``place`` of the tally's, or, None, by failing.

    ``name`` is how a sentence would call it. Nothing is decided before ``least`` requests.
    """

    name: str
    allowed: float
    place: int | None = None
    least: int = 0


def decided(bounds: Sequence[Bound], count: Count) -> str:
    """Why no more requests are needed, or nothing."""
    if not bounds or not count.requests:
        return ""
    enough = math.log(1 / ALPHA)
    broken = math.log(len(bounds) / ALPHA)
    met = []
    for bound in bounds:
        exceeded = count.failed if bound.place is None else count.over[bound.place]
        if log_e_violated(exceeded, count.requests, bound.allowed) >= broken:
            return f"{bound.name} is broken: {exceeded} of {count.requests} requests"
        met.append(count.requests >= bound.least and log_e_met(exceeded, count.requests, bound.allowed) >= enough)
    return f"every limit is kept, proved by {count.requests} requests" if all(met) else ""
