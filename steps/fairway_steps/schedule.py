"""Which weights a stage asks for, and what comes after it. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fairway_steps.errors import UsageError
from fairway_steps.model import HeaderMatch, Metric, Mirror, Routes, Slo, Stage, Stickiness, Version

MOST = 7
"""So many candidates at most: evidence on each gets the weaker the more there are."""
DAY = 86_400
LONGEST = 28 * DAY
"""Seconds that all stages may last: what looks at them, and the run that they are in, has more."""
COLLECTOR = "collector"
"""The name by which a route knows what stands in front of the candidate in a mirror."""


@dataclass(frozen=True, slots=True)
class Position:
    """One stage of a schedule: ``next_index`` is -1 after the last one."""

    stage: Stage
    routes: Routes
    next_index: int
    is_last: bool


def position(
    stages: Sequence[Stage],
    index: int,
    primary: str,
    candidate: str,
    *,
    sticky: Stickiness | None = None,
    without: Collection[str] = (),
) -> Position:
    """The weights of stage ``index`` (from 0) and what follows it; the rest is as in ``routes_of``.

    Raises UsageError for an index outside the schedule.
    """
    if not 0 <= index < len(stages):
        raise UsageError(f"stage {index} is not in the schedule", mend=f"it has the stages 0 to {len(stages) - 1}")
    is_last = index == len(stages) - 1
    stage = stages[index]
    routes = routes_of(stage, primary, candidate, sticky=sticky, without=without)
    return Position(stage, routes, -1 if is_last else index + 1, is_last)


def routes_of(
    stage: Stage, primary: str, candidate: str, *, sticky: Stickiness | None = None, without: Collection[str] = ()
) -> Routes:
    """How the traffic meets the versions in ``stage``. The share of a candidate that the stage goes on ``without`` is the primary's."""
    name, _, value = stage.header.partition("=")
    shares = dict(stage.weights) or {candidate: stage.weight}
    kept = {one: share for one, share in shares.items() if share > 0 and one not in without}
    left = 100 - sum(kept.values())
    return Routes(
        ({primary: left} if left > 0 else {}) | kept,
        matches=(HeaderMatch(name, value, candidate),) if stage.header else (),
        mirror=Mirror(COLLECTOR if stage.through else candidate, stage.mirror) if stage.mirror else None,
        sticky=sticky if kept else None,
    )


def misplaced(candidates: Sequence[str], stages: Sequence[Stage], slos: Sequence[Slo]) -> tuple[str, str] | None:
    """Why candidates, stages and SLOs do not go together: the field and a sentence. None if they do."""
    return _unseen(stages, slos) or _unsplit(candidates, stages, slos)


def _unseen(stages: Sequence[Stage], slos: Sequence[Slo]) -> tuple[str, str] | None:
    """Why a reward could not be told in each stage."""
    mirror = next((index for index, stage in enumerate(stages) if stage.mirror), None)
    if mirror is None or not any(slo.metric is Metric.REWARD for slo in slos):
        return None
    return "stages", (
        f"stage {mirror + 1}, {stages[mirror].label}, shows no user the candidate's answers, so no reward of it exists there; leave that "
        f"stage out, or the reward"
    )


def _unsplit(candidates: Sequence[str], stages: Sequence[Stage], slos: Sequence[Slo]) -> tuple[str, str] | None:
    """Why an A/B/n split cannot be as it is asked for; None also if none is asked for."""
    split = next((stage.weights for stage in stages if stage.weights), {})
    strange, left = [n for n in split if n not in candidates], [n for n in candidates if n not in split]
    wrong = ("", "")
    if not split and len(candidates) < 2:
        return None
    if len(candidates) > MOST:
        wrong = "candidate", f"{len(candidates)} candidates are too many: at most {MOST} are compared with a primary"
    elif not split:
        example = "+".join(f"{name}={100 // (len(candidates) + 1)}" for name in candidates)
        wrong = "stages", f"each of several candidates needs a weight of its own; write strategy: ab, and {example}@1h"
    elif strange:
        wrong = "stages", f"{strange[0]} has a weight and is not a candidate ({', '.join(candidates)})"
    elif left:
        wrong = "stages", f"{left[0]} is a candidate and has no weight"
    elif sum(slo.metric is Metric.REWARD for slo in slos) != 1:
        mend = "write {metric: reward, margin: 2%}"
        wrong = "slos", f"a split between versions needs one reward, by which the best one wins; {mend}"
    return wrong if wrong[0] else None


def collectors(stages: Sequence[Stage]) -> tuple[Version, ...]:
    """What the route has to know besides the versions: the collector, if a stage mirrors through one."""
    return tuple(Version(COLLECTOR, stage.through) for stage in stages if stage.through)
