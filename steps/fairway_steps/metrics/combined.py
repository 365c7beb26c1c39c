"""Two sources as one: requests and failures from the first, latencies from the second.

For servers that count no failures (KServe's) behind proxies that tell no latency by version (Envoy Gateway's).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.metrics.base import MetricSource, Reading
from fairway_steps.metrics.preflight import LATENCY, REQUESTS, Inspectable, Inspection
from fairway_steps.model import Stratum


class CombinedSource:
    """Counts of ``requests`` and latencies of ``latency``. The cursor is a list of the two sources' own."""

    def __init__(self, requests: MetricSource, latency: MetricSource) -> None:
        self.requests, self.latency = requests, latency

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        first, second, _ = cursors(cursor)
        counts = self.requests.read(versions, weights, first, now)
        if counts.problem:
            return Reading((), cursor, problem=counts.problem)
        times = self.latency.read(versions, weights, second, now)
        if times.problem:
            return Reading((), cursor, problem=times.problem)
        timed = (_timed(one) for one in times.strata if _tells(one))
        strata = (*(_counted(one) for one in counts.strata), *timed)
        after = json.dumps([counts.cursor, times.cursor]) if counts.cursor or times.cursor else ""
        until = earlier(counts, times)
        return Reading(
            strata,
            after,
            complete=counts.complete and times.complete,
            until=until,
            every=max(counts.every, times.every),
        )

    def inspect(self, versions: Sequence[str], now: float) -> Sequence[Inspection]:
        """What each of the two shows of its part."""
        parts = ((REQUESTS, self.requests), (LATENCY, self.latency))
        return [
            replace(one, parts=frozenset({part}))
            for part, source in parts
            if isinstance(source, Inspectable)
            for one in source.inspect(versions, now)
        ]


def earlier(first: Reading, second: Reading) -> float | None:
    """Up to when both tell."""
    return min((each.until for each in (first, second) if each.until is not None), default=None)


def _counted(stratum: Stratum) -> Stratum:
    return replace(stratum, latency=None, seconds=0.0, latencies={})


def _tells(stratum: Stratum) -> bool:
    """Whether it holds a latency: without one it would be no different from counts of nothing."""
    return any(some.total for some in (stratum.latency, *stratum.latencies.values()) if some)


def _timed(stratum: Stratum) -> Stratum:
    """Latencies alone, as a stratum without a request: which of the counted requests they are is not known."""
    return Stratum(
        stratum.version,
        stratum.start,
        stratum.end,
        stratum.weight,
        0,
        latency=stratum.latency,
        seconds=stratum.seconds,
        latencies=stratum.latencies,
    )


def cursors(cursor: str) -> tuple[str, str, list[Any]]:
    """The cursors of two sources that are kept as one, and what is kept beside them. Raises UsageError."""
    if not cursor:
        return "", "", []
    try:
        first, second, *kept = json.loads(cursor)
    except (ValueError, TypeError) as error:
        raise UsageError("the cursor in the record is not one of two sources") from error
    return str(first), str(second), kept
