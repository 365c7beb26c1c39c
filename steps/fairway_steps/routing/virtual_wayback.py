"""How destinations come back into an http route of a VirtualService (``wayback``)."""

from typing import Any

from fairway_steps.routing.wayback import Kind, Touches

MIRRORING = ("mirror", "mirrorPercentage", "mirrorPercent", "mirror_percent", "mirrors")
Json = dict[str, Any]


def _mended(now: Json, saved: Json, touches: Touches) -> Json:
    """Mirrors to a version go, but for those that were there before."""
    kept = {key: value for key, value in now.items() if key not in MIRRORING}
    mirroring = {key: saved[key] for key in MIRRORING if key in saved} if _mirrors(now, touches) else now
    before = saved.get("mirrors") or []
    entries = [one for one in now.get("mirrors") or [] if one in before or not touches(one)]
    mirroring = {**mirroring, "mirrors": entries} if entries else {k: v for k, v in mirroring.items() if k != "mirrors"}
    return {**kept, "route": saved.get("route", []), **{key: mirroring[key] for key in MIRRORING if key in mirroring}}


def _mirrors(rule: Json, touches: Touches) -> bool:
    entries = [{"destination": rule["mirror"]}] if rule.get("mirror") else []
    return any(touches(entry) for entry in [*entries, *(rule.get("mirrors") or ())])


def _is_on(rule: Json, target: Json) -> bool:
    return len(rule["route"]) < 2 or bool(target.get("weight", 0))


HTTP_ROUTES = Kind("http", "match", "route", _mended, _is_on)
