"""The best of several versions by mean reward, valid however often one looks.

Every pair has a confidence sequence at alpha over the number of pairs, so all hold together: a version is dropped once it is surely worse
than the leader, and the leader has won once it is surely not worse than any other by the indifference. P(ever declaring one that is worse
than the best by the indifference) <= alpha, as ``stats.reward`` promises for each interval. For K <= 8 versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from fairway_steps.stats.evidence import ALPHA, bar
from fairway_steps.stats.reward import MIN_UNITS, PLANNED, Moments, difference_interval

MOST = 8


@dataclass(frozen=True, slots=True)
class Winner:
    """``best`` leads; it has won if ``decided``. ``leads`` says by how much it is ahead of each other one, as (low, high).

    ``dropped`` are surely worse than the leader. ``missing`` users an arm are still needed before any verdict.
    """

    best: str
    decided: bool
    dropped: tuple[str, ...]
    leads: Mapping[str, tuple[float, float]]
    missing: int = 0


def winner(
    arms: Mapping[str, Moments],
    *,
    higher_is_better: bool = True,
    indifference: float = 0.0,
    alpha: float = ALPHA,
    planned: float = PLANNED,
    minimum: int = MIN_UNITS,
) -> Winner:
    """Who leads, and whether it has won. ValueError for fewer than 2 or more than 8 versions, or a negative indifference."""
    if not 2 <= len(arms) <= MOST:
        raise ValueError(f"{len(arms)} versions cannot be ranked: from 2 to {MOST} can")
    if not indifference >= 0:
        raise ValueError(f"an indifference of {indifference:g} is negative")
    sign = 1.0 if higher_is_better else -1.0
    best = max(arms, key=lambda name: (sign * arms[name].mean, name))
    level = alpha / len(list(combinations(arms, 2)))
    bar(level)
    leads = {name: _lead(arms[best], other, level, planned, sign) for name, other in arms.items() if name != best}
    missing = max(0, minimum - min(arm.n for arm in arms.values()))
    if missing:
        return Winner(best, decided=False, dropped=(), leads=leads, missing=missing)
    decided = all(low > -indifference for low, _ in leads.values())
    return Winner(best, decided, tuple(name for name, (low, _) in leads.items() if low > 0), leads)


def beats_primary(
    arms: Mapping[str, Moments],
    primary: str,
    *,
    higher_is_better: bool = True,
    alpha: float = ALPHA,
    planned: float = PLANNED,
    minimum: int = MIN_UNITS,
) -> tuple[str, ...]:
    """Which candidates are surely better than ``primary``: P(naming any that is not) <= ``alpha``."""
    if primary not in arms or len(arms) < 2:
        raise ValueError(f"{primary!r} is not among the versions, or stands alone")
    sign = 1.0 if higher_is_better else -1.0
    level = alpha / (len(arms) - 1)
    return tuple(
        name
        for name, arm in arms.items()
        if name != primary
        and min(arm.n, arms[primary].n) >= minimum
        and _lead(arm, arms[primary], level, planned, sign)[0] > 0
    )


def _lead(ahead: Moments, behind: Moments, alpha: float, planned: float, sign: float) -> tuple[float, float]:
    low, high = difference_interval(ahead, behind, alpha, planned)
    return (low, high) if sign > 0 else (-high, -low)
