"""Evidence from any Prometheus exposition endpoint: differences of counters between two readings.

The cursor is the reading before, as JSON text: the moment, the age of the process, and each version's counters.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.base import Counters, Reading, capped, decode_counters, difference, encode_counters
from fairway_steps.metrics.counting import unexplained
from fairway_steps.metrics.exposition import Sample, parse
from fairway_steps.metrics.http import Access, no_secret, problem_of, refusal
from fairway_steps.metrics.names import Matcher, MetricNames, workload
from fairway_steps.metrics.preflight import Inspection, Seen
from fairway_steps.metrics.tally import finite, tally
from fairway_steps.model import Stratum, Version
from fairway_steps.secrets import address

TIMEOUT = 5.0
SLACK = 7.0
"""Seconds by which a gauge of the uptime may lag behind: Envoy's default flush interval, and rounding."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one scrape says. ``uptime`` is in seconds, None if the endpoint does not tell."""

    at: float
    uptime: float | None
    counters: Mapping[str, Counters]
    beside: "Snapshot | None" = None
    """What another process said at the last look; if it answers again it has taken the place of this one."""


class ScrapeSource:
    """Counters of ``service``'s versions at ``url``, under the metrics' ``names``.

    Ask for all versions from the first reading on: what a version did before it was first asked for is not known to
    be new.
    """

    def __init__(
        self,
        url: str,
        service: str,
        names: MetricNames,
        access: Access | None = None,
        known: Mapping[str, Version] | None = None,
    ) -> None:
        self.url, self.where, self.service, self.names = url, address(url), service, names
        self._access, self._known = access or Access(no_secret, timeout=TIMEOUT), known or {}

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        before = _decode(cursor) if cursor else None
        try:
            after = self._snapshot(self._fetch(), versions, now)
        except _Away as error:
            if before is None:
                raise TransientError(str(error)) from error
            return Reading((), cursor, problem=str(error))
        except ValueError as error:
            return Reading((), cursor, problem=f"{self.where} cannot be understood: {error}")
        if silent := [v for v in versions if weights.get(v, 0) > 0 and v not in after.counters]:
            return Reading((), cursor, problem=f"{self.where} has no metrics of {', '.join(silent)}")
        if before is not None and not _restarted(before, after):
            slack = 1.0 if self.names.started else SLACK + 1.0
            if before.beside is not None and not _differs(before.beside, after, slack):
                before = before.beside
            elif _differs(before, after, slack):
                told = (
                    f"another process answers at {self.where} than did before; if replicas behind one address do so in turn, "
                    "give the address of one process, or a Prometheus that scrapes each"
                )
                return Reading((), _encode(replace(before, beside=after)), problem=told)
            if problem := self._fallen(before, after):
                return Reading((), cursor, problem=problem)
        return Reading(() if before is None else tuple(self._strata(before, after, weights)), _encode(after))

    def inspect(self, versions: Sequence[str], now: float) -> Sequence[Inspection]:
        """What the endpoint shows of the versions since its process began."""
        try:
            text = self._fetch()
            snapshot = self._snapshot(text, versions, now)
        except _Away as error:
            raise TransientError(str(error)) from error
        except ValueError as error:
            raise UsageError(f"{self.where} cannot be understood: {error}", mend="see what it is") from error
        names, found = self.names, snapshot.counters
        shown = {one.name for one in parse(text)}
        wanted = set(names.requests) or shown
        counting = [one.labels for one in parse(text) if one.name in wanted and names.fits(one.labels)]
        series = {version: sum(map(self._matcher(version).matches, counting)) for version in versions}
        told = {labels.get(names.label, "") for labels in counting}
        apart = {name for some in names.failures.values() for name in some} - set(names.requests)
        return [
            Inspection(
                where=self.where,
                seen=tuple(_seen(v, series[v], found[v]) if v in found else Seen(v, 0) for v in versions),
                label=names.label,
                others=tuple(sorted(told - {""})),
                failures=bool(names.failing or names.failures),
                compares=bool(names.comparisons),
                mean=bool(names.durations and not names.histogram),
                histogram=names.histogram,
                unit=names.unit,
                absent=tuple(sorted(apart - shown)),
            )
        ]

    def _fetch(self) -> str:
        import requests  # noqa: PLC0415 - 60 ms that a command without a scraped source need not wait

        secrets = self._access.secrets()
        try:
            with self._access.session(secrets) as session:
                session.headers["Accept"] = "text/plain;version=0.0.4"
                if self.names.lags:
                    session.get(self.url)
                answer = session.get(self.url)
        except (requests.RequestException, OSError) as error:
            raise _Away(f"{self.where}: {problem_of(error, self._access, secrets)}") from error
        if answer.status_code != 200:
            raise _Away(f"{self.where} {refusal(answer.status_code)}")
        return answer.content.decode("utf-8", errors="replace")

    def _snapshot(self, text: str, versions: Sequence[str], now: float) -> Snapshot:
        asked = {version: self._matcher(version) for version in versions}
        mine: dict[str, list[Sample]] = {}
        known: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        uptime: float | None = None
        for sample in parse(text):
            if self.names.uptime and sample.name == self.names.uptime:
                uptime = finite(sample)
            elif self.names.started and sample.name == self.names.started:
                uptime = now - finite(sample)
            elif self.names.fits(sample.labels):
                owners = [version for version, matcher in asked.items() if matcher.matches(sample.labels)]
                if len(owners) > 1:
                    raise ValueError(
                        f"{sample.name} of {sample.labels[self.names.label]!r} is of {' and '.join(owners)}"
                    )
                for version in owners:
                    if (one := (sample.name, frozenset(sample.labels.items()))) in known:
                        raise ValueError(f"{sample.name} of {version} is there twice, with the same labels")
                    known.add(one)
                    mine.setdefault(version, []).append(sample)
        return Snapshot(now, uptime, {version: tally(self.names, samples) for version, samples in mine.items()})

    def _fallen(self, before: Snapshot, after: Snapshot) -> str:
        """Why both cannot be what one process, or one and its successor, says; empty if they can."""
        both = before.counters.keys() & after.counters.keys()
        fell = sorted(v for v in both if unexplained(before.counters[v].requests, after.counters[v].requests))
        told = f"the requests of {', '.join(fell)} at {self.where} went down by less than a restart explains"
        return f"{told}: they are not counted by one process" if fell else ""

    def _matcher(self, version: str) -> Matcher:
        return self.names.ask(self.service, version, workload(self._known.get(version)))

    def _strata(self, before: Snapshot, after: Snapshot, weights: Mapping[str, int]) -> Iterable[Stratum]:
        restarted = _restarted(before, after)
        for version, counters in after.counters.items():
            earlier = Counters(0) if restarted else before.counters.get(version, Counters(0))
            stratum = difference(version, weights.get(version, 0), earlier, counters, before.at, after.at)
            yield capped(stratum) if self.names.overlap else stratum


def _seen(version: str, series: int, counters: Counters) -> Seen:
    edges = sorted(counters.latency)
    under = tuple(counters.latency[edge] for edge in edges)
    return Seen(version, series, counters.requests, edges=tuple(edges), under=under, latencies=counters.latencies)


class _Away(Exception):
    """The endpoint gave no exposition."""


def _restarted(before: Snapshot, after: Snapshot) -> bool:
    """Whether the counting process began since, even if its counters have grown past the old ones by now."""
    if before.uptime is None or after.uptime is None:
        return False
    since = after.at - before.at
    return after.uptime + SLACK < since or (after.uptime < before.uptime - 1 and after.uptime <= since + SLACK)


def _differs(before: Snapshot, after: Snapshot, slack: float) -> bool:
    """Whether the two say of their process that it began at another time."""
    if before.uptime is None or after.uptime is None:
        return False
    return abs((after.at - after.uptime) - (before.at - before.uptime)) > slack


def _encode(snapshot: Snapshot) -> str:
    return json.dumps(_value(snapshot))


def _value(snapshot: Snapshot) -> dict[str, Any]:
    counters = {version: encode_counters(c) for version, c in snapshot.counters.items()}
    beside = {"beside": _value(snapshot.beside)} if snapshot.beside else {}
    return {"at": snapshot.at, "uptime": snapshot.uptime, "counters": counters} | beside


def _decode(cursor: str) -> Snapshot:
    try:
        return _snapshot(json.loads(cursor))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError("the cursor in the record is not one of a scraped source") from error


def _snapshot(value: Any) -> Snapshot:
    counters = {version: decode_counters(c) for version, c in value["counters"].items()}
    beside = _snapshot(value["beside"]) if "beside" in value else None
    return Snapshot(value["at"], value["uptime"], counters, beside)
