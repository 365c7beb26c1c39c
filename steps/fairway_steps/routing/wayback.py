"""The way back of a route that is a list of rules: those of one service saved whole, and their backends put back.

Nothing here is computed from ``Routes``, and nothing is shared with the way there but whose a backend is. A rule is known by its name
and what it matches; what somebody else has meanwhile changed in it stays, and so does every rule of others. One that was added, or that
now matches something else, goes where the saved ones did, and one that is gone comes back.
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
    led_here = {identity(rule) for rule in theirs if goes(rule)}
    mine = [_on(rule, touches, kind) for rule in saved if goes(rule) or identity(rule) in led_here]
    like = next(filter(goes, mine), None)
    gone, added = list(mine), list[int]()
    for index, rule in enumerate(theirs):
        twin = next((one for one in gone if identity(one) == identity(rule)), None)
        if twin is not None:
            gone.remove(twin)
            theirs[index] = kind.mended(rule, twin, touches)
        elif goes(rule):
            added.append(index)
    for index in added:  # an edited one is like that which it was, as far as their order tells
        edited = gone.pop(0) if gone else like
        if like and edited:
            theirs[index] = _led(theirs[index], edited if goes(edited) else like, touches, kind)
    return _inserted(theirs, gone, [identity(rule) for rule in saved], identity)


def _inserted(theirs: list[Json], gone: list[Json], order: list[str], identity: Callable[[Json], str]) -> list[Json]:
    """The rules with those that are gone, each before the first that came after it."""
    result = list(theirs)
    for rule in reversed(gone):
        after = order[order.index(identity(rule)) + 1 :]
        at = next((i for i, other in enumerate(result) if identity(other) in after), len(result))
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
