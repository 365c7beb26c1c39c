"""From a route's URI to the back end that carries it; each is imported only when asked for."""

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fairway_steps.clock import Clock
from fairway_steps.cluster import Cluster, Reference
from fairway_steps.envoy_admin import parse_uri
from fairway_steps.errors import UsageError
from fairway_steps.model import Version
from fairway_steps.routing.base import Capabilities, Router, Served

if TYPE_CHECKING:
    from fairway_steps.routing.stored import StoredRouter

KINDS = {
    "httproute": ("gateway_api", "GatewayRouter"),
    "grpcroute": ("gateway_api", "GrpcRouter"),
    "virtualservice": ("istio", "IstioRouter"),
    "ksvc": ("knative", "KnativeRouter"),
    "inferenceservice": ("kserve", "KServeRouter"),
    "llminferenceservice": ("kserve_llm", "LlmRouter"),
}
"""What a route in a cluster may be, and the module and class of the back end that carries it."""


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
    if in_cluster(uri) and cluster is not None:
        ref = Reference.parse(uri)
        return _back_end(uri.partition("/")[0])(ref, service, versions or {}, cluster(), clock, counters=counters)
    raise _unknown(uri)


def capabilities_of(uri: str) -> Capabilities:
    """What the back end of a route can carry, as far as its kind tells. Raises UsageError for a URI of no known back end."""
    if uri.startswith("envoy:"):
        from fairway_steps.routing.envoy import EnvoyRouter  # noqa: PLC0415 - only when asked for

        return EnvoyRouter.capabilities
    if in_cluster(uri):
        return _back_end(uri.partition("/")[0]).capabilities
    raise _unknown(uri)


def _unknown(uri: str) -> UsageError:
    return UsageError(
        f"route {uri!r} is of no kind that Fairway knows",
        mend=f"write envoy:DIR, or KIND/NAMESPACE/NAME with a kind of {', '.join(KINDS)}",
    )


def _back_end(kind: str) -> "type[StoredRouter]":
    """The class of a kind's back end, imported now: no step needs two of them."""
    module = importlib.import_module(f"fairway_steps.routing.{KINDS[kind][0]}")
    found: type[StoredRouter] = getattr(module, KINDS[kind][1])
    return found
