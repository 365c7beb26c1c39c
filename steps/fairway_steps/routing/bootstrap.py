"""A fresh folder for an Envoy that reads its routes from files, and an Envoy to serve it.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/bootstrap/v3/bootstrap.proto
"""

import json
from pathlib import Path

from fairway_steps.envoy_admin import BOOTSTRAP
from fairway_steps.errors import UsageError
from fairway_steps.model import NAME, Routes, Version
from fairway_steps.routing import backends, xds
from fairway_steps.routing.backends import TYPE
from fairway_steps.routing.folder import CLUSTERS, ENDPOINTS, ROUTES, Folder, Json, trusted_roots

STAT_PREFIX = "fairway"
TIMEOUT = "60s"
"""How long a whole answer may take, in a fresh route; an edited one keeps its own."""
LATENCIES = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 30, 32),
    *(34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 55, 58, 60, 63, 66, 69, 72, 75, 78, 82, 86, 90, 94, 100, 110, 120),
    *(130, 140, 150, 160, 170, 180, 190, 200, 210, 220, 230, 240, 250, 260, 280, 300, 320, 340, 360, 380, 400, 420),
    *(440, 460, 480, 500, 520, 550, 580, 600, 630, 660, 690, 720, 750, 780, 820, 860, 900, 940, 1000, 1100, 1200),
    *(1300, 1400, 1500, 1600, 1700, 1800, 1900, 2000),
    *(2500, 3000, 4000, 5000, 7500, 10000, 15000, 20000, 30000, 45000, 60000),
)
"""Upper edges of the latency histogram, in milliseconds: limits of SLOs are best set on one of them.

Close enough for a margin of 10 % from 20 ms on, of 20 % from 100 to 200 ms; all of two significant digits, for Envoy keeps no more.
"""


def parse_address(text: str, what: str) -> tuple[str, int]:
    """``HOST:PORT``. Raises UsageError naming ``what`` it was for."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{what} {text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def write_folder(folder: Path, service: str, primary: Version, listen: str, admin: str) -> None:
    """Make ``folder``, with all of the service's traffic on ``primary``, to be served at ``listen``.

    ``listen`` and ``admin`` are ``HOST:PORT``. Raises UsageError if the folder already has routes.
    """
    if not NAME.fullmatch(service):
        raise UsageError(f"{service!r} is not a service's name (small letters, digits, '-' and '.')")
    files = Folder(folder.absolute())
    bootstrap = _bootstrap(files.path, parse_address(listen, "listen"), parse_address(admin, "admin"))
    routes = Routes({primary.name: 100})
    at = str(files.path / ENDPOINTS)
    endpoints = backends.endpoints(service, primary)
    clusters = backends.clusters(service, routes, {primary.name: primary}, primary.name, at, trusted_roots())
    template = {"match": {"prefix": "/"}, "route": {"timeout": TIMEOUT}}
    host = {"name": service, "domains": ["*"], "routes": xds.entries(service, routes, template, primary.name, 0)}
    table = {"@type": TYPE + "config.route.v3.RouteConfiguration", "name": "routes", "virtual_hosts": [host]}
    if (files.path / ROUTES).exists() or (files.path / BOOTSTRAP).exists():
        raise UsageError(f"folder {files.path} already has routes", mend="serve it as it is, or name another")
    try:
        (files.path / ENDPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"folder {files.path} cannot be made: {error.strerror}") from error
    if endpoints:
        files.write(f"{ENDPOINTS}/{backends.endpoint_file(service, primary.name)}", _response(endpoints))
    files.write(CLUSTERS, _response(*clusters))
    files.write(ROUTES, _response(table))
    files.write(BOOTSTRAP, bootstrap)


def addresses(folder: Path) -> list[tuple[str, int]]:
    """Where the Envoy of a folder listens: its admin interface first, then its listeners."""
    try:
        bootstrap = json.loads((folder / BOOTSTRAP).read_text(encoding="utf-8"))
        places = [bootstrap["admin"], *bootstrap.get("static_resources", {}).get("listeners", [])]
        sockets = [place["address"]["socket_address"] for place in places]
        return [(str(socket["address"]), int(socket["port_value"])) for socket in sockets]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{folder / BOOTSTRAP} cannot be read: {error}") from error


def _bootstrap(folder: Path, listen: tuple[str, int], admin: tuple[str, int]) -> Json:
    manager = {
        "@type": TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STAT_PREFIX,
        "rds": {"route_config_name": "routes", "config_source": _source(folder / ROUTES)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": TYPE + "extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "name": "http",
        "address": _socket(listen),
        # Two Envoys that share a port would each take half of the traffic, silently.
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    buckets = {"match": {"suffix": "upstream_rq_time"}, "buckets": list(LATENCIES)}
    return {
        "node": {"id": "fairway", "cluster": "fairway"},
        "admin": {"address": _socket(admin)},
        # A reading of the statistics brings them up to date; otherwise latencies would be up to 5 s old.
        "stats_flush_on_admin": True,
        "stats_config": {"histogram_bucket_settings": [buckets]},
        "dynamic_resources": {"cds_config": _source(folder / CLUSTERS)},
        "static_resources": {"listeners": [listener]},
    }


def _source(path: Path) -> Json:
    source = {"path": str(path), "watched_directory": {"path": str(path.parent)}}
    return {"path_config_source": source, "resource_api_version": "V3"}


def _socket(address: tuple[str, int]) -> Json:
    return {"socket_address": {"address": address[0], "port_value": address[1]}}


def _response(*resources: Json) -> Json:
    return {"version_info": "1", "resources": list(resources)}
