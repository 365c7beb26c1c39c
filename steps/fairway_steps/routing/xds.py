"""Routes as Envoy's route entries (xDS JSON), and back. Pure.

What Fairway owns is the entry named after the service, the entries ``SERVICE/match/N`` with its metadata, and the clusters
``SERVICE/…``. In its entry it owns the split, the mirroring to its own clusters, the hashing while sticky, the prefix
of its statistics, and one response header; all other fields stay, a retry policy that is already there too. An answer of a version, be it a 500, is
never retried: it is the version's own.
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto
"""

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fairway_steps.model import HeaderMatch, Mirror, Routes, Stickiness
from fairway_steps.routing import others
from fairway_steps.routing.backends import METADATA, TYPE, arm_name, mirror_name, owns, version_of

Json = dict[str, Any]
Share = tuple[str, int]
VERSION_HEADER = "x-fairway-version"
RETRY: Json = {
    "retry_on": "connect-failure,refused-stream,reset",
    "num_retries": 2,
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": TYPE + "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}
_SPLIT = ("cluster", "weighted_clusters", "cluster_header", "inline_cluster_specifier_plugin")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service's entries are: the route configuration, the virtual host, and the entries, its own one last."""

    config: str
    host: str
    own: tuple[Json, ...]


def find(service: str, resources: Sequence[Json]) -> Place | None:
    """The one route entry named after the service, with its matches; None if there is none. ValueError for several."""
    found = [
        Place(config.get("name", ""), host.get("name", ""), _own(service, host))
        for config in resources
        for host in config.get("virtual_hosts", [])
        if any(entry.get("name") == service for entry in host.get("routes", []))
    ]
    if len(found) > 1 or any([entry["name"] for entry in place.own].count(service) > 1 for place in found):
        raise ValueError(f"more than one route entry named {service!r}")
    return found[0] if found else None


def placed(service: str, resources: Sequence[Json], own: Sequence[Json]) -> list[Json]:
    """The resources with the service's entries replaced by ``own``, where its own one stands; all else as it was."""
    changed = copy.deepcopy(list(resources))
    for config in changed:
        for host in config.get("virtual_hosts", []):
            routes = host.get("routes", [])
            if any(entry.get("name") == service for entry in routes):
                host["routes"] = [
                    kept
                    for entry in routes
                    if not is_ours(service, entry) or entry["name"] == service
                    for kept in (own if entry.get("name") == service else [entry])
                ]
    return changed


def is_ours(service: str, entry: Json) -> bool:
    """Whether a route entry is the service's own, or one that Fairway made before it."""
    name = str(entry.get("name", ""))
    made = re.fullmatch(rf"{re.escape(service)}/match/\d+", name) and METADATA in _metadata(entry)
    return name == service or bool(made)


def beside(service: str, resources: Sequence[Json]) -> list[Json]:
    """The route entries of others, in all virtual hosts."""
    return [entry for entry in others.entries(resources) if not is_ours(service, entry)]


def _metadata(entry: Json) -> Json:
    return dict((entry.get("metadata") or {}).get("filter_metadata") or {})


def _own(service: str, host: Json) -> tuple[Json, ...]:
    own = [entry for entry in host.get("routes", []) if is_ours(service, entry)]
    return tuple(sorted(own, key=lambda entry: entry["name"] == service))


def fallback_of(routes: Routes, current: Routes, noted: str) -> str:
    """The version that answers where another does not: the noted one, else the one that has all traffic now."""
    alone = next(iter(current.weights), "") if len(current.weights) == 1 else ""
    return next(name for name in (noted, alone, *routes.weights) if name in routes.weights)


def entries(service: str, routes: Routes, template: Json, fallback: str, fence: int) -> list[Json]:
    """The service's own route entries, made from its present one, whose other fields they keep."""
    shares = sorted(routes.weights.items(), key=lambda item: item[0] != fallback)
    if routes.sticky:
        shares = ring(_split_of(service, template.get("route", {})), dict(shares))
    plain = _plain(service, template, fallback, fence)
    matched = [_matched(service, plain, match, fallback, i) for i, match in enumerate(routes.matches)]
    action: Json = plain["route"]
    action["weighted_clusters"] = {
        "clusters": [{"name": arm_name(service, name, fallback), "weight": weight} for name, weight in shares]
    }
    if routes.sticky:
        action["weighted_clusters"]["use_hash_policy"] = True
        users = others.fields(action, "hash_policy")
        plain["metadata"]["filter_metadata"][METADATA] |= users
        action = plain["route"] = {key: value for key, value in action.items() if key not in users}
        action["hash_policy"] = [_hash_policy(routes.sticky)]
    if routes.mirror:
        share = {"default_value": {"numerator": routes.mirror.percent, "denominator": "HUNDRED"}}
        policy = {"cluster": mirror_name(service, routes.mirror.version), "runtime_fraction": share}
        action["request_mirror_policies"] = [*action.get("request_mirror_policies", []), policy]
    return [*matched, plain]


def ring(before: Sequence[Share], wanted: Mapping[str, int]) -> list[Share]:
    """The shares that ``wanted`` asks for, each version where it was ``before`` as far as it may stay there.

    A user's hash falls on one of a hundred places in this order, so as few users as can be change their version: of one that gains they are
    new, of one that leaves they are shared out, and nobody moves between two others. A version may stand in several places.
    """
    left, places = dict(wanted), list[Share]()
    for name, weight in before:
        kept = min(weight, left.get(name, 0))
        left[name] = left.get(name, 0) - kept
        places += [(name, kept), ("", weight - kept)]
    gaining = iter([name for name, weight in left.items() for _ in range(weight)])
    spread = [place or next(gaining, "") for place, weight in places for _ in range(weight)]
    return [(name, len(list(same))) for name, same in groupby([*spread, *gaining]) if name]


def decode(service: str, own: Sequence[Json]) -> Routes:
    """The Routes that the service's own entries carry. Raises ValueError naming what Fairway does not know."""
    action = own[-1].get("route", {})
    matches = tuple(_decode_match(service, entry) for entry in own[:-1])
    split = action.get("weighted_clusters", {})
    weights: dict[str, int] = {}
    for name, weight in _split_of(service, action) if split else [(_version(service, action.get("cluster")), 100)]:
        weights[name] = weights.get(name, 0) + weight
    if sum(weights.values()) != 100:
        raise ValueError(f"weights that add up to {sum(weights.values())}, not 100")
    mirrors = [p for p in action.get("request_mirror_policies", []) if owns(service, p.get("cluster"))]
    mirror = mirrors[0] if mirrors else None
    return Routes(
        weights={name: weight for name, weight in weights.items() if weight},
        matches=matches,
        mirror=Mirror(_version(service, mirror["cluster"]), _percent(mirror)) if mirror else None,
        sticky=_decode_sticky(action["hash_policy"][0]) if split.get("use_hash_policy") else None,
    )


def noted(own: Sequence[Json]) -> Json:
    """What Fairway keeps beside the route: ``fence`` (the highest token seen), ``fallback`` and, while sticky, the user's own ``hash_policy``."""
    return dict(_metadata(own[-1] if own else {}).get(METADATA, {}))


def fenced(entry: Json, token: int) -> Json:
    """The entry with this token, and all else of it as it was."""
    changed = copy.deepcopy(entry)
    changed.setdefault("metadata", {}).setdefault("filter_metadata", {}).setdefault(METADATA, {})["fence"] = token
    return changed


def _plain(service: str, template: Json, fallback: str, fence: int) -> Json:
    entry = copy.deepcopy(template)
    entry["name"] = service
    entry["stat_prefix"] = service.replace(".", "_")
    own = {"fence": fence, "fallback": fallback}
    entry.setdefault("metadata", {}).setdefault("filter_metadata", {})[METADATA] = own
    headers = [h for h in entry.get("response_headers_to_add", []) if h.get("header", {}).get("key") != VERSION_HEADER]
    value = f"%UPSTREAM_METADATA({METADATA}:version)%"
    header = {
        "header": {"key": VERSION_HEADER, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    entry["response_headers_to_add"] = [*headers, header]
    action: Json = entry.setdefault("route", {})
    if action.get("weighted_clusters", {}).get("use_hash_policy"):
        action.pop("hash_policy", None)
        action |= others.fields(noted([template]), "hash_policy")
    for field in _SPLIT:
        action.pop(field, None)
    action.setdefault("retry_policy", copy.deepcopy(RETRY))
    foreign = [p for p in action.pop("request_mirror_policies", []) if not owns(service, p.get("cluster"))]
    if foreign:
        action["request_mirror_policies"] = foreign
    return entry


def _matched(service: str, plain: Json, match: HeaderMatch, fallback: str, index: int) -> Json:
    entry = copy.deepcopy(plain)
    entry["name"] = f"{service}/match/{index}"
    header = {"name": match.name, "string_match": {"exact": match.value}}
    entry["match"]["headers"] = [*entry["match"].get("headers", []), header]
    entry["route"]["cluster"] = arm_name(service, match.version, fallback)
    return entry


def _decode_match(service: str, entry: Json) -> HeaderMatch:
    header = entry["match"]["headers"][-1]
    return HeaderMatch(header["name"], header["string_match"]["exact"], _version(service, entry["route"]["cluster"]))


def _hash_policy(sticky: Stickiness) -> Json:
    if sticky.cookie:
        return {"cookie": {"name": sticky.cookie}}
    return {"header": {"header_name": sticky.header}}


def _decode_sticky(policy: Json) -> Stickiness:
    return Stickiness(
        cookie=policy.get("cookie", {}).get("name", ""), header=policy.get("header", {}).get("header_name", "")
    )


def _percent(mirror: Json) -> int:
    """How much is copied: all, where nothing is said."""
    fraction = mirror.get("runtime_fraction", {"default_value": {"numerator": 100}})["default_value"]
    whole = {"TEN_THOUSAND": 100, "MILLION": 10_000}.get(fraction.get("denominator"), 1)
    return math.ceil(int(fraction.get("numerator", 0)) / whole)


def _split_of(service: str, action: Json) -> list[Share]:
    """The weights that an entry has, in its order; nothing where it has one backend."""
    clusters = action.get("weighted_clusters", {}).get("clusters", [])
    return [(_version(service, cluster["name"]), int(cluster.get("weight", 0))) for cluster in clusters]


def _version(service: str, cluster: object) -> str:
    if not isinstance(cluster, str) or not cluster.startswith(service + "/"):
        raise ValueError(f"the backend {cluster!r}, which is none of {service}/…")
    return version_of(cluster)
