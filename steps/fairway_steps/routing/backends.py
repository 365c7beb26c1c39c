"""Versions as Envoy's clusters and endpoints (xDS JSON). Pure.

A version is a cluster ``SERVICE/VERSION``. The *fallback* is the version that had all of the traffic before the
split; every other version is reached through an *arm*, an aggregate cluster ``SERVICE/VERSION+FALLBACK``: a request
that the version gave no answer to (it refused the connection, or broke it) is tried again on the fallback, so a
crashing candidate costs users nothing. Copies of requests go to ``SERVICE/VERSION@mirror``, which has no fallback.
An arm counts under the name of its version, so that a version has one set of statistics.
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/aggregate_cluster
"""

import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from fairway_steps.envoy_admin import mirror_stat_name, stat_name
from fairway_steps.errors import UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.schedule import COLLECTOR

Json = dict[str, Any]
TYPE = "type.googleapis.com/envoy."
METADATA = "fairway"
# Envoy's default of three retries at a time would lose requests of a dead candidate under load.
_LIMITS = {"max_connections": 65536, "max_pending_requests": 65536, "max_requests": 65536, "max_retries": 65536}
# Below the keep-alive of common model servers (gunicorn 2 s, uvicorn 5 s), so that Envoy, not they, closes a
# connection that idles, and no request is sent on one that is just being closed.
_IDLE = "1.5s"


def cluster_name(service: str, version: str) -> str:
    return f"{service}/{version}"


def mirror_name(service: str, version: str) -> str:
    return f"{service}/{version}@mirror"


def arm_name(service: str, version: str, fallback: str) -> str:
    """The cluster that a route to ``version`` names."""
    name = cluster_name(service, version)
    return name if version == fallback else f"{name}+{fallback}"


def endpoint_file(service: str, version: str) -> str:
    """The name of the file with a version's endpoints; ``~`` is in no name, so no two are the same."""
    return f"{service}~{version}.json"


def version_of(cluster: str) -> str:
    """The version that a cluster of ours stands for."""
    return cluster.rpartition("/")[2].partition("+")[0].partition("@")[0]


def is_version(cluster: str) -> bool:
    """Whether a cluster of ours has servers of its own, and not those of others."""
    return not {"+", "@"}.intersection(cluster)


def owns(service: str, name: object) -> bool:
    """Whether a cluster or a route entry of this name belongs to the service."""
    return isinstance(name, str) and (name == service or name.startswith(service + "/"))


def address(version: Version) -> tuple[SplitResult, str, int]:
    """A version's URI, its host and its port. Raises UsageError for anything but ``http(s)://HOST:PORT``."""
    url, host, port = urlsplit(""), "", 0
    with suppress(ValueError, KeyError):
        url = urlsplit(version.uri)
        default = {"http": 80, "https": 443}[url.scheme]
        host, port = url.hostname or "", url.port or default
    if not host or url.path not in ("", "/") or url.query or url.username:
        raise UsageError(
            f"version {version.name}={version.uri} cannot be routed to by Envoy", mend="write http://HOST:PORT"
        )
    return url, host, port


def place_of(version: Version) -> str:
    """Its address in one way of writing: ``http(s)://HOST:PORT``."""
    url, host, port = address(version)
    return _written(url.scheme, host, port)


def _written(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def places(cluster: Json | None, stored: Json) -> set[str]:
    """Where a stored cluster's servers are, as ``place_of`` writes it; ``stored`` is its file of endpoints, if it has one.

    Empty for a cluster that finds its servers in a way of its own: nothing is known of where they are.
    """
    if cluster is None:
        return set()
    scheme = "https" if "transport_socket" in cluster else "http"
    found = set()
    with suppress(LookupError, AttributeError, TypeError):
        for assignment in [cluster["load_assignment"]] if "load_assignment" in cluster else stored["resources"]:
            for locality in assignment["endpoints"]:
                for server in locality["lb_endpoints"]:
                    at = server["endpoint"]["address"]["socket_address"]
                    found.add(_written(scheme, at["address"], at["port_value"]))
    return found


def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def endpoints(service: str, version: Version) -> Json | None:
    """The ClusterLoadAssignment of a version at an IP address; None for a host name, which Envoy resolves itself."""
    _, host, _ = address(version)
    kind = {"@type": TYPE + "config.endpoint.v3.ClusterLoadAssignment"}
    return kind | _assignment(service, version) if is_ip(host) else None


def clusters(
    service: str, routes: Routes, versions: Mapping[str, Version], fallback: str, folder: str, roots: str
) -> list[Json]:
    """Every cluster that ``routes`` needs. ``folder`` is where the endpoints' files are, ``roots`` a CA bundle."""
    sent = set(routes.weights) | {match.version for match in routes.matches}
    mirrored = {routes.mirror.version} if routes.mirror else set()
    return [
        *(
            _cluster(service, versions[name], folder, roots, collects=name == COLLECTOR and name not in sent)
            for name in sorted(sent | mirrored)
        ),
        *(
            _aggregate(arm_name(service, name, fallback), stat_name(service, name), service, (name, fallback))
            for name in sorted(sent - {fallback})
        ),
        *(
            _aggregate(mirror_name(service, name), mirror_stat_name(service, name), service, (name,))
            for name in sorted(mirrored)
        ),
    ]


def _assignment(service: str, version: Version) -> Json:
    _, host, port = address(version)
    return {
        "cluster_name": cluster_name(service, version.name),
        "endpoints": [
            {
                "lb_endpoints": [
                    {
                        "endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}},
                        "metadata": {"filter_metadata": {METADATA: {"version": version.name}}},
                    }
                ]
            }
        ],
    }


def _base(name: str, counted_as: str) -> Json:
    return {
        "@type": TYPE + "config.cluster.v3.Cluster",
        "name": name,
        "alt_stat_name": counted_as,
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [dict(_LIMITS)]},
    }


def _cluster(service: str, version: Version, folder: str, roots: str, *, collects: bool) -> Json:
    url, host, _ = address(version)
    cluster = _base(cluster_name(service, version.name), stat_name(service, version.name))
    cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
    options: Json = {
        "@type": TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": _IDLE},
    }
    if collects:  # it speaks HTTP/1.1, whatever clients do
        options["explicit_http_config"] = {"http_protocol_options": {}}
    else:  # gRPC clients reach a gRPC server, HTTP/1.1 clients an HTTP/1.1 one
        options["use_downstream_protocol_config"] = {"http_protocol_options": {}, "http2_protocol_options": {}}
    cluster["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
    if is_ip(host):
        path = f"{folder}/{endpoint_file(service, version.name)}"
        source = {"path_config_source": {"path": path, "watched_directory": {"path": folder}}}
        cluster |= {"type": "EDS", "eds_cluster_config": {"eds_config": source | {"resource_api_version": "V3"}}}
    else:
        # Servers that are given no address listen on 0.0.0.0, few on ::; a name such as localhost has both.
        cluster |= {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}
        cluster["load_assignment"] = _assignment(service, version)
    if url.scheme == "https":
        cluster["transport_socket"] = _tls(host, roots)
    return cluster


def _aggregate(name: str, counted_as: str, service: str, members: Sequence[str]) -> Json:
    config = {
        "@type": TYPE + "extensions.clusters.aggregate.v3.ClusterConfig",
        "clusters": [cluster_name(service, member) for member in members],
    }
    kind = {"name": "envoy.clusters.aggregate", "typed_config": config}
    return _base(name, counted_as) | {"lb_policy": "CLUSTER_PROVIDED", "cluster_type": kind}


def _tls(host: str, roots: str) -> Json:
    name = {"san_type": "IP_ADDRESS" if is_ip(host) else "DNS", "matcher": {"exact": host}}
    checks = {"trusted_ca": {"filename": roots}, "match_typed_subject_alt_names": [name]}
    config: Json = {
        "@type": TYPE + "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {"validation_context": checks},
    }
    if not is_ip(host):
        config["sni"] = host
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}
