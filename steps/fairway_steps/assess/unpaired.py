"""What a candidate did in windows without the primary: no proof of harm, for nothing is beside it, but perhaps a doubt about its health. Pure.

It is held against what the rest of the stage tells of the primary: those windows alone, and all of the stage together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.assess.rest import Ending, Open, Scene
from fairway_steps.assess.shared import Shared
from fairway_steps.model import Doubt, Result
from fairway_steps.stats.bets import log_e_above
from fairway_steps.stats.columns import Columns
from fairway_steps.stats.comparison import VIOLATED, RateVsPrimary
from fairway_steps.stats.pairs import surely_or_perhaps
from fairway_steps.words import count


@dataclass(frozen=True, slots=True)
class Unpaired:
    """``broken`` of so many requests broke the margin's line without the primary; ``log_e`` is what that would be of harm, had it been there."""

    broken: int
    of: int
    log_e: float

    def doubt(self, scene: Scene, open_: Open) -> Ending | None:
        if not self.broken or self.log_e < open_.alarming:
            return None
        after = f"{self.broken:,} of {count(self.of)} of {scene.candidate} broke it where no {scene.primary} was beside"
        return Ending(Result.INCONCLUSIVE, "it may be over", after, doubt=Doubt.HARM)


NONE = Unpaired(0, 0, -math.inf)


def by_requests(
    scene: Scene, own: Columns, shared: Shared, fresh: RateVsPrimary, line: tuple[float, float] | None, margin: float
) -> Unpaired:
    """By failed requests; with a ``line``, an edge in seconds and the odds allowed there, by those that took longer.

    ``own`` are all of the candidate's windows, ``shared`` those with the primary.
    """
    here, both = own.some(own.at(scene.weight)), shared.at(scene.weight)
    known = both.other.requests > 0 if line is None else both.other.has_latency
    both = both.some(known.nonzero()[0])
    if len(both.looks) == len(here.strata):
        return NONE
    edge, allowed = line or (math.nan, 1.0)
    (x, n), (own_x, own_n) = (_broken(each, edge * (1 + margin), surely=True) for each in (here, both.own))
    y, m = _broken(both.other, edge, surely=False)
    if n == own_n or not m:
        return NONE
    table = [x - own_x, x], [n - own_n, n], [y, y], [m, m]
    each = [
        fresh.log_es(fresh.read(*([v] for v in row), allowed=allowed, part=VIOLATED), VIOLATED)
        for row in zip(*table, strict=True)
    ]
    return Unpaired(x - own_x, n - own_n, max(float(log_e[0]) for log_e in each))


def by_windows(scene: Scene, allowed: float) -> Unpaired:
    """By the rates of windows, each one unit, of which ``allowed`` times the primary's is within the margin."""
    errors, requests = (column.tolist() for column in (scene.columns.errors, scene.columns.requests))
    other = scene.shared.other
    primarys = zip(scene.rows, other.errors.tolist(), other.requests.tolist(), strict=True)
    beside = {row: failed / served for row, failed, served in primarys if served}
    here = [row for row, is_here in enumerate(scene.is_here) if is_here and requests[row]]
    lone, paired = [row for row in here if row not in beside], [beside[row] for row in here if row in beside]
    if not lone or not paired:
        return NONE
    usual = math.fsum(paired) / len(paired)

    def log_e(rows: Sequence[int]) -> float:
        above = [errors[row] / requests[row] - allowed * beside.get(row, usual) for row in rows]
        return log_e_above(math.fsum(above), math.fsum(each * each for each in above), allowed)

    return Unpaired(
        int(sum(errors[row] for row in lone)), int(sum(requests[row] for row in lone)), max(map(log_e, (lone, here)))
    )


def _broken(columns: Columns, line: float, *, surely: bool) -> tuple[int, int]:
    if math.isnan(line):
        return int(columns.errors.sum()), int(columns.requests.sum())
    broken, of = surely_or_perhaps(columns, line, surely=surely)
    return int(broken.sum()), int(of.sum())
