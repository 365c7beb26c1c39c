"""The way back of a route that is a list of rules: those of one service saved whole, and their backends put back.

Nothing here is computed from ``Routes``, and nothing is shared with the way there but whose a backend is. A rule is known by its name
and what it matches; what somebody else has meanwhile changed in it stays, and so does every rule of others. One that was added and
leads to a version goes where the saved ones did. If one is not to be found again, all of this service's go back as they were.
"""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairway_steps.cluster import Manifest, Reference
from fairway_steps.errors import UsageError

FORMAT = 1
OURS = re.compile(r"fairway-match-\d+-\d+-(?P<service>.+)")

Json = dict[str, Any]
Touches = Callable[[Json], str]
"""Which of this service's versions a backend is, as a rule of this kind names it; empty for none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of route calls its parts, and how the backends of a saved rule come back into the one that is there."""

    rules: str
    matches: str
    backends: str
    mended: Callable[[Json, Json, Touches], Json]
    """Of the rule as it is and as it was saved."""
    is_on: Callable[[Json, Json], bool]
    """Whether a backend of a rule has a share: in some gateways 0 is not off, and versions of 0 do not come back."""


def take(ref: Reference, service: str, found: Manifest, kind: Kind) -> str:
    """The rules, as JSON text."""
    saved = {"format": FORMAT, "kind": ref.kind, "name": ref.name, "service": service}
    return json.dumps(saved | {kind.rules: found["spec"].get(kind.rules) or []})


def put_back(ref: Reference, service: str, snapshot: str, found: Manifest, touches: Touches, kind: Kind) -> list[Json]:
    """The rules of ``found`` with the snapshot's backends of this service. Raises UsageError for another one."""

    def goes(rule: Json) -> bool:
        return any(touches(one) for one in rule.get(kind.backends) or ())

    def identity(rule: Json) -> str:
        return json.dumps([rule.get("name", ""), rule.get(kind.matches) or []], sort_keys=True)

    saved = [rule for rule in _parse(ref, service, snapshot, kind) if not _is_ours(rule, service)]
    stored = (found.get("spec") or {}).get(kind.rules) or []
    theirs = [copy.deepcopy(rule) for rule in stored if not _is_ours(rule, service)]
    places = {identity(rule): index for index, rule in enumerate(theirs)}
    led_here = {identity(rule) for rule in theirs if goes(rule)}
    mine = {i: _on(rule, touches, kind) for i, rule in enumerate(saved) if goes(rule) or identity(rule) in led_here}
    if len(places) == len(theirs) and all(identity(rule) in places for rule in mine.values()):
        for rule in mine.values():
            index = places[identity(rule)]
            theirs[index] = kind.mended(theirs[index], rule, touches)
        known = {identity(rule) for rule in mine.values()}
        like = next((rule for rule in mine.values() if goes(rule)), None)
        return [
            _led(rule, like, touches, kind) if like and goes(rule) and identity(rule) not in known else rule
            for rule in theirs
        ]
    result = [rule for rule in theirs if not goes(rule) and identity(rule) not in map(identity, mine.values())]
    order = [identity(rule) for rule in saved]
    for index, rule in sorted(mine.items(), reverse=True):  # each before the first that came after it
        at = next((i for i, other in enumerate(result) if identity(other) in order[index + 1 :]), len(result))
        result.insert(at, rule)
    return result


def _led(added: Json, like: Json, touches: Touches, kind: Kind) -> Json:
    """An added rule with the backends of a saved one, or its own to the same version: that may have another port."""
    backends = [one for one in like[kind.backends] if touches(one)]
    own = [one for one in added[kind.backends] if touches(one) == touches(backends[0])]
    if own and len(backends) == 1:
        backends = [{**own[0], "weight": 100}]
    theirs = [one for one in added[kind.backends] if not touches(one) and not kind.is_on(added, one)]
    return kind.mended(added, {kind.backends: copy.deepcopy([*backends, *theirs])}, touches)


def _on(rule: Json, touches: Touches, kind: Kind) -> Json:
    backends = [one for one in rule.get(kind.backends) or () if kind.is_on(rule, one) or not touches(one)]
    return {**rule, kind.backends: backends} if kind.backends in rule else rule


def _is_ours(rule: Json, service: str) -> bool:
    named = OURS.fullmatch(str(rule.get("name", "")))
    return named is not None and named["service"] == service


def _parse(ref: Reference, service: str, snapshot: str, kind: Kind) -> list[Json]:
    try:
        saved = json.loads(snapshot)
        if (saved["format"], saved["kind"], saved["name"], saved["service"]) == (FORMAT, ref.kind, ref.name, service):
            return list(saved[kind.rules])
    except (ValueError, LookupError, TypeError) as error:
        raise UsageError(f"this is no snapshot of {ref} for {service}") from error
    raise UsageError(f"this is no snapshot of {ref} for {service}")
