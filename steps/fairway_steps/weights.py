"""Set the weights, and know that they are served: stored is not served, so ask the proxy, then count."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fairway_steps.back import give_back
from fairway_steps.clock import Clock
from fairway_steps.errors import FairwayError, NotSettled, TransientError
from fairway_steps.metrics.base import MetricSource, Reading
from fairway_steps.model import Routes, Version
from fairway_steps.record import Lease, Record, RecordStore, WeightChange, amend, required
from fairway_steps.routing.base import Router, Served
from fairway_steps.stats.traffic import log_e_split
from fairway_steps.words import shares

LOG = logging.getLogger(__name__)
POLL = 0.05
ENOUGH = 10
"""Requests just before a mirror, after which none at all in twice the time is no accident."""
CONTRADICTED = math.log(1e4)
"""The evidence (log e-value) at which a measured split is not the one asked for: a false alarm in 10,000 changes."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How sure to be that a change is served.

    ``settle`` seconds for the proxy to take it, by its word and by the requests that it then serves; of these up to
    ``requests`` are counted, in at most ``wait`` seconds.
    """

    settle: float = 30.0
    requests: int = 20
    wait: float = 2.0


def set_weights(
    router: Router,
    clock: Clock,
    *,
    routes: Routes,
    versions: Mapping[str, Version],
    fence: int,
    stage: int,
    why: str,
    confirm: Confirmation,
    when_served: Callable[[], None] = lambda: None,
) -> WeightChange:
    """Apply ``routes``, read them back, wait until the proxy serves them, and count where requests went.

    ``when_served`` is called between the last two, and again if the count shows that they were not served yet.
    Idempotent. Raises NotSettled if the stored routes are not the ones written, the proxy does not take them in time, the
    counted split still contradicts them then, or no version gets requests any more since they are mirrored.
    """
    asked = clock.now()
    busy = _count(router, clock, routes, confirm)[1] if routes.mirror else 0
    stored = router.apply(routes, versions, fence=fence)
    if replace(stored, weights=dict(stored.weights)) != replace(routes, weights=dict(routes.weights)):
        claims = router.claims()
        raise NotSettled(
            f"{described(routes)} was accepted, but the route now holds {described(stored)}: {claims.who} changed it",
            mend=claims.mend,
        )
    await_settled(router, clock, confirm.settle)
    while True:
        settled = clock.now()
        when_served()
        try:
            measured, counted = _count(router, clock, routes, confirm)
            break
        except NotSettled as early:  # the word of a control plane may come before its proxies' deed
            if clock.now() >= asked + confirm.settle:
                raise
            LOG.debug("not served yet: %s", early)
    if busy >= ENOUGH and not counted and not _count(router, clock, routes, confirm)[1]:
        raise NotSettled(
            f"since requests are mirrored none reaches {', '.join(routes.weights)} any more, and {busy} did just before",
            mend="this proxy does not implement mirrors: leave that stage out",
        )
    LOG.info(
        "weights %s are served%s",
        described(routes),
        f", {_percents(measured)} of the first {counted} requests" if measured else "",
    )
    return WeightChange(asked, stage, dict(routes.weights), measured, counted, settled - asked, why)


def enter_stage(
    store: RecordStore,
    lease: Lease,
    router: Router,
    clock: Clock,
    *,
    index: int,
    confirm: Confirmation,
    source: MetricSource | None = None,
    by: str = "",
) -> WeightChange:
    """Set the weights of stage ``index`` of the recorded release and write the change down.

    ``by`` is the person on whose word the stage is entered, if there is one. ``source`` is read as soon as the weights are served, so that evidence from before is not taken for the stage's own. Called again
    after it was killed, wherever that was, it makes sure of the route again, writes the change down once, and notes that it
    was called again.
    """
    record = required(store, lease)
    routes = record.position(index).routes
    last = record.timeline[-1] if record.timeline else None
    same = last is not None and dict(last.asked) == dict(routes.weights)
    done = last is not None and same and (last.stage == index or bool(record.dropped))
    again = done or router.read() == routes
    marks: list[Reading] = []

    def mark() -> None:
        marks[:] = _mark(record, source, clock.now())

    try:
        change = set_weights(
            router,
            clock,
            routes=routes,
            versions=record.routed,
            fence=record.token,
            stage=index,
            why="stage",
            confirm=replace(confirm, requests=0) if done else confirm,
            when_served=mark,
        )
    except NotSettled:  # what is not taken up may answer nobody: users first
        try:
            give_back(record, router)
        except FairwayError as error:
            LOG.warning("the route could not be put back at once: %s", error)
        raise

    def noted(now: Record) -> Record:
        if by:
            now = now.noted(clock.now(), "set-weights", f"stage {index + 1}: on the word of {by}")
        told = f"stage {index + 1}: {shares(routes.weights)} was stored already, by an attempt that was cut off"
        return now.noted(clock.now(), "set-weights", told).renewed(clock.now()) if again else now

    if last is not None and done:
        amend(store, lease, noted)
        return last

    def entered(now: Record) -> Record:
        now = noted(now)
        for read in marks if now.cursor == record.cursor else ():
            now = replace(now.with_strata(read.strata), cursor=read.cursor, cursor_stage=index)
        return replace(now, stage=index, timeline=(*now.timeline, change)).renewed(clock.now())

    amend(store, lease, entered)
    return change


def _mark(record: Record, source: MetricSource | None, now: float) -> list[Reading]:
    """The reading that ends the time before; none where there is none, and the assessment catches up by itself."""
    if source is None:
        return []
    before = record.timeline[-1].asked if record.timeline else {record.primary.name: 100}
    try:
        reading = source.read(tuple(record.versions), before, record.cursor, now)
    except TransientError:
        return []
    return [] if reading.problem or reading.complete else [reading]


def await_settled(router: Router, clock: Clock, timeout: float) -> None:
    """Wait until the proxy serves what is stored; a back end that cannot tell is believed."""
    deadline = clock.now() + timeout
    while router.settled() is False:
        if clock.now() >= deadline:
            told = f": {router.trouble}" if router.trouble else ""
            raise NotSettled(
                f"the proxy does not serve the stored route after {timeout:g} s{told}", mend="look at the proxy's log"
            )
        clock.sleep(POLL)


def difference(before: Served, after: Served) -> dict[str, int]:
    """Requests of each version between two readings; versions that had none are left out."""
    since = {name: count - before.by_version.get(name, 0) for name, count in after.by_version.items()}
    return {name: count for name, count in since.items() if count > 0}


def described(routes: Routes) -> str:
    """``v1 100 %, x-canary=always to v2, 30 % mirrored to v2``."""
    matches = [f"{match.name}={match.value} to {match.version}" for match in routes.matches]
    mirror = [f"{routes.mirror.percent} % mirrored to {routes.mirror.version}"] if routes.mirror else []
    sticky = [f"by {routes.sticky.how}"] if routes.sticky else []
    return ", ".join([shares(routes.weights), *matches, *mirror, *sticky])


def _count(router: Router, clock: Clock, routes: Routes, confirm: Confirmation) -> tuple[dict[str, float] | None, int]:
    before, deadline = router.served(), clock.now() + confirm.wait
    seen: dict[str, int] = {}
    while before is not None and sum(seen.values()) < confirm.requests and clock.now() < deadline:
        clock.sleep(POLL)
        after = router.served()
        seen = difference(before, after) if after else seen
        if routes.mirror:  # copies are no requests of users
            seen = {name: count for name, count in seen.items() if name in routes.weights}
    total = sum(seen.values())
    if not total:
        return None, 0
    if not (routes.sticky or routes.matches or routes.mirror):
        _compare(seen, routes)
    return {name: seen.get(name, 0) / total for name in sorted({*routes.weights, *seen})}, total


def _compare(seen: Mapping[str, int], routes: Routes) -> None:
    names = sorted(routes.weights)
    strays = {name: count for name, count in seen.items() if name not in routes.weights}
    counts = [seen.get(name, 0) for name in names]
    contradicted = log_e_split(counts, [routes.weights[name] / 100 for name in names]) >= CONTRADICTED
    # A request that was under way when the route changed may still be counted for the version it left.
    if contradicted or sum(strays.values()) > sum(counts):
        raise NotSettled(
            f"of {sum(seen.values())} requests {dict(seen)} were served, which is not the split {shares(routes.weights)}",
            mend="find out what else routes this service",
        )


def _percents(measured: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}".replace("%", " %") for name, share in measured.items())
