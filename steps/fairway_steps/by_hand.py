"""Weights that a person names, beside the stages of a release: written down in its record, and no way round an abort."""

from collections.abc import Mapping

from fairway_steps.back import give_back
from fairway_steps.clock import Clock
from fairway_steps.model import Routes, Version
from fairway_steps.overtaken import Aborted, kept_to_its_end, unaborted, unended
from fairway_steps.record import Lease, Record, RecordStore, WeightChange, amend
from fairway_steps.routing.base import Router
from fairway_steps.weights import Confirmation, announced, set_weights


def set_by_hand(
    store: RecordStore,
    lease: Lease,
    router: Router,
    clock: Clock,
    *,
    routes: Routes,
    versions: Mapping[str, Version],
    confirm: Confirmation,
) -> WeightChange:
    """Set ``routes`` and write the change down. Raises Aborted if a person has aborted the release, unless the primary gets everything."""

    def going_on(record: Record) -> Record:
        back = routes == Routes({record.primary.name: 100})
        return unended(record) if back else unaborted(unended(record), "gets no other weights")

    record = amend(store, lease, lambda now: announced(going_on(now), clock, confirm))
    with kept_to_its_end(store, router, clock):
        change = set_weights(
            router,
            clock,
            routes=routes,
            versions=versions,
            fence=record.token,
            stage=-1,
            why="by hand",
            confirm=confirm,
        )
        try:
            amend(store, lease, lambda now: going_on(now).changed(change).renewed(clock.now()))
        except Aborted:
            give_back(record, router)
            raise
    return change
