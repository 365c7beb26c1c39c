"""What a histogram's edges make of latency SLOs, told before a release. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Protocol

from fairway_steps.model import Slo
from fairway_steps.stats.latency import nearest
from fairway_steps.words import name_of, number, seconds

NEAR = 0.51
"""How far apart edges may be for a margin, as a part of it: so close, a value between them is more than a guess."""
FEW = 20


class Level(StrEnum):
    """What a finding means."""

    REFUSED = "refused"
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and how to mend it."""

    level: Level
    sentence: str
    mend: str = field(default="")


class Counted(Protocol):
    """How many of a version's requests took at most so long, by edge."""

    @property
    def version(self) -> str: ...
    @property
    def edges(self) -> tuple[float, ...]: ...
    @property
    def under(self) -> tuple[int, ...]: ...


def around(where: str, slo: Slo, edges: Sequence[float]) -> Finding:
    """What the histogram's edges make of a limit: it is one, lies between two, or beyond all."""
    limit, about = seconds(slo.limit), f"the limit of {seconds(slo.limit)} on {name_of(slo)}"
    if not edges or slo.limit > edges[-1] * (1 + 1e-9):
        last = seconds(edges[-1]) if edges else "none"
        return Finding(
            Level.REFUSED,
            f"{about} lies beyond the last edge of {where} ({last}): no breach of it could be seen",
            f"is the unit right? the last limit it can tell is {last}",
        )
    below = max((edge for edge in edges if edge <= slo.limit * (1 + 1e-9)), default=0.0)
    above = min(edge for edge in edges if edge >= slo.limit * (1 - 1e-9))
    if not below:
        return Finding(
            Level.REFUSED,
            f"{about} lies below the first edge of {where} ({seconds(above)}): no version could be seen to keep it",
            f"is the unit right? the first limit it can tell is {seconds(above)}",
        )
    if math.isclose(below, above, rel_tol=1e-9):
        return Finding(Level.OK, f"{limit} is an edge of {where}: {name_of(slo)} is told exactly")
    return Finding(
        Level.WARNING,
        f"{about} lies between the edges {seconds(below)} and {seconds(above)} of {where}: requests between them are "
        "taken to be slow for a pass and fast for a failure",
        f"the nearest limit it can tell is {seconds(nearest(slo.limit, (below, above)))}",
    )


def apart(where: str, slo: Slo, edges: Sequence[float], shown: Sequence[Counted]) -> Finding:
    """Whether the edges are close enough for a margin: around the quantile of the first version that has one, or anywhere."""
    assert slo.quantile is not None
    near, margin = NEAR * slo.limit, f"a margin of {number(100 * slo.limit)} % on {name_of(slo)}"
    lacking = f"edges at most {number(50 * slo.limit)} % apart are missing"
    mend = "make the buckets finer there, take a wider margin, or a limit"
    for one in shown:
        bracket = _quantile(one, slo.quantile)
        if bracket is None:
            continue
        low, high = bracket
        place = f"between the edges {seconds(low)} and {seconds(high)} of {where}"
        if math.isinf(high):
            place = f"beyond the last edge of {where} ({seconds(low)})"
        lies = f"{name_of(slo)} of {one.version} lies {place}"
        if low and high <= low * (1 + near):
            return Finding(Level.OK, f"{lies}: {margin} can be told")
        return Finding(Level.REFUSED, f"{lies}, so {margin} cannot be told: {lacking} there", mend)
    close = [(low, high) for low, high in pairwise(edges) if high <= low * (1 + near)]
    if not close:
        return Finding(Level.REFUSED, f"the edges of {where} are too far apart for {margin}: {lacking}", mend)
    told = f"the edges of {where} are close enough for {margin} from {seconds(close[0][0])} to {seconds(close[-1][1])}"
    whole = len(close) == sum(1 for low, high in pairwise(edges) if close[0][0] <= low and high <= close[-1][1])
    return Finding(
        Level.WARNING, told if whole else f"{told}, and not everywhere between", "see that both versions lie there"
    )


def _quantile(one: Counted, quantile: float) -> tuple[float, float] | None:
    """Between which edges it lies; infinity is beyond the last edge. None for too few requests."""
    if not one.under or one.under[-1] * (1 - quantile) < 1 or one.under[-1] < FEW:
        return None
    index = next(i for i, count in enumerate(one.under) if count >= quantile * one.under[-1])
    return (one.edges[index - 1] if index else 0.0, one.edges[index])
