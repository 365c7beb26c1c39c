"""What a record says of one stage: when its weights were set, what was counted under them, and which verdict still holds. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from fairway_steps.model import Stratum, Verdict
from fairway_steps.record import Record, StageResult, WeightChange

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
    return max((change.served for change in record.timeline if change.stage == index), default=None)


def as_served(record: Record, strata: Iterable[Stratum], burn_in: int, interval: float) -> tuple[Stratum, ...]:
    """The strata, each under the weights of its own time, however late it is told.

    What ends before a change of weights is evidence on those before. Only what lies across one, or in the ``burn_in`` after, settles, and
    what was counted while no candidate was to have users.
    """
    return tuple(_as_served(record, stratum, burn_in, interval) for stratum in strata)


def _as_served(record: Record, stratum: Stratum, burn_in: int, interval: float) -> Stratum:
    change = next((each for each in reversed(record.timeline) if stratum.end > each.left), None)
    if change is None:
        return replace(stratum, weight=100 if stratum.version == record.primary.name else 0, settling=True)
    settling = _is_back(record, change) or settles(stratum, change.served, burn_in, interval)
    return replace(stratum, weight=change.asked.get(stratum.version, 0), settling=settling)


def _is_back(record: Record, change: WeightChange) -> bool:
    """Whether it gave all of the traffic back to the primary."""
    return change.stage < 0 and not any(change.asked.get(one.name) for one in record.candidates)


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
