"""Taking a release over, on its record and on its route: whoever still acts for the holder before is fenced off from both."""

import logging
from collections.abc import Callable
from dataclasses import replace

from fairway_steps.errors import DomainError, FairwayError, Fenced
from fairway_steps.record import Lease, Record, RecordStore, amend
from fairway_steps.routing.base import Router

LOG = logging.getLogger(__name__)


class Lost(Fenced):
    """The route is another release's by now."""


def take_over(store: RecordStore, router: Router, held: Record, taken: Callable[[Record], Record]) -> Record:
    """Give the record as ``taken`` makes it the next token, and claim the route with that; what ``taken`` leaves as it is stays so.

    The record comes first: killed between the two, it can be taken over once more. Raises Lost, the record as it was, for a route that
    another release has claimed since: this one's way back would undo that one. Raises Fenced if somebody else takes this one over.
    """
    if (seen := fence_of(router)) > held.token:
        raise _ahead(store, held, seen)

    def next_of(now: Record) -> Record:
        after = taken(now)
        return now if after is now else replace(after, token=now.token + 1)

    before, record = _noted(store, next_of)
    if record.token == before.token:
        return record
    try:
        _claim(store, router, before, record)
    except Fenced as error:
        raise _ahead(store, before, router.fence()) from error
    except FairwayError as error:  # a route that cannot be read has a way back all the same
        LOG.warning("the route could not be claimed: %s", error)
    return record


def make_way(store: RecordStore, router: Router, held: Record | None, token: int, *, own: bool) -> Record | None:
    """Claim the route for the release that is to follow ``held`` in its record; killed before it does, ``held`` can go on as it could.

    So where the route is its ``own``, ``held`` gets the token, too, and first. Raises Fenced, the record as it was, if somebody else
    has taken the record or the route.
    """
    if held is None or not own:
        router.claim(token)
        return held

    def next_of(now: Record) -> Record:
        if now.token != held.token:
            raise Fenced(f"service {held.service} was taken by {now.holder} just now", mend="try again later")
        return replace(now, token=token)

    before, record = _noted(store, next_of)
    _claim(store, router, before, record)
    return record


def _noted(store: RecordStore, change: Callable[[Record], Record]) -> tuple[Record, Record]:
    """The record before and after a change."""
    before: list[Record] = []

    def noted(now: Record) -> Record:
        before[:] = [now]
        return change(now)

    record = amend(store, Lease(), noted)
    return before[0], record


def _claim(store: RecordStore, router: Router, before: Record, record: Record) -> None:
    """Claim the route with the token of ``record``; where it is another one's, the record is again as it was before."""
    try:
        router.claim(record.token)
    except Fenced:
        amend(store, Lease(), lambda now: before if now == record else now)
        raise


def refuse_lost(record: Record, router: Router) -> None:
    """Raise Lost if another release has claimed the route since."""
    if (seen := fence_of(router)) > record.token:
        raise _lost(record, seen)


def is_lost(record: Record, router: Router) -> bool:
    return fence_of(router) > record.token


def fence_of(router: Router) -> int:
    """The latest token on the route; 0 if it cannot be read."""
    try:
        return router.fence()
    except DomainError as error:
        LOG.warning("whose the route is could not be read: %s", error)
        return 0


def _ahead(store: RecordStore, held: Record, seen: int) -> Fenced:
    """What it means that the route has a later token than ``held``: the record, read after it, tells whether it is its own."""
    now = store.load()
    if now and now.release_id == held.release_id and now.token >= seen:
        return Fenced(f"release {held.release_id} was taken over by {now.holder} just now", mend="look at its record")
    return _lost(held, seen)


def _lost(record: Record, seen: int) -> Lost:
    return Lost(
        f"the route is now of another release (token {seen}, {record.release_id} had {record.token}), and is left to that one",
        mend="the way back is in the other one's record; begin anew to release once more",
    )
