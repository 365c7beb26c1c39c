"""HTTPRoutes as another implementation of Gateway API serves them, Traefik, over a real API server, with real requests: strategies that go by
weights and headers to their ends, and no request is lost; a mirror, which is refused by the features that its GatewayClass tells.

Left out: what does not depend on the implementation (test_router.py), mirrors of a class that tells nothing (tests/steps). Skipped outside
the lab's network namespace: an EndpointSlice may name no address of the loopback.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api_server import kubeconfig
from fairway_steps.clock import SystemClock
from fairway_steps.cluster import Reference
from fairway_steps.cluster.connect import connect
from fairway_steps.errors import Refused
from fairway_steps.model import Mirror, Outcome, Routes, Version
from fairway_steps.routing.gateway_api import GatewayRouter
from fakes_gateway import install_crds
from fakes_routing import Client, ModelServer, Traffic, eventually, free_ports
from lab.places import NODE_ADDRESS as NODE
from releases import STRATEGIES, Release
from route_worlds import NAMES

pytestmark = pytest.mark.cluster
SPACE, GROUP = "default", "gateway.networking.k8s.io"
PLURALS = ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies")
CARRIED = ("canary", "canary, testers first", "blue-green", "none")
USERS_OWN = {
    "type": "ResponseHeaderModifier",
    "responseHeaderModifier": {"set": [{"name": "x-users-own", "value": "kept"}]},
}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    try:
        with socket.socket() as probe:
            probe.bind((NODE, 0))
    except OSError:
        pytest.skip(f"this machine has no address {NODE}: `make e2e` runs this in the lab's network namespace")
    with kubeconfig(tmp_path_factory.mktemp("api"), own=True) as path:
        yield path


@pytest.fixture(scope="module")
def cluster(api):
    made = connect({"KUBECONFIG": str(api)}, SystemClock())
    install_crds(made, GROUP, PLURALS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(api, cluster, tmp_path_factory):
    """Traefik's, for the Gateway `traefik`."""
    (port,) = free_ports(1)
    cluster.create(
        Reference(GROUP, "v1", "GatewayClass", "", "traefik"),
        {"spec": {"controllerName": "traefik.io/gateway-controller"}},
    )
    listener = {"name": "web", "protocol": "HTTP", "port": port}
    gateway = {"spec": {"gatewayClassName": "traefik", "listeners": [listener]}}
    cluster.create(Reference(GROUP, "v1", "Gateway", SPACE, "traefik"), gateway)
    settings = (
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.statusaddress.ip={NODE}",
        f"--entryPoints.web.address=127.0.0.1:{port}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    program, told = Path(sys.executable).parent / "traefik", tmp_path_factory.mktemp("traefik") / "log"
    with told.open("wb") as log:
        process = subprocess.Popen(
            [str(program), *settings], stdout=log, stderr=log, env=os.environ | {"KUBECONFIG": str(api)}
        )
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(30)


class World:
    """An HTTPRoute to the first of two versions."""

    def __init__(self, cluster):
        self.cluster, self.made = cluster, []
        self.servers = {name: ModelServer(name, NODE) for name in ("v1", "v2")}
        for name, server in self.servers.items():
            self._service(name, server.port)
        self.known = {
            name: Version(name, f"service/{SPACE}/{of}?port=80") for name, of in zip(NAMES, self.servers, strict=False)
        }
        rule = {"filters": [USERS_OWN], "backendRefs": [{"name": "v1", "port": 80}]}
        self.ref = self.create(
            GROUP, "HTTPRoute", "iris", {"spec": {"parentRefs": [{"name": "traefik"}], "rules": [rule]}}
        )
        self.before = self.rules()

    def create(self, group, kind, name, made):
        ref = Reference(group, "v1", kind, SPACE, name)
        self.cluster.create(ref, made)
        self.made.append(ref)
        return ref

    def _service(self, name, port):
        ports = [{"name": "http", "port": 80, "targetPort": port}]
        self.create("", "Service", name, {"spec": {"ports": ports}})
        about = {"metadata": {"labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4"}
        endpoints = [{"addresses": [NODE], "conditions": {"ready": True}}]
        found = {**about, "ports": [{"name": "http", "port": port, "protocol": "TCP"}], "endpoints": endpoints}
        self.create("discovery.k8s.io", "EndpointSlice", name, found)

    def router(self):
        return GatewayRouter(self.ref, "iris", self.known, self.cluster, SystemClock())

    def rules(self):
        return self.cluster.get(self.ref)["spec"]["rules"]

    def close(self):
        for ref in reversed(self.made):
            self.cluster.delete(ref)
        for server in self.servers.values():
            server.close()


@pytest.fixture
def world(cluster, address):
    made = World(cluster)
    yield made
    made.close()


@pytest.fixture
def client(world, address):
    made = Client(address)
    eventually(lambda: made.ask().body == "v1", 180)
    yield made
    made.close()


@pytest.mark.parametrize(
    "strategy", [pytest.param(name, marks=pytest.mark.carries(name, "HTTPRoute")) for name in CARRIED]
)
def test_a_strategy_ends_with_the_candidate_and_nobody_is_lost(strategy, world, client, address, tmp_path):
    how, stages = STRATEGIES[strategy]
    with Traffic(address, 50) as users:
        record = Release(world, how, stages, tmp_path).run("promoted")
        eventually(lambda: {client.ask().body for _ in range(20)} == {"v2"}, 180)
    assert users.failed == []
    assert record.outcome is Outcome.PROMOTED
    (before,), (after,) = world.before, world.rules()
    assert {**after, "backendRefs": before["backendRefs"]} == before
    assert [(one["name"], one["weight"]) for one in after["backendRefs"]] == [("v2", 100)]


def test_a_mirror_is_refused_by_what_it_tells_itself_and_rightly(world, client):
    """It would answer 500 to all requests of the rule."""
    mirrored = Routes({NAMES[0]: 100}, mirror=Mirror(NAMES[1], 50))
    with pytest.raises(Refused, match="does not tell HTTPRouteRequestMirror among its supportedFeatures"):
        world.router().preflight([mirrored], world.known)
    assert world.rules() == world.before
    (rule,) = world.before
    copies = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 80}, "percent": 50}}
    world.cluster.patch(world.ref, {"spec": {"rules": [{**rule, "filters": [*rule["filters"], copies]}]}})
    eventually(lambda: client.ask().status == 500, 180)
