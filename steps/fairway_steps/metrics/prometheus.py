"""Evidence from a Prometheus server: raw samples of counters, and what they counted between two looks.

A stratum is closed when every process that counts for a version with traffic has been scraped since the one before, so that both arms of a
comparison cover the same time.
"""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from fairway_steps.errors import FairwayError, TransientError, UsageError
from fairway_steps.metrics import promql
from fairway_steps.metrics.base import Counters, Reading, capped, difference
from fairway_steps.metrics.counting import Counted, Labels, Series, count, group, key
from fairway_steps.metrics.exposition import Sample
from fairway_steps.metrics.preflight import Inspection, Seen
from fairway_steps.metrics.promapi import Answer, Away, PromApi, Refused
from fairway_steps.metrics.prometheus_cursor import State, Target, decode, encode, target_of, targets_of
from fairway_steps.metrics.queries import OWNER, WAS, Plan
from fairway_steps.metrics.tally import tally, totals
from fairway_steps.model import Stratum

FIRST_WINDOW, LONGEST_WINDOW = 300.0, 3600.0
UNKNOWN_INTERVAL = 60.0
"""Prometheus' own default: what is taken for the time between two scrapes as long as there is but one."""
LEAST_AGE = 5.0
"""No sample younger than this is stale, however short the scrape interval."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look gives: the owned series, their counts, and all that keeps it from being evidence."""

    at: float
    counted: Counted
    targets: Mapping[str, Target]
    interval: float
    present: Collection[str]
    problems: Sequence[str] = ()


class PrometheusSource:
    """What ``plan`` asks for, from the server behind ``api``.

    ``interval`` is the time between two scrapes (s; 0: as the samples show), ``delay`` how long after its scrape a sample
    may come to be known, as with remote write (s).
    """

    def __init__(self, api: PromApi, plan: Plan, *, interval: float = 0.0, delay: float = 0.0) -> None:
        self.api, self.plan, self._interval, self._delay = api, plan, interval, delay

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        state = decode(cursor) if cursor else None
        for version, addresses in (state.seen if state else {}).items():
            self.plan.seen.setdefault(version, []).extend(addresses)
        at = now - self._delay
        try:
            if state is None:
                return self._first(versions, weights, at)
            return self._since(versions, weights, state, cursor, at)
        except Away as error:
            if state is None:
                raise TransientError(str(error)) from error
            return Reading((), cursor, problem=str(error))
        except Refused as error:
            if state is None:
                raise UsageError(str(error), mend=self.plan.mend) from error
            return Reading((), cursor, problem=str(error))
        except ValueError as error:
            return Reading((), cursor, problem=f"{self.api.where} cannot be understood: {error}")
        except FairwayError as error:  # the addresses of a version's endpoints are not to be had just now
            if state is None:
                raise
            return Reading((), cursor, problem=error.message)

    def inspect(self, versions: Sequence[str], now: float) -> Sequence[Inspection]:
        """What the server shows of the versions, over the last five minutes."""
        at, names = now - self._delay, self.plan.names
        owned: list[Series] = []
        warnings: list[str] = []
        try:
            for query in self.plan.queries(versions):
                answer = self._ask(query.promql, at, FIRST_WINDOW, self._interval or UNKNOWN_INTERVAL, raw=query.raw)
                warnings += [*answer.warnings, *answer.infos]
                owned += self.plan.own(query, answer.series, versions)
            others = self.api.query(promql.values_of(names), at).series if self.plan.label else ()
            absent = [name for name in self.plan.separate if not self.api.query(f"count({name})", at).series]
            seen = [self._seen(version, [o for o in owned if o.labels[OWNER] == version]) for version in versions]
        except Away as error:
            raise TransientError(str(error)) from error
        except (Refused, ValueError) as error:
            raise UsageError(f"{self.api.where}: {error}", mend=self.plan.mend) from error
        told = {one.labels[self.plan.label] for one in others if one.labels.get(self.plan.label)}
        return [
            Inspection(
                where=self.api.where,
                seen=tuple(seen),
                label=self.plan.label,
                others=tuple(sorted(told)),
                failures=bool(names.failing or names.failures),
                compares=bool(names.comparisons),
                rewards=bool(names.users),
                series=tuple(dict.fromkeys(query.role for query in self.plan.figures(versions))),
                mean=bool(names.durations and not names.histogram),
                histogram=self.plan.histogram,
                unit=names.unit,
                absent=tuple(absent),
                warnings=tuple(dict.fromkeys(warnings)),
                interval=self._interval or _interval_of(owned),
            )
        ]

    def _seen(self, version: str, owned: Sequence[Series]) -> Seen:
        names = self.plan.names
        for process in totals(owned, names.per_request):
            tally(names, process)  # raises for what is wrong and constant, as a bucket that never grows
        counted = count(
            owned, {}, per_request=names.per_request, existed={group(o.labels, names.per_request) for o in owned}
        )
        samples = [Sample(labels["__name__"], labels, value) for labels, value in counted.increments]
        counters = tally(names, samples)
        raw = any(len(one.samples) > 1 for one in owned)
        present = [one for one in owned if one.labels["__name__"] in names.requests]
        return Seen(
            version,
            series=len(owned) if present else 0,
            requests=counters.requests,
            window=FIRST_WINDOW if raw else 0.0,
            edges=tuple(sorted(counters.latency)),
            keys=frozenset(key({k: v for k, v in one.labels.items() if k != OWNER}) for one in owned),
            example=_shown(present[0].labels) if present else "",
            under=tuple(counters.latency[edge] for edge in sorted(counters.latency)),
            latencies=counters.latencies,
        )

    def _first(self, versions: Sequence[str], weights: Mapping[str, int], at: float) -> Reading:
        look = self._look(versions, None, at)
        if problem := self._problem(look, weights, None):
            return Reading((), "", problem=problem)
        start = max((target.at for target in look.targets.values()), default=at)
        state = State(at, start, look.interval, look.counted.points, look.targets, dict(self.plan.seen))
        return Reading((), encode(state), until=start, every=look.interval + self._delay)

    def _since(
        self, versions: Sequence[str], weights: Mapping[str, int], state: State, cursor: str, at: float
    ) -> Reading:
        """All closed strata; a long time away is read in pieces, each of which the server can hold."""
        strata: list[Stratum] = []
        while True:
            end = min(at, state.start + LONGEST_WINDOW)
            look = self._look(versions, state, end)
            if problem := self._problem(look, weights if end == at else {}, state):
                return Reading((), cursor, problem=problem)
            every = look.interval + self._delay
            if end == at and not self._closes(look, versions, weights, state):
                return Reading(tuple(strata), encode(state) if strata else cursor, until=state.start, every=every)
            newest = max((target.at for target in look.targets.values()), default=end)
            start = max(state.start, newest) if end == at else end
            fresh = tuple(self._strata(look, weights, state.start, start))
            strata += fresh if end < at else [self._with_figures(stratum, at) for stratum in fresh]
            state = State(state.since, start, look.interval, look.counted.points, look.targets, dict(self.plan.seen))
            if end == at:
                return Reading(tuple(strata), encode(state), until=start, every=every)

    def _look(self, versions: Sequence[str], state: State | None, at: float) -> Look:
        interval = self._interval or (state.interval if state else UNKNOWN_INTERVAL)
        window = FIRST_WINDOW if state is None else max(0.0, at - state.start) + max(10.0, 2 * interval)
        owned: list[Series] = []
        problems: list[str] = []
        for query in self.plan.queries(versions):
            answer = self._ask(query.promql, at, window, interval, raw=query.raw)
            problems += answer.warnings
            owned += self.plan.own(query, answer.series, versions)
        interval = self._interval or _interval_of(owned) or interval
        per_request = self.plan.names.per_request
        points = state.points if state else None
        counted = count(owned, points, per_request=per_request)
        if state is not None and counted.newcomers:
            existed = self._existed(counted.newcomers, state.since, at)
            counted = count(owned, points, per_request=per_request, existed=existed)
        for labels, before in counted.doubtful.values():
            if self._started(labels, at) < before:
                told = f"{labels.get('__name__', 'a counter')} of {labels[OWNER]}"
                problems.append(f"{told} went down by less than a restart explains: it is no counter of one process")
        targets = {**(state.targets if state else {}), **targets_of(owned, per_request)}
        denominators = set(self.plan.names.requests)
        present = {one.labels[OWNER] for one in owned if one.labels["__name__"] in denominators}
        return Look(at, counted, targets, interval, present, tuple(dict.fromkeys(problems)))

    def _ask(self, text: str, at: float, window: float, interval: float, *, raw: bool) -> Answer:
        if raw:
            return self.api.query(f"{text}[{math.ceil(window * 1000)}ms]", at)
        return self.api.query(text, at, lookback=max(LEAST_AGE, 2 * interval))

    def _problem(self, look: Look, weights: Mapping[str, int], state: State | None) -> str:
        """Why this look is no evidence; empty if it is."""
        if look.problems:
            return f"{self.api.where} says: {'; '.join(look.problems)}"
        for version in (name for name, weight in weights.items() if weight > 0):
            own = [target for target in look.targets.values() if target.version == version]
            if version not in look.present and not own:
                return f"{self.api.where} has no requests of {version}"
            newest = max((target.at for target in own), default=0.0)
            if not self._live(newest, look):
                return f"the last sample of {version} is {look.at - newest:.0f} s old, and one should come each {look.interval:g} s"
        return self._down(look, weights) if state else ""

    def _down(self, look: Look, weights: Mapping[str, int]) -> str:
        """Part of the data is missing if a process is still there, but Prometheus cannot scrape it."""
        stale = {
            (target.job, target.instance): target.version
            for target in look.targets.values()
            if target.instance and weights.get(target.version, 0) > 0 and not self._live(target.at, look)
        }
        for (job, instance), version in sorted(stale.items()):
            labels = {"instance": instance} | ({"job": job} if job else {})
            answer = self.api.query(promql.selector(["up"], labels, []), look.at)
            if any(one.samples[-1][1] == 0 for one in answer.series):
                return f"Prometheus cannot scrape {instance}, so a part of {version} is not seen"
        return ""

    def _live(self, moment: float, look: Look) -> bool:
        return look.at - moment <= max(LEAST_AGE, 2 * look.interval)

    def _closes(self, look: Look, versions: Sequence[str], weights: Mapping[str, int], state: State) -> bool:
        """Whether every live process of the versions with traffic was seen anew; a query's value is new at every look."""
        if not any(query.raw for query in self.plan.queries(versions)):
            return look.at - state.start >= look.interval * (1 - 1e-9)
        for name, target in look.targets.items():
            before = state.targets.get(name)
            seen = before is None or target.at > before.at
            if weights.get(target.version, 0) > 0 and self._live(target.at, look) and not seen:
                return False
        return True

    def _strata(self, look: Look, weights: Mapping[str, int], start: float, end: float) -> Iterable[Stratum]:
        mine: dict[str, list[Sample]] = {}
        for labels, value in look.counted.increments:
            mine.setdefault(labels[OWNER], []).append(Sample(labels["__name__"], labels, value))
        for version, samples in sorted(mine.items()):
            counters = tally(self.plan.names, samples)
            stratum = difference(version, weights.get(version, 0), Counters(0), counters, start, end)
            yield capped(stratum) if self.plan.names.overlap else stratum

    def _with_figures(self, stratum: Stratum, at: float) -> Stratum:
        found = {}
        for query in self.plan.figures([stratum.version]):
            series = self.api.query(query.promql, at).series
            if len(series) > 1:
                raise ValueError(
                    f"the query for the {query.role} of {query.version} gives {len(series)} series where one is expected; write avg(…)"
                )
            if series and math.isfinite(value := series[0].samples[-1][1]):
                found[query.role] = (value,)
        return replace(stratum, series=found)

    def _existed(self, newcomers: Mapping[str, tuple[Labels, float]], since: float, at: float) -> Collection[str]:
        """The new groups that had counted before: of processes older than the evidence, and never scraped until now.

        A process that was scraped before without them has only just begun to count.
        """
        found = set()
        for name, (labels, first) in newcomers.items():
            where = target_of(labels)
            if "instance" not in where or self._started(labels, at, unknown=math.inf) >= since:
                continue
            scrapes = self.api.query(f"{promql.selector(['up'], where, [])}[{math.ceil(FIRST_WINDOW)}s]", at).series
            if not any(moment < first and up == 1 for one in scrapes for moment, up in one.samples):
                found.add(name)
        return found

    def _started(self, labels: Labels, at: float, *, unknown: float = -math.inf) -> float:
        """When the process behind a series started (Unix seconds), as it says itself; ``unknown`` if it does not."""
        where, names = target_of(labels), self.plan.names
        if "instance" not in where:
            return unknown
        for metric, elapsed in ((names.started, False), (names.uptime, True)):
            for one in self.api.query(promql.selector([metric], where, []), at).series if metric else ():
                moment, value = one.samples[-1]
                return moment - value if elapsed else value
        return unknown


def _shown(labels: Labels) -> str:
    told = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k not in (OWNER, "__name__", WAS))
    return f"{labels.get(WAS) or labels['__name__']}{{{told}}}"


def _interval_of(owned: Iterable[Series]) -> float:
    """The longest of the usual distances between samples, by series; 0 if none has two."""
    gaps = [[after - before for (before, _), (after, _) in pairwise(s.samples)] for s in owned]
    return max((statistics.median(some) for some in gaps if some), default=0.0)
