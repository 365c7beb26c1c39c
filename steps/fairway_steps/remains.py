"""A record that cannot be parsed: what is left of it may still say where the traffic belongs.

Its fields are read one by one, from the JSON or from what is left of the text, so a file that breaks off, or that another Fairway wrote, has a
way back, too. Nothing is written into such a record.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fairway_steps.back import holds, refuse_unlike
from fairway_steps.clock import Clock
from fairway_steps.codec import decode
from fairway_steps.errors import DomainError, Fenced
from fairway_steps.model import Outcome, Promotion, Stage, Version
from fairway_steps.routing.base import Router
from fairway_steps.schedule import collectors
from fairway_steps.settled import await_settled
from fairway_steps.takeover import fence_of
from fairway_steps.weights import Confirmation


@dataclass(frozen=True, slots=True)
class Remains:
    """What must be known of a release to give its traffic back. ``stable`` has it in the end; None where that cannot be told.

    A ``token`` of 0 is not known.
    """

    service: str
    route: str
    primary: Version
    candidates: tuple[Version, ...]
    beside: tuple[Version, ...]
    holder: str
    token: int
    promoted: bool
    stable: Version | None

    @property
    def versions(self) -> tuple[Version, ...]:
        return (self.primary, *self.candidates)


def remains(text: str) -> Remains | None:
    """What the text of a record still tells; None if not whose traffic it is."""
    fields = _fields(text)

    def told(kind: Any, name: str, otherwise: Any = None) -> Any:
        with suppress(ValueError, LookupError):
            return decode(kind, fields[name])
        return otherwise

    service, route, primary, candidate = (
        told(str, "service"),
        told(str, "route"),
        told(Version, "primary"),
        told(Version, "candidate"),
    )
    if not (service and route and primary and candidate):
        return None
    candidates = (candidate, *told(tuple[Version, ...], "rivals", ()))
    outcome = told(Outcome, "outcome")
    promoted = outcome is Outcome.PROMOTED and told(Promotion, "promotion", Promotion.ROUTE) is Promotion.ROUTE
    stable = primary if outcome or ("outcome" in fields and fields["outcome"] is None) else None
    if promoted:
        stable = candidate if len(candidates) == 1 else None
    beside = collectors(told(tuple[Stage, ...], "stages", ()))
    return Remains(
        service, route, primary, candidates, beside, told(str, "holder", ""), told(int, "token", 0), promoted, stable
    )


def give_back(found: Remains, router: Router, clock: Clock) -> tuple[str, Version]:
    """All traffic to where it belongs: ``confirmed`` or ``restored``, and whose it is. A split is no end, so it goes to the primary.

    Raises DomainError where all traffic is a candidate's and nothing tells whether that was promoted, Fenced if another release has
    claimed the route since.
    """
    alone = next((version for version in found.versions if holds(version, router)), None)
    if alone and (found.promoted or alone in (found.primary, found.stable)):
        return "confirmed", alone
    if found.stable is None and (alone or found.promoted):
        one, other = found.primary, found.candidates[0]
        raise DomainError(
            f"what is left of the record does not tell which version the traffic of {found.service} belongs to",
            mend=f"give it to one: `fairway set-weights --service {found.service} --route {found.route} --primary {one.name}={one.uri} "
            f"--candidate {other.name}={other.uri} --weights NAME=100`",
        )
    if found.token and fence_of(router) > found.token:
        raise Fenced("the route is now of another release, and is left to that one", mend="its record has the way back")
    stable = found.stable or found.primary
    router.give_all(stable, fence=found.token)
    await_settled(router, clock, Confirmation().settle)
    refuse_unlike(stable, router)
    return "restored", stable


def _fields(text: str) -> Mapping[str, Any]:
    """The outermost fields that can be read: of JSON all, else those that stand whole on lines of their own, as stores write them."""
    with suppress(ValueError, RecursionError):
        whole = json.loads(text)
        return whole if isinstance(whole, dict) else {}
    found: dict[str, Any] = {}
    for field in re.finditer(r'^ "(\w+)": ', text, re.MULTILINE):
        with suppress(ValueError, RecursionError):
            found[field[1]], _ = json.JSONDecoder().raw_decode(text, field.end())
    return found
