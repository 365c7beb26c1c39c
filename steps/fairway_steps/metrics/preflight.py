"""Whether a source can be the judge of a release, asked before it begins. Pure: sources ``inspect``, ``findings`` concludes.

A misnamed metric, a query that selects the wrong version, an edge of a histogram far from the limit: each would otherwise
show as a release that is held for want of evidence, or worse, as evidence of something else.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Protocol, runtime_checkable

from fairway_steps.model import Metric, Slo
from fairway_steps.words import count, name_of, seconds

REQUESTS, LATENCY = "requests", "latency"
BOTH = frozenset({REQUESTS, LATENCY})
SUSPICIOUS = 20
"""So many requests of a version without traffic, and more than half of what the other has: the names are mixed up."""
HINTS = {"seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns", "ms": "ms", "us": "us"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a source shows of one version. ``requests`` were counted in the last ``window`` seconds (0: since ever).

    ``edges`` are those of its latencies, in seconds. ``keys`` name its series, so that those of two versions can be
    compared; ``example`` is one of them.
    """

    version: str
    series: int
    requests: int = 0
    window: float = 0.0
    edges: tuple[float, ...] = ()
    keys: frozenset[str] = frozenset()
    example: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a source shows before a release. ``parts`` is what is taken from it.

    ``failures`` says whether it can count them, ``mean`` whether it has latencies only as a mean. ``histogram`` and
    ``unit`` are as described. ``others`` are what the label of the version says otherwise, ``absent`` counters that no
    version has ever shown.
    """

    where: str
    seen: tuple[Seen, ...]
    parts: frozenset[str] = BOTH
    label: str = ""
    others: tuple[str, ...] = ()
    failures: bool = True
    mean: bool = False
    histogram: str = ""
    unit: str = ""
    absent: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Inspectable(Protocol):
    """A source that can be inspected."""

    def inspect(self, versions: Sequence[str], now: float) -> Sequence[Inspection]:
        """What it shows at ``now``. Raises TransientError if it is away, UsageError for a query it refuses."""


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


def findings(
    inspections: Iterable[Inspection], slos: Sequence[Slo], *, expected: Collection[str], weights: Mapping[str, int]
) -> tuple[Finding, ...]:
    """All that there is to say. The versions ``expected`` must show; ``weights`` are the route's, empty if not known."""
    found: list[Finding] = []
    for one in inspections:
        found += [*_warnings(one), *_missing(one, expected), *_mixed(one, weights), *_unit(one)]
        found += [finding for slo in slos for finding in _slo(one, slo)]
    return tuple(found)


def _warnings(one: Inspection) -> Iterable[Finding]:
    for text in one.warnings:
        yield Finding(Level.WARNING, f"{one.where} says: {text}")
    for name in one.absent:
        yield Finding(
            Level.WARNING,
            f"{one.where} has no series {name} at all: nothing has failed so far, or that is not its name",
        )


def _missing(one: Inspection, expected: Collection[str]) -> Iterable[Finding]:
    for seen in one.seen:
        if seen.series:
            of_late = f", {count(seen.requests)} in the last {seconds(seen.window)}" if seen.window else ""
            yield Finding(Level.OK, f"{one.where} has {seen.series} series of {seen.version}{of_late}")
            continue
        known = f"; its label {one.label} says {', '.join(one.others[:8])}" if one.others else ""
        if seen.version not in expected:
            yield Finding(Level.OK, f"{one.where} has no series of {seen.version} yet{known}")
            continue
        sentence = f"{one.where} has no series of {seen.version}{known}"
        mend = "give label: and value: as the series have them, or send it a request first" if one.label else ""
        yield Finding(Level.REFUSED, sentence, mend)


def _mixed(one: Inspection, weights: Mapping[str, int]) -> Iterable[Finding]:
    for left, right in combinations(one.seen, 2):
        if left.keys & right.keys:
            yield Finding(
                Level.REFUSED,
                f"{one.where} gives the same series for {left.version} and {right.version}, such as {left.example}",
                "let the query tell versions apart, by $version",
            )
    busiest = max((seen.requests for seen in one.seen), default=0)
    for seen in one.seen:
        idle = bool(weights) and not weights.get(seen.version, 0)
        if idle and seen.window and seen.requests >= SUSPICIOUS and 2 * seen.requests > busiest:
            yield Finding(
                Level.REFUSED,
                f"{seen.version} has no traffic, and yet {one.where} counted {count(seen.requests)} of it in the last "
                f"{seconds(seen.window)}: that is another version's, or traffic past the route",
                "see which series it selects",
            )


def _unit(one: Inspection) -> Iterable[Finding]:
    name = one.histogram.removesuffix("_total").removesuffix("_histogram")
    told = HINTS.get(name.rpartition("_")[2], "")
    if told and one.unit and told != one.unit:
        yield Finding(
            Level.REFUSED,
            f"{one.histogram} is in {told} by its name, and in {one.unit} as it is described",
            f"write unit: {told}",
        )


def _slo(one: Inspection, slo: Slo) -> Iterable[Finding]:
    if slo.metric in (Metric.ERROR_RATE, Metric.SUCCESS_RATE):
        if REQUESTS in one.parts and not one.failures:
            yield Finding(
                Level.REFUSED,
                f"{one.where} counts no failures, so {name_of(slo)} cannot be judged",
                "take requests: from the proxy, and latency: from here; or say which label or counter tells a failure",
            )
        return
    if LATENCY not in one.parts:
        return
    shown = [seen for seen in one.seen if seen.series]
    if not shown:
        return
    edges = sorted({edge for seen in shown for edge in seen.edges})
    if not edges:
        idle = not any(seen.requests for seen in shown)
        told = f"{one.where} has no latencies of {shown[0].version}"
        yield (
            Finding(Level.OK, f"{told} yet")
            if idle
            else Finding(
                Level.REFUSED,
                f"{told}, so {name_of(slo)} cannot be judged",
                "name its histogram, or take latency: from elsewhere",
            )
        )
    elif slo.metric is Metric.LATENCY and one.mean:
        yield Finding(
            Level.REFUSED,
            f"{one.where} tells the mean latency and no quantile, so {name_of(slo)} cannot be judged",
            "limit latency-mean, or take latency: from the proxy",
        )
    elif slo.metric is Metric.LATENCY and not slo.relative:
        yield _edge(one, slo, [edge for edge in edges if math.isfinite(edge)])


def _edge(one: Inspection, slo: Slo, edges: Sequence[float]) -> Finding:
    """What the histogram's edges make of a limit: it is one, lies between two, or beyond all."""
    limit, about = seconds(slo.limit), f"the limit of {seconds(slo.limit)} on {name_of(slo)}"
    if not edges or slo.limit > edges[-1] * (1 + 1e-9):
        last = seconds(edges[-1]) if edges else "none"
        return Finding(
            Level.REFUSED,
            f"{about} lies beyond the last edge of {one.where} ({last}): no breach of it could be seen",
            f"is the unit right? the last limit it can tell is {last}",
        )
    below = max((edge for edge in edges if edge <= slo.limit * (1 + 1e-9)), default=0.0)
    above = min(edge for edge in edges if edge >= slo.limit * (1 - 1e-9))
    if not below:
        return Finding(
            Level.REFUSED,
            f"{about} lies below the first edge of {one.where} ({seconds(above)}): no version could be seen to keep it",
            f"is the unit right? the first limit it can tell is {seconds(above)}",
        )
    if math.isclose(below, above, rel_tol=1e-9):
        return Finding(Level.OK, f"{limit} is an edge of {one.where}: {name_of(slo)} is told exactly")
    closest = min((below, above), key=lambda edge: abs(edge - slo.limit))
    return Finding(
        Level.WARNING,
        f"{about} lies between the edges {seconds(below)} and {seconds(above)} of {one.where}: requests between them are "
        "taken to be slow for a pass and fast for a failure",
        f"the nearest limit it can tell is {seconds(closest)}",
    )
