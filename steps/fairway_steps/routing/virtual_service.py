"""The http routes of an Istio VirtualService to ``Routes`` and back: pure.

Ours are, in each http route that goes to a known version: its ``route``, a mirror to a version, and before it the http
routes named ``fairway-match-…-SERVICE``. Everything else is somebody else's and is handed on as it is, another service's
release included. https://istio.io/latest/docs/reference/config/networking/virtual-service/ (the first http route that
matches is taken; weights are proportions; a mirror without a percentage is of all requests).
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.model import HeaderMatch, Mirror, Routes
from fairway_steps.routing.around import Around as Whose
from fairway_steps.routing.base import Unknown, whole_percents
from fairway_steps.routing.destinations import pointed, told, version_of

Json = dict[str, Any]
MIRRORING = ("mirror", "mirrorPercentage", "mirrorPercent", "mirror_percent")


class Around(Whose):
    """What http routes are read with."""

    __slots__ = ()

    def version(self, target: Json) -> str:
        return version_of(target, self.places, self.namespace)

    def manages(self, rule: Json) -> bool:
        """Whether an http route of the user's goes to a version."""
        return not self.owns(rule) and any(self.version(target) for target in rule.get("route") or ())

    def pointed(self, like: Json, name: str) -> Json:
        return pointed(like, self.places[name], self.namespace, self.places.get(self.version(like)))

    def unmirrored(self, rule: Json, name: str = "") -> Json:
        """The http route without mirrors to any version but ``name``."""
        if self.mirrored(rule.get("mirror")) not in ("", name):
            rule = {key: value for key, value in rule.items() if key not in MIRRORING}
        left = [one for one in rule.get("mirrors") or () if self.mirrored(one.get("destination")) in ("", name)]
        if len(left) < len(rule.get("mirrors") or ()):
            rule = {key: value for key, value in rule.items() if key != "mirrors"} | ({"mirrors": left} if left else {})
        return rule

    def mirrored(self, destination: Json | None) -> str:
        """The version that a mirror's destination is; empty for any other."""
        return self.version({"destination": destination}) if destination else ""

    def targets(self, http: Sequence[Json]) -> set[tuple[str, str, int]]:
        """Namespace, Service and port (0: the only one) of all that http routes send or copy requests of ours to."""
        mirrors = [{"destination": rule["mirror"]} for rule in http if rule.get("mirror")]
        sent = [one for rule in http for key in ("route", "mirrors") for one in rule.get(key) or ()]
        found = [(one["destination"], self.version(one)) for one in [*mirrors, *sent] if "destination" in one]
        return {
            (self.places[name].ref.namespace, self.places[name].service, int((at.get("port") or {}).get("number", 0)))
            for at, name in found
            if name
        }


def decode(spec: Json, around: Around) -> Routes:
    """What a VirtualService does with the versions. Raises Unknown."""
    http = spec.get("http") or []
    _only_http(spec, around)
    managed = [rule for rule in http if around.manages(rule)]
    if not managed:
        raise _unmanaged(http, around)
    found = [Routes(_weights(rule, around), mirror=_mirror(rule, around)) for rule in managed]
    if any(other != found[0] for other in found):
        raise Unknown("http routes that split the traffic differently: each must have the same weights")
    return Routes(found[0].weights, _matches(http, around), found[0].mirror)


def says(spec: Json, routes: Routes, around: Around) -> bool:
    """Whether the http routes do just what ``routes`` says."""
    try:
        return decode(spec, around) == routes
    except Unknown:
        return False


def encode(spec: Json, routes: Routes, around: Around) -> list[Json]:
    """The http routes with ours replaced by what ``routes`` says. Raises Unknown for one that has no room for it."""
    result: list[Json] = []
    managed = 0
    for rule in (rule for rule in spec.get("http") or [] if not around.owns(rule)):
        if not around.manages(rule):
            result.append(copy.deepcopy(rule))
            continue
        base = {**around.unmirrored(copy.deepcopy(rule)), "route": _targets(rule, routes.weights, around)}
        result += [_matching(base, rule, i, managed, match, around) for i, match in enumerate(routes.matches)]
        result.append(_mirroring(base, routes.mirror, around) if routes.mirror else base)
        managed += 1
    return result


def _only_http(spec: Json, around: Around) -> None:
    """Traffic of TLS and TCP routes would stay where it is while the other side is scaled down."""
    for kind in ("tls", "tcp"):
        for target in (target for rule in spec.get(kind) or () for target in rule.get("route") or ()):
            if around.version(target):
                raise Unknown(f"a {kind} route to {told(target)}, which cannot be split by requests")


def _unmanaged(http: Sequence[Json], around: Around) -> Unknown:
    delegates = [rule["delegate"] for rule in http if rule.get("delegate")]
    named = sorted({told(target) for rule in http for target in rule.get("route") or ()})
    wanted = ", ".join(sorted(told(pointed({}, at, around.namespace) | {"weight": 1}) for at in around.places.values()))
    if delegates and not named:
        names = [f"virtualservice/{d.get('namespace', around.namespace)}/{d.get('name', '?')}" for d in delegates]
        return Unknown(
            f"only http routes that delegate to {', '.join(names)}", f"name the one that splits: --route {names[0]}"
        )
    mend = "an http route must go to the primary; a version that is a subset of a host is named so: …?service=HOST&subset=NAME"
    return Unknown(f"no http route to {wanted}, but only to {', '.join(named) or 'none at all'}", mend)


def _weights(rule: Json, around: Around) -> dict[str, int]:
    shares: dict[str, int] = {}
    alone = len(rule["route"]) == 1
    for target in rule["route"]:
        weight = 1 if alone else int(target.get("weight", 0))
        name = around.version(target)
        if not name and weight:
            raise Unknown(f"the destination {told(target)}, which is none of {', '.join(sorted(around.places))}")
        if name and name in shares:
            raise Unknown(
                f"two destinations {told(target)} in one http route", "leave one, or write an http route for each port"
            )
        shares[name] = shares.get(name, 0) + weight
    if not any(shares.values()):
        raise Unknown("an http route in which every destination has weight 0")
    return whole_percents(shares)


def _mirror(rule: Json, around: Around) -> Mirror | None:
    if around.mirrored(rule.get("mirror")):
        old = rule.get("mirrorPercent", rule.get("mirror_percent", 100))
        return Mirror(around.version({"destination": rule["mirror"]}), _percent(rule.get("mirrorPercentage"), old))
    for one in rule.get("mirrors") or ():
        if around.mirrored(one.get("destination")):
            return Mirror(around.version(one), _percent(one.get("percentage")))
    return None


def _percent(percentage: Json | None, otherwise: Any = 100) -> int:
    return int(otherwise) if percentage is None else round(percentage.get("value", 0))


def _matches(http: Sequence[Json], around: Around) -> tuple[HeaderMatch, ...]:
    found: dict[int, HeaderMatch] = {}
    theirs: set[str] = set()
    for rule in reversed(http):  # each of ours stands before a user's, all of whose headers it asks for, too
        if around.manages(rule):
            theirs = set(_headers(rule))
        if not around.owns(rule):
            continue
        ours = [(name, value) for name, value in _headers(rule).items() if name not in theirs]
        if len(ours) != 1 or "exact" not in ours[0][1]:
            raise Unknown(f"an http route {rule['name']} that does not ask for one header more than the user's")
        found[around.number(rule)] = HeaderMatch(ours[0][0], ours[0][1]["exact"], around.version(rule["route"][0]))
    return tuple(found[number] for number in sorted(found))


def _headers(rule: Json) -> dict[str, Json]:
    """What the first match of an http route asks of headers."""
    first: Json = next(iter(rule.get("match") or ()), {})
    return first.get("headers") or {}


def _targets(rule: Json, weights: Mapping[str, int], around: Around) -> list[Json]:
    """The http route's own destinations with new weights; a new one is made after the first that is a version's.

    Somebody else's of weight 0 come last, as they are.
    """
    kept = {name: target for target in rule["route"] if (name := around.version(target)) and name in weights}
    like = next(target for target in rule["route"] if around.version(target))
    order = [*kept, *(name for name in sorted(weights) if name not in kept)]
    theirs = [target for target in rule["route"] if not around.version(target) and not target.get("weight", 0)]
    ours = [{**(kept.get(name) or around.pointed(like, name)), "weight": weights[name]} for name in order]
    return copy.deepcopy([*ours, *theirs])


def _matching(base: Json, rule: Json, number: int, index: int, match: HeaderMatch, around: Around) -> Json:
    asked = copy.deepcopy(rule.get("match") or [{}])
    for one in asked:
        headers, name = one.get("headers") or {}, match.name.lower()
        if name in map(str.lower, [*headers, *(one.get("withoutHeaders") or {})]):
            raise Unknown(f"an http route that asks for the header {name} itself, and can ask for it once only")
        one["headers"] = {**headers, name: {"exact": match.value}}
    kept = next((target for target in base["route"] if around.version(target) == match.version), None)
    target = copy.deepcopy(kept or around.pointed(base["route"][0], match.version))
    return {
        **copy.deepcopy(base),
        "name": around.name(number, index),
        "match": asked,
        "route": [{**target, "weight": 100}],
    }


def _mirroring(base: Json, mirror: Mirror, around: Around) -> Json:
    like = base["route"][0]
    if any(at.vmodel for at in around.places.values()):
        raise Unknown(
            f"no mirror to {mirror.version}: copies of a ModelMesh's requests keep the header of the version they were sent to"
        )
    to, share = around.pointed(like, mirror.version)["destination"], {"value": mirror.percent}
    if base.get("mirror"):
        raise Unknown(
            f"a mirror to {told({'destination': base['mirror']})} already, beside which no other can stand",
            "write it as an entry of `mirrors`",
        )
    if base.get("mirrors"):
        return {**base, "mirrors": [*base["mirrors"], {"destination": to, "percentage": share}]}
    return {**base, "mirror": to, "mirrorPercentage": share}
