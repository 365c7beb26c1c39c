"""The ready endpoints of a Service: what its EndpointSlices say.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/: an endpoint without a ``ready`` condition is
ready; a terminating one is not.
"""

from collections.abc import Callable, Iterable, Sequence

from fairway_steps.cluster import Cluster, Manifest, Reference

OF_SERVICE = "kubernetes.io/service-name"


def slices_of(namespace: str, service: str) -> tuple[Reference, dict[str, str]]:
    """What to list or watch for a Service's EndpointSlices: the kind, and its labels."""
    return Reference("discovery.k8s.io", "v1", "EndpointSlice", namespace), {OF_SERVICE: service}


def ready(slices: Iterable[Manifest]) -> tuple[str, ...]:
    """``ADDRESS:PORT`` of each ready endpoint, sorted; IPv6 in brackets. The port is the slice's first."""
    return _addresses(slices, lambda endpoint: (endpoint.get("conditions") or {}).get("ready", True) is not False)


def _addresses(slices: Iterable[Manifest], wanted: Callable[[Manifest], bool]) -> tuple[str, ...]:
    found = set()
    for one in slices:
        port = next((p["port"] for p in one.get("ports") or () if p.get("port")), 0)
        for endpoint in one.get("endpoints") or ():
            if wanted(endpoint):
                found |= {f"[{a}]:{port}" if ":" in a else f"{a}:{port}" for a in endpoint["addresses"]}
    return tuple(sorted(found))


def ready_endpoints(cluster: Cluster, namespace: str, service: str) -> Sequence[str]:
    """The ready endpoints now."""
    kind, labels = slices_of(namespace, service)
    return ready(cluster.list(kind, labels=labels))


def all_endpoints(cluster: Cluster, namespace: str, service: str) -> Sequence[str]:
    """The endpoints now, ready or not: one that has just failed its probe has still counted requests."""
    kind, labels = slices_of(namespace, service)
    return _addresses(cluster.list(kind, labels=labels), bool)
