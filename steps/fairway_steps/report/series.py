"""What the versions did over time, as points for a plot: strata put together until each point stands on enough requests.

A histogram knows a quantile only as a bracket, the edges of the bucket in which it lies; a point is drawn at the linear
interpolation within it, as Prometheus' ``histogram_quantile`` does, and the bracket is kept beside it. Latencies that a source of
its own tells have times of their own, so they are put together apart from the requests.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fairway_steps.model import Histogram, Stratum
from fairway_steps.record import Record
from fairway_steps.windows import is_timed, merge

ENOUGH = 20
POINTS = 60


def span(record: Record) -> float:
    """Seconds from the start to the last moment that the record knows."""
    moments = [record.created, record.finished or record.created]
    moments += [change.at + (change.settled_after or 0.0) for change in record.timeline]
    moments += [result.at for result in record.results]
    moments += [stratum.end for stratum in record.strata]
    return max((m for m in moments if math.isfinite(m)), default=record.created) - record.created


@dataclass(frozen=True, slots=True)
class Point:
    """One value at the middle of an interval; ``low`` and ``high`` are its bracket (``high`` may be inf).

    ``few`` says that fewer than ``ENOUGH`` requests stand behind it.
    """

    start: float
    end: float
    value: float
    low: float
    high: float
    requests: int

    @property
    def at(self) -> float:
        return (self.start + self.end) / 2

    @property
    def few(self) -> bool:
        return self.requests < ENOUGH


def counted(strata: Iterable[Stratum]) -> list[Stratum]:
    """Those that count requests."""
    return [stratum for stratum in strata if not is_timed(stratum)]


def timed(strata: Iterable[Stratum]) -> list[Stratum]:
    """Those that tell latencies: of a source of their own, if there is one."""
    told = [stratum for stratum in strata if stratum.latency is not None]
    return [stratum for stratum in told if is_timed(stratum)] or told


def intervals(strata: Iterable[Stratum], version: str) -> list[Stratum]:
    """The strata of one version, all of one kind, merged with their neighbours at the same weight.

    At most about ``POINTS`` of them, each with ``ENOUGH`` requests, or latencies, where the traffic allows it.
    """
    own = sorted((s for s in strata if s.version == version and s.end > s.start), key=lambda s: s.start)
    if not own:
        return []
    width = (own[-1].end - own[0].start) / POINTS
    merged: list[Stratum] = []
    for stratum in own:
        if merged and _belong_together(merged[-1], stratum, width):
            merged[-1] = merge(merged[-1], stratum)
        else:
            merged.append(stratum)
    return _without_remainders(merged)


def quantiles(strata: Iterable[Stratum], version: str, q: float) -> list[Point]:
    """The ``q``-quantile of latency (seconds) over time; intervals without latencies are left out."""
    return [
        Point(stratum.start, stratum.end, *found, stratum.latency.total)
        for stratum in intervals(timed(_of(version, strata)), version)
        if stratum.latency is not None and (found := bracket(stratum.latency, q))
    ]


def means(strata: Iterable[Stratum], version: str) -> list[Point]:
    """The mean latency (seconds) over time; intervals without latencies are left out."""
    found = intervals(timed(_of(version, strata)), version)
    return _points(found, lambda s: s.seconds / s.latency.total if s.latency and s.latency.total else math.nan)


def error_rates(strata: Iterable[Stratum], version: str) -> list[Point]:
    """The share of failed requests over time; intervals without requests are left out."""
    return _points(intervals(counted(strata), version), lambda s: s.errors / s.requests if s.requests else math.nan)


def request_rates(strata: Iterable[Stratum], version: str) -> list[Point]:
    """Requests a second over time."""
    return _points(intervals(counted(strata), version), lambda s: s.requests / (s.end - s.start))


def bracket(histogram: Histogram, q: float) -> tuple[float, float, float] | None:
    """The ``q``-quantile as (interpolated value, lower edge, upper edge), or None for an empty histogram.

    In the last, open bucket the value is its lower edge: all that is known is that it is no less.
    """
    counts = [max(0, number) for number in histogram.counts]
    rank, below, lower = q * sum(counts), 0, 0.0
    for upper, number in zip(histogram.edges, counts, strict=False):
        if number and below + number >= rank:
            inside = max(0.0, (rank - below) / number)
            return (lower + (upper - lower) * inside if math.isfinite(upper) else lower), lower, upper
        below, lower = below + number, upper
    return None


def segments(points: Sequence[Point]) -> list[list[Point]]:
    """Points in runs without a gap, so that no line is drawn over time that nobody looked at."""
    runs: list[list[Point]] = [[points[0]]] if points else []
    typical = sorted(p.end - p.start for p in points)[len(points) // 2] if points else 0.0
    for before, after in pairwise(points):
        if after.start - before.end > 2 * typical:
            runs.append([])
        runs[-1].append(after)
    return runs


def _of(version: str, strata: Iterable[Stratum]) -> list[Stratum]:
    return [stratum for stratum in strata if stratum.version == version]


def _points(found: Iterable[Stratum], value: Callable[[Stratum], float]) -> list[Point]:
    return [Point(s.start, s.end, v, v, v, _size(s)) for s in found if math.isfinite(v := value(s))]


def _size(stratum: Stratum) -> int:
    """How many requests stand behind it, or latencies of a source of their own."""
    return stratum.requests or (stratum.latency.total if stratum.latency else 0)


def _belong_together(group: Stratum, stratum: Stratum, width: float) -> bool:
    adjacent = group.weight == stratum.weight and stratum.start - group.end <= stratum.end - stratum.start
    return adjacent and (_size(group) < ENOUGH or stratum.end - group.start <= width)


def _without_remainders(groups: list[Stratum]) -> list[Stratum]:
    """The last group before a change of weight may be small: it joins the one before it."""
    kept = groups[:1]
    for group in groups[1:]:
        small = _size(group) < ENOUGH and group.weight == kept[-1].weight
        if small and group.start - kept[-1].end <= group.end - group.start:
            kept[-1] = merge(kept[-1], group)
        else:
            kept.append(group)
    return kept
