"""From samples of one version to its counters: which count requests, which failures, which latencies. Pure."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from fairway_steps.metrics.base import Counters
from fairway_steps.metrics.counting import Series, group
from fairway_steps.metrics.exposition import Sample
from fairway_steps.metrics.names import MetricNames

BUCKETS = MetricNames(requests=(), label="")
MOST = 2**53
"""Above it a float no longer holds every whole number."""


def tally(names: MetricNames, samples: Sequence[Sample]) -> Counters:
    """The counters in ``samples``, which are cumulative or all of one interval; those of a name are added up.

    A version that has any series, but none of some counter, has not yet done any of it. Raises ValueError for what is
    no count, and for a histogram that is not cumulative.
    """
    requests, timed, seconds = 0, 0, 0.0
    failures: dict[str, int] = {}
    comparisons, attempts, differences = 0, 0, dict[str, int]()
    rewards = _rewards(names, samples)
    for sample in samples:
        if sample.name in names.requests:
            requests += whole(sample)
        if sample.name in (names.timed or names.requests):
            timed += whole(sample)
        if kind := names.failure(sample.name, sample.labels):
            failures[kind] = failures.get(kind, 0) + whole(sample)
        if sample.name == names.comparisons:
            comparisons += whole(sample)
        if sample.name == names.attempts:
            attempts += whole(sample)
        if sample.name == names.differences and (kind := sample.labels.get("kind", "other")):
            differences[kind] = differences.get(kind, 0) + whole(sample)
        if sample.name == names.durations or (names.histogram and sample.name == f"{names.histogram}_sum"):
            seconds += finite(sample) / names.per_second
    latency = {math.inf: timed} if names.durations and not names.histogram else _buckets(names, samples)
    return Counters(
        requests,
        failures,
        latency,
        seconds,
        comparisons,
        differences,
        *rewards,
        latencies=_latencies(names, samples),
        attempts=attempts,
    )


def totals(owned: Iterable[Series], per_request: Collection[str]) -> Iterable[Sequence[Sample]]:
    """What each process has counted in all, at its last scrape."""
    processes: dict[str, list[Series]] = {}
    for one in owned:
        processes.setdefault(group(one.labels, per_request), []).append(one)
    for some in processes.values():
        newest = max(one.samples[-1][0] for one in some)
        yield [
            Sample(one.labels["__name__"], one.labels, one.samples[-1][1])
            for one in some
            if one.samples[-1][0] == newest
        ]


def _latencies(names: MetricNames, samples: Sequence[Sample]) -> dict[str, dict[float, int]]:
    """Further histograms, by name."""
    found = {}
    for name, (histogram, unit) in names.latencies.items():
        alone = replace(BUCKETS, histogram=histogram, unit=unit)
        if latency := _buckets(alone, samples):
            found[name] = latency
    return found


def _buckets(names: MetricNames, samples: Sequence[Sample]) -> dict[float, int]:
    latency: dict[float, int] = {}
    for sample in samples if names.histogram else ():
        if sample.name == f"{names.histogram}_bucket":
            edge = float(sample.labels.get("le", "nan")) / names.per_second
            latency[edge] = latency.get(edge, 0) + whole(sample)
    counts = [latency[edge] for edge in sorted(latency)]
    if latency and (math.inf not in latency or counts != sorted(counts) or any(map(math.isnan, latency))):
        raise ValueError(f"{names.histogram} is not a cumulative histogram with an edge +Inf")
    return latency


def _rewards(names: MetricNames, samples: Sequence[Sample]) -> tuple[int, float, float]:
    """The users, and the sums of what they were worth and of its square."""
    users = sum(whole(sample) for sample in samples if sample.name == names.users)
    reward, squares = (
        sum(finite(sample) for sample in samples if sample.name == name) for name in (names.reward, names.squares)
    )
    return users, reward, squares


def whole(sample: Sample) -> int:
    value = finite(sample)
    if not 0 <= value <= MOST or value != int(value):
        raise ValueError(f"{sample.name} is {value:g}, which is no count")
    return int(value)


def finite(sample: Sample) -> float:
    if not math.isfinite(sample.value):
        raise ValueError(f"{sample.name} is {sample.value}")
    return sample.value
