"""Whose an Istio destination is: pure.

A destination names a host, and perhaps a subset of a DestinationRule. A host without a dot is a Service of the
VirtualService's own namespace. https://istio.io/latest/docs/reference/config/networking/virtual-service/#Destination
In a ModelMesh all versions are one Service, which goes by a request's header mm-vmodel-id
(https://github.com/kserve/modelmesh-serving/blob/main/docs/predictors/run-inference.md).
"""

from collections.abc import Mapping
from typing import Any

from fairway_steps.workload.place import Place

Json = dict[str, Any]
VMODEL = "mm-vmodel-id"
DOMAIN = "svc.cluster.local"


def version_of(target: Json, places: Mapping[str, Place], namespace: str) -> str:
    """The version that a ``route`` entry of a VirtualService (``destination`` and ``headers``) goes to; empty for none."""
    at = target.get("destination") or {}
    service = _service(str(at.get("host", "")), namespace)
    vmodel = _header(target)
    return next(
        (
            name
            for name, place in places.items()
            if (place.ref.namespace, place.service) == service
            and place.subset == at.get("subset", "")
            and (not place.vmodel or place.vmodel == vmodel)
        ),
        "",
    )


def pointed(like: Json, place: Place, namespace: str, own: Place | None = None) -> Json:
    """An entry as ``like``, which goes to ``own``, but to the version at ``place``; a port that is not its version's own stays."""
    before = like.get("destination") or {}
    host = str(before.get("host", ""))
    if _service(host, namespace) != (place.ref.namespace, place.service):
        host = _host(place, host, namespace)
    destination: Json = {"host": host}
    if place.subset:
        destination["subset"] = place.subset
    other = own is not None and (before.get("port") or {}).get("number", own.port) != own.port
    if host != before.get("host") and not other:
        destination["port"] = {"number": place.port}
    elif "port" in before:
        destination["port"] = before["port"]
    entry = {**like, "destination": destination}
    if place.vmodel:
        headers = like.get("headers") or {}
        request = headers.get("request") or {}
        changed = {**(request.get("set") or {}), VMODEL: place.vmodel}
        entry["headers"] = {**headers, "request": {**request, "set": changed}}
    return entry


def told(target: Json) -> str:
    """A destination in words."""
    at = target.get("destination") or {}
    more = f" (subset {at['subset']})" if at.get("subset") else ""
    return f"{at.get('host', '?')}{more}" + (f" ({VMODEL} {name})" if (name := _header(target)) else "")


def same_host(host: str, place: Place, namespace: str) -> bool:
    """Whether a host, written in an object of ``namespace``, is the version's Service."""
    return _service(host, namespace) == (place.ref.namespace, place.service)


def _service(host: str, namespace: str) -> tuple[str, str]:
    name, *rest = host.split(".")
    if not rest:
        return namespace, name
    return (rest[0], name) if rest[1:2] in ([], ["svc"]) else ("", host)


def _host(place: Place, like: str, namespace: str) -> str:
    """The version's host, short or in full as its neighbour's."""
    if "." not in like and place.ref.namespace == namespace:
        return place.service
    domain = like.partition(".")[2].partition(".")[2] if ".svc." in like else DOMAIN
    return f"{place.service}.{place.ref.namespace}.{domain}"


def _header(target: Json) -> str:
    request = (target.get("headers") or {}).get("request") or {}
    found = {**(request.get("add") or {}), **(request.get("set") or {})}
    return str(found.get(VMODEL, ""))
