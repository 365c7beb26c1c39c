"""Rules of an HTTPRoute or GRPCRoute to ``Routes`` and back: pure.

Ours are, in each rule that points at a known version: its ``backendRefs``, a mirror to a version, and before it the
rules named ``fairway-match-…``. Everything else of every rule is somebody else's, and is handed on as it is. Source:
https://gateway-api.sigs.k8s.io/reference/spec/ (v1.4: rules have names; a match with more headers goes first).
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.model import HeaderMatch, Mirror, Routes
from fairway_steps.routing.base import Unknown, whole_percents
from fairway_steps.workload.place import Place

Json = dict[str, Any]
NAMED = "fairway-match-"
MIRROR = "RequestMirror"


def decode(rules: Sequence[Json], places: Mapping[str, Place], namespace: str) -> Routes:
    """What the rules do with the versions at ``places``. Raises Unknown."""
    managed = [rule for rule in rules if is_managed(rule, places, namespace)]
    if not managed:
        named = sorted({ref.get("name", "?") for rule in rules for ref in rule.get("backendRefs") or ()})
        wanted = ", ".join(sorted(at.service for at in places.values()))
        raise Unknown(f"no rule has a backend of {wanted}, but only {', '.join(named) or 'none at all'}")
    found = [Routes(_weights(rule, places, namespace), mirror=_mirror(rule, places, namespace)) for rule in managed]
    if any(other != found[0] for other in found):
        raise Unknown("rules that split the traffic differently: each must have the same weights")
    return Routes(found[0].weights, _matches(rules, places, namespace), found[0].mirror)


def says(rules: Sequence[Json], routes: Routes, places: Mapping[str, Place], namespace: str) -> bool:
    """Whether the rules do just what ``routes`` says."""
    try:
        return decode(rules, places, namespace) == routes
    except Unknown:
        return False


def encode(rules: Sequence[Json], routes: Routes, places: Mapping[str, Place], namespace: str) -> list[Json]:
    """The rules with ours replaced by what ``routes`` says."""
    result: list[Json] = []
    for index, rule in enumerate(rule for rule in rules if not is_ours(rule)):
        if not is_managed(rule, places, namespace):
            result.append(copy.deepcopy(rule))
            continue
        base = {**copy.deepcopy(rule), "backendRefs": _references(rule, routes.weights, places, namespace)}
        filters = [f for f in base.pop("filters", []) if not _mirrors(f, places, namespace)]
        for number, match in enumerate(routes.matches):
            result.append(_matching(base, filters, f"{NAMED}{number}-{index}", match, places, namespace))
        if routes.mirror:
            filters.append(_mirroring(routes.mirror, places, namespace))
        result.append(base | ({"filters": filters} if filters else {}))
    return result


def is_ours(rule: Json) -> bool:
    """Whether Fairway made the whole rule."""
    return str(rule.get("name", "")).startswith(NAMED)


def is_managed(rule: Json, places: Mapping[str, Place], namespace: str) -> bool:
    """Whether a rule of the user's points at a version."""
    return not is_ours(rule) and any(_version(ref, places, namespace) for ref in rule.get("backendRefs") or ())


def _version(ref: Json, places: Mapping[str, Place], namespace: str) -> str:
    """The version whose Service a reference names; empty for another."""
    if ref.get("group", "") or ref.get("kind", "Service") != "Service":
        return ""
    at = (ref.get("namespace", namespace), ref.get("name"))
    return next((name for name, place in places.items() if (place.ref.namespace, place.service) == at), "")


def _weights(rule: Json, places: Mapping[str, Place], namespace: str) -> dict[str, int]:
    shares: dict[str, int] = {}
    for ref in rule["backendRefs"]:
        name, weight = _version(ref, places, namespace), int(ref.get("weight", 1))
        if not name and weight:
            raise Unknown(f"the backend {ref.get('name', '?')}, which is none of {', '.join(sorted(places))}")
        shares[name] = shares.get(name, 0) + weight
    if not any(shares.values()):
        raise Unknown("a rule in which every backend has weight 0")
    return whole_percents(shares)


def _mirror(rule: Json, places: Mapping[str, Place], namespace: str) -> Mirror | None:
    found = [f["requestMirror"] for f in rule.get("filters") or () if _mirrors(f, places, namespace)]
    if not found:
        return None
    fraction = found[0].get("fraction")
    share = found[0].get("percent", 100)
    if fraction:
        share = round(100 * int(fraction["numerator"]) / int(fraction.get("denominator", 100)))
    return Mirror(_version(found[0]["backendRef"], places, namespace), int(share))


def _mirrors(one: Json, places: Mapping[str, Place], namespace: str) -> bool:
    return one.get("type") == MIRROR and bool(_version(one["requestMirror"]["backendRef"], places, namespace))


def _matches(rules: Sequence[Json], places: Mapping[str, Place], namespace: str) -> tuple[HeaderMatch, ...]:
    found: dict[int, HeaderMatch] = {}
    for rule in rules:
        if is_ours(rule):
            number = int(rule["name"].removeprefix(NAMED).partition("-")[0])
            header = rule["matches"][0]["headers"][-1]
            found[number] = HeaderMatch(
                header["name"], header["value"], _version(rule["backendRefs"][0], places, namespace)
            )
    return tuple(found[number] for number in sorted(found))


def _references(rule: Json, weights: Mapping[str, int], places: Mapping[str, Place], namespace: str) -> list[Json]:
    """The rule's own references with new weights; a new one is made after the first, but for its name and port."""
    kept = {name: ref for ref in rule["backendRefs"] if (name := _version(ref, places, namespace)) and name in weights}
    like = next(ref for ref in rule["backendRefs"] if _version(ref, places, namespace))
    order = [*kept, *(name for name in sorted(weights) if name not in kept)]
    return [
        {**copy.deepcopy(kept.get(name) or _pointed(like, places[name], namespace)), "weight": weights[name]}
        for name in order
    ]


def _pointed(like: Json, place: Place, namespace: str) -> Json:
    ref = {key: value for key, value in like.items() if key != "namespace"}
    ref |= {"name": place.service, "port": place.port}
    return ref if place.ref.namespace == namespace else ref | {"namespace": place.ref.namespace}


def _matching(
    base: Json, filters: Sequence[Json], name: str, match: HeaderMatch, places: Mapping[str, Place], namespace: str
) -> Json:
    header = {"type": "Exact", "name": match.name, "value": match.value}
    conditions = [{**copy.deepcopy(one), "headers": [*one.get("headers", []), header]} for one in _conditions(base)]
    like: Json = next((ref for ref in base["backendRefs"] if _version(ref, places, namespace)), {})
    target = {**copy.deepcopy(_pointed(like, places[match.version], namespace)), "weight": 100}
    rule = {**copy.deepcopy(base), "name": name, "matches": conditions, "backendRefs": [target]}
    return rule | ({"filters": copy.deepcopy(list(filters))} if filters else {})


def _conditions(rule: Json) -> Sequence[Json]:
    return rule.get("matches") or [{}]


def _mirroring(mirror: Mirror, places: Mapping[str, Place], namespace: str) -> Json:
    place = places[mirror.version]
    ref = _pointed({"group": "", "kind": "Service"}, place, namespace)
    return {"type": MIRROR, "requestMirror": {"backendRef": ref, "percent": mirror.percent}}
