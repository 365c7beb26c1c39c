"""What becomes of the versions that have lost their traffic: kept, scaled down or deleted, and only when they are quiet."""

import logging
import math
from dataclasses import replace
from functools import partial

from fairway_steps.clock import Clock
from fairway_steps.errors import FairwayError
from fairway_steps.model import Outcome, Policy, Version
from fairway_steps.record import Lease, Record, RecordStore, amend
from fairway_steps.routing.base import Router
from fairway_steps.takeover import is_lost
from fairway_steps.words import seconds
from fairway_steps.workload.base import Workloads

LOG = logging.getLogger(__name__)
EVENTS = {Outcome.PROMOTED: "Promoted", Outcome.ROLLED_BACK: "RolledBack", Outcome.HELD: "Held"}
"""What the Event on the candidate is called, for the ends after which versions are treated."""
LOOK, LONGEST, LATE = 1.0, 60.0, 120.0
"""Seconds between two looks at least, and to wait for a version that still gets requests, and twice as long as what counts them takes to show them; one that does then
is left as it is, and so is one whose counts are told later than ``LATE``."""


def retire(
    store: RecordStore, record: Record, router: Router, workloads: Workloads | None, clock: Clock, *, drain: float
) -> Record:
    """End the lives of the versions that the ended release has taken off the traffic, each by its policy; done once.

    ``drain`` seconds are given for a proxy's last requests; where they can be counted they must have ended. What cannot be
    done is noted and does not change how the release ended: its traffic is where it should be.
    """
    if workloads is None or record.outcome not in EVENTS or record.retired:
        return record
    for version in record.candidates:
        won = record.outcome is Outcome.PROMOTED and version == record.chosen
        event = EVENTS[record.outcome if won or record.outcome is Outcome.HELD else Outcome.ROLLED_BACK]
        workloads.tell(version, event, f"{record.release_id}: {record.reason}", warning=not won)
    ends = [
        _ended(store, record, version, policy, workloads, router, clock, drain) for version, policy in _leaving(record)
    ]
    for said in filter(None, ends):
        LOG.info(said)
    if not _is_still(record, store.load()):
        return record

    def done(now: Record) -> Record:
        for said in filter(None, ends):
            now = now.noted(clock.now(), "retire", said)
        return replace(now, retired=True)

    return amend(store, Lease(record.release_id), done)


def _ended(
    store: RecordStore,
    record: Record,
    version: Version,
    policy: Policy,
    workloads: Workloads,
    router: Router,
    clock: Clock,
    drain: float,
) -> str:
    """What was done with one version, in words; nothing if nothing was."""
    try:
        if version in record.candidates:
            workloads.unguard(version)
        if policy is Policy.KEEP:
            return ""
        wanted = partial(_wanted, version, store, record, router)
        trouble = wanted() or _busy(version, router, clock, drain) or wanted()
        return f"{version.name} is left as it is: {trouble}" if trouble else workloads.retire(version, policy)
    except FairwayError as error:
        return f"{version.name} is left as it is: {error.message}"


def _is_still(record: Record, now: Record | None) -> bool:
    return now is not None and (now.release_id, now.token) == (record.release_id, record.token)


def _wanted(version: Version, store: RecordStore, record: Record, router: Router) -> str:
    """Why a version is still wanted, or again: another release may begin while it is waited for."""
    if version.name in router.read().versions():
        return "the route still points at it"
    if not _is_still(record, store.load()) or is_lost(record, router):
        return "another release has begun"
    return ""


def _leaving(record: Record) -> list[tuple[Version, Policy]]:
    """A candidate that was held is kept, for the next look at it may come soon; the only version there is, too."""
    lost = record.candidate_policy if record.outcome in (Outcome.PROMOTED, Outcome.ROLLED_BACK) else Policy.KEEP
    if record.first:
        return [(record.candidate, Policy.KEEP)]
    stays = [(version, Policy.KEEP) for version in record.candidates if version == record.stable]
    others = [(version, lost) for version in record.candidates if version != record.stable]
    replaced = [(record.primary, record.primary_policy)] if stays else []
    return [*stays, *others, *replaced]


def _busy(leaving: Version, router: Router, clock: Clock, drain: float) -> str:
    """Wait until a version is quiet; why it is not."""
    before, since, longest = router.served(), clock.now(), LONGEST
    if before and LATE < before.every < math.inf:
        return f"its requests are told only {seconds(before.every)} late"
    while True:
        shown = before.every if before and math.isfinite(before.every) else 0.0
        clock.sleep(max(drain + shown, LOOK))
        longest = max(longest, LONGEST + 2 * shown)
        after = router.served()
        if before is None or after is None:
            return ""
        if math.isinf(min(before.every, after.every)):
            return "whether it still gets requests is not told"
        told = math.isfinite(max(before.every, after.every))
        if told and after.by_version.get(leaving.name, 0) <= before.by_version.get(leaving.name, 0):
            return ""
        if clock.now() - since >= longest:
            return "it still gets requests" if told else "whether it still gets requests is not told"
        before = after
