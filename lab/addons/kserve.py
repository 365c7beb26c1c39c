"""KServe in Standard mode: its manager, and a runtime that serves our scikit-learn model; routes by Envoy Gateway.

Its manifests expect cert-manager; its webhooks get a certificate of the lab's own here. The settings stand before the
manager first starts, for it reads some of them only then.
"""

import base64
import json
from typing import Any

from lab import certificates, project_images
from lab.addons import envoy_gateway
from lab.binaries import KSERVE
from lab.images import StaticImage
from lab.kubectl import Objects, apply, await_condition, await_rollout, containers, kustomize, namespace, read
from lab.places import EXAMPLES, STATE

NAMESPACE = "kserve"
IMAGE = f"fairway.lab/kserve-manager:{KSERVE.version}"
SERVICE = "kserve-webhook-server-service"
SECRET = "kserve-webhook-server-cert"


def images() -> list[StaticImage]:
    return [StaticImage(IMAGE, {"/manager": KSERVE.program("manager")}, ("/manager",))]


def install() -> None:
    objects = _objects()
    first = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    apply([namespace(NAMESPACE), *first])
    apply([_settings(), *(each for each in objects if each not in first)])


def ready() -> None:
    await_rollout(NAMESPACE, "deployment/kserve-controller-manager")
    await_condition(
        "Established", "crd/inferenceservices.serving.kserve.io", "crd/clusterservingruntimes.serving.kserve.io"
    )
    apply([_runtime()])


def _objects() -> Objects:
    authority = certificates.serving(STATE / "kserve", (f"{SERVICE}.{NAMESPACE}.svc", f"{SERVICE}.{NAMESPACE}"))
    bundle = base64.b64encode(authority).decode()
    objects = [
        each
        for each in kustomize(KSERVE.folder / "config" / "default")
        if each["kind"] not in {"Certificate", "Issuer"}
    ]
    for each in objects:
        for webhook in each.get("webhooks", []):
            webhook["clientConfig"]["caBundle"] = bundle
        if each["kind"] == "Deployment":
            pod = each["spec"]["template"]["spec"]
            pod["containers"] = [one for one in containers(each) if one["name"] == "manager"]
            (manager,) = pod["containers"]
            manager |= {"image": IMAGE, "imagePullPolicy": "Never", "resources": {}}
            manager["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
    files = {name: base64.b64encode((STATE / "kserve" / name).read_bytes()).decode() for name in ("tls.crt", "tls.key")}
    about = {"name": SECRET, "namespace": NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": about, "data": files}
    return [secret, *objects]


def _settings() -> dict[str, Any]:
    (settings,) = read(KSERVE.folder / "config" / "configmap" / "inferenceservice.yaml")
    data = settings["data"]
    data.pop("_example", None)
    for name, changed in {
        "deploy": {"defaultDeploymentMode": "Standard"},
        "ingress": {
            "enableGatewayApi": True,
            "kserveIngressGateway": f"{envoy_gateway.GATEWAY_NAMESPACE}/{envoy_gateway.GATEWAY}",
        },
        "inferenceService": {"resource": {}},
    }.items():
        data[name] = json.dumps(json.loads(data[name]) | changed)
    return settings


def _runtime() -> dict[str, Any]:
    (runtime,) = read(EXAMPLES / "runtime.yaml")
    runtime["spec"]["containers"][0]["image"] = project_images.name_of("model-server")
    return runtime
