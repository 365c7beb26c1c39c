"""The example's collector, between the versions of a service."""

from importlib.metadata import version
from pathlib import Path

import yaml

from on_cluster.kube import apply, kubectl
from on_cluster.release import Service

EXAMPLE = Path(__file__).parents[2] / "examples" / "collector.yaml"
SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": "8090", "prometheus.io/path": "/metrics"}


def deploy_collector(service: Service) -> None:
    """In front of the candidate, as ``collector``; it is waited for, and Prometheus looks at it."""
    space, text = service.namespace, EXAMPLE.read_text(encoding="utf-8")
    for written, meant in (
        ("v1=http://iris-v1.team", f"v1=http://{service.primary}.{space}"),
        ("v2=http://iris-v2.team", f"{service.new}=http://{service.candidate}.{space}"),
        ("fairway-core:0.1.0", f"fairway-core:{version('fairway')}"),
        ("namespace: team", f"namespace: {space}"),
    ):
        text = text.replace(written, meant)
    workload, address = yaml.safe_load_all(text)
    workload["spec"]["template"]["metadata"]["annotations"] = SCRAPED
    apply(space, [workload, address])
    kubectl("rollout", "status", "deployment/collector", "-n", space, "--timeout=120s", timeout=150)
