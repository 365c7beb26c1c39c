"""How backends come back into a rule of an HTTPRoute or GRPCRoute (``wayback``)."""

from typing import Any

from fairway_steps.routing.wayback import Kind, Touches

Json = dict[str, Any]


def _mended(now: Json, saved: Json, touches: Touches) -> Json:
    """Mirrors to a version go, but for those that were there before."""
    before = saved.get("filters") or []
    filters = [one for one in now.get("filters") or [] if one in before or not _mirrors(one, touches)]
    kept = {key: value for key, value in now.items() if key != "filters"} | ({"filters": filters} if filters else {})
    return {**kept, "backendRefs": saved.get("backendRefs", [])}


def _mirrors(one: Json, touches: Touches) -> bool:
    return bool(touches((one.get("requestMirror") or {}).get("backendRef") or {}))


def _is_on(rule: Json, ref: Json) -> bool:
    del rule
    return bool(ref.get("weight", 1))


RULES = Kind("rules", "matches", "backendRefs", _mended, _is_on)
