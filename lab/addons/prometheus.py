"""Prometheus, as a process of the node, and a service in the cluster that leads to it.

It scrapes each pod that says so by the annotations ``prometheus.io/scrape``, ``/port`` and ``/path``: Envoy's proxies
and the model servers carry them.
"""

import json
import subprocess

from lab.binaries import PROMETHEUS
from lab.certificates import PKI
from lab.images import StaticImage
from lab.kubectl import Objects, apply, namespace
from lab.places import API, NODE_ADDRESS, STATE
from lab.processes import await_, end, inside, known, start

NAMESPACE = "monitoring"
PORT = 9090
URL = f"http://prometheus.{NAMESPACE}:{PORT}"
DATA = STATE / "prometheus"


def images() -> list[StaticImage]:
    return []


def install() -> None:
    apply(_objects())
    begin()


def begin() -> None:
    config = STATE / "prometheus.json"
    config.write_text(json.dumps(_config()), encoding="utf-8")
    start(
        "prometheus",
        [
            *(str(PROMETHEUS.program("prometheus")), f"--config.file={config}", f"--storage.tsdb.path={DATA}"),
            *(f"--web.listen-address={NODE_ADDRESS}:{PORT}", "--storage.tsdb.retention.time=1d", "--log.level=warn"),
        ],
    )


def stop() -> None:
    """As when it is away in the middle of a release; ``begin`` brings it back, with its data."""
    if known().get("prometheus"):
        end("prometheus")


def ready() -> None:
    asked = inside("curl", "--silent", "--fail", "--max-time", "2", f"http://{NODE_ADDRESS}:{PORT}/-/ready")
    await_("prometheus", lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0)


def _config() -> dict[str, object]:
    def replace(source: list[str], target: str, regex: str = "(.+)", to: str = "$1") -> dict[str, object]:
        return {"source_labels": source, "target_label": target, "regex": regex, "replacement": to}

    about = "__meta_kubernetes_pod_annotation_prometheus_io_"
    pods = {
        "job_name": "pods",
        "kubernetes_sd_configs": [
            {
                "role": "pod",
                "api_server": API,
                "tls_config": {
                    "ca_file": str(PKI / "ca.crt"),
                    "cert_file": str(PKI / "admin.crt"),
                    "key_file": str(PKI / "admin.key"),
                },
            }
        ],
        "relabel_configs": [
            {"source_labels": [f"{about}scrape"], "action": "keep", "regex": "true"},
            {"source_labels": ["__meta_kubernetes_pod_phase"], "action": "drop", "regex": "Pending|Succeeded|Failed"},
            replace(["__address__", f"{about}port"], "__address__", r"([^:]+)(?::\d+)?;(\d+)", "$1:$2"),
            replace([f"{about}path"], "__metrics_path__"),
            replace(["__meta_kubernetes_namespace"], "namespace"),
            replace(["__meta_kubernetes_pod_name"], "pod"),
            replace(["__meta_kubernetes_pod_ip"], "pod_ip"),
            replace(["__meta_kubernetes_pod_label_app"], "app"),
            # Several ports of one pod would be scraped as one: keep one target a pod.
            {"source_labels": ["__meta_kubernetes_pod_container_init"], "action": "drop", "regex": "true"},
        ],
    }
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [pods]}


def _objects() -> Objects:
    about = {"name": "prometheus", "namespace": NAMESPACE}
    port = {"name": "http", "port": PORT, "protocol": "TCP"}
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": about | {"labels": {"kubernetes.io/service-name": "prometheus"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
        "ports": [port],
    }
    return [
        namespace(NAMESPACE),
        {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": {"ports": [port]}},
        slice_,
    ]
