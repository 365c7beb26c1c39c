"""A real istiod and a real Envoy as its gateway, or as a client's sidecar, as processes on the loopback over a real API server.

The versions are servers of a test, made known to istiod by ServiceEntries under the names of their Services; what Kubernetes would
know of their endpoints is written beside. The Envoy is the stock one: istiod is told to send none of Istio's own filters. A sidecar
captures nothing here: what a client sends to its listener goes on as if it had been captured.
"""

import itertools
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from api_server import binary
from fairway_steps.clock import SystemClock
from fairway_steps.cluster import Cluster, Reference
from fairway_steps.model import Version
from fairway_steps.routing.istio import IstioRouter
from fairway_steps.routing.process import find_envoy
from fakes_gateway import write_endpoints
from fakes_routing import ModelServer, eventually, free_ports
from route_worlds import NAMES

SPACE, APP = "default", "fairway-gateway"
COUNT = itertools.count()
SETTINGS = {
    "POD_NAMESPACE": "istio-system",
    "POD_NAME": "istiod-0",
    "PILOT_CERT_PROVIDER": "none",
    "ENABLE_CA_SERVER": "false",
    "ENABLE_LEADER_ELECTION": "false",
    "PILOT_ENABLE_GATEWAY_API": "false",
    "PILOT_ENABLE_ANALYSIS": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    "INJECTION_WEBHOOK_CONFIG_NAME": "",
}


@contextmanager
def istiod(folder: Path, kubeconfig: Path) -> Iterator[int]:
    """The port at which it tells proxies their configuration. Skips the test where it has not been built."""
    program = binary("pilot-discovery")
    if program is None:
        pytest.skip("there is no istiod: `make istiod` builds it")
    web, grpc, monitoring = free_ports(3)
    (folder / "mesh").write_text("rootNamespace: istio-system\ntrustDomain: cluster.local\nenableAutoMtls: false\n")
    command = [
        str(program), "discovery", f"--kubeconfig={kubeconfig}", f"--meshConfig={folder / 'mesh'}",
        f"--httpAddr=127.0.0.1:{web}", f"--grpcAddr=127.0.0.1:{grpc}", f"--monitoringAddr=127.0.0.1:{monitoring}",
        "--httpsAddr=", "--secureGRPCAddr=", "--clusterID=Kubernetes", "--log_output_level=default:warn",
    ]  # fmt: skip
    with _running(command, folder, "istiod", env=os.environ | SETTINGS):
        eventually(lambda: _ready(f"http://127.0.0.1:{web}/ready"), 90)
        yield grpc


@contextmanager
def proxy(folder: Path, control_plane: int, admin: int, kind: str = "router") -> Iterator[None]:
    """An Envoy that is the workload of every Gateway, or Sidecar, here that selects ``APP``; it listens once there is one."""
    local = {"address": "127.0.0.1", "port_value": control_plane}
    http2 = {"explicit_http_config": {"http2_protocol_options": {}}}
    options = {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", **http2}
    xds = {
        "name": "xds",
        "type": "STATIC",
        "connect_timeout": "2s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {
            "cluster_name": "xds",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": local}}}]}],
        },
    }
    ads = {"resource_api_version": "V3", "ads": {}}
    grpc = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
    }
    # An address that no version has: istiod would take the labels of who is there for this one's.
    about = {"LABELS": {"app": APP}, "NAMESPACE": SPACE, "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.28.0"}
    about |= {"INTERCEPTION_MODE": "NONE"} if kind == "sidecar" else {}
    bootstrap = {
        "node": {"id": f"{kind}~127.0.0.2~{APP}.{SPACE}~{SPACE}.svc.cluster.local", "cluster": APP, "metadata": about},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "dynamic_resources": {"ads_config": grpc, "cds_config": ads, "lds_config": ads},
        "static_resources": {"clusters": [xds]},
    }
    (folder / "bootstrap.json").write_text(json.dumps(bootstrap))
    words = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
    with _running([str(find_envoy()), "-c", str(folder / "bootstrap.json"), *words], folder, "envoy"):
        yield


class Mesh:
    """A Gateway or a client's Sidecar, and Services whose endpoints are servers of the test."""

    def __init__(self, cluster: Cluster, mark: str, port: int, kind: str) -> None:
        self.cluster, self.mark, self.made = cluster, mark, list[Reference]()
        listener = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "bind": "127.0.0.1"}
        if kind == "sidecar":
            sent = {**listener, "captureMode": "NONE", "hosts": ["*/*"]}
            self.create("Sidecar", mark, {"workloadSelector": {"labels": {"app": APP}}, "egress": [sent]})
        else:
            self.create("Gateway", mark, {"selector": {"app": APP}, "servers": [{**listener, "hosts": ["*"]}]})

    def create(self, kind: str, name: str, spec: Mapping[str, Any]) -> Reference:
        ref = Reference("networking.istio.io", "v1", kind, SPACE, name)
        self.cluster.create(ref, {"spec": spec})
        self.made.append(ref)
        return ref

    def service(self, name: str, ports: Mapping[str, int], *, number: int = 80, **more: Any) -> str:
        """The host of the Service ``name``, whose endpoints are these ports of the loopback, each with the label of its version."""
        at = [
            {"address": "127.0.0.1", "ports": {"http": port}, "labels": {"version": version}}
            for version, port in ports.items()
        ]
        served = {"number": number, "name": "http", "protocol": "HTTP"}
        host = f"{name}.{SPACE}.svc.cluster.local"
        spec = {
            "hosts": [host],
            "ports": [served],
            "resolution": "STATIC",
            "location": "MESH_EXTERNAL",
            "endpoints": at,
            **more,
        }
        self.create("ServiceEntry", name, spec)
        self.made.append(Reference.of("service", SPACE, name))
        hidden = {"annotations": {"networking.istio.io/exportTo": "~"}}  # from proxies, which the entry is for
        self.cluster.create(self.made[-1], {"metadata": hidden, "spec": {"ports": [{"name": "http", "port": number}]}})
        self.made.append(write_endpoints(self.cluster, name, pods=tuple(ports)))
        return host

    def pod(self, name: str) -> None:
        """A Deployment and its one pod, both called so, as Kubernetes would hold them; nothing runs in it."""
        labels = {"app": name}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "model", "image": "none"}]}}
        deployment = {"spec": {"selector": {"matchLabels": labels}, "template": pod}}
        for ref, made in (("apps", "Deployment"), deployment), (("", "Pod"), pod):
            at = Reference(ref[0], "v1", ref[1], SPACE, name)
            self.cluster.create(at, made)
            self.made.append(at)

    def close(self) -> None:
        for ref in reversed(self.made):
            self.cluster.delete(ref)


class World:
    """A VirtualService of two services: wine's requests have the header x-service.

    It is that of a gateway of its own or, by the ``kind`` sidecar, of the mesh: for the host that clients call.
    """

    def __init__(self, cluster: Cluster, servers: Mapping[str, ModelServer], port: int, kind: str = "router") -> None:
        self.mark = f"fw-{os.getpid()}-{next(COUNT)}"
        self.mesh, self.cluster, self.address = Mesh(cluster, self.mark, port, kind), cluster, f"127.0.0.1:{port}"
        to, self.number = {"hosts": ["*"], "gateways": [self.mark]}, 80
        if kind == "sidecar":  # a listener with a port knows the services of that port alone
            called = self.mesh.service(self.mark, {"v1": servers["v1"].port}, number=port, addresses=["127.0.0.1"])
            to, self.number = {"hosts": [called], "gateways": ["mesh"]}, port
        for name, server in servers.items():
            self.mesh.service(f"{self.mark}-{name}", {name: server.port}, number=self.number)
        wine = {"match": [{"headers": {"x-service": {"exact": "wine"}}}], "timeout": "7s", "route": [self.to("w1")]}
        iris = {"timeout": "9s", "headers": {"response": {"set": {"x-users-own": "kept"}}}, "route": [self.to("v1")]}
        self.spec = {**to, "http": [wine, iris]}
        self.ref = self.mesh.create("VirtualService", self.mark, self.spec)
        self.known = {name: Version(name, self.at(server)) for name, server in zip(NAMES, ("v1", "v2"), strict=False)}

    def to(self, name: str) -> dict[str, Any]:
        return {"destination": {"host": f"{self.mark}-{name}", "port": {"number": self.number}}}

    def at(self, name: str, service: str = "", more: str = "") -> str:
        return f"deployment/{SPACE}/{name}?service={self.mark}-{service or name}&port={self.number}{more}"

    def routed(self, *names: str, service: str = "iris") -> tuple[IstioRouter, dict[str, Version]]:
        """A router between these versions, which are called as their servers are."""
        versions = {name: Version(name, self.at(name)) for name in names}
        return self.router(versions, service=service), versions

    def router(
        self, versions: Mapping[str, Version] | None = None, *, service: str = "iris", ref: Reference | None = None
    ) -> IstioRouter:
        return IstioRouter(ref or self.ref, service, versions or self.known, self.cluster, SystemClock())

    def model(self, name: str) -> dict[str, Any]:
        return {**self.to("w1"), "headers": {"request": {"set": {"mm-vmodel-id": name}}}}

    def models(self, server: ModelServer) -> None:
        """Make the versions models of a ModelMesh: one Service for all, which here answers with what it was asked for."""
        server.echo = "mm-vmodel-id"
        self.known = {name: Version(name, self.at(name, "w1", f"&vmodel={name}")) for name in NAMES}
        wine, iris = self.spec["http"]
        self.spec = {**self.spec, "http": [wine, {**iris, "route": [self.model(NAMES[0])]}]}
        self.cluster.patch(self.ref, {"spec": self.spec})

    def stored(self) -> dict[str, Any]:
        return self.cluster.get(self.ref)["spec"]


@contextmanager
def _running(command: list[str], folder: Path, name: str, **more: Any) -> Iterator[None]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **more)
    try:
        yield
        assert process.poll() is None, (folder / f"{name}.log").read_text()[-2000:]
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
