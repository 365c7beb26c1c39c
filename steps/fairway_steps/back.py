"""All traffic to the primary: the snapshot put back, or else the last way back, which no route and no record can refuse."""

import logging
from dataclasses import replace

from fairway_steps.errors import DomainError, FairwayError, NotSettled, Refused
from fairway_steps.model import Routes, Version
from fairway_steps.record import Record
from fairway_steps.routing.base import Router
from fairway_steps.words import described

LOG = logging.getLogger(__name__)


class GivenBack(DomainError):
    """All traffic is where it belongs, but the route is not one that a release can leave behind."""


def give_back(record: Record, router: Router) -> None:
    """Users first: the primary's traffic back by whichever way works; ``refuse_unlike`` says whether the route is as it should be."""
    try:
        if _alone(router.restore(record.original, fence=record.token), record.primary):
            return
        LOG.warning("the snapshot does not give %s alone all of the traffic", record.primary.name)
    except FairwayError as error:
        LOG.warning("the snapshot could not be put back: %s", error)
    router.give_all(record.primary, fence=record.token)


def holds(version: Version, router: Router) -> bool:
    """Whether the route can be read, and gives all traffic to this version."""
    try:
        return router.read() == Routes({version.name: 100})
    except Refused as error:
        LOG.warning("the route cannot be read: %s", error)
        return False


def refuse_unlike(version: Version, router: Router) -> None:
    """Raise GivenBack for a route that cannot be read though all was given to this version, NotSettled for one that says otherwise."""
    try:
        now = router.read()
    except Refused as error:
        raise GivenBack(f"all traffic was given to {version.name}, but {error.message}", mend=error.mend) from error
    if not _alone(now, version):
        claims = router.claims()
        raise NotSettled(
            f"the route holds {described(now)} after the rollback: {claims.who} changed it", mend=claims.mend
        )


def _alone(now: Routes, version: Version) -> bool:
    """Whether all requests reach this version, testers' too, and none is copied to another."""
    return replace(now, sticky=None) == Routes({version.name: 100})
