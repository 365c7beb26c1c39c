"""What a running Envoy serves, and how often: reads of its admin interface, for one service."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fairway_steps.clock import Clock
from fairway_steps.envoy_admin import Admin, stat_name
from fairway_steps.routing import xds
from fairway_steps.routing.base import Served

Json = dict[str, Any]
POLL = 0.05
LINGER = 0.3
"""Seconds for which a backend must have been idle: longer than Envoy waits before it tries a request again (25 ms)."""
_ROUTE_LOST = ("upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow", "upstream_rq_timeout")
_CLUSTER_LOST = ("upstream_cx_none_healthy", "upstream_rq_pending_overflow")


class Proxy:
    """The Envoy behind ``admin``. Every method raises TransientError if it answers, but not as it should.

    ``patience`` bounds each wait, in seconds.
    """

    def __init__(self, admin: Admin, service: str, clock: Clock, patience: float) -> None:
        self._admin, self._service, self._clock, self._patience = admin, service, clock, patience

    def wait(self, done: Callable[[], bool]) -> bool:
        """Wait for a condition; False if it did not come true in time."""
        deadline = self._clock.now() + self._patience
        while not done():
            if self._clock.now() >= deadline:
                return False
            self._clock.sleep(POLL)
        return True

    def wait_idle(self, versions: Sequence[str]) -> bool:
        """Wait until no request is under way at these versions, nor about to be tried again."""
        busy = self._clock.now()

        def idle() -> bool:
            nonlocal busy
            if self.busy(versions):
                busy = self._clock.now()
            return self._clock.now() - busy >= LINGER

        return self.wait(idle)

    def uptime(self) -> float | None:
        """Seconds since it started; None if there is none running."""
        info = self._admin.json("/server_info")
        return None if info is None else float(info["uptime_current_epoch"].rstrip("s"))

    def missing(self, clusters: Sequence[Json], endpoints: Mapping[str, Json]) -> list[str]:
        """Which of the clusters it does not know yet, or not at the address that ``endpoints`` gives."""
        listed = (self._admin.json("/clusters?format=json") or {}).get("cluster_statuses", [])
        hosts = {status["name"]: status.get("host_statuses", []) for status in listed}
        return [cluster["name"] for cluster in clusters if not _known(cluster, endpoints.get(cluster["name"]), hosts)]

    def knows(self, clusters: Iterable[str]) -> bool:
        """Whether it knows any of the clusters."""
        listed = (self._admin.json("/clusters?format=json") or {}).get("cluster_statuses", [])
        return bool({status["name"] for status in listed}.intersection(clusters))

    def serves(self, config: str, version_info: str, own: Sequence[Json]) -> bool:
        """Whether the route configuration has this version, and in it the service the routes of these entries."""
        dump = self._admin.json("/config_dump?resource=dynamic_route_configs") or {}
        for served in dump.get("configs", []):
            table = served.get("route_config", {})
            if table.get("name") == config and served.get("version_info") == version_info:
                place = xds.find(self._service, [table])
                return place is not None and xds.decode(self._service, place.own) == xds.decode(self._service, own)
        return False

    def refused(self) -> int:
        """How many updates it has refused since it started."""
        counts = self._admin.stats(r"update_rejected$|update_failure$") or {}
        return sum(n for name, n in counts.items() if not name.startswith("listener_manager"))

    def busy(self, versions: Sequence[str]) -> int:
        """How many requests are under way at these versions."""
        names = "|".join(re.escape(stat_name(self._service, version)) for version in versions)
        counts = self._admin.stats(rf"^cluster\.({names})\.upstream_rq_(pending_)?active$") if names else {}
        return sum((counts or {}).values())

    def served(self, gone: Mapping[str, int]) -> Served | None:
        """Its counters; ``gone`` are those of versions whose backends, and counters with them, were removed.

        ``lost`` are the requests whose last attempt got no answer, those that timed out, and those for which there
        was nowhere to go. An answer that broke off half way is a failure of its version and not among them.
        """
        name = re.escape(self._service.replace(".", "_"))
        counts = self._admin.stats(rf"^cluster\.{name}/|^vhost\..*\.route\.{name}\.upstream_rq|^http\..*\.no_cluster$")
        if counts is None:
            return None
        by_version = dict(gone)
        total = lost = 0
        for key, count in counts.items():
            scope, _, stat = key.rpartition(".")
            nowhere = count if stat == "no_cluster" else 0
            if scope.startswith("vhost."):
                total += count if stat == "upstream_rq_completed" else 0
                lost += count if stat in _ROUTE_LOST else 0
            elif scope.startswith("cluster.") and scope.count(".") == 1 and "@" not in scope:
                version = scope.rpartition("/")[2].replace("_", ".")
                if stat == "upstream_rq_completed":
                    by_version[version] = by_version.get(version, 0) + count
                lost += count if stat in _CLUSTER_LOST else 0
            total, lost = total + nowhere, lost + nowhere
        return Served(by_version, total, lost)


def _known(cluster: Json, endpoint: Json | None, hosts: Mapping[str, list[Json]]) -> bool:
    if cluster["name"] not in hosts:
        return False
    if "cluster_type" in cluster:
        return True
    found = hosts[cluster["name"]]
    if endpoint is None:
        return bool(found)
    wanted = endpoint["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    at = [host["address"]["socket_address"] for host in found]
    return any(a["address"] == wanted["address"] and a["port_value"] == wanted["port_value"] for a in at)
