"""From what people call a version to all that a release needs to know of its place; asked of the cluster once.

A Deployment's Service is the one of its own name, else the only one that selects its pods. KServe calls a predictor's
Service ``NAME-predictor`` (Standard mode), and that of an LLMInferenceService's workload ``NAME-kserve-workload-svc``.
https://kserve.github.io/website/docs/concepts/architecture
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.errors import DomainError, UsageError
from fairway_steps.model import Version
from fairway_steps.workload.place import Place, place, written

TRIED = ("deployment", "inferenceservice", "revision")
"""The kinds a bare name may be of, in this order."""
HTTP = ("http", "h2c", "grpc", "web", "rest")
OF_KSERVE = {"InferenceService": ("-predictor", 80), "LLMInferenceService": ("-kserve-workload-svc", 8000)}
"""By kind, how KServe calls a Service after the object, and its port."""


def lookup(cluster: Cluster, version: Version, *, like: Version | None = None) -> Version:
    """The version with its kind, namespace, Service and port in its URI.

    A bare name is looked for in the cluster's namespace; where there is nothing of it yet, it is of the kind of ``like``.
    Raises UsageError for what cannot be told.
    """
    named = replace(version, uri=_kind(cluster, version.uri, like)) if "/" not in version.uri else version
    at = place(named)
    if not at.complete:
        service = at.service or _service(cluster, at)
        at = replace(at, service=service, port=at.port or _port(cluster, replace(at, service=service)))
    return written(named, at)


def _kind(cluster: Cluster, name: str, like: Version | None) -> str:
    bare, question, options = name.partition("?")
    for kind in TRIED:
        if _there(cluster, Reference.of(kind, cluster.namespace, bare)):
            return f"{kind}/{cluster.namespace}/{bare}{question}{options}"
    if like is None or "/" not in like.uri:
        raise UsageError(
            f"there is neither a Deployment nor an InferenceService nor a Knative revision {bare} in namespace {cluster.namespace}",
            mend="name it in full: deployment/NAMESPACE/NAME",
        )
    return f"{like.uri.partition('?')[0].rpartition('/')[0]}/{bare}{question}{options}"


def _there(cluster: Cluster, ref: Reference) -> bool:
    """Whether there is such an object; a cluster without the kind, or no right to read it, has none for us."""
    try:
        return cluster.get(ref) is not None
    except DomainError:
        return False


def _service(cluster: Cluster, at: Place) -> str:
    if at.ref.kind in OF_KSERVE:
        return f"{at.ref.name}{OF_KSERVE[at.ref.kind][0]}"
    services = cluster.list(Reference.of("service", at.ref.namespace))
    names = {service["metadata"]["name"] for service in services}
    if at.ref.name in names:
        return at.ref.name
    found = cluster.get(at.ref) or {}
    labels = found.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
    selecting = sorted(service["metadata"]["name"] for service in services if _selects(service, labels))
    if len(selecting) == 1:
        return str(selecting[0])
    said = f"several Services select its pods ({', '.join(selecting)})" if selecting else "no Service selects its pods"
    raise UsageError(
        f"{at.ref} has no Service of its own name, and {said}",
        mend=f"make one that selects this version alone, or name it: {at.ref.name}?service=NAME",
    )


def _selects(service: Manifest, labels: Mapping[str, str]) -> bool:
    selector = service.get("spec", {}).get("selector") or {}
    return bool(selector) and selector.items() <= labels.items()


def _port(cluster: Cluster, at: Place) -> int:
    service = cluster.get(at.backend)
    if service is None:
        if at.ref.kind in OF_KSERVE:
            return OF_KSERVE[at.ref.kind][1]
        raise UsageError(f"there is no {at.backend}", mend=f"make it, or name another: {at.ref.name}?service=NAME")
    ports = service.get("spec", {}).get("ports") or []
    likely = ports if len(ports) == 1 else [port for port in ports if _is_http(port)]
    if len(likely) == 1:
        return int(likely[0]["port"])
    raise UsageError(
        f"{at.backend} has the ports {_listed(ports)}, and which one serves inference is not to be told",
        mend=f"name it: {at.ref.name}?port=NUMBER",
    )


def _is_http(port: Manifest) -> bool:
    return str(port.get("appProtocol") or port.get("name", "")).lower().startswith(HTTP)


def _listed(ports: Iterable[Manifest]) -> str:
    return ", ".join(f"{port.get('name', '')} {port['port']}".strip() for port in ports) or "none"
