"""Versions as KServe InferenceServices in Standard mode: the model comes from a volume, the server from the lab's runtime."""

from typing import Any

from on_cluster.kube import apply, items, kubectl
from on_cluster.versions import IMAGE

CLAIM = "models"
VERSIONS = ("v1", "v2")


def inference_service(name: str, behave: str = "good", *, model: str) -> dict[str, Any]:
    """``name`` serves the fitted model that lies in the folder ``model`` of the claim.

    The runtime speaks version 2 of the protocol alone, and KServe assumes 1.
    """
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": {"serving.kserve.io/autoscalerClass": "none"}},
        "spec": {
            "predictor": {
                "model": {
                    "modelFormat": {"name": "sklearn"},
                    "protocolVersion": "v2",
                    "storageUri": f"pvc://{CLAIM}/{model}",
                    "args": [f"--version={model}", f"--behave={behave}"],
                }
            }
        },
    }


def store_models(namespace: str) -> None:
    """Fit both versions of the model into a volume of the namespace's own."""
    apply(namespace, [*_volume(namespace), _fitting()])  # some classes bind a claim only for a pod that wants it
    kubectl("wait", "job/fit", "-n", namespace, "--for=condition=complete", "--timeout=180s", timeout=200)


def _volume(namespace: str) -> list[dict[str, Any]]:
    """A claim of the cluster's default class; where there is none, as in the lab, on the node's disk."""
    classes = items("", "storageclass")
    size = {"requests": {"storage": "100Mi"}}
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": size}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM}, "spec": spec}
    if classes:
        return [claim]
    volume = f"{namespace}-{CLAIM}"
    spec |= {"storageClassName": "", "volumeName": volume}
    on_disk = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "100Mi"},
            "storageClassName": "",
            "hostPath": {"path": f"/var/lib/fairway-lab/volumes/{volume}", "type": "DirectoryOrCreate"},
        },
    }
    return [on_disk, claim]


def _fitting() -> dict[str, Any]:
    program = "fairway_workflows.demo.model_server"
    script = " && ".join(
        f"mkdir -p /models/{one} && python -m {program} --version={one} --save=/models/{one}" for one in VERSIONS
    )
    container = {
        "name": "fit",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    }
    volumes = [{"name": "models", "persistentVolumeClaim": {"claimName": CLAIM}}]
    pod = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "fit"},
        "spec": {"backoffLimit": 2, "template": {"spec": pod}},
    }
