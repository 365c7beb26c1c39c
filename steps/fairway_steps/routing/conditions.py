"""Whether a Gateway has accepted a route as it is now: what the conditions in their status say.

https://gateway-api.sigs.k8s.io/reference/spec/#routestatus. A condition speaks of the generation it has observed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fairway_steps.cluster import Manifest

NEEDED = ("Accepted", "ResolvedRefs")
PARTLY = "PartiallyInvalid"


def route_trouble(route: Manifest) -> str:
    """Empty if every parent has accepted this generation of the route, else a sentence."""
    generation = int(route["metadata"].get("generation", 0))
    told = (route.get("status") or {}).get("parents") or []
    for wanted in (route.get("spec") or {}).get("parentRefs") or []:
        answers = [parent for parent in told if _same(parent.get("parentRef") or {}, wanted)]
        if not answers:
            return f"no controller has taken up the route for the Gateway {wanted.get('name')}"
        for parent in answers:
            if sentence := next(_troubles(parent.get("conditions") or [], generation, NEEDED), ""):
                return f"the Gateway {wanted.get('name')} says of the route: {sentence}"
    return ""


def gateway_trouble(gateway: Manifest) -> str:
    """Empty if the Gateway's proxies are programmed, else a sentence."""
    generation = int(gateway["metadata"].get("generation", 0))
    conditions = (gateway.get("status") or {}).get("conditions") or []
    sentence = next(_troubles(conditions, generation, ("Programmed",)), "")
    return f"the Gateway {gateway['metadata']['name']}: {sentence}" if sentence else ""


def _troubles(conditions: list[Mapping[str, Any]], generation: int, needed: tuple[str, ...]) -> Iterator[str]:
    by_type = {condition["type"]: condition for condition in conditions}
    for kind in needed:
        condition = by_type.get(kind)
        if condition is None:
            yield f"{kind} is not told yet"
        elif int(condition.get("observedGeneration", 0)) < generation:
            yield f"{kind} is told of an older generation"
        elif condition["status"] != "True":
            yield f"{kind} is {condition['status']} ({condition.get('reason')}): {condition.get('message', '')}"
    partly = by_type.get(PARTLY)
    if partly and partly["status"] == "True" and int(partly.get("observedGeneration", 0)) >= generation:
        yield f"{PARTLY} ({partly.get('reason')}): {partly.get('message', '')}"


def _same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return all(left.get(key) == right.get(key) for key in ("name", "sectionName", "port")) and (
        not right.get("namespace") or left.get("namespace") in (None, right["namespace"])
    )
