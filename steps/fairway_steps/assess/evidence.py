"""E-values over time: of one limit after every window of a release, and of harm that begins late."""

import math
from collections.abc import Sequence

from fairway_steps.assess.counts import Exceedances
from fairway_steps.model import LATE
from fairway_steps.stats import rate
from fairway_steps.stats.evidence import log_sum


def mixed(paths: Sequence[Sequence[float]]) -> list[float]:
    """Ln of the mixture of e-processes: the first over all windows, each later one from a change of weights on.

    A process that has not begun is at 0, and so is what is kept back for changes that have not come.
    """
    weights = [math.log1p(-LATE), *(math.log(LATE) - k * math.log(2) for k in range(1, len(paths)))]
    kept_back = math.log(LATE) - (len(paths) - 1) * math.log(2)
    return [log_sum([kept_back, *map(sum, zip(weights, now, strict=True))]) for now in zip(*paths, strict=True)]


def log_es_broken(found: Sequence[Exceedances], allowed: float) -> list[float]:
    """Ln e against "the limit is kept" at each of them, from what surely broke it."""
    values: list[float] = rate.log_e_violateds([f.least for f in found], [f.of_most for f in found], allowed).tolist()
    return values


def log_e_kept(found: Exceedances) -> float:
    """Ln e against "the limit is broken", from what perhaps broke it."""
    return rate.log_e_met(found.most, found.of_least, found.allowed)
