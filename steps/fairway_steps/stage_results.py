"""What a record says of one stage: when its weights were set, and which verdict still holds. Pure."""

from dataclasses import replace

from fairway_steps.model import Stratum, Verdict
from fairway_steps.record import Record, StageResult

CLOSE = 1e-3
"""Seconds that two moments may lie apart and be the same."""


def concluded(record: Record, result: StageResult) -> Record:
    """The record with one more result; a person's word that it carries out is not carried out again."""
    done = result.basis.intervention
    waiting = None if record.intervention == done else record.intervention
    return replace(record, results=(*record.results, result), intervention=waiting)


def changes(record: Record, index: int) -> list[float]:
    return [change.at for change in record.timeline if change.stage == index]


def served_since(record: Record, index: int) -> float | None:
    """When the weights of the stage were last served; None if they were never set."""
    return max((c.at + (c.settled_after or 0.0) for c in record.timeline if c.stage == index), default=None)


def settles(stratum: Stratum, since: float, burn_in: int, interval: float) -> bool:
    """Whether it is of the burn-in: so many looks, ``interval`` seconds apart, ``since`` the weights were served.

    One that only ends in it, or begins in it and tells of more than a look: what was within cannot be taken out.
    """
    end = since + burn_in * interval
    whole = stratum.end - stratum.start > 1.5 * interval
    return stratum.start < since or (stratum.start + stratum.end) / 2 < end or (whole and stratum.start < end - CLOSE)


def final(record: Record, index: int) -> StageResult | None:
    """The stage's last result, if it still holds: its weights were not set anew since, and it was not merely held."""
    found = [result for result in record.results if result.stage == index]
    if not found or found[-1].assessment.verdict is Verdict.HOLD:
        return None
    return None if any(at > found[-1].at for at in changes(record, index)) else found[-1]
