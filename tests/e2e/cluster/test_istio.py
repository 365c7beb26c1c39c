"""Covers: a VirtualService of a real istiod, served by its gateway before real pods: a canary, testers first, blue-green, a mirror, one whose answers a
collector compares, each under a continuous client with a record of every request; none is lost, and what is the user's own in the VirtualService is as it was.

Leaves out: sidecars, subsets, A/B/n splits, two services in one VirtualService (tests/contract/test_istiod.py). Skipped on a cluster without the lab's Istio: `make lab WITH=istio`.
"""

import copy
import http.client
import json
from urllib.parse import urlsplit

import pytest

from on_cluster.client import BODY, told
from on_cluster.collector import deploy_collector
from on_cluster.kube import apply, eventually, get, kubectl, named, prometheus
from on_cluster.release import Service, lost
from on_cluster.steps import Steps
from on_cluster.versions import MODEL

pytestmark = pytest.mark.usefixtures("within_reach")
SPACE, GATEWAY = "istio-system", "gateway"
VERSIONS = ("v1", "v3", "v4", "v5", "v6", "v7")
KEPT = {"primary_policy": "keep", "candidate_policy": "keep"}
SLOS = json.dumps([{"metric": "latency", "quantile": "p95", "limit": "5s", "min-requests": 20}])
"""The model servers count requests and their latencies; that none fails is for the client to see."""


def counted(preset):
    """All that is counted by one kind of server, as Prometheus has it."""
    source = {"source": "prometheus", "url": prometheus(), "preset": preset}
    return {"requests": source, "latency": source}


class Meshed(Service):
    """A service whose route is a VirtualService of its own name."""

    def http_route(self):
        """All of a host's traffic to v1, with what is the user's own."""
        return {
            "match": [{"authority": {"exact": self.host}}],
            "timeout": "9s",
            "headers": {"response": {"set": {"x-users-own": "kept"}}},
            "route": [{"destination": {"host": self.primary, "port": {"number": 80}}}],
        }

    def parameters(self, **changed):
        return super().parameters(**{"route": f"virtualservice/{self.namespace}/{self.name}"} | changed)

    def begin(self, stages, **more):
        metrics = json.dumps(counted("kserve"))
        Steps(self).begin(**{"stages": stages, "metrics": metrics, "slos": SLOS, **KEPT} | more)

    def http(self):
        return get(self.namespace, f"virtualservice/{self.name}")["spec"]["http"]

    def ask(self, **headers):
        """Which version answers one request."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=15)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(
                "POST",
                f"/v2/models/{MODEL}/infer",
                BODY,
                {"host": self.host, "content-type": "application/json", **named},
            )
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            assert answer.getheader("x-users-own") == "kept"
            return answer.getheader("x-model-version")
        finally:
            connection.close()

    def _counted(self, url):
        return True  # by the pods alone, which count from their start


def expose(service):
    """A VirtualService with the service's http route, and a redirect of the user's own in front."""
    old = {"match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/new"}}
    spec = {"hosts": [service.host], "gateways": [f"{SPACE}/{GATEWAY}"], "http": [old, service.http_route()]}
    about = {"name": service.name}
    made = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": about, "spec": spec}
    apply(service.namespace, [made])
    service.await_traffic()
    return service.http()


@pytest.fixture(scope="module")
def istio():
    if not kubectl("get", "deployment/istiod", "-n", SPACE, "--ignore-not-found", check=False).startswith("NAME"):
        pytest.skip("this cluster has no istiod of the lab's: `make lab WITH=istio` adds one")
    service = get(SPACE, f"service/{GATEWAY}")["spec"]
    return f"http://{service['clusterIP']}:{service['ports'][0]['port']}"


@pytest.fixture(scope="module")
def shared(istio, space):
    """Versions that the tests here share: none of them takes their pods away."""
    made = Meshed(space, "shared", istio)
    for name in VERSIONS:
        made.deploy_version(name)
    for name in VERSIONS:
        made.await_version(name)
    return made


@pytest.fixture
def service(shared, request):
    """A service whose candidate is the test's own: one that has just had users is not taken for idle."""
    return lambda new: Meshed(shared.namespace, named(request), shared.address, of="shared", new=new)


def moved(before, service):
    """The http routes with all of the service's traffic on its candidate."""
    after = copy.deepcopy(before)
    for rule in after:
        for target in rule.get("route", ()) if rule["match"] == service.http_route()["match"] else ():
            target["destination"]["host"] = service.candidate
            target["weight"] = 100
    return after


@pytest.mark.carries("canary", "VirtualService")
def test_a_canary_is_promoted_and_nobody_is_lost(service):
    service = service("v3")
    before, steps = expose(service), Steps(service)
    with service.client() as client:
        service.begin("20@6s,50@6s")
        steps.run("wait-for-ready")
        steps.verdict("promote")
        steps.run("promote")
        record = service.record()
        eventually(lambda: len(client.since(record["finished"])) > 100, 180)
    assert service.http() == moved(before, service)
    assert lost(client.records) == client.failed() == [], told(client.records)
    settled = record["timeline"][-1]["at"] + record["timeline"][-1]["settled_after"]
    assert {one.version for one in client.since(settled + 1)} == {"v3"}
    first, second = (one for one in record["timeline"] if one["stage"] >= 0)
    assert (first["asked"], second["asked"]) == ({"v1": 80, "v3": 20}, {"v1": 50, "v3": 50})


@pytest.mark.carries("canary, testers first", "VirtualService")
def test_testers_meet_the_candidate_before_any_user_does(service):
    service = service("v4")
    before, steps = expose(service), Steps(service)
    with service.client() as client:
        service.begin("header:x-canary=always@8s,50@4s")
        steps.run("wait-for-ready")
        ramp = steps.start("ramp", patience=service.parameters()["patience"])
        eventually(lambda: service.ask(x_canary="always") == "v4", 180)
        users_before = len(client.records)
        assert [service.ask(x_canary="always") for _ in range(40)] == ["v4"] * 40
        out, said = ramp.communicate(timeout=300)
        assert (ramp.returncode, json.loads(out)["verdict"]) == (0, "promote"), said
        steps.run("promote")
    record = service.record()
    second = next(one for one in record["timeline"] if one["stage"] == 1)
    assert users_before > 0
    assert {one.version for one in client.records if one.sent < second["at"] - 1} == {"v1"}
    assert service.http() == moved(before, service)
    assert client.failed() == [], told(client.records)


@pytest.mark.carries("blue-green", "VirtualService")
def test_blue_green_goes_over_in_a_step_and_soaks(service):
    service = service("v5")
    before, steps = expose(service), Steps(service)
    with service.client() as client:
        service.begin("50@3s,100@6s", strategy="blue-green")
        steps.run("wait-for-ready")
        steps.verdict("promote")
        steps.run("promote")
    record = service.record()
    assert [one["asked"] for one in record["timeline"] if one["stage"] >= 0] == [{"v1": 50, "v5": 50}, {"v5": 100}]
    assert service.http() == moved(before, service)
    assert client.failed() == [], told(client.records)


@pytest.mark.carries("mirror", "VirtualService")
def test_copies_are_judged_and_users_are_answered_by_the_primary_alone(service):
    service = service("v6")
    before, steps = expose(service), Steps(service)
    with service.client() as client:
        service.begin("mirror:50@8s", strategy="mirror")
        steps.run("wait-for-ready")
        steps.verdict("promote")
        steps.run("rollback")
        record = service.record()
        eventually(lambda: len(client.since(record["finished"])) > 50, 180)
    assert record["results"][-1]["samples"]["v6"] >= 20, "copies reach the candidate"
    assert {one.version for one in client.records} == {"v1"}
    assert service.http() == before, "and nothing of the mirror is left"
    assert client.failed() == [], told(client.records)


@pytest.mark.carries("mirror, answers compared", "VirtualService")
def test_a_candidate_that_answers_otherwise_is_found_by_copies_and_meets_no_user(service):
    """v1 and v7 read the digit of every request here differently."""
    service = service("v7")
    deploy_collector(service)
    before, steps = expose(service), Steps(service)
    through = f"mirror:50:service/{service.namespace}/collector?port=8090@1m"
    collected = {"source": "prometheus", "url": prometheus(), "preset": "collector"}
    given = {
        "metrics": json.dumps({"users": counted("kserve"), "mirrored": collected}),
        "slos": json.dumps([*json.loads(SLOS), {"metric": "difference-rate", "limit": "2%"}]),
    }
    with service.client() as client:
        service.begin(through, strategy="mirror", **given)
        steps.run("wait-for-ready")
        steps.verdict("rollback")
        steps.run("rollback")
    record = service.record()
    assert "v7 differs from v1 in 100 % of comparisons" in json.dumps(record["results"][-1]["assessment"])
    assert {one.version for one in client.records} == {"v1"}
    assert service.http() == before, "and nothing of the mirror is left"
    assert client.failed() == [], told(client.records)
