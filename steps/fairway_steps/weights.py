"""Set the weights, and know that they are served: stored is not served, so ask the proxy, then count."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fairway_steps.back import give_back
from fairway_steps.clock import Clock
from fairway_steps.errors import FairwayError, NotSettled, TransientError
from fairway_steps.metrics.base import MetricSource, Reading
from fairway_steps.model import Routes, Version
from fairway_steps.overtaken import kept_to_its_end, unended
from fairway_steps.record import Lease, Record, RecordStore, WeightChange, amend, required
from fairway_steps.routing.base import Router, Served
from fairway_steps.settled import POLL, await_settled
from fairway_steps.stage_results import as_served
from fairway_steps.stats.traffic import log_e_split
from fairway_steps.words import described, shares

LOG = logging.getLogger(__name__)
LOOK = 1.0
"""Seconds of a burn-in that are waited for here; what more there is of it, the assessment sees to."""
ENOUGH = 10
"""Requests just before a mirror, after which none at all in twice the time is no accident."""
MOMENTS = 5
"""So many times must they have been seen to rise: a source behind scrapes jumps, and then shows nothing for as long as it likes."""
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
) -> WeightChange:
    """Apply ``routes``, read them back, wait until the proxy serves them, and count where requests went.

    Idempotent. Raises NotSettled if the stored routes are not the ones written, the proxy does not take them in time, the
    counted split still contradicts them then, or no version gets requests any more since they are mirrored.
    """
    asked = clock.now()
    busy = _busy(router, clock, routes, confirm) if routes.mirror else 0
    stored = router.apply(routes, versions, fence=fence)
    if replace(stored, weights=dict(stored.weights)) != replace(routes, weights=dict(routes.weights)):
        claims = router.claims()
        raise NotSettled(
            f"{described(routes)} was accepted, but the route now holds {described(stored)}: {claims.who} changed it",
            mend=claims.mend,
        )
    await_settled(router, clock, confirm.settle)
    first = clock.now()
    while True:
        settled = clock.now()
        try:
            measured, counted = _count(router, clock, routes, confirm)
            break
        except NotSettled as early:  # the word of a control plane may come before its proxies' deed
            if clock.now() >= first + confirm.settle:
                raise
            LOG.debug("not served yet: %s", early)
    if busy and not counted and not _count(router, clock, routes, confirm)[1]:
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

    ``by`` is the person on whose word the stage is entered, if there is one. ``source`` is read before the change, so that evidence
    from before is not taken for the stage's own, and a look after it, so that what is counted meanwhile is none. Called again after it
    was killed, wherever that was, it makes sure of the route again, writes the change down once, and notes that it was called again.
    A stage of a release that a person has aborted is not entered: what assesses it then says so at once. Raises Overtaken, the route given
    back, if the release has ended meanwhile.
    """
    record = unended(required(store, lease))
    routes = record.position(index).routes
    last = record.timeline[-1] if record.timeline else None
    if record.aborted:
        LOG.warning("stage %d is not entered: %s", index + 1, record.aborted.sentence)
        return WeightChange(clock.now(), -1, _served(record))
    same = last is not None and dict(last.asked) == dict(routes.weights)
    done = last is not None and same and (last.stage == index or bool(record.dropped))
    again = done or router.read() == routes
    if not done:
        before = _read(record, _served(record), source, clock) if not record.changing_until else None
        record = amend(store, lease, lambda now: announced(_with(unended(now), record.cursor, before), clock, confirm))
    with kept_to_its_end(store, router, clock):
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
            )
        except NotSettled:  # what is not taken up may answer nobody: users first
            _try_back(record, router)
            raise

        def noted(now: Record) -> Record:
            unended(now)
            if by:
                now = now.noted(clock.now(), "set-weights", f"stage {index + 1}: on the word of {by}")
            told = f"stage {index + 1}: {shares(routes.weights)} was stored already, by an attempt that was cut off"
            return now.noted(clock.now(), "set-weights", told).renewed(clock.now()) if again else now

        if last is not None and done:
            amend(store, lease, noted)
            return last

        first = min(1, record.rules.burn_in) * LOOK
        if source and (left := change.at + (change.settled_after or 0.0) + first - clock.now()) > 0:
            clock.sleep(left)
        meanwhile = _read(record, routes.weights, source, clock)

        def entered(now: Record) -> Record:
            now = _with(noted(now).changed(change), record.cursor, meanwhile, index)
            return replace(now, stage=index).renewed(clock.now())

        return amend(store, lease, entered).timeline[-1]


def announced(record: Record, clock: Clock, confirm: Confirmation) -> Record:
    """The record, which says that its weights are being changed, since the first attempt, and until when at the latest."""
    now = clock.now()
    until = now + 2 * (confirm.settle + confirm.wait) + LOOK
    since = now if record.changing_since is None else record.changing_since
    return replace(record, changing_since=since, changing_until=until)


def _try_back(record: Record, router: Router) -> None:
    try:
        give_back(record, router)
    except FairwayError as error:
        LOG.warning("the route could not be put back at once: %s", error)


def _served(record: Record) -> Mapping[str, int]:
    return record.timeline[-1].asked if record.timeline else {record.primary.name: 100}


def _read(record: Record, weights: Mapping[str, int], source: MetricSource | None, clock: Clock) -> Reading | None:
    """What was counted since the last look; None where there is no source, or it does not say."""
    if source is None:
        return None
    try:
        reading = source.read(tuple(record.versions), weights, record.cursor, clock.now())
    except TransientError:
        return None
    return None if reading.problem or reading.complete else reading


def _with(now: Record, cursor: str, reading: Reading | None, stage: int | None = None) -> Record:
    """The record with a reading that goes on from ``cursor``; unless somebody else has looked since."""
    if reading is None or now.cursor != cursor:
        return now
    at = now.cursor_stage if stage is None else stage
    strata = as_served(now, reading.strata, now.rules.burn_in, LOOK)
    return replace(now.with_strata(strata), cursor=reading.cursor, cursor_stage=at)


def difference(before: Served, after: Served) -> dict[str, int]:
    """Requests of each version between two readings; versions that had none are left out."""
    since = {name: count - before.by_version.get(name, 0) for name, count in after.by_version.items()}
    return {name: count for name, count in since.items() if count > 0}


def _busy(router: Router, clock: Clock, routes: Routes, confirm: Confirmation) -> int:
    """Requests of users just now, if they are so many, and are seen so steadily, that none at all would be told at once; else 0."""
    before, deadline = router.served(), clock.now() + confirm.wait
    total = moments = 0
    while before is not None and min(total / ENOUGH, moments / MOMENTS) < 1 and clock.now() < deadline:
        clock.sleep(POLL)
        after = router.served()
        seen = sum(count for name, count in difference(before, after).items() if name in routes.weights) if after else 0
        moments += seen > total
        total = max(total, seen)
    return total if total >= ENOUGH and moments >= MOMENTS else 0


def _count(router: Router, clock: Clock, routes: Routes, confirm: Confirmation) -> tuple[dict[str, float] | None, int]:
    before, deadline = router.served(), clock.now() + confirm.wait
    seen: dict[str, int] = {}
    fresh = confirm.settle / 3  # what is older tells the split before the change for all of the time to settle
    late = before is not None and before.every > fresh
    while before is not None and sum(seen.values()) < confirm.requests and clock.now() < deadline:
        clock.sleep(POLL)
        after = router.served()
        seen = difference(before, after) if after else seen
        late = late or (after is not None and after.every > fresh)
        if routes.mirror:  # copies are no requests of users
            seen = {name: count for name, count in seen.items() if name in routes.weights}
    total = sum(seen.values())
    if late or not total:
        return None, total
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
