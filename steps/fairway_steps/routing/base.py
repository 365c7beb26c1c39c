"""The contract of a route back end: read, apply, settled, served, snapshot, restore.

``Routes`` is one value, so canary, A/B and mirror are not different verbs. A back end is one module and one row of
the contract suite in ``tests/contract``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fairway_steps.model import Routes, Version
from fairway_steps.routing.claims import Claims
from fairway_steps.schedule import COLLECTOR

HEADER_MATCH, MIRROR, STICKY, SEVERAL = "header matches", "a mirror", "stickiness", "more than two versions"
COMPARED = "a mirror whose answers are compared"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a back end can carry. What it cannot is refused before anything is touched."""

    weights: bool = True
    header_match: bool = False
    mirror: bool = False
    sticky: bool = False
    several: bool = True
    compared: bool = True
    """Whether a collector reads what a mirror copies."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why something is not carried, by the name that ``lacks`` gives it."""

    def why(self, missing: str) -> str:
        return self.reasons.get(missing, "its kind has no field for it")

    def lacks(self, routes: Routes) -> tuple[str, ...]:
        """What of ``routes`` cannot be carried: names of capabilities in words."""
        asked = {
            "weights": len(routes.weights) > 1 and not self.weights,
            HEADER_MATCH: bool(routes.matches) and not self.header_match,
            MIRROR: routes.mirror is not None and not self.mirror,
            STICKY: routes.sticky is not None and not self.sticky,
            SEVERAL: len(routes.weights) > 2 and not self.several,
            COMPARED: routes.mirror is not None and routes.mirror.version == COLLECTOR and not self.compared,
        }
        return tuple(name for name, missing in asked.items() if missing)


class Unknown(ValueError):
    """A route that is not as Fairway needs it; the message names what it does not know, ``mend`` what to do."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Served:
    """What a proxy has answered since it started: counters, so a difference of two is an interval.

    ``by_version`` counts the requests that were assigned to each version. ``requests`` counts all of the service,
    ``lost`` those that no version answered (the proxy had to make up an answer, or gave none). Counters that are not
    ``lasting`` began with this process: they measure a split, but are no count of a release. They may be ``every`` seconds old, as those behind
    scrapes are: a version that gets requests may show none for so long.
    """

    by_version: Mapping[str, int]
    requests: int
    lost: int
    lasting: bool = True
    every: float = 0.0

    def counts(self) -> dict[str, int]:
        """The counters flat, as the record keeps them: ``requests``, ``lost`` and ``version:NAME``."""
        return {"requests": self.requests, "lost": self.lost} | {f"version:{k}": n for k, n in self.by_version.items()}


def whole_percents(shares: Mapping[str, int]) -> dict[str, int]:
    """Relative weights, not all 0, as percents; a version of 0 is left out. Raises Unknown if they are no whole ones."""
    total = sum(shares.values())
    if any(weight * 100 % total for weight in shares.values()):
        raise Unknown(f"weights that are no whole percents ({', '.join(map(str, shares.values()))})")
    return {name: weight * 100 // total for name, weight in shares.items() if weight}


class Router(Protocol):
    """One service's route in one back end.

    ``fence`` is the token of the caller's lease: a back end keeps the highest it has seen beside the route and
    raises Fenced for a lower one, so that a holder which lost its lease and comes back cannot write. Every write is
    idempotent. Fields of the route that Fairway does not own are kept as they are.
    """

    capabilities: Capabilities
    trouble: str
    """Why ``settled`` last said no, as far as this back end can tell."""

    def read(self) -> Routes:
        """The routes as stored now. Raises Refused if they name a backend Fairway does not know."""

    def preflight(self, asked: Iterable[Routes], versions: Mapping[str, Version]) -> None:
        """Raise Refused if one of the ``asked`` would be stored, but not served; nothing is written.

        Raises UsageError for a version that cannot be a backend at all, and for one that has traffic somewhere else than ``versions``
        says: its users would be moved unseen.
        """

    def apply(self, routes: Routes, versions: Mapping[str, Version], *, fence: int = 0) -> Routes:
        """Make ``routes`` the stored ones and return what a fresh read gives.

        ``versions`` holds each version that ``routes`` names. New backends are made and warm before a route
        points at them; a backend without a share is removed after it has lost its traffic.
        """

    def fence(self) -> int:
        """The highest token that the stored route has seen; 0 before any."""

    def claim(self, fence: int) -> None:
        """Keep this token beside the route, and touch nothing else. Raises Fenced unless it is above all that the route has seen.

        So of two that would have the route with one token, the second is fenced off.
        """

    def settled(self) -> bool | None:
        """Whether the proxy serves the routes last stored; None if this back end cannot tell."""

    def served(self) -> Served | None:
        """The proxy's own counters, read now; None if this back end has none."""

    def claims(self) -> Claims:
        """Who else keeps the route or has written it, as far as this back end can tell."""

    def snapshot(self) -> str:
        """The stored route, whole and opaque, for the record."""

    def restore(self, snapshot: str, *, fence: int = 0) -> Routes:
        """Put a snapshot back, by a path that shares nothing with ``apply``."""

    def give_all(self, version: Version, *, fence: int = 0) -> None:
        """The last way back: all that reaches a version goes to this one alone, without a mirror to another.

        Asks for nothing but the stored route as it is and the names of the versions, so it works where ``read`` and ``restore``
        raise; what reaches no version stays as it is. Raises NotReady if this version certainly cannot answer, and another can.
        """
