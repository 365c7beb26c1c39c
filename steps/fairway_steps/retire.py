"""What becomes of the version that has lost its traffic: kept, scaled down or deleted, and only when it is quiet."""

import logging
from dataclasses import replace

from fairway_steps.clock import Clock
from fairway_steps.errors import FairwayError
from fairway_steps.model import Outcome, Policy, Version
from fairway_steps.record import Lease, Record, RecordStore, amend
from fairway_steps.routing.base import Router
from fairway_steps.workload.base import Workloads

LOG = logging.getLogger(__name__)
EVENTS = {Outcome.PROMOTED: "Promoted", Outcome.ROLLED_BACK: "RolledBack", Outcome.HELD: "Held"}
"""What the Event on the candidate is called, for the ends after which versions are treated."""
LONGEST = 60.0
"""Seconds to wait for a version that still gets requests; one that does then is left as it is."""


def retire(
    store: RecordStore, record: Record, router: Router, workloads: Workloads | None, clock: Clock, *, drain: float
) -> Record:
    """End the life of the version that the ended release has taken off the traffic, by its policy; done once.

    ``drain`` seconds are given for a proxy's last requests; where they can be counted they must have ended. What cannot be
    done is noted and does not change how the release ended: its traffic is where it should be.
    """
    if workloads is None or record.outcome not in EVENTS or record.retired:
        return record
    leaving, policy = _leaving(record)
    good = record.outcome is Outcome.PROMOTED
    workloads.tell(record.candidate, EVENTS[record.outcome], f"{record.release_id}: {record.reason}", warning=not good)
    try:
        workloads.unguard(record.candidate)
        said = ""
        if policy is not Policy.KEEP:
            trouble = _busy(leaving, router, clock, drain)
            said = f"{leaving.name} is left as it is: {trouble}" if trouble else workloads.retire(leaving, policy)
    except FairwayError as error:
        said = f"{leaving.name} is left as it is: {error.message}"
    if said:
        LOG.info(said)

    def done(now: Record) -> Record:
        return replace(now.noted(clock.now(), "retire", said) if said else now, retired=True)

    return amend(store, Lease(record.release_id), done)


def _leaving(record: Record) -> tuple[Version, Policy]:
    """A candidate that was held is kept, for the next look at it may come soon; the only version there is, too."""
    if record.first:
        return record.candidate, Policy.KEEP
    if record.outcome is Outcome.PROMOTED:
        promoted = record.stable == record.candidate
        return (record.primary, record.primary_policy) if promoted else (record.candidate, record.candidate_policy)
    return record.candidate, record.candidate_policy if record.outcome is Outcome.ROLLED_BACK else Policy.KEEP


def _busy(leaving: Version, router: Router, clock: Clock, drain: float) -> str:
    """Wait until a version is quiet; why it is not."""
    if leaving.name in router.read().versions():
        return "the route still points at it"
    before, deadline = router.served(), clock.now() + LONGEST
    while True:
        clock.sleep(drain)
        after = router.served()
        if before is None or after is None:
            return ""
        if after.by_version.get(leaving.name, 0) <= before.by_version.get(leaving.name, 0):
            return ""
        if clock.now() >= deadline:
            return "it still gets requests"
        before = after
