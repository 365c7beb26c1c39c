"""Prometheus, as a process of the node, and a service in the cluster that leads to it.

It scrapes what that of examples/cluster does, which says for a cluster of one's own what is needed.
"""

import json
import subprocess
from typing import Any

import yaml

from lab.binaries import PROMETHEUS
from lab.certificates import PKI
from lab.images import StaticImage
from lab.kubectl import Objects, apply, namespace, read
from lab.places import API, EXAMPLES, NODE_ADDRESS, STATE
from lab.processes import await_, inside, start

EXAMPLE = EXAMPLES / "prometheus.yaml"
NAMESPACE = "monitoring"
PORT = 9090
URL = f"http://prometheus.{NAMESPACE}:{PORT}"
DATA = STATE / "prometheus"


def images() -> list[StaticImage]:
    return []


def install() -> None:
    apply(_objects())
    config = STATE / "prometheus.json"
    config.write_text(json.dumps(_config()), encoding="utf-8")
    start(
        "prometheus",
        [
            *(str(PROMETHEUS.program("prometheus")), f"--config.file={config}", f"--storage.tsdb.path={DATA}"),
            *(f"--web.listen-address={NODE_ADDRESS}:{PORT}", "--storage.tsdb.retention.time=1d", "--log.level=warn"),
        ],
    )


def ready() -> None:
    asked = inside("curl", "--silent", "--fail", "--max-time", "2", f"http://{NODE_ADDRESS}:{PORT}/-/ready")
    await_("prometheus", lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0)


def _config() -> dict[str, Any]:
    """That of a cluster of one's own, from outside the cluster: by the administrator's certificate."""
    (settings,) = (each for each in read(EXAMPLE) if each["kind"] == "ConfigMap")
    config: dict[str, Any] = yaml.safe_load(settings["data"]["prometheus.yml"])
    files = {"ca_file": "ca.crt", "cert_file": "admin.crt", "key_file": "admin.key"}
    (pods,) = config["scrape_configs"]
    (discovery,) = pods["kubernetes_sd_configs"]
    discovery |= {"api_server": API, "tls_config": {key: str(PKI / name) for key, name in files.items()}}
    return config


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
