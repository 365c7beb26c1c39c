"""Rules of an HTTPRoute or GRPCRoute to ``Routes`` and back: pure.

Ours are, in each rule that points at a known version: its ``backendRefs``, a mirror to a version, and after all rules
those named ``fairway-match-…-SERVICE``. Everything else of every rule is somebody else's, and is handed on as it is, another
service's release included. Source:
https://gateway-api.sigs.k8s.io/reference/spec/ (v1.4: rules have names; a match with more headers goes first).
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.model import HeaderMatch, Mirror, Routes
from fairway_steps.routing.around import Around as Whose
from fairway_steps.routing.base import Unknown, whole_percents

Json = dict[str, Any]
MIRROR = "RequestMirror"
PARKED = "x-fairway-parked"
"""The header that nobody sends: its value is drawn when a rule of ours is about to go."""


class Around(Whose):
    """What rules are read with."""

    __slots__ = ()

    def manages(self, rule: Json) -> bool:
        """Whether a rule of the user's points at a version."""
        return not self.owns(rule) and any(self.version(ref) for ref in rule.get("backendRefs") or ())

    def version(self, ref: Json) -> str:
        """The version whose Service a reference names; empty for another."""
        if ref.get("group", "") or ref.get("kind", "Service") != "Service":
            return ""
        at = (ref.get("namespace", self.namespace), ref.get("name"))
        return next((name for name, place in self.places.items() if (place.ref.namespace, place.service) == at), "")

    def mirrored(self, one: Json) -> str:
        """The version that a filter is a mirror to; empty for any other."""
        return self.version(one["requestMirror"]["backendRef"]) if one.get("type") == MIRROR else ""

    def pointed(self, like: Json, name: str) -> Json:
        """A reference as ``like``, but for its name, and its port where that is the one its own version goes by."""
        place, own = self.places[name], self.version(like)
        ref = {key: value for key, value in like.items() if key != "namespace"}
        port = place.port if not own or like.get("port") in (None, self.places[own].port) else like["port"]
        ref |= {"name": place.service, "port": port}
        return ref if place.ref.namespace == self.namespace else ref | {"namespace": place.ref.namespace}

    def unmirrored(self, rule: Json, name: str) -> Json:
        """The rule without mirrors to any version but ``name``."""
        filters = [one for one in rule.get("filters") or () if self.mirrored(one) in ("", name)]
        kept = {key: value for key, value in rule.items() if key != "filters"}
        return kept | ({"filters": filters} if filters else {})

    def targets(self, rules: Sequence[Json]) -> set[tuple[str, str, int]]:
        """Namespace, Service and port of all that rules send or copy requests of ours to."""
        sent = [ref for rule in rules for ref in rule.get("backendRefs") or ()]
        filters = [one for rule in rules for one in rule.get("filters") or ()]
        copied = [one["requestMirror"]["backendRef"] for one in filters if self.mirrored(one)]
        return {
            (ref.get("namespace", self.namespace), ref["name"], int(ref.get("port", 0)))
            for ref in [*sent, *copied]
            if self.version(ref)
        }


def decode(rules: Sequence[Json], around: Around) -> Routes:
    """What the rules do with the versions. Raises Unknown."""
    managed = [rule for rule in rules if around.manages(rule)]
    if not managed:
        named = sorted({ref.get("name", "?") for rule in rules for ref in rule.get("backendRefs") or ()})
        wanted = ", ".join(sorted(at.service for at in around.places.values()))
        raise Unknown(f"no rule has a backend of {wanted}, but only {', '.join(named) or 'none at all'}")
    found = [Routes(_weights(rule, around), mirror=_mirror(rule, around)) for rule in managed]
    if any(other != found[0] for other in found):
        raise Unknown("rules that split the traffic differently: each must have the same weights")
    return Routes(found[0].weights, _matches(rules, around), found[0].mirror)


def beyond(rules: Sequence[Json]) -> str:
    """What of these rules is more than Gateway API takes (v1.4); empty for nothing."""
    matches = [one for rule in rules for one in rule.get("matches") or ()]
    has = {
        "rules": (len(rules), 16),
        "matches in all rules": (len(matches), 128),
        "headers in one match": (max((len(one.get("headers") or ()) for one in matches), default=0), 16),
        "filters in one rule": (max((len(rule.get("filters") or ()) for rule in rules), default=0), 16),
        "backends in one rule": (max((len(rule.get("backendRefs") or ()) for rule in rules), default=0), 16),
    }
    return next((f"{count} {what}, and can have {most}" for what, (count, most) in has.items() if count > most), "")


def encode(rules: Sequence[Json], routes: Routes, around: Around) -> list[Json]:
    """The rules with ours replaced by what ``routes`` says. Raises Unknown for one that has no room for it.

    Rules of ours come last, whatever they match: gateways name their clusters by a rule's place, and a user's rule that moves up as one
    before it goes loses requests between two updates of the proxy.
    """
    result: list[Json] = []
    ours: list[Json] = []
    managed = 0
    for rule in (rule for rule in rules if not around.owns(rule)):
        if not around.manages(rule):
            result.append(copy.deepcopy(rule))
            continue
        base = {**copy.deepcopy(rule), "backendRefs": _references(rule, routes.weights, around)}
        filters = [f for f in base.pop("filters", []) if not around.mirrored(f)]
        for number, match in enumerate(routes.matches):
            ours.append(_matching(base, filters, around.name(number, managed), match, around))
        if routes.mirror:
            filters.append(_mirroring(base["backendRefs"], routes.mirror, around))
        result.append(base | ({"filters": filters} if filters else {}))
        managed += 1
    return [*result, *ours]


def parked(stored: Sequence[Json], wanted: Sequence[Json], around: Around, value: str, idle: str) -> list[Json]:
    """Rules of ours that are stored and not ``wanted``, for a header of this ``value`` that nobody sends; but those of a header that is ``idle``.

    Envoy Gateway takes a rule's cluster away before the rule: whom it still matches then is answered 503 (``cluster_not_found``).
    """
    stay = {rule.get("name") for rule in wanted if around.owns(rule)}
    header = {"type": "Exact", "name": PARKED, "value": value}
    return [
        {
            **rule,
            "matches": [{**one, "headers": [*(one.get("headers") or ())[:-1], header]} for one in _conditions(rule)],
        }
        for rule in stored
        if around.owns(rule) and rule["name"] not in stay and _asked(rule).get("name") not in (PARKED, idle)
    ]


def _asked(rule: Json) -> Json:
    """The header that a rule of ours is for; empty if somebody has taken it away."""
    headers: Sequence[Json] = _conditions(rule)[0].get("headers") or [{}]
    return headers[-1]


def _weights(rule: Json, around: Around) -> dict[str, int]:
    shares: dict[str, int] = {}
    for ref in rule["backendRefs"]:
        name, weight = around.version(ref), int(ref.get("weight", 1))
        if not name and weight:
            raise Unknown(f"the backend {ref.get('name', '?')}, which is none of {', '.join(sorted(around.places))}")
        if name and name in shares:
            raise Unknown(f"two backends of {ref['name']} in one rule", "leave one, or write a rule for each port")
        shares[name] = shares.get(name, 0) + weight
    if not any(shares.values()):
        raise Unknown("a rule in which every backend has weight 0")
    return whole_percents(shares)


def _mirror(rule: Json, around: Around) -> Mirror | None:
    found = [f["requestMirror"] for f in rule.get("filters") or () if around.mirrored(f)]
    if not found:
        return None
    fraction = found[0].get("fraction")
    share = found[0].get("percent", 100)
    if fraction:
        share = round(100 * int(fraction["numerator"]) / int(fraction.get("denominator", 100)))
    return Mirror(around.version(found[0]["backendRef"]), int(share))


def _matches(rules: Sequence[Json], around: Around) -> tuple[HeaderMatch, ...]:
    found: dict[int, HeaderMatch] = {}
    for rule in rules:
        if around.owns(rule) and (header := _asked(rule)).get("name") != PARKED:
            if not header:
                raise Unknown(f"the rule {rule['name']} without the header that it is for")
            at = around.version(rule["backendRefs"][0])
            found[around.number(rule)] = HeaderMatch(header["name"], header["value"], at)
    return tuple(found[number] for number in sorted(found))


def _references(rule: Json, weights: Mapping[str, int], around: Around) -> list[Json]:
    """The rule's own references with new weights; a new one is made after the first, but for its name and port.

    Somebody else's of weight 0 come last, as they are.
    """
    kept = {name: ref for ref in rule["backendRefs"] if (name := around.version(ref)) and name in weights}
    like = next(ref for ref in rule["backendRefs"] if around.version(ref))
    order = [*kept, *(name for name in sorted(weights) if name not in kept)]
    theirs = [ref for ref in rule["backendRefs"] if not around.version(ref) and not ref.get("weight", 1)]
    ours = [{**(kept.get(name) or around.pointed(like, name)), "weight": weights[name]} for name in order]
    return copy.deepcopy([*ours, *theirs])


def _matching(base: Json, filters: Sequence[Json], name: str, match: HeaderMatch, around: Around) -> Json:
    header = {"type": "Exact", "name": match.name, "value": match.value}
    if any(
        match.name.lower() == one["name"].lower() for asked in _conditions(base) for one in asked.get("headers") or ()
    ):
        raise Unknown(f"a rule that asks for the header {match.name} itself, and can ask for it once only")
    conditions = [{**copy.deepcopy(one), "headers": [*one.get("headers", []), header]} for one in _conditions(base)]
    like: Json = next((ref for ref in base["backendRefs"] if around.version(ref)), {})
    target = {**copy.deepcopy(around.pointed(like, match.version)), "weight": 100}
    rule = {**copy.deepcopy(base), "name": name, "matches": conditions, "backendRefs": [target]}
    return rule | ({"filters": copy.deepcopy(list(filters))} if filters else {})


def _conditions(rule: Json) -> Sequence[Json]:
    return rule.get("matches") or [{}]


def _mirroring(references: Sequence[Json], mirror: Mirror, around: Around) -> Json:
    like = next(ref for ref in references if around.version(ref))
    parts: Json = {key: like[key] for key in ("name", "namespace", "port") if key in like}
    ref = around.pointed({"group": "", "kind": "Service"} | parts, mirror.version)
    return {"type": MIRROR, "requestMirror": {"backendRef": ref, "percent": mirror.percent}}
