"""The contract of a metric source: cumulative counters in, strata out.

A source is read again and again. Each reading gives the strata that were closed since the one before, and a
*cursor* from which the next reading goes on. The cursor is a string that is kept in the record, so a step that was
killed goes on where it was: no count is lost and none is taken twice.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from fairway_steps.model import Histogram, Stratum


@dataclass(frozen=True, slots=True)
class Counters:
    """What one version has done since its counters began: cumulative, read at one moment.

    ``latency`` maps an upper edge in seconds (the last ``inf``) to the cumulative count at or below it, as a
    Prometheus histogram gives them; empty if the source has none. ``seconds`` is the sum of the observed latencies, ``comparisons``
    how often its answers were compared with the primary's, of ``attempts``, ``differences`` how often they differed, by kind. ``users`` are those whose window is
    closed, ``reward`` and ``squares`` the sums of what they were worth and of its square. ``series`` alone are figures of now.
    ``latencies`` are further ones by name, as ``latency`` is.
    """

    requests: int
    failures: Mapping[str, int] = field(default_factory=dict)
    latency: Mapping[float, int] = field(default_factory=dict)
    seconds: float = 0.0
    comparisons: int = 0
    differences: Mapping[str, int] = field(default_factory=dict)
    users: int = 0
    reward: float = 0.0
    squares: float = 0.0
    series: Mapping[str, float] = field(default_factory=dict)
    latencies: Mapping[str, Mapping[float, int]] = field(default_factory=dict)
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """The strata closed since the cursor that was given, and the cursor to give next time.

    ``complete`` is true when the source will never have more (a file). ``problem`` is a sentence when the source
    could not be read as it should: the strata, if any, are then no evidence. ``until`` is up to when it tells, if that is not the
    moment it was read at. ``every``: the counts it shows may be as old as this (s), so what two readings closer together
    do not show may have been all the same.
    """

    strata: tuple[Stratum, ...]
    cursor: str
    complete: bool = False
    problem: str = ""
    until: float | None = None
    every: float = 0.0


class MetricSource(Protocol):
    """Where evidence comes from."""

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        """What ``versions`` did since ``cursor`` (empty: from now on, no strata yet).

        ``weights`` label the strata with the share each version had; ``now`` is the moment of the reading. A source that is away or
        speaks nonsense gives a Reading with ``problem``, and raises TransientError only if it was never there.
        """


def difference(version: str, weight: int, before: Counters, after: Counters, start: float, end: float) -> Stratum:
    """The stratum between two cumulative readings.

    A counter that went down was reset (its process restarted): what it shows now is then all that can be known to
    have happened since, as Prometheus' own ``increase`` takes it. If the request counter was reset, all are taken so.
    """
    reset = (
        after.requests < before.requests
        or after.comparisons < before.comparisons
        or after.users < before.users
        or any(after.failures.get(name, 0) < count for name, count in before.failures.items())
    )
    if reset:
        before = Counters(0)
    zero = reset or _shrank(before.latency, after.latency)
    return Stratum(
        version=version,
        start=start,
        end=end,
        weight=weight,
        requests=after.requests - before.requests,
        failures=_since(before.failures, after.failures),
        latency=_histogram({} if zero else before.latency, after.latency),
        seconds=max(0.0, after.seconds - (0.0 if zero else before.seconds)),
        comparisons=after.comparisons - before.comparisons,
        differences=_since(before.differences, after.differences),
        users=after.users - before.users,
        reward=after.reward - before.reward,
        squares=max(0.0, after.squares - before.squares),
        series={name: (value,) for name, value in after.series.items()},
        latencies=_latencies(before, after),
        attempts=max(0, after.attempts - before.attempts),
    )


def untold(version: str, start: float, end: float, weight: int, count: int) -> tuple[Stratum, ...]:
    """What was broken off without a word of how long it had waited: over every limit, or under. No requests, for it did not fail, and did not succeed."""
    return (Stratum(version, start, end, weight, 0, latency=Histogram((math.inf,), (count,))),) if count else ()


def encode_counters(counters: Counters) -> dict[str, Any]:
    """Counters as a JSON value, for a cursor."""
    return {
        "requests": counters.requests,
        "failures": dict(counters.failures),
        "latency": [[str(edge), count] for edge, count in sorted(counters.latency.items())],
        "seconds": counters.seconds,
        "comparisons": counters.comparisons,
        "differences": dict(counters.differences),
        "attempts": counters.attempts,
        "rewards": [counters.users, counters.reward, counters.squares],
        "latencies": {
            name: [[str(edge), count] for edge, count in sorted(some.items())]
            for name, some in counters.latencies.items()
        },
    }


def decode_counters(value: Any) -> Counters:
    """Raises ValueError, LookupError, TypeError or AttributeError for what is none."""
    latency = {float(edge): count for edge, count in value["latency"]}
    compared = value.get("comparisons", 0), dict(value.get("differences", {}))  # an older cursor has none
    users, reward, squares = value.get("rewards", (0, 0.0, 0.0))
    named = value.get("latencies", {}).items()
    return Counters(
        value["requests"],
        dict(value["failures"]),
        latency,
        value["seconds"],
        *compared,
        users,
        float(reward),
        float(squares),
        latencies={name: {float(edge): count for edge, count in some} for name, some in named},
        attempts=value.get("attempts", compared[0]),
    )


def _shrank(before: Mapping[float, int], after: Mapping[float, int]) -> bool:
    return any(after[edge] < n for edge, n in before.items() if edge in after)


def _latencies(before: Counters, after: Counters) -> dict[str, Histogram]:
    """The further ones; not those that the reading before did not have although there were requests: all since ever is not since then."""
    found = {}
    for name, some in after.latencies.items():
        if before.requests and name not in before.latencies:
            continue
        earlier = before.latencies.get(name, {})
        if histogram := _histogram({} if _shrank(earlier, some) else earlier, some):
            found[name] = histogram
    return found


def capped(stratum: Stratum) -> Stratum:
    """At most one failure a request: one that was tried three times in vain, then answered 503 by the proxy, is one."""
    spare = max(0, stratum.errors - stratum.requests)
    failures = dict(stratum.failures)
    for kind in sorted(failures, key=lambda kind: (kind != "http-503", kind)):
        taken = min(spare, failures[kind])
        failures[kind] -= taken
        spare -= taken
    return replace(stratum, failures={kind: count for kind, count in failures.items() if count})


def _since(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What was counted between two readings, by class; nothing of those that had none."""
    since = {name: count - before.get(name, 0) for name, count in sorted(after.items())}
    return {name: count for name, count in since.items() if count}


def _histogram(before: Mapping[float, int], after: Mapping[float, int]) -> Histogram | None:
    """The counts between ``after``'s edges; where the edges were others before, between those that are of both."""
    if not after:
        return None
    edges = tuple(sorted(set(after) & set(before) if before else after))
    since = [after[edge] - before.get(edge, 0) for edge in edges]
    return Histogram(edges, tuple(upper - lower for lower, upper in zip([0, *since], since, strict=False)))
