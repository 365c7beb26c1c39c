"""How destinations come back into an http route of a VirtualService (``wayback``)."""

from typing import Any

from fairway_steps.routing.wayback import Kind, Touches

MIRRORING = ("mirror", "mirrorPercentage", "mirrorPercent", "mirror_percent", "mirrors")
Json = dict[str, Any]


def _mended(now: Json, saved: Json, touches: Touches) -> Json:
    kept = {key: value for key, value in now.items() if key not in MIRRORING}
    mirroring = saved if _mirrors(now, touches) else now
    return {**kept, "route": saved.get("route", []), **{key: mirroring[key] for key in MIRRORING if key in mirroring}}


def _mirrors(rule: Json, touches: Touches) -> bool:
    entries = [{"destination": rule["mirror"]}] if rule.get("mirror") else []
    return any(touches(entry) for entry in [*entries, *(rule.get("mirrors") or ())])


def _is_on(rule: Json, target: Json) -> bool:
    return len(rule["route"]) < 2 or bool(target.get("weight", 0))


HTTP_ROUTES = Kind("http", "match", "route", _mended, _is_on)
