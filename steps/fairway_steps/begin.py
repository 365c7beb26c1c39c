"""Begin a release: the lease on the service, the preflight of its route, and the record with the way back."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from fairway_steps.clock import Clock
from fairway_steps.errors import Fenced, Refused, UsageError
from fairway_steps.feasible import feasible, fits, fitting
from fairway_steps.model import (
    DEFAULT_RULES,
    Outcome,
    Policy,
    Promotion,
    Routes,
    Rules,
    Slo,
    Stage,
    Stickiness,
    Version,
)
from fairway_steps.record import Event, Record, RecordStore
from fairway_steps.release import UNTOUCHED, Ending, close_unfinished
from fairway_steps.routing.base import Router
from fairway_steps.routing.claims import Claims
from fairway_steps.schedule import routes_of
from fairway_steps.strategy import Strategy
from fairway_steps.takeover import make_way, refuse_lost, take_over
from fairway_steps.words import described, shares

LOG = logging.getLogger(__name__)
ROOM = 10
"""Tokens between two records' releases of one route: a take-over that was killed before its claim has one that the route has not seen."""


def begin(
    store: RecordStore,
    router: Router,
    clock: Clock,
    *,
    service: str,
    route: str,
    primary: Version | None,
    candidate: Version,
    rivals: Sequence[Version] = (),
    sticky: Stickiness | None = None,
    stages: Sequence[Stage],
    slos: Sequence[Slo],
    rules: Rules = DEFAULT_RULES,
    strategy: Strategy = Strategy.CANARY,
    holder: str,
    lease_for: float,
    resume: bool,
    once: bool = False,
    gone: Callable[[str], bool],
    cursor: str = "",
    metrics: str = "",
    told: Sequence[str] = (),
    promotion: Promotion = Promotion.ROUTE,
    primary_policy: Policy = Policy.SCALE,
    candidate_policy: Policy = Policy.SCALE,
    ending: Ending = UNTOUCHED,
    dry_run: bool = False,
) -> Record:
    """Take the lease and open the record; called again by the same holder, it changes nothing.

    With ``once`` that is so even after the release has ended: a run that is repeated begins no second one.

    Without a ``primary`` it is the service's first version: the route must point at it alone, and there is nothing to compare
    it with and nothing to go back to. In an A/B/n split the candidate has ``rivals``. Users are kept on their version by what is ``sticky``.

    The record keeps what is ``told`` beforehand, such as that an SLO can never be decided.

    ``cursor`` is where the evidence begins: the metric source as it is read now, so that no request of the candidate is missed.

    An unfinished release of another holder is refused while its lease runs, unless ``gone(holder)`` knows better.
    When the lease is over, traffic is first put back to the primary and that release is closed; with ``resume`` it is
    taken over and goes on instead, as does one that was put back without a verdict; with nothing to resume, a release begins.
    The route is claimed: whoever held it in another record is fenced off. Raises Fenced for a service that is held, Refused for a route that
    is not as the release needs it, UsageError for versions that are one and the same, and for a record whose way back is
    another route's, or that holds another release than the one to resume.
    """
    everyone = (candidate, *rivals)
    fitting(primary, everyone, stages, slos)
    if primary is None:
        primary, stages = candidate, ()
    else:
        fits(strategy, stages)
    asked = {
        "route": route,
        "primary": primary,
        "candidate": candidate,
        "rivals": tuple(rivals),
        "sticky": sticky,
        "stages": tuple(stages),
        "slos": tuple(slos),
        "rules": rules,
        "strategy": strategy,
        "metrics": metrics,
        "promotion": promotion,
    }
    held = store.load()
    if held is not None:
        _refuse_foreign(held, store.uri, service, route)
        other = _other(held, asked)
        if once and held.outcome is not None and held.holder == holder and not other:
            LOG.info("release %s has ended %s", held.release_id, held.outcome)
            return held
        if resume and _resumes(held, holder, other, store.uri):
            return _take_over(store, router, held, holder, clock, dry_run=dry_run)
        if held.outcome is None and held.holder == holder and not other:
            LOG.info("release %s goes on", held.release_id)
            return held
        if held.outcome is None:
            _refuse_held(held, clock.now(), gone)
        if held.outcome is None and not dry_run:
            LOG.warning("release %s was left unfinished by %s: restoring its route first", held.release_id, held.holder)
            why = f"left unfinished by {held.holder}"
            held = close_unfinished(store, router, clock, holder=holder, reason=why, ending=ending)
    feasible(router.capabilities, stages, slos, sticky=sticky)
    routes = router.read()
    if not (dry_run and held is not None and held.outcome is None):  # whose route would be restored first
        _preflight(routes, primary, everyone, f"--service {service} --route {route}")
        versions = {version.name: version for version in (primary, *everyone)}
        asking = [routes_of(stage, primary.name, candidate.name, sticky=sticky) for stage in stages]
        router.preflight([*asking, *(Routes({version.name: 100}) for version in everyone)], versions)
        told = (*told, *_idle(ending, primary, candidate, asking))
    # A record may be new on a route that has had releases (a CI job's clean checkout): its token is above theirs.
    fence = router.fence()
    own = held is not None and held.route == route and fence <= held.token
    token = max(held.token if held else 0, fence) + (1 if own or not fence else ROOM)
    served = router.served()
    original = router.snapshot()
    if not dry_run:
        held = make_way(store, router, held, token, own=own)
        router.apply(routes, {version.name: version for version in (primary, *everyone)}, fence=token)
    record = Record(
        release_id=f"{service}-{datetime.fromtimestamp(clock.now(), UTC):%Y%m%d-%H%M%S}-{token}",
        service=service,
        route=route,
        primary=primary,
        candidate=candidate,
        rivals=tuple(rivals),
        sticky=sticky,
        stages=tuple(stages),
        slos=tuple(slos),
        rules=rules,
        strategy=strategy,
        holder=holder,
        token=token,
        lease_until=clock.now() + lease_for,
        lease_for=lease_for,
        created=clock.now(),
        original=original,
        cursor=cursor,
        metrics=metrics,
        events=tuple(Event(clock.now(), "begin", sentence) for sentence in told),
        promotion=promotion,
        primary_policy=primary_policy,
        candidate_policy=candidate_policy,
        size=ending.workloads.size(primary) if ending.workloads else 0,
        baseline=served.counts() if served and served.lasting else {},
    )
    record = _claimed(record, router.claims(), clock.now())
    return record if dry_run else store.update(lambda now: _unchanged(now, held, record))


def _idle(ending: Ending, primary: Version, candidate: Version, asking: Sequence[Routes]) -> tuple[str, ...]:
    """What happens, and to the way back, while all traffic is the candidate's: told before, as nothing here can keep it from happening."""
    if ending.workloads is None or all(primary.name in routes.weights for routes in asking):
        return ()
    had, has, small = ending.workloads.size(primary), ending.workloads.size(candidate), ""
    if 0 < has < had:
        small = f"{candidate.name} has {has} replicas, and is to take all of the traffic of the {had} of {primary.name}"
    told = tuple(filter(None, (ending.workloads.shrinks(primary), small)))
    for said in told:
        LOG.warning("%s", said)
    return told


def _claimed(record: Record, claims: Claims, now: float) -> Record:
    """Tell whose route it is: a tool that keeps it as git has it would take the weights back."""
    if not claims.owner:
        return record
    said = f"{claims.owner} keeps the route as git has it, and may take the weights back: let it leave the split alone"
    LOG.warning("%s\n%s", said, claims.rule)
    return record.noted(now, "begin", said)


def _refuse_foreign(held: Record, uri: str, service: str, route: str) -> None:
    """Refuse a record that is another service's, or the only way back of another route."""
    if held.service != service:
        raise UsageError(f"the record at {uri} is of service {held.service}, not {service}", mend="name another record")
    if held.outcome in (None, Outcome.BROKEN) and held.original and held.route != route:
        raise UsageError(
            f"the record at {uri} has the way back of release {held.release_id} on {held.route}, not on {route}",
            mend=f"end that release first with `fairway ensure-safe --record {uri}`, or name another record",
        )


def _refuse_held(held: Record, now: float, gone: Callable[[str], bool]) -> None:
    if now < held.lease_until and not gone(held.holder):
        raise Fenced(
            f"service {held.service} is held by {held.holder} (release {held.release_id}) until {_time(held.lease_until)}",
            mend="wait for it, or end it with `fairway ensure-safe`",
        )


def _resumes(held: Record, holder: str, other: str, uri: str) -> bool:
    """Whether the recorded release is to be taken over; ``other`` is in what it is not the one that is asked for."""
    if held.resumable and held.holder != holder:
        if other:
            raise UsageError(
                f"the record at {uri} is of another release: {other}",
                mend="resume it with what it was begun with, or leave --resume out to begin anew",
            )
        return True
    if held.outcome is not None and not other:
        raise UsageError(
            f"release {held.release_id} cannot be resumed: it ended {held.outcome}",
            mend="leave --resume out to begin anew",
        )
    return False


def _other(held: Record, asked: Mapping[str, object]) -> str:
    """In what a release that is asked for differs from the recorded one, as half a sentence; empty if in nothing."""
    for name, wanted in asked.items():
        if (there := getattr(held, name)) != wanted:
            told = isinstance(wanted, Version | str) and f"its {name} is {_named(there)}, not {_named(wanted)}"
            return told or f"its {name} are others"
    return ""


def _named(value: object) -> str:
    return f"{value.name}={value.uri}" if isinstance(value, Version) else str(value or "unset")


def _preflight(routes: Routes, primary: Version, candidates: Sequence[Version], where: str) -> None:
    candidate = candidates[0]
    if primary == candidate and routes != Routes({candidate.name: 100}):
        raise Refused(
            f"{candidate.name} is not the first version: the route holds {shares(routes.weights)}",
            mend="name the version that has the traffic as --primary",
        )
    if unknown := sorted(routes.versions() - {primary.name, *(version.name for version in candidates)}):
        raise Refused(
            f"the route sends traffic to {', '.join(unknown)}, which is neither the primary {primary.name} nor the candidate",
            mend="name the version that has the traffic as --primary",
        )
    if primary.name not in routes.weights:
        raise Refused(
            f"the primary {primary.name} has no traffic: the route gives all of it to {', '.join(routes.weights) or 'nobody'}",
            mend=f"if {candidate.name} is already promoted there is nothing to release",
        )
    if routes.mirror:
        raise Refused(
            f"the route copies requests to {routes.mirror.version} already, and a release would take that away",
            mend="take the mirror out; if it is left of a release, end that one with `fairway ensure-safe`",
        )
    if len(routes.weights) > 1 or routes.matches:
        raise Refused(
            f"the route is split ({described(routes)}): another release may be under way",
            mend=f"end that one with `fairway ensure-safe`, or give {primary.name} all traffic with `fairway set-weights {where} "
            f"--primary {_named(primary)} --candidate {_named(candidate)} --weights {primary.name}=100`",
        )


def _take_over(store: RecordStore, router: Router, held: Record, holder: str, clock: Clock, *, dry_run: bool) -> Record:
    if dry_run:
        refuse_lost(held, router)
        return held

    def taken(record: Record) -> Record:
        if record.token != held.token:
            raise Fenced(
                f"release {held.release_id} was taken over by somebody else just now", mend="look at its record"
            )
        taken = replace(
            record,
            holder=holder,
            outcome=None,
            reason="",
            finished=None,
            interrupted=False,
            retired=False,
        )
        return taken.renewed(clock.now()).noted(clock.now(), "begin", f"taken over from {held.holder} by {holder}")

    return take_over(store, router, held, taken)


def _unchanged(now: Record | None, before: Record | None, record: Record) -> Record:
    if (now.token if now else 0) != (before.token if before else 0):
        raise Fenced(
            f"service {record.service} was taken by {now.holder if now else 'nobody'} just now", mend="try again later"
        )
    return record


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S} UTC"
