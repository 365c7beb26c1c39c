"""Istio on request (`make lab WITH=istio`): istiod, and one gateway in front of all VirtualServices that name it.

Its proxy is the stock Envoy, which has none of Istio's own filters: istiod is told to send none. Nothing is injected, so there are
no sidecars, and the gateway's pod is written out here as the injection would. istiod may do what it likes in the lab.
"""

from typing import Any

from lab.addons.envoy_gateway import envoy_files
from lab.binaries import ISTIO, ISTIOD, Component
from lab.images import StaticImage
from lab.kubectl import Objects, account, apply, await_rollout, namespace, read
from lab.places import CLUSTER_DOMAIN

NAMESPACE = "istio-system"
GATEWAY, PORT = "gateway", 8080
NEEDS: tuple[Component, ...] = (ISTIO, ISTIOD)
ISTIOD_IMAGE = f"fairway.lab/istiod:{ISTIOD.version}"
PROXY_IMAGE = f"fairway.lab/istio-proxy:{ISTIOD.version}"
USER = "1337:1337"
NO_FILTERS = {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}
ALONE = {"PILOT_ENABLE_GATEWAY_API": "false", "VALIDATION_WEBHOOK_CONFIG_NAME": "", "INJECTION_WEBHOOK_CONFIG_NAME": ""}
POD = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "SERVICE_ACCOUNT": "spec.serviceAccountName"}
SERVED = {"grpc-xds": 15010, "https-dns": 15012, "http-monitoring": 15014}
MESH = f"""\
rootNamespace: {NAMESPACE}
trustDomain: {CLUSTER_DOMAIN}
enableAutoMtls: false
enablePrometheusMerge: false
defaultConfig: {{discoveryAddress: istiod.{NAMESPACE}.svc:15012}}
"""


def images() -> list[StaticImage]:
    bootstrap = ISTIOD.folder / "tools" / "packaging" / "common" / "envoy_bootstrap.json"
    proxy = {
        **envoy_files(),
        "/usr/local/bin/pilot-agent": ISTIOD.program("pilot-agent"),
        "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": bootstrap,
    }
    discovery = {"/usr/local/bin/pilot-discovery": ISTIOD.program("pilot-discovery")}
    path = {"PATH": "/usr/local/bin"}
    return [
        StaticImage(ISTIOD_IMAGE, discovery, ("pilot-discovery",), USER, path),
        StaticImage(PROXY_IMAGE, proxy, ("pilot-agent",), USER, path),
    ]


def install() -> None:
    definitions = ISTIO.folder / "kubernetes" / "customresourcedefinitions.gen.yaml"
    apply([namespace(NAMESPACE), *read(definitions)])
    apply(_istiod())
    await_rollout(NAMESPACE, "deployment/istiod")
    apply(_gateway())


def ready() -> None:
    await_rollout(NAMESPACE, f"deployment/{GATEWAY}")


def _istiod() -> Objects:
    container = {
        "name": "discovery",
        "image": ISTIOD_IMAGE,
        "args": ["discovery", "--monitoringAddr=:15014", "--log_output_level=default:warn", "--domain", CLUSTER_DOMAIN],
        "env": [
            *_env(
                REVISION="default", CLUSTER_ID="Kubernetes", PILOT_CERT_PROVIDER="istiod", PILOT_ENABLE_ANALYSIS="false"
            ),
            *_env(**NO_FILTERS, **ALONE),
            *_fields(**POD),
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1},
    }
    mounts = {
        "config": "/etc/istio/config",
        "certs": "/var/run/secrets/istio-dns",
        "istio-token": "/var/run/secrets/tokens",
    }
    volumes = [{"name": "config", "configMap": {"name": "istio"}}, _empty("certs"), _token()]
    settings = {"mesh": MESH, "meshNetworks": "networks: {}"}
    return [
        *account("istiod", NAMESPACE, "cluster-admin"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _about("istio"), "data": settings},
        *_deployed("istiod", container, mounts, volumes, SERVED),
    ]


def _gateway() -> Objects:
    container = {
        "name": "istio-proxy",
        "image": PROXY_IMAGE,
        "args": [
            "proxy",
            "router",
            "--domain",
            f"$(POD_NAMESPACE).svc.{CLUSTER_DOMAIN}",
            "--log_output_level=default:warn",
        ],
        "env": [
            *_env(PILOT_CERT_PROVIDER="istiod", CA_ADDR=f"istiod.{NAMESPACE}.svc:15012", TRUST_DOMAIN=CLUSTER_DOMAIN),
            *_env(PROXY_CONFIG="{}", ISTIO_META_POD_PORTS="[]", ISTIO_META_CLUSTER_ID="Kubernetes"),
            *_env(
                ISTIO_META_WORKLOAD_NAME=GATEWAY, ISTIO_META_MESH_ID=CLUSTER_DOMAIN, ISTIO_META_UNPRIVILEGED_POD="true"
            ),
            *_fields(**POD),
            *_fields(INSTANCE_IP="status.podIP", HOST_IP="status.hostIP", ISTIO_META_NODE_NAME="spec.nodeName"),
        ],
        "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 1},
    }
    secrets = "/var/run/secrets"
    mounts = {
        "workload-socket": f"{secrets}/workload-spiffe-uds",
        "credential-socket": f"{secrets}/credential-uds",
        "workload-certs": f"{secrets}/workload-spiffe-credentials",
        "istiod-ca-cert": f"{secrets}/istio",
        "istio-token": f"{secrets}/tokens",
        "istio-data": "/var/lib/istio/data",
        "istio-envoy": "/etc/istio/proxy",
        "istio-podinfo": "/etc/istio/pod",
    }
    empty = ("workload-socket", "credential-socket", "workload-certs", "istio-data", "istio-envoy")
    shown = [{"path": path, "fieldRef": {"fieldPath": f"metadata.{path}"}} for path in ("labels", "annotations")]
    volumes = [
        *map(_empty, empty),
        {"name": "istiod-ca-cert", "configMap": {"name": "istio-ca-root-cert"}},
        {"name": "istio-podinfo", "downwardAPI": {"items": shown}},
        _token(),
    ]
    server = {"port": {"number": PORT, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _about(GATEWAY)},
        *_deployed(GATEWAY, container, mounts, volumes, {"http": PORT}),
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": _about(GATEWAY),
            "spec": {"selector": {"app": GATEWAY}, "servers": [server]},
        },
    ]


def _deployed(
    name: str, container: dict[str, Any], mounts: dict[str, str], volumes: Objects, ports: dict[str, int]
) -> Objects:
    labels = {"app": name}
    mounted = [{"name": volume, "mountPath": path} for volume, path in mounts.items()]
    pod = {
        "serviceAccountName": name,
        "containers": [container | {"imagePullPolicy": "Never", "volumeMounts": mounted}],
        "volumes": volumes,
    }
    served = [{"name": port, "port": number} for port, number in ports.items()]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _about(name),
            "spec": {"selector": labels, "ports": served},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": _about(name),
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        },
    ]


def _about(name: str) -> dict[str, str]:
    return {"name": name, "namespace": NAMESPACE}


def _env(**values: str) -> Objects:
    return [{"name": name, "value": value} for name, value in values.items()]


def _fields(**paths: str) -> Objects:
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in paths.items()]


def _empty(name: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": {}}


def _token() -> dict[str, Any]:
    token = {"audience": "istio-ca", "expirationSeconds": 43200, "path": "istio-token"}
    return {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": token}]}}
