"""Whether what a route is to point at is there, as far as we may see it: proxies answer 500 or 503 where it is not."""

import logging

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.errors import DomainError, Refused

LOG = logging.getLogger(__name__)
GRANT = ("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant")


def refuse_missing(cluster: Cluster, route: Reference, namespace: str, service: str, port: int) -> None:
    """Raise Refused for a Service that does not exist, or has not the port; a ``port`` of 0 may be any."""
    at = Reference.of("service", namespace, service)
    try:
        found = cluster.get(at)
    except DomainError as error:
        LOG.debug("the Service is not for us to see: %s", error)
        return
    if found is None:
        raise Refused(f"{route} would point at {at}, which does not exist", mend="make it first, or name another")
    ports = [one.get("port") for one in found["spec"].get("ports") or ()]
    if port and ports and port not in ports:
        raise Refused(
            f"{route} would point at port {port} of {at}, which has {' and '.join(map(str, ports))}",
            mend="write the version with ?port=NUMBER",
        )


def refuse_ungranted(cluster: Cluster, route: Reference, namespace: str, service: str) -> None:
    """Raise Refused for a Service of another namespace which no ReferenceGrant there lets the route point at.

    https://gateway-api.sigs.k8s.io/api-types/referencegrant/
    """
    try:
        grants = cluster.list(Reference(*GRANT, namespace)) if namespace != route.namespace else None
    except DomainError as error:
        LOG.debug("ReferenceGrants are not for us to see: %s", error)
        return
    if grants is not None and not any(_lets(one, route, service) for one in grants):
        raise Refused(
            f"no ReferenceGrant in {namespace} lets {route} point at the Service {service} there",
            mend=f"make one with from: [{{group: {route.group}, kind: {route.kind}, namespace: {route.namespace}}}] and "
            "to: [{group: '', kind: Service}]",
        )


def _lets(grant: Manifest, route: Reference, service: str) -> bool:
    asking = {"group": route.group, "kind": route.kind, "namespace": route.namespace}
    who = any(asking.items() <= one.items() for one in grant["spec"].get("from") or ())
    what = [one for one in grant["spec"].get("to") or () if (one.get("group", ""), one["kind"]) == ("", "Service")]
    return who and any(one.get("name", "") in ("", service) for one in what)
