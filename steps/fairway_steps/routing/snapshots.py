"""The way back: a service's xDS resources saved whole, and put back.

What is Fairway's in the service's entry goes back as it was; what somebody else has meanwhile changed in it stays, unless the entry is spoilt.
Nothing here is computed from routes and versions, and nothing is shared with the way there but the folder and the
reads of the proxy: where a failed ``apply`` could not write, or wrote nonsense, ``put_back`` still can.
"""

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from fairway_steps.errors import Refused, UsageError
from fairway_steps.routing import others
from fairway_steps.routing.backends import METADATA, owns
from fairway_steps.routing.folder import CLUSTERS, ENDPOINTS, ROUTES, Folder, Json
from fairway_steps.routing.proxy import Proxy
from fairway_steps.routing.xds import RETRY, VERSION_HEADER, beside, is_ours

FORMAT = 1


def take(folder: Folder, service: str) -> str:
    """The service's route entries, clusters and endpoints, as JSON text."""
    with folder.locked():
        routes, clusters = folder.load(ROUTES)["resources"], folder.load(CLUSTERS)["resources"]
        endpoints = {path.name: folder.load(f"{ENDPOINTS}/{path.name}") for path in folder.endpoints(service)}
    host = next(host for host in _hosts(routes) if _named(service, host.get("routes", [])))
    saved = {
        "format": FORMAT,
        "service": service,
        "host": host.get("name", ""),
        "routes": _own(service, host),
        "others": [entry for entry in beside(service, routes) if others.reached(service, entry)],
        "mirrored": sorted(others.mirrored(service, routes)),
        "clusters": [cluster for cluster in clusters if owns(service, cluster.get("name"))],
        "endpoints": {name: file["resources"] for name, file in endpoints.items()},
    }
    return json.dumps(saved)


def put_back(
    folder: Folder, service: str, snapshot: str, proxy: Proxy, fenced: Callable[[Sequence[Json]], int]
) -> None:
    """Write what was saved: the backends, then the routes.

    ``fenced`` gives the token to keep in the route, or raises Fenced. A running proxy is waited for, but not needed:
    the routes go back even if it does not tell that it has taken up the backends.
    """
    saved = _parse(service, snapshot)
    with folder.locked():
        fenced(_present(service, folder.load(ROUTES)["resources"]))
        for name, resources in saved["endpoints"].items():
            folder.replace(f"{ENDPOINTS}/{name}", folder.load_any(f"{ENDPOINTS}/{name}") or {}, resources)
        stored = folder.load(CLUSTERS)
        back = {cluster["name"] for cluster in saved["clusters"]}
        kept = [cluster for cluster in stored["resources"] if cluster.get("name") not in back]
        folder.replace(CLUSTERS, stored, [*kept, *saved["clusters"]])
    if proxy.uptime() is not None:
        proxy.wait(lambda: not proxy.missing(saved["clusters"], {}))
    with folder.locked():
        stored = folder.load(ROUTES)
        (own,) = _named(service, saved["routes"])
        resources = others.single(service, stored["resources"], own.get("match"))
        token = fenced(_present(service, resources))
        now = _named(service, others.entries(resources))
        saved["routes"] = [_mended(service, now[0], one) if now and one is own else one for one in saved["routes"]]
        for entry in saved["routes"]:
            entry.setdefault("metadata", {}).setdefault("filter_metadata", {}).setdefault("fairway", {})["fence"] = (
                token
            )
        folder.replace(ROUTES, stored, _led_back(service, saved, _merged(service, saved, resources)))


def _mended(service: str, now: Json, saved: Json) -> Json:
    """The entry as it is, with what is Fairway's in it as it was saved; the saved one for one that is spoilt."""
    if not now.get("match"):
        return saved
    try:
        return _back(now, saved, "name", "stat_prefix", "response_headers_to_add") | {
            "route": _action_back(service, now["route"], saved["route"]),
            **_metadata_back(now.get("metadata", {}), saved.get("metadata", {})),
            **_joined(now, saved, "response_headers_to_add", lambda one: one["header"]["key"] == VERSION_HEADER),
        }
    except (LookupError, AttributeError, TypeError):
        return saved


def _action_back(service: str, now: Json, saved: Json) -> Json:
    ours = [*others.POINTERS, others.MIRRORS]
    if any(one.get("weighted_clusters", {}).get("use_hash_policy") for one in (now, saved)) or "hash_policy" not in now:
        ours.append("hash_policy")
    if now.get("retry_policy") in (None, RETRY):
        ours.append("retry_policy")
    mirrors = _joined(now, saved, others.MIRRORS, lambda one: owns(service, one.get("cluster")))
    return _back(now, saved, *ours) | mirrors


def _metadata_back(now: Json, saved: Json) -> Json:
    parts = [one.get("filter_metadata", {}) for one in (now, saved)]
    return {"metadata": now | {"filter_metadata": _back(parts[0], parts[1], METADATA)}}


def _back(now: Json, saved: Json, *names: str) -> Json:
    """``now`` with these fields as they were saved."""
    gone = others.fields(now, *names)
    return {key: value for key, value in now.items() if key not in gone} | others.fields(saved, *names)


def _joined(now: Json, saved: Json, name: str, is_ours: Callable[[Json], bool]) -> Json:
    """A list, as the field of this name: what is there of others, and of ours what was saved."""
    there, was = ([one for part in others.fields(of, name).values() for one in part] for of in (now, saved))
    theirs = [one for one in there if not is_ours(one)]
    same = theirs == [one for one in was if not is_ours(one)]
    joined = was if same else [*theirs, *filter(is_ours, was)]
    return {name: joined} if joined else {}


def _merged(service: str, saved: Any, resources: Sequence[Json]) -> list[Json]:
    changed = copy.deepcopy(list(resources))
    hosts = _hosts(changed)
    host = next((h for h in hosts if _named(service, h.get("routes", []))), None)
    host = host or next((h for h in hosts if h.get("name", "") == saved["host"]), None)
    if host is None:
        raise Refused(f"the virtual host {saved['host']!r}, where {service} was routed, is gone")
    routes = host.get("routes", [])
    ours = [i for i, entry in enumerate(routes) if is_ours(service, entry)]
    at = next((i for i in ours if routes[i].get("name") == service), ours[0] if ours else 0)
    before, after = ([e for e in part if not is_ours(service, e)] for part in (routes[:at], routes[at:]))
    host["routes"] = [*before, *saved["routes"], *after]
    return changed


def _led_back(service: str, saved: Any, resources: Sequence[Json]) -> list[Json]:
    """Entries of others pointed as they were; one that was added in the release as the service's own entry. So for whole hosts' mirrors."""

    def known(entry: Json) -> str:
        return json.dumps([entry.get("name"), entry.get("match")], sort_keys=True)

    before = {known(entry): entry for entry in saved.get("others", ())}
    (own,) = _named(service, saved["routes"])
    stays = {*saved.get("mirrored", ()), *others.reached(service, own)}
    return others.led(
        service, resources, saved["routes"], lambda entry: before.get(known(entry), own), stays.__contains__
    )


def _parse(service: str, snapshot: str) -> Any:
    try:
        saved = json.loads(snapshot)
        if saved["format"] == FORMAT and saved["service"] == service:
            return saved
    except (ValueError, LookupError, TypeError) as error:
        raise UsageError(f"this is no snapshot of the route of {service}") from error
    raise UsageError(f"this is no snapshot of the route of {service}")


def _hosts(resources: Sequence[Json]) -> list[Json]:
    return [host for config in resources for host in config.get("virtual_hosts", [])]


def _named(service: str, entries: Sequence[Json]) -> list[Json]:
    return [entry for entry in entries if entry.get("name") == service]


def _own(service: str, host: Json) -> list[Json]:
    return [entry for entry in host.get("routes", []) if is_ours(service, entry)]


def _present(service: str, resources: Sequence[Json]) -> list[Json]:
    return [entry for host in _hosts(resources) for entry in _own(service, host)]
