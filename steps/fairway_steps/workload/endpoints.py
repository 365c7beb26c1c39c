"""The ready endpoints of a Service: what its EndpointSlices say.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/: an endpoint without a ``ready`` condition is
ready; a terminating one is not.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.workload.place import Place
from fairway_steps.workload.pods import labels_of

OF_SERVICE = "kubernetes.io/service-name"


def slices_of(namespace: str, service: str) -> tuple[Reference, dict[str, str]]:
    """What to list or watch for a Service's EndpointSlices: the kind, and its labels."""
    return Reference("discovery.k8s.io", "v1", "EndpointSlice", namespace), {OF_SERVICE: service}


def ready(slices: Iterable[Manifest]) -> tuple[str, ...]:
    """``ADDRESS:PORT`` of each ready endpoint, sorted; IPv6 in brackets. The port is the slice's first (``Serving``)."""
    return _addresses(slices, lambda endpoint: (endpoint.get("conditions") or {}).get("ready", True) is not False)


def every(slices: Iterable[Manifest]) -> tuple[str, ...]:
    """``ADDRESS:PORT`` of each endpoint, ready or not."""
    return _addresses(slices, bool)


def _addresses(slices: Iterable[Manifest], wanted: Callable[[Manifest], bool]) -> tuple[str, ...]:
    found = set()
    for one in slices:
        port = next((p["port"] for p in one.get("ports") or () if p.get("port")), 0)
        for endpoint in one.get("endpoints") or ():
            if wanted(endpoint):
                found |= {f"[{a}]:{port}" if ":" in a else f"{a}:{port}" for a in endpoint["addresses"]}
    return tuple(sorted(found))


def ready_endpoints(cluster: Cluster, at: Place) -> Sequence[str]:
    """The ready endpoints of a version now."""
    found = _found(cluster, at)
    return ready(among(found, _names(cluster, at)) if at.subset else found)


def all_endpoints(cluster: Cluster, at: Place) -> Sequence[str]:
    """The endpoints now, ready or not: one that has just failed its probe has still counted requests."""
    found = _found(cluster, at)
    return every(among(found, _names(cluster, at)) if at.subset else found)


def among(slices: Iterable[Manifest], names: Collection[str]) -> list[Manifest]:
    """The slices with the endpoints of these pods alone: versions that are subsets share a Service."""
    return [
        {**one, "endpoints": [e for e in one.get("endpoints") or () if (e.get("targetRef") or {}).get("name") in names]}
        for one in slices
    ]


class Serving:
    """Slices with that port alone which a route points at: a Service may have others, such as its metrics'.

    Its name is asked for once, and only of such a Service.
    """

    def __init__(self, cluster: Cluster, at: Place) -> None:
        self._cluster, self._at = cluster, at
        self._name: str | None = None

    def __call__(self, slices: Iterable[Manifest]) -> list[Manifest]:
        return [{**one, "ports": self._served(one.get("ports") or ())} for one in slices]

    def _served(self, ports: Sequence[Manifest]) -> Sequence[Manifest]:
        if len(ports) < 2:
            return ports
        if self._name is None:
            service = self._cluster.get(self._at.backend) or {}
            listed = (service.get("spec") or {}).get("ports") or ()
            self._name = next((port.get("name", "") for port in listed if port["port"] == self._at.port), "")
        return [port for port in ports if port.get("name", "") == self._name] or ports


def _found(cluster: Cluster, at: Place) -> list[Manifest]:
    kind, labels = slices_of(at.ref.namespace, at.service)
    return Serving(cluster, at)(cluster.list(kind, labels=labels))


def _names(cluster: Cluster, at: Place) -> Collection[str]:
    labels = labels_of(cluster.get(at.ref), at)
    if not labels:
        return ()
    kind = Reference("", "v1", "Pod", at.ref.namespace)
    return {pod["metadata"]["name"] for pod in cluster.list(kind, labels=labels)}
