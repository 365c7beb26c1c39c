"""Covers: routes of Gateway API as a real gateway serves them, or does not: gRPC through a GRPCRoute that is split and promoted under a
load test with a record of each call, none lost; an HTTPRoute that is stored and not accepted, or names a Service that is
not there, or a Gateway that is not there or has no proxies, is waited for and fails with the condition's text, by the account that the
manifests give a release: it may read no Gateway but its own namespace's.

Leaves out: HTTPRoutes that are served (test_promotion.py), everything about routes that needs no gateway (tests/contract).
"""

import json
import math
import signal

import pytest

from on_cluster.client import MODEL
from on_cluster.kube import apply, eventually, get, has_kind, kubectl, lacks, named, weights
from on_cluster.release import SLOS, Service
from on_cluster.steps import Steps
from on_cluster.versions import http_route

pytestmark = pytest.mark.usefixtures("within_reach")
KEPT = {"primary_policy": "keep", "candidate_policy": "keep"}
GRPC = 8081


@pytest.fixture(scope="module")
def shared(space, address):
    """Versions that the tests here share: none of them takes their pods away."""
    made = Service(space, "shared", address)
    for name in ("v1", "v2", "v3"):
        made.deploy_version(name)
    for name in ("v1", "v2", "v3"):
        made.await_version(name)
    return made


def grpc_service(name):
    port = {"name": "grpc", "port": GRPC, "targetPort": GRPC, "appProtocol": "kubernetes.io/h2c"}
    spec = {"selector": {"app": name}, "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{name}-grpc"}, "spec": spec}


def grpc_route(service):
    """All of a host's calls to v1, by method, with a filter of the user's own."""
    route = http_route(service.name, service.host, f"{service.primary}-grpc")
    (rule,) = route["spec"]["rules"]
    rule |= {"matches": [{"method": {"service": "inference.GRPCInferenceService"}}]}
    rule["backendRefs"][0]["port"] = GRPC
    return route | {"kind": "GRPCRoute"}


@pytest.mark.carries("canary", "GRPCRoute")
def test_grpc_is_split_and_promoted_and_no_call_is_lost(shared, request):
    service = Service(shared.namespace, named(request), shared.address, of="shared")
    route = grpc_route(service)
    apply(service.namespace, [*(grpc_service(service.version(name)) for name in ("v1", "v2")), route])
    steps = Steps(service)
    calls = {
        "url": f"grpc://{service.address.removeprefix('http://')}/v2/models/{MODEL}/infer",
        "header": f"host: {service.host}",
        "tensors": "x:FP64[1,64]",
        "rate": "40",
    }
    probe = {**calls, "rate": "10", "duration": "1s"}

    def served():
        return not steps.run("load-test", record="", **probe).told["errors"]

    eventually(served, 60, why="the gateway serves the route")
    load = steps.start("load-test", record="", **calls, duration="10m")
    at = f"deployment/{service.namespace}/"
    given = {
        "route": f"grpcroute/{service.namespace}/{service.name}",
        "primary": f"v1={at}{service.primary}?service={service.primary}-grpc&port={GRPC}",
        "candidate": f"v2={at}{service.candidate}?service={service.candidate}-grpc&port={GRPC}",
        "slos": json.dumps(json.loads(SLOS)[:1]),
    }
    steps.begin(stages="50@5s", **given, **KEPT)
    steps.run("wait-for-ready")
    steps.verdict("promote")
    assert steps.run("promote").told["stable-version"] == "v2"
    record = service.record()
    load.send_signal(signal.SIGINT)
    out, said = load.communicate(timeout=180)
    told = json.loads(out)
    lost = set(told["errors"]) - {"cancelled"}  # by the signal, with its answer on the way
    assert (load.returncode, lost, told["requests"] > 100) == (130, set(), True), said
    assert record["outcome"] == "promoted"
    counted = record["results"][-1]["samples"]
    assert abs(counted["v2"] / sum(counted.values()) - 0.5) < 6.5 * 0.5 / math.sqrt(sum(counted.values())), counted
    assert record["timeline"][-1]["measured"]["v2"] == 1
    assert list(weights(service.namespace, service.name, "grpcroute")) == [f"{service.candidate}-grpc"]
    (rule,) = get(service.namespace, f"grpcroute/{service.name}")["spec"]["rules"]
    (before,) = route["spec"]["rules"]
    assert [rule["filters"], rule["matches"][0]["method"]["service"]] == [
        before["filters"],
        before["matches"][0]["method"]["service"],
    ]


def nobody_listens(spec):
    spec["parentRefs"][0]["sectionName"] = "nobody"


def no_such_service(spec):
    rule = {"matches": [{"path": {"type": "Exact", "value": "/none"}}], "backendRefs": [{"name": "none", "port": 80}]}
    spec["rules"].insert(0, rule)


def no_such_gateway(spec):
    spec["parentRefs"][0]["name"] = "none"


def not_programmed(spec):
    spec["parentRefs"].append({"name": "unready"})


def unready_gateway():
    """One whose proxies never run."""
    owner = "gateway.envoyproxy.io"
    never = {"container": {"image": "example.invalid/nothing:v1"}}
    provider = {"type": "Kubernetes", "kubernetes": {"envoyDeployment": never, "envoyService": {"type": "ClusterIP"}}}
    parameters = {"group": owner, "kind": "EnvoyProxy", "name": "unready"}
    listener = {"name": "http", "protocol": "HTTP", "port": 80}
    about = {"metadata": {"name": "unready"}}
    spec = {"gatewayClassName": "eg", "listeners": [listener], "infrastructure": {"parametersRef": parameters}}
    return [
        {"apiVersion": f"{owner}/v1alpha1", "kind": "EnvoyProxy", "spec": {"provider": provider}} | about,
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "spec": spec} | about,
    ]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (not_programmed, "the Gateway unready: Programmed is False"),
        (nobody_listens, "Accepted is False (NoMatchingParent)"),
        (no_such_service, "ResolvedRefs is False (BackendNotFound)"),
        (no_such_gateway, "the Gateway none"),
    ],
)
def test_a_route_that_is_stored_and_not_served_fails_with_what_the_gateway_says(shared, request, spoil, sentence):
    service = Service(shared.namespace, named(request), shared.address, of="shared", new="v3")
    if spoil is not_programmed:
        if not has_kind("EnvoyProxy"):
            lacks("Envoy Gateway")
        apply(service.namespace, unready_gateway())
    service.expose()
    steps = Steps(service)
    steps.begin(stages="20@5s", **KEPT)
    good = http_route(service.name, service.host, service.primary)
    route = http_route(service.name, service.host, service.primary)
    spoil(route["spec"])
    apply(service.namespace, [route])
    failed = steps.run("set-weights", 1, stage="0", settle_timeout="5s")
    assert sentence in failed.said
    assert service.record()["timeline"] == [], "the step is not done"
    assert [event["step"] for event in service.record()["events"] if event["failed"]] == ["set-weights"]
    kubectl(
        "patch",
        f"httproute/{service.name}",
        "-n",
        service.namespace,
        "--type=merge",
        f"--patch={json.dumps({'spec': good['spec']})}",
    )
    assert steps.run("ensure-safe").told["action"] == "restored"
    with service.client() as client:
        eventually(lambda: len(client.records) > 20, 120)
    service.check("v1", client)
