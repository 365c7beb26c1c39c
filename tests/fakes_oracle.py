"""A kind of model server that nobody has heard of: its definition, and its controller, which writes conditions of its own."""

from typing import Any

from fairway_steps.cluster import Cluster, Reference
from fakes_gateway import CRDS, asked, listed, write_status
from fakes_routing import eventually

GROUP, VERSION, KIND, PLURAL = "divination.example", "v1alpha7", "OracleModel", "oraclemodels"
SINCE = "2026-01-01T00:00:00Z"


def reference(namespace: str, name: str) -> Reference:
    return Reference(GROUP, VERSION, KIND, namespace, name)


def define(cluster: Any) -> None:
    """Make the kind known to a real API server, and wait until it serves it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": KIND, "plural": PLURAL, "singular": KIND.lower(), "listKind": f"{KIND}List"}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced",
            "versions": [served | {"subresources": {"status": {}}}],
        },
    }
    path = f"{CRDS}/{PLURAL}.{GROUP}"
    asked(cluster, "PATCH", f"{path}?fieldManager=tests&force=true", crd)
    eventually(lambda: listed(cluster, crd), 180)


def tell(cluster: Cluster, ref: Reference, **conditions: str) -> None:
    """What its controller writes, as ``Loaded="False:Downloading:3 of 7 shards"``."""
    found = cluster.get(ref)
    assert found is not None
    told = []
    for kind, text in conditions.items():
        status, reason, message = [*text.split(":"), "", ""][:3]
        told.append({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": SINCE})
    status = {"observedGeneration": found["metadata"].get("generation", 1), "conditions": told}
    write_status(cluster, ref, {"status": status})
