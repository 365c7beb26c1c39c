"""Whether the route still holds what the stage asked for. Somebody else's weights are put right, twice; then it is a fight."""

import logging

from fairway_steps.back import give_back
from fairway_steps.clock import Clock
from fairway_steps.errors import DomainError, FairwayError, TransientError
from fairway_steps.model import Routes
from fairway_steps.record import Lease, Record, RecordStore, amend, required
from fairway_steps.routing.base import Router
from fairway_steps.words import shares

LOG = logging.getLogger(__name__)
STEP = "route"
FIGHTS = 3
EVERY = 2.0
"""Seconds between two looks: each is a request to the API server."""


class Drift:
    """Looks at the route of a release now and then, as long as a stage's weights are to be served.

    How often the route was changed is in the record: a tool that reverts every ten minutes fights, too.
    """

    def __init__(self, store: RecordStore, lease: Lease, router: Router, clock: Clock) -> None:
        self._store, self._lease, self._router, self._clock = store, lease, router, clock
        self._next = 0.0

    def __call__(self) -> None:
        """Put the weights right if they were changed. Raises DomainError, the original route put back, at the third time."""
        if self._clock.now() < self._next:
            return
        self._next = self._clock.now() + EVERY
        record = required(self._store, self._lease)
        if self._clock.now() < record.changing_until:  # by a step of the release itself
            return
        wanted = _wanted(record)
        try:
            now = self._router.read() if wanted else None
        except TransientError:
            return
        if wanted is None or now is None or _same(now, wanted):
            return
        self._put_right(record, wanted, now)

    def _put_right(self, record: Record, wanted: Routes, now: Routes) -> None:
        times = sum(event.step == STEP for event in record.events) + 1
        claims = self._router.claims()
        said = f"{claims.who} changed the route: it held {shares(now.weights)} instead of {shares(wanted.weights)}"
        if times >= FIGHTS:
            self._give_up(record)
            raise DomainError(f"{said}, for the {_ordinal(times)} time: the release stops", mend=claims.mend)
        amend(self._store, self._lease, lambda r: r.noted(self._clock.now(), STEP, f"{said}; put right"))
        LOG.warning("%s; putting it right (%d of %d)", said, times, FIGHTS - 1)
        self._router.apply(wanted, record.routed, fence=record.token)

    def _give_up(self, record: Record) -> None:
        """Users first: what ends the release afterwards confirms it."""
        try:
            give_back(record, self._router)
        except FairwayError as error:
            LOG.warning("the route could not be put back at once: %s", error)


def _wanted(record: Record) -> Routes | None:
    """The routes of the stage under way; None where no stage's weights are to be served now."""
    last = record.timeline[-1] if record.timeline else None
    if record.outcome is not None or last is None or record.stage < 0:
        return None
    wanted = record.position(record.stage).routes
    is_served = last.stage == record.stage or (record.dropped and dict(last.asked) == dict(wanted.weights))
    return wanted if is_served else None


def _same(one: Routes, other: Routes) -> bool:
    """Names of headers are equal in any case."""

    def known(routes: Routes) -> object:
        matches = {(m.name.lower(), m.value, m.version) for m in routes.matches}
        return dict(routes.weights), routes.mirror, matches, routes.sticky

    return known(one) == known(other)


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
