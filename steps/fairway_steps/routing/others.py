"""Route entries of other names that point at a service's clusters: what they reach, and how they go back to one version. Pure.

A release never moves them, and no cluster goes that one of them needs. On a way back, one that was pointed at a version in
the release goes where the service's own entry goes. Nothing is decoded: the names of clusters suffice.
"""

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any

from fairway_steps.routing.backends import owns

Json = dict[str, Any]
POINTERS = (
    "cluster",
    "weighted_clusters",
    "cluster_header",
    "cluster_specifier_plugin",
    "inline_cluster_specifier_plugin",
)
MIRRORS = "request_mirror_policies"


def entries(resources: Sequence[Json]) -> list[Json]:
    """All route entries, those of every virtual host."""
    return [
        entry for config in resources for host in config.get("virtual_hosts", []) for entry in host.get("routes", [])
    ]


def reached(service: str, entry: Json) -> set[str]:
    """The service's clusters that an entry sends or copies requests to."""
    return _ours(service, fields(_action(entry), *POINTERS, MIRRORS))


def needed(service: str, resources: Sequence[Json], clusters: Sequence[Json]) -> set[str]:
    """The names of all clusters that routes, or clusters of others, lead to; those behind aggregates included."""
    members = {str(one.get("name", "")): _strings(one.get("cluster_type", {})) for one in clusters}
    more = _strings(list(resources)).union(*(behind for name, behind in members.items() if not owns(service, name)))
    names: set[str] = set()
    while more - names:
        names |= more
        more = set[str]().union(*(members.get(name, ()) for name in more))
    return names


def led(service: str, resources: Sequence[Json], own: Sequence[Json], like: Callable[[Json], Json]) -> list[Json]:
    """The resources with every entry but ``own`` pointed as the one that ``like`` gives for it, if it reaches what that one does not."""
    changed = copy.deepcopy(list(resources))
    for host in (host for config in changed for host in config.get("virtual_hosts", []) if "routes" in host):
        host["routes"] = [entry if entry in own else _led(service, entry, like(entry)) for entry in host["routes"]]
    return changed


def single(service: str, resources: Sequence[Json], match: Json | None = None) -> list[Json]:
    """The resources with one entry named after the service: the one of this match, else the last. A copy of it loses the name alone."""
    changed = copy.deepcopy(list(resources))
    named = [entry for entry in entries(changed) if entry.get("name") == service]
    stays = next((entry for entry in named if entry.get("match") == match), named[-1] if named else None)
    for entry in named:
        if entry is not stays:
            del entry["name"]
    return changed


def fields(action: Json, *names: str) -> Json:
    """These fields, in either of the ways in which protobuf's JSON writes them."""
    return {k: v for k, v in action.items() if re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", k) in names}


def _led(service: str, entry: Json, like: Json) -> Json:
    action, keep = _action(entry), reached(service, like)
    if not reached(service, entry) - keep:
        return entry
    pointed = fields(action, *POINTERS)
    if _ours(service, pointed) - keep:
        action = {key: value for key, value in action.items() if key not in pointed}
        action |= copy.deepcopy(fields(_action(like), *POINTERS))
    for key, policies in fields(action, MIRRORS).items():
        kept = [policy for policy in policies if not _ours(service, policy) - keep]
        action = {name: value for name, value in action.items() if name != key} | ({key: kept} if kept else {})
    return {**entry, "route": action}


def _action(entry: Json) -> Json:
    action = entry.get("route")
    return action if isinstance(action, dict) else {}


def _ours(service: str, value: object) -> set[str]:
    return {text for text in _strings(value) if text.startswith(f"{service}/")}


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set[str]().union(*map(_strings, parts))
