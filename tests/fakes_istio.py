"""A VirtualService in tests, over the cluster in memory and over a real API server with Istio's own definitions.

In place of istiod somebody writes the status of each generation.
"""

import copy
from typing import Any

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.model import Version
from fairway_steps.routing.istio import IstioRouter
from fakes_gateway import GatewayLab

DEFINED = "networking.istio.io"


def http(primary: str) -> list[dict[str, Any]]:
    """Http routes as users write them: two of the service, one of another, one that redirects, and fields that are not ours."""
    to = {"destination": {"host": primary, "port": {"number": 8080}}}
    return [
        {
            "name": "infer",
            "match": [{"uri": {"prefix": "/v2"}, "method": {"exact": "POST"}}, {"headers": {"x-b": {"regex": ".+"}}}],
            "headers": {"request": {"set": {"x-team": "iris"}}},
            "timeout": "7s",
            "retries": {"attempts": 2, "perTryTimeout": "2s"},
            "route": [to],
        },
        {"match": [{"uri": {"exact": "/other"}}], "route": [{"destination": {"host": "other"}}]},
        {"match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/new"}},
        {"route": [copy.deepcopy(to) | {"headers": {"response": {"remove": ["server"]}}}]},
    ]


class IstioLab(GatewayLab):
    """One VirtualService between versions, each a Service with one ready endpoint."""

    back_end = IstioRouter

    def __init__(self, cluster: Cluster, names: tuple[str, ...] = ("v1", "v2.1")) -> None:
        super().__init__(cluster, "virtualservice", names)

    def route(self, gateway: str, names: tuple[str, ...]) -> Manifest:
        del gateway
        return {
            "metadata": {"annotations": {"theirs": "1"}, "labels": {"app": "iris"}},
            "spec": {"hosts": ["iris.example.com"], "gateways": ["mesh"], "http": http(self.services[names[0]])},
        }

    def accept(self, **conditions: str) -> None:
        """What istiod writes where it is asked to: ``Reconciled="False::2 of 3 proxies"`` says no."""
        said = conditions.get("Reconciled", "True::").split(":")
        told = {"type": "Reconciled", "status": said[0], "message": said[2]}
        generation = self.stored()["metadata"]["generation"]
        self._status({"status": {"observedGeneration": generation, "conditions": [told]}})

    def reconcile(self) -> None:
        """Do what istiod does once all proxies have what is stored."""
        self.accept()

    def foreign(self) -> object:
        found = copy.deepcopy(dict(self.stored()))
        metadata, services = found["metadata"], set(self.services.values())
        rest = {key: metadata[key] for key in ("labels", "name", "namespace")}
        annotations = {k: v for k, v in metadata["annotations"].items() if not k.startswith("fairway/")}
        kept = []
        for rule in found["spec"]["http"]:
            if str(rule.get("name", "")).startswith("fairway-"):
                continue
            if {target["destination"]["host"] for target in rule.get("route", ())} & services:
                kept.append({k: v for k, v in rule.items() if k not in ("route", "mirror", "mirrorPercentage")})
                continue
            kept.append(rule)
        return rest, annotations, found["spec"] | {"http": kept}

    def share(self, service: str) -> None:
        stored = self.rules()
        stored[1]["route"] = [{"destination": {"host": service, "port": {"number": 8080}}}]
        self.edit({"spec": {"http": stored}})

    def rules(self) -> list[dict[str, Any]]:
        return list(self.stored()["spec"]["http"])

    def targets(self) -> list[list[tuple[str, int | None]]]:
        """The hosts of each http route, with their weights."""
        return [
            [(t["destination"]["host"], t.get("weight")) for t in rule.get("route", ())]
            for rule in self.stored()["spec"]["http"]
        ]

    def add_unknown(self) -> None:
        rules = self.stored()["spec"]["http"]
        own, other = rules[0]["route"][0], {"destination": {"host": "other"}, "weight": 1}
        rules[0]["route"] = [own | {"weight": 99}, other]
        self.edit({"spec": {"http": rules}})


class ModelMeshLab(IstioLab):
    """A VirtualService between models of one ModelMesh: InferenceServices that share a Service, told apart by a header."""

    MESH = "modelmesh-serving"

    def __init__(self, cluster: Cluster, names: tuple[str, ...] = ("v1", "v2.1")) -> None:
        super().__init__(cluster, names)
        self.models = self.services
        space = cluster.namespace
        self.versions = {
            name: Version(name, f"inferenceservice/{space}/{model}?service={self.MESH}&port=8033&vmodel={model}")
            for name, model in self.models.items()
        }
        self.endpoints(self.MESH, ready=True)
        self._service(self.MESH, 8033)
        for model in self.models.values():
            mode = {"annotations": {"serving.kserve.io/deploymentMode": "ModelMesh"}}
            spec = {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/iris"}}}
            cluster.create(Reference.of("inferenceservice", space, model), {"metadata": mode, "spec": spec})

    def route(self, gateway: str, names: tuple[str, ...]) -> Manifest:
        made = dict(super().route(gateway, names))
        for rule in made["spec"]["http"]:
            for target in rule.get("route", ()):
                if target["destination"]["host"] == self.services[names[0]]:
                    target["destination"] = {"host": self.MESH, "port": {"number": 8033}}
                    headers = target.setdefault("headers", {})
                    headers["request"] = {"set": {"mm-vmodel-id": self.services[names[0]]}}
        return made

    def foreign(self) -> object:
        self.services = dict.fromkeys(self.models, self.MESH)
        kept = super().foreign()
        self.services = self.models
        return kept

    def close(self) -> None:
        super().close()
        for model in self.models.values():
            self.cluster.delete(Reference.of("inferenceservice", self.cluster.namespace, model))


def subsets(cluster: Cluster, name: str, host: str, *named: str, namespace: str = "") -> Reference:
    """A DestinationRule with these subsets."""
    ref = Reference("networking.istio.io", "v1", "DestinationRule", namespace or cluster.namespace, name)
    spec = {"host": host, "subsets": [{"name": one, "labels": {"version": one}} for one in named]}
    cluster.create(ref, {"spec": spec})
    return ref
