"""From raw samples of counters to what was counted since: whole, none lost, none taken twice. Pure.

PromQL's own ``increase`` extrapolates to the ends of its window and gives no whole numbers, so the raw samples are taken
and the differences made here. Series of one process are a *group*: they are reset together, so that one of them going
down tells it of all, even of those that have outgrown their old value since.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Labels = Mapping[str, str]
Point = tuple[float, float]
Points = Mapping[str, Mapping[str, Point]]
"""The last sample taken of each series, by the keys of its group and its own: (Unix seconds, value)."""
OFTEN = 100.0
"""A counter that stood lower than this may fall back to any value: too little to tell a restart by."""


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: its labels (``__name__`` included) and its samples (Unix seconds, value), oldest first."""

    labels: Labels
    samples: tuple[Point, ...]

    @property
    def key(self) -> str:
        return key(self.labels)


@dataclass(frozen=True, slots=True)
class Counted:
    """``increments`` holds each series with what it counted, ``points`` from where to go on.

    ``doubtful`` are groups that went down by so little that a restart does not explain it, each with the labels of one of
    its series and the time of the last sample before. ``newcomers`` are groups of which nothing had been seen before, with
    the time of their first sample.
    """

    increments: Sequence[tuple[Labels, float]]
    points: Points
    doubtful: Mapping[str, tuple[Labels, float]] = field(default_factory=dict)
    newcomers: Mapping[str, tuple[Labels, float]] = field(default_factory=dict)


def key(labels: Labels) -> str:
    """A short name of a series, the same in every process."""
    return hashlib.blake2s(json.dumps(sorted(labels.items())).encode(), digest_size=8).hexdigest()


def group(labels: Labels, per_request: Collection[str] = ()) -> str:
    """The key of what all series of one process have in common."""
    apart = {"__name__", "le", *per_request}
    return key({name: value for name, value in labels.items() if name not in apart})


def count(
    series: Iterable[Series],
    points: Points | None,
    *,
    per_request: Collection[str] = (),
    existed: Collection[str] = (),
) -> Counted:
    """What ``series`` counted after ``points``; nothing, if there are none yet (None).

    A series not seen before began at zero, for a process shows one as soon as it counts; but those of the groups in
    ``existed`` had counted before, and begin at their first sample.
    """
    groups: dict[str, list[Series]] = {}
    for one in series:
        groups.setdefault(group(one.labels, per_request), []).append(one)
    increments: list[tuple[Labels, float]] = []
    after = dict(points or {})
    doubtful: dict[str, tuple[Labels, float]] = {}
    newcomers: dict[str, tuple[Labels, float]] = {}
    for name, members in groups.items():
        before = after.get(name, {})
        if points is not None and not before:
            newcomers[name] = (members[0].labels, min(one.samples[0][0] for one in members))
        drops = [drop for one in members for drop in _drops(_since(one, before))]
        if doubt := [seen for _, seen, high, low in drops if unexplained(high, low)]:
            doubtful[name] = (members[0].labels, min(doubt))
        resets = [at for at, *_ in drops]
        zero = bool(before) or name not in existed
        if points is not None:
            increments += [(one.labels, _counted(_since(one, before, zero=zero), resets)) for one in members]
        taken = {**before, **{one.key: _since(one, before)[-1] for one in members}}
        last = max(resets, default=float("-inf"))
        # One that is absent since a restart begins at zero when it comes back.
        after[name] = {one: point if point[0] >= last else (last, 0.0) for one, point in taken.items()}
    return Counted(increments, after, doubtful, newcomers)


def unexplained(high: float, low: float) -> bool:
    """Whether a counter that stood at ``high`` and stands at ``low`` fell by less than a restart explains."""
    return low < high and high >= OFTEN and 2 * low >= high


def _since(series: Series, points: Mapping[str, Point], *, zero: bool = False) -> list[Point]:
    """The last sample taken before, if there was one, and all that came after it; with ``zero``, a new one began at 0."""
    before = points.get(series.key)
    if before is None:
        return [*([(float("-inf"), 0.0)] if zero else []), *series.samples]
    return [before, *(sample for sample in series.samples if sample[0] > before[0])]


def _drops(samples: Sequence[Point]) -> list[tuple[float, float, float, float]]:
    """Each fall of a counter: when it was seen, when the sample before was, and the two values."""
    pairs = pairwise(samples)
    return [(at, before, high, low) for (before, high), (at, low) in pairs if low < high]


def _counted(samples: Sequence[Point], resets: Sequence[float]) -> float:
    """The sum of the differences; after a reset in between, all that a counter shows was counted since."""
    total = 0.0
    for (before, low), (at, high) in pairwise(samples):
        reset = any(before < moment <= at for moment in resets)
        total += high if reset else high - low
    return total
