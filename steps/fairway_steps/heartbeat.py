"""A sign of life for long waits: whoever waits longer than the lease lasts would else lose it."""

from collections.abc import Callable

from fairway_steps.clock import Clock
from fairway_steps.record import Lease, RecordStore, amend, required


def heartbeat(store: RecordStore, lease: Lease, clock: Clock) -> Callable[[], None]:
    """To be called again and again while waiting: renews the lease when a third of it is over.

    It raises Fenced if somebody else has taken the release over.
    """
    third = required(store, lease).lease_for / 3
    due = clock.now()

    def beat() -> None:
        nonlocal due
        if clock.now() >= due:
            amend(store, lease, lambda record: record.renewed(clock.now()))
            due = clock.now() + third

    return beat
