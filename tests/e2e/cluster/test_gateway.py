"""Covers: an HTTPRoute that is stored and not accepted, or names a Service that is not there, or a Gateway that is not there or has
no proxies, is waited for and fails with the condition's text, by the account that the manifests give a release: it may read no Gateway
but its own namespace's.

Leaves out: routes that are served (test_promotion.py, test_grpc.py), everything about routes that needs no gateway (tests/contract).
"""

import json

import pytest

from on_cluster.kube import apply, eventually, has_kind, kubectl, lacks, named
from on_cluster.release import Service
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
