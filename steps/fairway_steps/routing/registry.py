"""From a route's URI to the back end that carries it; each is imported only when asked for."""

from collections.abc import Callable, Mapping

from fairway_steps.clock import Clock
from fairway_steps.cluster import Cluster, Reference
from fairway_steps.envoy_admin import parse_uri
from fairway_steps.errors import UsageError
from fairway_steps.model import Version
from fairway_steps.routing.base import Router, Served

GATEWAY_API = ("httproute", "grpcroute")
ISTIO = "virtualservice"
KINDS = (*GATEWAY_API, ISTIO)


def in_cluster(uri: str) -> bool:
    """Whether a route is an object of a cluster."""
    return uri.partition("/")[0] in KINDS


def open_router(
    uri: str,
    service: str,
    clock: Clock,
    *,
    versions: Mapping[str, Version] | None = None,
    cluster: Callable[[], Cluster] | None = None,
    counters: Callable[[], Served | None] = lambda: None,
) -> Router:
    """The router of ``envoy:DIR``, or of an object of a cluster: ``httproute/NAMESPACE/NAME`` and its like (``KINDS``).

    In a cluster it is between ``versions``, whose URIs are complete (``workload.lookup``). ``cluster`` is called only for
    a route in one; ``counters`` tells what its versions have served. Raises UsageError for a URI of no known back end.
    """
    scheme, colon, _ = uri.partition(":")
    if scheme == "envoy" and colon:
        from fairway_steps.routing.envoy import EnvoyRouter  # noqa: PLC0415 - only when asked for

        folder, admin = parse_uri(uri)
        return EnvoyRouter(folder, service, admin, clock)
    if uri.startswith(f"{ISTIO}/") and cluster is not None:
        from fairway_steps.routing.istio import IstioRouter  # noqa: PLC0415 - only when asked for

        return IstioRouter(Reference.parse(uri), service, versions or {}, cluster(), clock, counters=counters)
    if in_cluster(uri) and cluster is not None:
        from fairway_steps.routing.gateway_api import GatewayRouter  # noqa: PLC0415 - only when asked for

        return GatewayRouter(Reference.parse(uri), versions or {}, cluster(), clock, counters=counters)
    raise UsageError(
        f"route {uri!r} is of no kind that Fairway knows",
        mend=f"write envoy:DIR, or KIND/NAMESPACE/NAME with a kind of {', '.join(KINDS)}",
    )
