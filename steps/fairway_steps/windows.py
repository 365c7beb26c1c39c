"""Strata as windows of time, the same for all versions: how the counts of a release of any length stay few. Pure.

Looks may come each second. For a window to be small beside the time since its stage began is enough: one that is shorter
than a ``GROWTH``-th of that takes in the next reading. So a stage of an hour has about 170 windows, and one of a day
270. The rule looks at the clock alone, never at what was counted: where a window ends tells nothing of a version.
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from fairway_steps.model import Histogram, Stratum

GROWTH = 30
UNWEIGHTED: Mapping[str, int] = MappingProxyType({})


class Ends(NamedTuple):
    """Up to when counts, and latencies that a source of its own tells, are known: one may be late."""

    counts: float = -math.inf
    latencies: float = -math.inf

    @classmethod
    def of(cls, strata: Iterable[Stratum]) -> "Ends":
        ends: tuple[list[float], list[float]] = ([], [])
        for each in strata:
            ends[is_timed(each)].append(each.end)
        return cls(*(max(some, default=-math.inf) for some in ends))

    def cover(self, stratum: Stratum) -> bool:
        return stratum.end <= self[is_timed(stratum)]


NOTHING = Ends()


@dataclass(slots=True)
class Window:
    """What each version did in one span of time. ``began`` and ``weights`` are those of its run at the same weights."""

    start: float
    end: float
    strata: dict[str, Stratum] = field(default_factory=dict)
    began: float = math.nan
    weights: Mapping[str, int] = field(default_factory=lambda: UNWEIGHTED)
    settling: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it takes in what comes next; the first ones of a run, and what was settling, never do."""
        return self.end - self.start < (self.start - self.began) / GROWTH and not self.settling

    @property
    def is_timed(self) -> bool:
        """Whether it tells latencies alone, those of a source of their own."""
        return any(map(is_timed, self.strata.values()))

    def follows(self, before: "Window | None") -> None:
        """Take a place after ``before``: in its run, if the versions of both have the same weights."""
        own: Mapping[str, int] = {name: stratum.weight for name, stratum in self.strata.items()}
        if before and own == before.weights:
            self.began, self.weights = before.began, before.weights
        elif before and all(before.weights.get(name, weight) == weight for name, weight in own.items()):
            self.began, self.weights = before.began, {**before.weights, **own}
        else:
            self.began, self.weights = self.start, own

    def agrees(self, later: "Window") -> bool:
        return all(self.weights.get(name, s.weight) == s.weight for name, s in later.strata.items())

    def takes(self, later: "Window") -> bool:
        mine, theirs = self.strata, later.strata
        same = all(_compatible(mine[name], stratum) for name, stratum in theirs.items() if name in mine)
        return self.is_open and not later.settling and later.start >= self.end and self.agrees(later) and same

    def absorb(self, later: "Window") -> None:
        for name, stratum in later.strata.items():
            self.strata[name] = merge(self.strata[name], stratum) if name in self.strata else stratum
        self.end = max(self.end, later.end)
        self.weights = {**self.weights, **{name: stratum.weight for name, stratum in later.strata.items()}}

    def spread(self) -> list[Stratum]:
        return [replace(self.strata[name], start=self.start, end=self.end) for name in sorted(self.strata)]


def windows(strata: Iterable[Stratum]) -> Iterator[Window]:
    """The strata by windows, in order of time, one by one: those of different versions that overlap belong together.

    Counts and latencies that a source of its own tells (``metrics.combined``) have windows apart, whatever is missing of either.
    """
    found = list(strata)
    if min(map(attrgetter("requests"), found), default=1) > 0:  # as nearly always
        return aligned(found)
    kinds: tuple[list[Stratum], list[Stratum]] = ([], [])
    for each in found:
        kinds[is_timed(each)].append(each)
    return heapq.merge(*map(aligned, kinds), key=attrgetter("start", "end"))


def aligned(strata: Iterable[Stratum]) -> Iterator[Window]:
    """The same of strata that are all of one kind."""
    before = last = None
    for stratum in sorted(strata, key=attrgetter("start", "end", "version", "requests")):
        if last and stratum.start < last.end and stratum.version not in last.strata:
            last.strata[stratum.version] = stratum
            last.settling = last.settling or stratum.settling
            last.end = max(last.end, stratum.end)
            continue
        if last:
            last.follows(before)
            yield last
        before, last = last, Window(stratum.start, stratum.end, {stratum.version: stratum}, settling=stratum.settling)
    if last:
        last.follows(before)
        yield last


def closing(interval: float, burn_in: int) -> Iterator[float]:
    """How long after a stage began its windows end, with a reading each ``interval`` seconds, the first ``burn_in`` of which are no evidence."""
    reading = burn_in
    while True:
        reading += max(1, math.ceil(reading / GROWTH))
        yield reading * interval


def brought(duration: float, interval: float, burn_in: int, *, whole: bool) -> int:
    """How many of them a stage brings; ``whole`` ones alone, or the last one as well that would take in more."""
    found, last = 0, burn_in * interval
    for end in closing(interval, burn_in):
        if end > duration * (1 + 1e-9):
            break
        found, last = found + 1, end
    return found if whole or last + interval > duration * (1 + 1e-9) else found + 1


def added(strata: Sequence[Stratum], fresh: Iterable[Stratum], closed: Ends = NOTHING) -> tuple[Stratum, ...]:
    """``strata`` with a reading more: taken in by the last window of its kind, or as the next one. No count is lost.

    What ``closed`` covers takes in nothing more: a verdict rests on it.
    """
    kept = list(windows(strata))
    for window in windows(fresh):
        last = next((each for each in reversed(kept) if each.is_timed == window.is_timed), None)
        if last and last.end > closed[last.is_timed] and last.takes(window):
            last.absorb(window)
            continue
        window.follows(last)
        kept.append(window)
    return tuple(stratum for window in kept for stratum in window.spread())


def merge(first: Stratum, *rest: Stratum) -> Stratum:
    """Strata of one version and weight as one. Histograms with different edges are dropped: they cannot be added."""
    merged = first
    for other in rest:
        merged = replace(
            merged,
            start=min(merged.start, other.start),
            end=max(merged.end, other.end),
            requests=merged.requests + other.requests,
            failures=_sum(merged.failures, other.failures),
            latency=_add(merged, other),
            seconds=merged.seconds + other.seconds,
            comparisons=merged.comparisons + other.comparisons,
            attempts=merged.attempts + other.attempts,
            differences=_sum(merged.differences, other.differences),
            latencies=_add_named(merged.latencies, other.latencies),
            users=merged.users + other.users,
            reward=merged.reward + other.reward,
            squares=merged.squares + other.squares,
            series={
                k: (*merged.series.get(k, ()), *other.series.get(k, ())) for k in {**merged.series, **other.series}
            },
        )
    return merged


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> Mapping[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


def _add_named(left: Mapping[str, Histogram], right: Mapping[str, Histogram]) -> Mapping[str, Histogram]:
    """Those that only one has are kept; of those with other edges the earlier are dropped: they cannot be added."""
    found = {**left, **right}
    for name in left.keys() & right.keys():
        if left[name].edges == right[name].edges:
            counts = zip(left[name].counts, right[name].counts, strict=True)
            found[name] = Histogram(left[name].edges, tuple(a + b for a, b in counts))
    return found


def is_timed(stratum: Stratum) -> bool:
    """Whether it tells latencies alone."""
    if stratum.requests:
        return False
    return any(any(some.counts) for some in (stratum.latency, *stratum.latencies.values()) if some)


def _compatible(left: Stratum, right: Stratum) -> bool:
    """Whether merging two strata loses nothing."""
    if is_timed(left) != is_timed(right):
        return False
    if not (_counts(left) and _counts(right)) or left.latency is right.latency is None:
        return True
    return left.latency is not None and right.latency is not None and left.latency.edges == right.latency.edges


def _counts(stratum: Stratum) -> bool:
    """Whether it holds a request, or the latency of one."""
    return stratum.requests > 0 or is_timed(stratum)


def _add(left: Stratum, right: Stratum) -> Histogram | None:
    if not (_counts(left) and _counts(right)):
        return left.latency if _counts(left) else right.latency
    if left.latency is None or right.latency is None or left.latency.edges != right.latency.edges:
        return None
    return Histogram(
        left.latency.edges, tuple(a + b for a, b in zip(left.latency.counts, right.latency.counts, strict=True))
    )
