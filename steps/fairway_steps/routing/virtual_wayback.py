"""The way back of a VirtualService: the http routes of one service saved, and their destinations put back.

Nothing here is computed from ``Routes``, and nothing is shared with the way there but whose a destination is. An http
route is known by its name and what it matches; what somebody else has meanwhile changed in it stays, and so does every http route
of others. If one is not to be found again, all of this service's go back as they were.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

from fairway_steps.cluster import Manifest, Reference
from fairway_steps.errors import UsageError

FORMAT = 1
OURS = "fairway-match-"
MIRRORING = ("mirror", "mirrorPercentage", "mirrorPercent", "mirror_percent", "mirrors")

Json = dict[str, Any]
Touches = Callable[[Json], bool]
"""Whether an entry (``destination``, ``headers``) goes to one of this service's versions."""


def take(ref: Reference, service: str, found: Manifest) -> str:
    """The http routes, as JSON text."""
    http = found["spec"].get("http") or []
    return json.dumps({"format": FORMAT, "kind": ref.kind, "name": ref.name, "service": service, "http": http})


def put_back(ref: Reference, service: str, snapshot: str, found: Manifest, touches: Touches) -> list[Json]:
    """The http routes of ``found`` with the snapshot's destinations of this service. Raises UsageError for another one."""
    saved = [rule for rule in _parse(ref, service, snapshot) if not _is_ours(rule, service)]
    mine = [_without_zeros(rule) for rule in saved if _goes(rule, touches)]
    http = (found.get("spec") or {}).get("http") or []
    theirs = [copy.deepcopy(rule) for rule in http if not _is_ours(rule, service)]
    places = {_identity(rule): index for index, rule in enumerate(theirs)}
    if len(places) == len(theirs) and all(_identity(rule) in places for rule in mine):
        for rule in mine:
            index = places[_identity(rule)]
            theirs[index] = _mended(theirs[index], rule, touches)
        return theirs
    return _replaced(theirs, mine, [_identity(rule) for rule in saved], touches)


def _mended(now: Json, saved: Json, touches: Touches) -> Json:
    kept = {key: value for key, value in now.items() if key not in MIRRORING}
    mirroring = saved if _mirrors(now, touches) else now
    return {**kept, "route": saved["route"], **{key: mirroring[key] for key in MIRRORING if key in mirroring}}


def _mirrors(rule: Json, touches: Touches) -> bool:
    entries = [{"destination": rule["mirror"]}] if rule.get("mirror") else []
    return any(touches(entry) for entry in [*entries, *(rule.get("mirrors") or ())])


def _replaced(theirs: list[Json], mine: list[Json], order: list[str], touches: Touches) -> list[Json]:
    """Ours as they were saved, each before the first that came after it; the last one at the end."""
    result = [rule for rule in theirs if not _goes(rule, touches)]
    for rule in reversed(mine):
        after = order[order.index(_identity(rule)) + 1 :]
        at = next((i for i, other in enumerate(result) if _identity(other) in after), len(result))
        result.insert(at, rule)
    return result


def _goes(rule: Json, touches: Touches) -> bool:
    return any(touches(target) for target in rule.get("route") or ())


def _identity(rule: Json) -> str:
    return json.dumps([rule.get("name", ""), rule.get("match") or []], sort_keys=True)


def _is_ours(rule: Json, service: str) -> bool:
    name = str(rule.get("name", ""))
    return name.startswith(OURS) and name.removeprefix(OURS).split("-", 2)[-1] == service


def _without_zeros(rule: Json) -> Json:
    if len(rule.get("route") or ()) < 2:
        return rule
    return {**rule, "route": [target for target in rule["route"] if target.get("weight", 0)]}


def _parse(ref: Reference, service: str, snapshot: str) -> list[Json]:
    try:
        saved = json.loads(snapshot)
        if (saved["format"], saved["kind"], saved["name"], saved["service"]) == (FORMAT, ref.kind, ref.name, service):
            return list(saved["http"])
    except (ValueError, LookupError, TypeError) as error:
        raise UsageError(f"this is no snapshot of {ref} for {service}") from error
    raise UsageError(f"this is no snapshot of {ref} for {service}")
