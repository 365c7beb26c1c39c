"""Which weights a stage asks for, and what comes after it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.errors import UsageError
from fairway_steps.model import HeaderMatch, Mirror, Routes, Stage, Version

COLLECTOR = "collector"
"""The name by which a route knows what stands in front of the candidate in a mirror."""


@dataclass(frozen=True, slots=True)
class Position:
    """One stage of a schedule: ``next_index`` is -1 after the last one."""

    stage: Stage
    routes: Routes
    next_index: int
    is_last: bool


def position(stages: Sequence[Stage], index: int, primary: str, candidate: str) -> Position:
    """The weights of stage ``index`` (from 0) and what follows it.

    Raises UsageError for an index outside the schedule.
    """
    if not 0 <= index < len(stages):
        raise UsageError(f"stage {index} is not in the schedule", mend=f"it has the stages 0 to {len(stages) - 1}")
    is_last = index == len(stages) - 1
    stage = stages[index]
    return Position(stage, routes_of(stage, primary, candidate), -1 if is_last else index + 1, is_last)


def routes_of(stage: Stage, primary: str, candidate: str) -> Routes:
    """How the traffic meets the two versions in ``stage``."""
    name, _, value = stage.header.partition("=")
    return Routes(
        split(primary, candidate, stage.weight).weights,
        matches=(HeaderMatch(name, value, candidate),) if stage.header else (),
        mirror=Mirror(COLLECTOR if stage.through else candidate, stage.mirror) if stage.mirror else None,
    )


def collectors(stages: Sequence[Stage]) -> tuple[Version, ...]:
    """What the route has to know besides the versions: the collector, if a stage mirrors through one."""
    return tuple(Version(COLLECTOR, stage.through) for stage in stages if stage.through)


def split(primary: str, candidate: str, weight: int) -> Routes:
    """Routes with ``weight`` percent to the candidate; a version left with 0 is not in them."""
    return Routes({name: share for name, share in ((primary, 100 - weight), (candidate, weight)) if share > 0})
