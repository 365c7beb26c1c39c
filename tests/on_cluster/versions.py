"""Versions of the demo's model, as Deployment and Service, and the HTTPRoute in front of them."""

import os
from importlib.metadata import version as installed
from typing import Any

MODEL = "digits"
IMAGE = f"fairway-model-server:{installed('fairway')}"
GATEWAY = os.environ.get("FAIRWAY_GATEWAY", "default/eg")
SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}
KEEP_ALIVE = "--timeout-keep-alive=7200"
"""Longer than Envoy keeps idle connections (1 h): else the server closes one just as a request is sent on it, and that is lost."""
DRAIN = 10
"""Seconds that a pod goes on serving after it was told to end, until every proxy has heard of it."""


def deployment(
    name: str, behave: str = "good", *, model: str = "", replicas: int = 1, image: str = IMAGE, slow_start: int = 0
) -> list[dict[str, Any]]:
    """``name`` as a Deployment and its Service; ``model`` is the version that its answers name.

    Its pods are not ready before they are ``slow_start`` seconds old.
    """
    labels = {"app": name}
    probe: dict[str, Any] = {
        "httpGet": {"path": "/v2/health/ready", "port": 8080},
        "periodSeconds": 1,
        "timeoutSeconds": 2,
    }
    if slow_start:
        probe["initialDelaySeconds"] = slow_start
    container = {
        "name": "model",
        "image": image,
        "imagePullPolicy": "Never" if image == IMAGE else "IfNotPresent",
        "command": ["python", "-m", "fairway_workflows.demo.model_server"],
        "args": [f"--version={model or 'v2'}", f"--behave={behave}", "--http_port=8080", KEEP_ALIVE],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": probe,
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN}}},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "terminationGracePeriodSeconds": DRAIN + 10,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532},
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels, "annotations": SCRAPED}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        },
    ]


def http_route(name: str, host: str, service: str) -> dict[str, Any]:
    """All of a host's traffic to one Service, with a filter of the user's own that no release may touch."""
    namespace, _, parent = GATEWAY.partition("/")
    mark = {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"set": [{"name": "x-users-own", "value": "kept"}]},
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": parent, "namespace": namespace}],
            "hostnames": [host],
            "rules": [{"filters": [mark], "backendRefs": [{"name": service, "port": 80}]}],
        },
    }
