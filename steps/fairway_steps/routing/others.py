"""Route entries of other names that point at a service's clusters: what they reach, and how they go back to one version. Pure.

A release moves none that points at a version itself, and no cluster goes that one of them needs. One that leads to what is there for a split alone
ends with the split; on a way back, one that was pointed at a version in the release goes where the service's own entry goes. So do mirrors of
whole virtual hosts. Nothing is decoded: the names of clusters suffice.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fairway_steps.routing.backends import is_version, owns

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


def mirrored(service: str, resources: Sequence[Json]) -> set[str]:
    """The service's clusters that whole virtual hosts, or tables of them, copy requests to."""
    return set[str]().union(*(_ours(service, fields(one, MIRRORS)) for one in _holders(resources)))


def split_alone(service: str, entry: Json) -> bool:
    """Whether an entry leads to a cluster that is there for a split or a mirror only."""
    return not all(map(is_version, reached(service, entry)))


def told(service: str, resources: Sequence[Json], beside: Sequence[Json]) -> Iterator[str]:
    """What a release leaves as it is, of hosts and of the entries ``beside`` the service's own."""
    as_it_is = "a release does not move it, nor removes what it points at"
    for entry in beside:
        name = repr(entry["name"]) if entry.get("name") else f"for {json.dumps(entry.get('match'))}"
        if names := reached(service, entry):
            yield f"the route entry {name} points at {', '.join(sorted(names))} itself: {as_it_is}"
        if _by_header(entry):
            yield f"the route entry {name} takes its cluster from a header of the request, which may name any version: {as_it_is}"
    if names := mirrored(service, resources):
        yield f"a virtual host copies requests to {', '.join(sorted(names))}: {as_it_is}"


def needed(service: str, resources: Sequence[Json], clusters: Sequence[Json]) -> set[str]:
    """The names of all clusters that routes, or clusters of others, lead to or may lead to; those behind aggregates included."""
    members = {str(one.get("name", "")): _strings(one.get("cluster_type", {})) for one in clusters}
    more = _strings(list(resources)).union(*(behind for name, behind in members.items() if not owns(service, name)))
    if _by_header(list(resources)):
        more |= {name for name in members if owns(service, name) and is_version(name)}
    names: set[str] = set()
    while more - names:
        names |= more
        more = set[str]().union(*(members.get(name, ()) for name in more))
    return names


def led(
    service: str,
    resources: Sequence[Json],
    own: Sequence[Json],
    like: Callable[[Json], Json],
    stays: Callable[[str], bool],
) -> list[Json]:
    """The resources with every entry but ``own`` pointed as the one that ``like`` gives for it, if it reaches what that one does not.

    Whole virtual hosts copy to those of the service's clusters that ``stays`` says.
    """
    changed = copy.deepcopy(list(resources))
    for holder in _holders(changed):
        _unmirror(service, holder, stays)
        if "routes" in holder:
            holder["routes"] = [
                entry if entry in own else _led(service, entry, like(entry)) for entry in holder["routes"]
            ]
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
    _unmirror(service, action, keep.__contains__)
    return {**entry, "route": action}


def _unmirror(service: str, holder: Json, stays: Callable[[str], bool]) -> None:
    for key, policies in fields(holder, MIRRORS).items():
        kept = [one for one in policies if all(map(stays, _ours(service, one)))] if isinstance(policies, list) else []
        holder[key] = kept
        if not kept:
            del holder[key]


def _holders(resources: Sequence[Json]) -> list[Json]:
    """The tables of routes, and their virtual hosts."""
    return [one for config in resources for one in (config, *config.get("virtual_hosts", []))]


def _by_header(value: object) -> bool:
    """Whether a request's header says which cluster it goes to, or is copied to."""
    if isinstance(value, dict):
        return bool(fields(value, "cluster_header")) or any(map(_by_header, value.values()))
    return isinstance(value, list) and any(map(_by_header, value))


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
