"""Evidence from any Prometheus exposition endpoint: differences of counters between two readings.

The cursor is the reading before, as JSON text: the moment, the age of the process, and each version's counters.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.base import Counters, Reading, difference
from fairway_steps.metrics.exposition import Sample, parse
from fairway_steps.metrics.mapping import MetricNames
from fairway_steps.model import Stratum

TIMEOUT = (1.0, 5.0)
SLACK = 7.0
"""Seconds by which a gauge of the uptime may lag behind: Envoy's default flush interval, and rounding."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one scrape says. ``uptime`` is in seconds, None if the endpoint does not tell."""

    at: float
    uptime: float | None
    counters: Mapping[str, Counters]


class ScrapeSource:
    """Counters of ``service``'s versions at ``url``, under the metrics' ``names``.

    Ask for all versions from the first reading on: what a version did before it was first asked for is not known to
    be new.
    """

    def __init__(self, url: str, service: str, names: MetricNames) -> None:
        self.url, self.service, self.names = url, service, names

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        before = _decode(cursor) if cursor else None
        try:
            after = self._snapshot(self._fetch(), versions, now)
        except _Away as error:
            if before is None:
                raise TransientError(str(error)) from error
            return Reading((), cursor, problem=str(error))
        except ValueError as error:
            return Reading((), cursor, problem=f"{self.url} cannot be understood: {error}")
        if silent := [v for v in versions if weights.get(v, 0) > 0 and v not in after.counters]:
            return Reading((), cursor, problem=f"{self.url} has no metrics of {', '.join(silent)}")
        return Reading(() if before is None else tuple(_strata(before, after, weights)), _encode(after))

    def _fetch(self) -> str:
        import requests  # noqa: PLC0415 - 60 ms that a command without a scraped source need not wait

        try:
            with requests.Session() as session:
                session.trust_env = False
                session.headers["Accept"] = "text/plain;version=0.0.4"
                if self.names.lags:
                    session.get(self.url, timeout=TIMEOUT)
                answer = session.get(self.url, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise _Away(f"{self.url} does not answer ({type(error).__name__})") from error
        if answer.status_code != 200:
            raise _Away(f"{self.url} answers {answer.status_code}")
        return answer.content.decode("utf-8", errors="replace")

    def _snapshot(self, text: str, versions: Sequence[str], now: float) -> Snapshot:
        owner = {label: version for version in versions for label in self.names.values(self.service, version)}
        mine: dict[str, list[Sample]] = {}
        uptime: float | None = None
        for sample in parse(text):
            if self.names.uptime and sample.name == self.names.uptime:
                uptime = _finite(sample)
            elif self.names.started and sample.name == self.names.started:
                uptime = now - _finite(sample)
            elif (version := owner.get(sample.labels.get(self.names.label, ""))) is not None:
                mine.setdefault(version, []).append(sample)
        return Snapshot(now, uptime, {version: self._counters(samples) for version, samples in mine.items()})

    def _counters(self, samples: Iterable[Sample]) -> Counters:
        """A version that has any series, but none of some counter, has not yet done any of it."""
        names, requests, seconds = self.names, 0, 0.0
        failures: dict[str, int] = {}
        latency: dict[float, int] = {}
        classes = {metric: kind for kind, metrics in names.failures.items() for metric in metrics}
        for sample in samples:
            kind = classes.get(sample.name, "")
            if sample.name == names.codes and sample.labels.get(names.code, "").startswith("5"):
                kind = f"http-{sample.labels[names.code]}"
            if kind:
                failures[kind] = failures.get(kind, 0) + _whole(sample)
            if sample.name == names.requests:
                requests += _whole(sample)
            if names.histogram and sample.name == f"{names.histogram}_bucket":
                edge = float(sample.labels.get("le", "nan")) / names.per_second
                latency[edge] = latency.get(edge, 0) + _whole(sample)
            if names.histogram and sample.name == f"{names.histogram}_sum":
                seconds += _finite(sample) / names.per_second
        counts = [latency[edge] for edge in sorted(latency)]
        if latency and (math.inf not in latency or counts != sorted(counts) or any(map(math.isnan, latency))):
            raise ValueError(f"{names.histogram} is not a cumulative histogram with an edge +Inf")
        return Counters(requests, failures, latency, seconds)


class _Away(Exception):
    """The endpoint gave no exposition."""


def _strata(before: Snapshot, after: Snapshot, weights: Mapping[str, int]) -> Iterable[Stratum]:
    restarted = _restarted(before, after)
    for version, counters in after.counters.items():
        earlier = Counters(0) if restarted else before.counters.get(version, Counters(0))
        yield _capped(difference(version, weights.get(version, 0), earlier, counters, before.at, after.at))


def _restarted(before: Snapshot, after: Snapshot) -> bool:
    """Whether the counting process is another one, even if its counters have grown past the old ones by now."""
    if before.uptime is None or after.uptime is None:
        return False
    return after.uptime < before.uptime - 1 or after.uptime + SLACK < after.at - before.at


def _capped(stratum: Stratum) -> Stratum:
    """At most one failure a request: one that was tried three times in vain, then answered 503 by the proxy, is one."""
    spare = max(0, stratum.errors - stratum.requests)
    failures = dict(stratum.failures)
    for kind in sorted(failures, key=lambda kind: (kind != "http-503", kind)):
        taken = min(spare, failures[kind])
        failures[kind] -= taken
        spare -= taken
    return replace(stratum, failures={kind: count for kind, count in failures.items() if count})


def _whole(sample: Sample) -> int:
    value = _finite(sample)
    if value < 0 or value != int(value):
        raise ValueError(f"{sample.name} is {value:g}, which is no count")
    return int(value)


def _finite(sample: Sample) -> float:
    if not math.isfinite(sample.value):
        raise ValueError(f"{sample.name} is {sample.value}")
    return sample.value


def _encode(snapshot: Snapshot) -> str:
    counters = {
        version: {
            "requests": c.requests,
            "failures": dict(c.failures),
            "latency": [[str(edge), count] for edge, count in sorted(c.latency.items())],
            "seconds": c.seconds,
        }
        for version, c in snapshot.counters.items()
    }
    return json.dumps({"at": snapshot.at, "uptime": snapshot.uptime, "counters": counters})


def _decode(cursor: str) -> Snapshot:
    try:
        value: Any = json.loads(cursor)
        counters = {
            version: Counters(
                c["requests"], c["failures"], {float(edge): count for edge, count in c["latency"]}, c["seconds"]
            )
            for version, c in value["counters"].items()
        }
        return Snapshot(value["at"], value["uptime"], counters)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError("the cursor in the record is not one of a scraped source") from error
