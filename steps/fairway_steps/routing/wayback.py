"""The way back of a Gateway API route: its rules saved whole, and their backends put back.

Nothing here is computed from routes, and nothing is shared with the way there. A rule is known by what it matches; what
somebody else has meanwhile changed in it stays. If a rule is not to be found again, all rules go back as they were.
"""

import copy
import json
from collections.abc import Collection
from typing import Any

from fairway_steps.cluster import Manifest, Reference
from fairway_steps.errors import UsageError

FORMAT = 1
OURS = "fairway-match-"

Json = dict[str, Any]
Services = Collection[tuple[str, str]]


def take(ref: Reference, found: Manifest) -> str:
    """The rules of a route, as JSON text."""
    return json.dumps({"format": FORMAT, "kind": ref.kind, "name": ref.name, "rules": found["spec"]["rules"]})


def put_back(ref: Reference, snapshot: str, found: Manifest, services: Services) -> list[Json]:
    """The rules of ``found`` with the snapshot's backends; ``services`` (namespace, name) are the versions'.

    Backends of weight 0 do not come back: in some gateways 0 is not off. Raises UsageError for another snapshot.
    """
    saved = [_without_zeros(rule) for rule in _parse(ref, snapshot)]
    theirs = [rule for rule in (found.get("spec") or {}).get("rules") or [] if not _is_ours(rule)]
    places = {_identity(rule): index for index, rule in enumerate(theirs)}
    if len(places) < len(theirs) or any(_identity(rule) not in places for rule in saved):
        return saved
    result = copy.deepcopy(theirs)
    for rule in saved:
        back = result[places[_identity(rule)]]
        if _touched(back, services, ref.namespace) or _touched(rule, services, ref.namespace):
            back["backendRefs"] = rule.get("backendRefs", [])
            _take_out(back, rule, services, ref.namespace)
    return result


def _take_out(rule: Json, saved: Json, services: Services, namespace: str) -> None:
    """Drop mirrors to a version, but for those that were there before."""
    before = saved.get("filters") or []
    kept = [f for f in rule.get("filters") or [] if f in before or not _mirrors(f, services, namespace)]
    rule.pop("filters", None)
    if kept:
        rule["filters"] = kept


def _touched(rule: Json, services: Services, namespace: str) -> bool:
    return any((ref.get("namespace", namespace), ref.get("name")) in services for ref in rule.get("backendRefs") or ())


def _mirrors(one: Json, services: Services, namespace: str) -> bool:
    target = (one.get("requestMirror") or {}).get("backendRef") or {}
    return (target.get("namespace", namespace), target.get("name")) in services


def _identity(rule: Json) -> str:
    return json.dumps([rule.get("name", ""), rule.get("matches") or []], sort_keys=True)


def _is_ours(rule: Json) -> bool:
    return str(rule.get("name", "")).startswith(OURS)


def _without_zeros(rule: Json) -> Json:
    refs = [ref for ref in rule.get("backendRefs") or () if ref.get("weight", 1)]
    return {**rule, "backendRefs": refs} if "backendRefs" in rule else rule


def _parse(ref: Reference, snapshot: str) -> list[Json]:
    try:
        saved = json.loads(snapshot)
        if (saved["format"], saved["kind"], saved["name"]) == (FORMAT, ref.kind, ref.name):
            return list(saved["rules"])
    except (ValueError, LookupError, TypeError) as error:
        raise UsageError(f"this is no snapshot of {ref}") from error
    raise UsageError(f"this is no snapshot of {ref}")
