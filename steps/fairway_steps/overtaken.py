"""A release that somebody else ends, or aborts, while one of its own steps writes the route.

An end stands, and the route is held to it; an abort that is still to be carried out lets no more users reach a candidate.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fairway_steps.back import give_back, refuse_unlike
from fairway_steps.clock import Clock
from fairway_steps.errors import DomainError, FairwayError, NotSettled
from fairway_steps.model import Outcome
from fairway_steps.record import Record, RecordStore
from fairway_steps.routing.base import Router
from fairway_steps.settled import SETTLE, await_settled

BACK = (Outcome.ROLLED_BACK, Outcome.HELD, Outcome.BROKEN)
"""The ends with which the primary has the traffic."""


class Overtaken(DomainError):
    """The release has ended, and not as this step would have it."""


def unended(record: Record, *but: Outcome) -> Record:
    """The record itself. Raises Overtaken if it has ended, ``but`` as one of these."""
    if record.outcome is None or record.outcome in but:
        return record
    raise Overtaken(
        f"release {record.release_id} has ended {record.outcome} meanwhile: {record.reason}",
        mend=f"all traffic is on {record.stable.name}; begin a new one",
    )


class Aborted(DomainError):
    """A person has aborted the release, which is still to be carried out."""


def unaborted(record: Record, refused: str) -> Record:
    """The record itself. Raises Aborted if a person has aborted the release, which ``refused`` then tells of it."""
    if record.aborted is None:
        return record
    raise Aborted(f"release {record.release_id} {refused}: {record.aborted.sentence}")


@contextmanager
def kept_to_its_end(store: RecordStore, router: Router, clock: Clock, *but: Outcome) -> Iterator[None]:
    """Where the block finds that the release has ended, ``but`` as one of these, the route is given back to what that end says.

    A split that the proxy would not serve is a sign of that, too: somebody has put back the traffic.
    """
    try:
        yield
    except (Overtaken, NotSettled) as error:
        record = store.load()
        if record is None:
            raise
        try:
            unended(record, *but)
        except Overtaken as ended:
            _hold(record, router, clock, ended)
            raise ended from error
        raise


def _hold(record: Record, router: Router, clock: Clock, ended: Overtaken) -> None:
    try:
        if record.outcome in BACK:
            give_back(record, router)
        else:
            router.give_all(record.stable, fence=record.token)
        await_settled(router, clock, SETTLE)
        refuse_unlike(record.stable, router)
    except FairwayError as error:
        raise DomainError(
            f"{ended.message}; its route could not be put back: {error.message}",
            mend="run `fairway ensure-safe`",
        ) from error
