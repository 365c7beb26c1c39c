"""How far the evidence from a Prometheus server goes, and the cursor that keeps it.

The cursor is JSON text: of each series the last sample that was taken, of each process when it was last scraped.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.metrics.counting import Labels, Points, Series, group
from fairway_steps.metrics.queries import OWNER

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Target:
    """Who gave a group of series: the version, and what Prometheus calls the process."""

    version: str
    at: float
    job: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """How far the evidence goes: ``since`` when it began, ``start`` when the last stratum was closed, both Unix seconds.

    ``seen`` are the addresses of each version, where the plan needs them.
    """

    since: float
    start: float
    interval: float
    points: Points
    targets: Mapping[str, Target]
    seen: Mapping[str, Sequence[str]]


def target_of(labels: Labels) -> dict[str, str]:
    return {name: labels[name] for name in ("job", "instance") if labels.get(name)}


def targets_of(owned: Iterable[Series], per_request: Collection[str]) -> dict[str, Target]:
    found: dict[str, Target] = {}
    for one in owned:
        name, at = group(one.labels, per_request), one.samples[-1][0]
        if name not in found or at > found[name].at:
            labels = one.labels
            found[name] = Target(labels[OWNER], at, labels.get("job", ""), labels.get("instance", ""))
    return found


def encode(state: State) -> str:
    targets = {name: [t.version, t.at, t.job, t.instance] for name, t in state.targets.items()}
    kept = {"format": FORMAT, "since": state.since, "start": state.start, "interval": state.interval}
    remembered = {"seen": state.seen} if state.seen else {}
    return json.dumps({**kept, **remembered, "points": state.points, "targets": targets}, separators=(",", ":"))


def decode(cursor: str) -> State:
    try:
        value: Any = json.loads(cursor)
        if value["format"] != FORMAT:
            raise ValueError(value["format"])
        return State(
            float(value["since"]),
            float(value["start"]),
            float(value["interval"]),
            {
                name: {one: (float(at), float(number)) for one, (at, number) in points.items()}
                for name, points in value["points"].items()
            },
            {name: Target(str(v), float(at), str(job), str(i)) for name, (v, at, job, i) in value["targets"].items()},
            {str(version): [str(address) for address in some] for version, some in value.get("seen", {}).items()},
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError("the cursor in the record is not one of a Prometheus source") from error
