"""Whether a source can be the judge of a release, asked before it begins. Pure: sources ``inspect``, ``findings`` concludes.

A misnamed metric, a query that selects the wrong version, an edge of a histogram far from the limit: each would otherwise
show as a release that is held for want of evidence, or worse, as evidence of something else.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Protocol, runtime_checkable

from fairway_steps.metrics.edges import Finding, Level, apart, around
from fairway_steps.model import Metric, Slo
from fairway_steps.words import count, name_of, seconds

REQUESTS, LATENCY, MIRRORED = "requests", "latency", "mirrored"
BOTH = frozenset({REQUESTS, LATENCY})
SUSPICIOUS = 20
"""So many requests of a version without traffic, and more than half of what the other has: the names are mixed up."""
HINTS = {"seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns", "ms": "ms", "us": "us"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a source shows of one version. ``requests`` were counted in the last ``window`` seconds (0: since ever).

    ``edges`` are those of its latencies, in seconds, and ``under`` how many requests took at most so long. ``keys`` name its series, so that those of two versions can be
    compared; ``example`` is one of them. ``latencies`` are further ones by name: edges and how many took at most so long.
    """

    version: str
    series: int
    requests: int = 0
    window: float = 0.0
    edges: tuple[float, ...] = ()
    keys: frozenset[str] = frozenset()
    example: str = ""
    under: tuple[int, ...] = ()
    latencies: Mapping[str, Mapping[float, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a source shows before a release. ``parts`` is what is taken from it.

    ``failures`` says whether it can count them, ``compares`` whether it counts differences between answers, ``rewards`` whether it sums what users were worth, ``series`` which further figures it has, ``mean`` whether it has latencies only as a mean. ``histogram`` and
    ``unit`` are as described. ``others`` are what the label of the version says otherwise, ``absent`` counters that no
    version has ever shown. ``strangers`` are the requests counted of a version that does not exist. What has no ``names`` for
    its counts, as an answer of a service, is known to count a version only by the requests it shows. New counts come each ``interval``
    (s; 0: whenever it is asked).
    """

    where: str
    seen: tuple[Seen, ...]
    parts: frozenset[str] = BOTH
    label: str = ""
    others: tuple[str, ...] = ()
    failures: bool = True
    compares: bool = False
    rewards: bool = False
    series: tuple[str, ...] = ()
    mean: bool = False
    histogram: str = ""
    unit: str = ""
    absent: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    names: bool = True
    strangers: int = 0
    interval: float = 0.0


@runtime_checkable
class Inspectable(Protocol):
    """A source that can be inspected."""

    def inspect(self, versions: Sequence[str], now: float) -> Sequence[Inspection]:
        """What it shows at ``now``. Raises TransientError if it is away, UsageError for a query it refuses."""


def findings(
    inspections: Iterable[Inspection],
    slos: Sequence[Slo],
    *,
    expected: Collection[str],
    weights: Mapping[str, int],
    steady: float = math.inf,
) -> tuple[Finding, ...]:
    """All that there is to say. The versions ``expected`` must show, unless a counter says that they have had no requests.

    A collector shows its candidate from the start. ``weights`` are the route's, empty if not known, and were no others for ``steady`` seconds.
    """
    inspections, found = tuple(inspections), list[Finding]()
    idle = {seen.version for one in inspections if REQUESTS in one.parts for seen in one.seen if _is_idle(seen)}
    for one in inspections:
        wanted = [seen.version for seen in one.seen] if MIRRORED in one.parts else expected
        found += [*_warnings(one), *_missing(one, wanted, idle), *_mixed(one, weights, steady), *_unit(one)]
        found += [finding for slo in slos for finding in _slo(one, slo)]
    compared = any(one.compares for one in inspections)
    if inspections and not compared and any(slo.metric is Metric.DIFFERENCE_RATE for slo in slos):
        found.append(
            Finding(
                Level.REFUSED,
                f"{inspections[0].where} compares no answers, so {Metric.DIFFERENCE_RATE} cannot be judged",
                "run `fairway collector`, and name it in a stage: mirror:50:http://HOST:PORT@60s",
            )
        )
    for slo in slos if inspections else ():
        if slo.metric is Metric.REWARD and not any(one.rewards for one in inspections):
            told = "sums no rewards", "name users, reward and reward-squares in its queries or paths"
        elif slo.metric is Metric.SERIES and not any(slo.of in one.series for one in inspections):
            told = f"has no series {slo.of}", f"name it in its queries or paths: series: {{{slo.of}: …}}"
        else:
            continue
        found.append(
            Finding(Level.REFUSED, f"{inspections[0].where} {told[0]}, so {name_of(slo)} cannot be judged", told[1])
        )
    return tuple(found)


def requests_per_second(inspections: Iterable[Inspection]) -> float:
    """How much traffic all versions had of late; 0 where no source tells."""
    rates = [
        sum(seen.requests / seen.window for seen in one.seen if seen.window)
        for one in inspections
        if REQUESTS in one.parts
    ]
    return max(rates, default=0.0)


def slowest(inspections: Iterable[Inspection]) -> float:
    """How many seconds it takes until all have told something new."""
    return max((one.interval for one in inspections), default=0.0)


def _warnings(one: Inspection) -> Iterable[Finding]:
    for text in one.warnings:
        yield Finding(Level.WARNING, f"{one.where} says: {text}")
    for name in one.absent:
        yield Finding(
            Level.WARNING,
            f"{one.where} has no series {name} at all: nothing has failed so far, or that is not its name",
        )


def _is_idle(seen: Seen) -> bool:
    """Whether it is counted, and the count says that it has had no requests."""
    return bool(seen.series and seen.window) and not seen.requests


def _missing(one: Inspection, expected: Collection[str], idle: Collection[str]) -> Iterable[Finding]:
    for seen in one.seen:
        if not one.names:
            yield _counted(one, seen, expected)
            continue
        if seen.series:
            of_late = f", {count(seen.requests)} in the last {seconds(seen.window)}" if seen.window else ""
            yield Finding(Level.OK, f"{one.where} has {seen.series} series of {seen.version}{of_late}")
            continue
        known = f"; its label {one.label} says {', '.join(one.others[:8])}" if one.others else ""
        if seen.version not in expected or seen.version in idle:
            yield Finding(Level.OK, f"{one.where} has no series of {seen.version} yet{known}")
            continue
        sentence = f"{one.where} has no series of {seen.version}{known}"
        mend = "give label: and value: as the series have them, or send it a request first" if one.label else ""
        yield Finding(Level.REFUSED, sentence, mend)


def _counted(one: Inspection, seen: Seen, expected: Collection[str]) -> Finding:
    of_late = f" in the last {seconds(seen.window)}" if seen.window else ""
    if seen.requests:
        return Finding(Level.OK, f"{one.where} counts {count(seen.requests)} to {seen.version}{of_late}")
    if seen.version not in expected:
        return Finding(Level.OK, f"{one.where} counts no request to {seen.version} yet")
    return Finding(
        Level.REFUSED,
        f"{one.where} counts no request to {seen.version}{of_late}, so nothing shows that its answer is about it",
        "send it a request first; see what is asked and which paths are read",
    )


def _mixed(one: Inspection, weights: Mapping[str, int], steady: float) -> Iterable[Finding]:
    if one.strangers:
        yield Finding(
            Level.REFUSED,
            f"{one.where} counts {count(one.strangers)} to a version that does not exist: it gives every version the same",
            "let what is asked tell versions apart, by $version",
        )
        return
    for left, right in combinations(one.seen, 2):
        if left.keys & right.keys:
            yield Finding(
                Level.REFUSED,
                f"{one.where} gives the same series for {left.version} and {right.version}, such as {left.example}",
                "let the query tell versions apart, by $version",
            )
    busiest = max((seen.requests for seen in one.seen), default=0)
    for seen in one.seen:
        idle = bool(weights) and not weights.get(seen.version, 0) and seen.window <= steady and REQUESTS in one.parts
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


def _about(seen: Seen, name: str) -> Seen:
    """With the edges of the latency ``name``; empty: the request's own."""
    if not name:
        return seen
    told = seen.latencies.get(name, {})
    return replace(seen, edges=tuple(sorted(told)), under=tuple(told[edge] for edge in sorted(told)))


def _slo(one: Inspection, slo: Slo) -> Iterable[Finding]:
    if slo.metric in (Metric.ERROR_RATE, Metric.SUCCESS_RATE):
        if REQUESTS in one.parts and not one.failures:
            yield Finding(
                Level.REFUSED,
                f"{one.where} counts no failures, so {name_of(slo)} cannot be judged",
                "take requests: from the proxy, and latency: from here; or say which label or counter tells a failure",
            )
        return
    if LATENCY not in one.parts or not slo.metric.is_time:
        return
    shown = [_about(seen, slo.of) for seen in one.seen if seen.series]
    if not shown:
        return
    edges = sorted({edge for seen in shown for edge in seen.edges})
    if not edges:
        idle = not any(seen.requests for seen in shown)
        told = f"{one.where} has no {slo.of or 'latencies'} of {shown[0].version}"
        yield (
            Finding(Level.OK, f"{told} yet")
            if idle
            else Finding(
                Level.REFUSED,
                f"{told}, so {name_of(slo)} cannot be judged",
                "name its histogram, or take latency: from elsewhere",
            )
        )
    elif slo.metric is Metric.LATENCY and one.mean and not slo.of:
        yield Finding(
            Level.REFUSED,
            f"{one.where} tells the mean latency and no quantile, so {name_of(slo)} cannot be judged",
            "limit latency-mean, or take latency: from the proxy",
        )
    elif slo.metric is Metric.LATENCY:
        finite = [edge for edge in edges if math.isfinite(edge)]
        yield apart(one.where, slo, finite, shown) if slo.relative else around(one.where, slo, finite)
