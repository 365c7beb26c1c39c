"""A route of Gateway API in tests: its objects, and in place of a Gateway's controller somebody who accepts each generation.

Works over the cluster in memory and over a real API server with the real CRDs (from KUBECONFIG's cluster, or from Envoy
Gateway's chart that the lab has fetched).
"""

import copy
import itertools
import json
import os
from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from api_server import CACHE
from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.model import Version
from fakes_routing import eventually

COUNT = itertools.count()
CONTROLLER = "fairway.test/controller"
SLICE = ("discovery.k8s.io", "v1", "EndpointSlice")


def rules(kind: str, primary: str) -> list[dict[str, Any]]:
    """Rules as users write them: two that point at the service, one that does not, and fields that are not ours."""
    backend = {"group": "", "kind": "Service", "name": primary, "port": 8080, "weight": 1}
    other = {"group": "", "kind": "Service", "name": "other", "port": 1, "weight": 1}
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-team", "value": "iris"}]}}
    if kind == "GRPCRoute":
        method = {"type": "Exact", "service": "inference.GRPCInferenceService"}
        return [
            {
                "matches": [{"method": {**method, "method": "ModelInfer"}}],
                "filters": [header],
                "backendRefs": [backend],
            },
            {"matches": [{"method": {**method, "service": "other.Service"}}], "backendRefs": [other]},
            {"backendRefs": [copy.deepcopy(backend)]},
        ]
    return [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/v2"}, "method": "POST"}],
            "filters": [header],
            "timeouts": {"request": "7s"},
            "backendRefs": [backend],
        },
        {"matches": [{"path": {"type": "Exact", "value": "/other"}}], "backendRefs": [other]},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [copy.deepcopy(backend)]},
    ]


class GatewayLab:
    """One route between versions, each a Service with one ready endpoint."""

    def __init__(self, cluster: Cluster, kind: str = "httproute", names: tuple[str, ...] = ("v1", "v2.1")) -> None:
        self.cluster, self.kind = cluster, kind
        mark = f"fw-{os.getpid()}-{next(COUNT)}"
        self.services = {name: f"{mark}-{letter}" for name, letter in zip(names, "abcdefgh", strict=False)}
        self.versions = {
            name: Version(name, f"deployment/{cluster.namespace}/{service}?service={service}&port=8080")
            for name, service in self.services.items()
        }
        self.ref = Reference.of(kind, cluster.namespace, mark)
        for service in self.services.values():
            self._service(service, 8080)
            self.endpoints(service, ready=True)
        # A real Gateway's controller would judge the route by Services that are none: this one is nobody's.
        gateway = "eg" if hasattr(cluster, "edit") else mark
        self._create(self.ref, self.route(gateway, names))
        self.accept()

    def route(self, gateway: str, names: tuple[str, ...]) -> Manifest:
        """The route as its owner made it: all traffic to the first version."""
        return {
            "metadata": {"annotations": {"theirs": "1"}, "labels": {"app": "iris"}},
            "spec": {
                "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway}],
                "hostnames": ["iris.example.com"],
                "rules": rules(self.ref.kind, self.services[names[0]]),
            },
        }

    def endpoints(self, service: str, *, ready: bool) -> None:
        """Make a Service's endpoint ready, or not."""
        write_endpoints(self.cluster, service, ready=ready)

    def accept(self, **conditions: str) -> None:
        """What a controller writes once it has taken up the route: ``Accepted="False:NoMatchingParent:why"`` refuses."""
        found = self.stored()
        told = [
            {
                "type": kind,
                "status": (said := conditions.get(kind, "True:Fine:").split(":"))[0],
                "reason": said[1],
                "message": said[2],
                "observedGeneration": found["metadata"]["generation"],
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parent = {"parentRef": found["spec"]["parentRefs"][0], "controllerName": CONTROLLER, "conditions": told}
        self._status({"status": {"parents": [parent]}})

    def stored(self) -> Manifest:
        found = self.cluster.get(self.ref)
        assert found is not None
        return found

    def edit(self, patch: Manifest) -> None:
        """Change the route as somebody else."""
        edit = getattr(self.cluster, "edit", self.cluster.patch)
        edit(self.ref, patch)

    def foreign(self) -> object:
        """All of the route that is not ours, as it is stored."""
        found = copy.deepcopy(dict(self.stored()))
        metadata = found["metadata"]
        rest = {key: metadata[key] for key in ("labels", "name", "namespace")}
        annotations = {k: v for k, v in metadata["annotations"].items() if not k.startswith("fairway/")}
        services = set(self.services.values())
        kept = []
        for rule in found["spec"]["rules"]:
            if str(rule.get("name", "")).startswith("fairway-"):
                continue
            if {ref["name"] for ref in rule["backendRefs"]} & services:
                rule.pop("backendRefs")
                filters = [f for f in rule.pop("filters", []) if f["type"] != "RequestMirror"]
                rule.update({"filters": filters} if filters else {})
            kept.append(rule)
        return rest, annotations, found["spec"] | {"rules": kept}

    def _service(self, name: str, port: int) -> None:
        """A Service, if it is not there yet."""
        self.cluster.apply(Reference.of("service", self.cluster.namespace, name), {"spec": {"ports": [{"port": port}]}})

    def share(self, service: str) -> None:
        """The rule that is not ours becomes another service's: all its traffic to ``service``."""
        stored = self.stored()["spec"]["rules"]
        stored[1]["backendRefs"] = [{"group": "", "kind": "Service", "name": service, "port": 8080, "weight": 1}]
        self.edit({"spec": {"rules": stored}})

    def spec(self) -> object:
        """The whole spec as it is stored."""
        return self.stored()["spec"]

    def collector(self) -> Version:
        """A collector's Service, with a ready endpoint."""
        self.endpoints("fw-collector", ready=True)
        self._service("fw-collector", 8090)
        return Version("collector", f"service/{self.cluster.namespace}/fw-collector?service=fw-collector&port=8090")

    def rules(self) -> list[dict[str, Any]]:
        """The rules as they are stored."""
        return list(self.stored()["spec"]["rules"])

    def backends(self) -> list[list[tuple[str, int]]]:
        """The backends of each rule, with their weights."""
        return [[(r["name"], r["weight"]) for r in rule["backendRefs"]] for rule in self.stored()["spec"]["rules"]]

    def close(self) -> None:
        self.cluster.delete(self.ref)
        for service in self.services.values():
            self.cluster.delete(Reference.of("service", self.cluster.namespace, service))
            self.cluster.delete(Reference(*SLICE, self.cluster.namespace, f"{service}-1"))

    def _create(self, ref: Reference, manifest: Manifest) -> None:
        self.cluster.create(ref, manifest)

    def _status(self, patch: Manifest) -> None:
        write_status(self.cluster, self.ref, patch)


def write_status(cluster: Any, ref: Reference, patch: Manifest) -> None:
    """Write an object's status, as its controller."""
    if hasattr(cluster, "edit"):
        cluster.edit(ref, patch)
        return
    path = cluster._path(ref, many=False) + "/status"
    answer = cluster._open("PATCH", path, {}, patch, "application/merge-patch+json", (3.0, 20.0))
    assert answer.status == 200, answer.read()
    answer.release_conn()


def write_endpoints(cluster: Any, service: str, *, ready: bool = True, pods: Sequence[str] = ("pod",)) -> Reference:
    """A Service's endpoints, one of each pod, ready or not."""
    ref = Reference(*SLICE, cluster.namespace, f"{service}-1")
    found = {
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [f"198.18.0.{number}"],
                "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "name": pod},
            }
            for number, pod in enumerate(pods, 7)
        ],
    }
    cluster.apply(ref, found, force=True)
    return ref


DEFINITIONS = {
    "gateway.networking.k8s.io": "envoy-gateway-*/charts/gateway-helm/crds/gatewayapi-crds.yaml",
    "networking.istio.io": "istio-*/kubernetes/customresourcedefinitions.gen.yaml",
    "serving.knative.dev": "knative-*/config/core/300-resources/*.yaml",
    "serving.kserve.io": "kserve-*/config/crd/full/**/*.yaml",
}
"""Where the lab keeps the definitions of each group."""


def install_crds(
    cluster: Any,
    group: str = "gateway.networking.k8s.io",
    plurals: tuple[str, ...] = ("httproutes", "grpcroutes", "gateways", "referencegrants"),
) -> None:
    """The CRDs of a group in a real API server, if they are not there yet."""
    files = sorted(CACHE.glob(f"lab/{DEFINITIONS[group]}"))
    wanted = [f"{plural}.{group}" for plural in plurals]
    missing = [name for name in wanted if not _defined(cluster, name)]
    found: dict[str, Any] = {}
    for file in files if missing else ():
        every = [crd for crd in yaml.safe_load_all(file.read_text()) if crd and "names" in crd.get("spec", {})]
        found |= {crd["metadata"]["name"]: crd for crd in every}
    for name in missing:
        if name not in found:
            pytest.skip(f"the cluster has no {group}, and its CRDs have not been fetched: `make lab` does")
        path = f"{CRDS}/{name}"
        found[name]["spec"].pop("conversion", None)
        asked(cluster, "PATCH", f"{path}?fieldManager=tests&force=true", found[name])
    for name in wanted:  # whoever made it: established is not yet served
        crd = asked(cluster, "GET", f"{CRDS}/{name}")
        eventually(lambda crd=crd: listed(cluster, crd), 180)


def _defined(cluster: Any, name: str) -> bool:
    return bool(asked(cluster, "GET", f"{CRDS}/{name}")["kind"] == "CustomResourceDefinition")


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def listed(cluster: Any, crd: Any) -> bool:
    """Whether the API server tells of the kind, in every version that it is to serve, to who asks what there is."""
    spec = crd["spec"]
    versions = [one["name"] for one in spec["versions"] if one["served"]]
    served = [asked(cluster, "GET", f"/apis/{spec['group']}/{version}") for version in versions]
    return all(any(r["kind"] == spec["names"]["kind"] for r in one.get("resources") or ()) for one in served)


def asked(cluster: Any, method: str, path: str, body: Manifest | None = None) -> Any:
    answer = cluster._open(method, path, {}, body, "application/apply-patch+yaml", (3.0, 20.0))
    try:
        return json.loads(answer.read())
    except ValueError:  # a group that is not served is answered by a page for people
        return {}
    finally:
        answer.release_conn()
