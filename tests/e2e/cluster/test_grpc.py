"""Covers: gRPC through a GRPCRoute of a real gateway, by each strategy to its end and under a load test with a record of each call, none lost: a
canary that testers meet first, blue-green, a mirror that becomes a canary, an A/B/n split, none; and a mirror whose answers are to be compared, which is refused
before anything is written. The user's own match and filter are as they were.

Leaves out: HTTPRoutes (test_promotion.py, test_strategies.py), the same as WorkflowTemplates.
"""

import json
import math
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from on_cluster.client import MODEL
from on_cluster.kube import apply, eventually, get, named, prometheus, weights
from on_cluster.release import SLOS, Service
from on_cluster.steps import Steps
from on_cluster.versions import http_route

pytestmark = pytest.mark.usefixtures("within_reach")
KEPT = {"primary_policy": "keep", "candidate_policy": "keep"}
ERRORS = json.dumps(json.loads(SLOS)[:1])
GRPC = 8081
VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6")
"""Of which each test that judges has a candidate of its own: one that has just had users is not taken for idle."""


@dataclass
class Called(Service):
    """A service that is called by gRPC: a GRPCRoute ``NAME``, and a Service ``VERSION-grpc`` for each version."""

    def backend(self, name):
        return f"{self.version(name)}-grpc"

    def at(self, name):
        return f"{name}=deployment/{self.namespace}/{self.version(name)}?service={self.backend(name)}&port={GRPC}"

    def parameters(self, **changed):
        given = {
            "route": f"grpcroute/{self.namespace}/{self.name}",
            "primary": self.at("v1"),
            "candidate": self.at(self.new),
        }
        return super().parameters(**given | {"slos": ERRORS} | changed)

    def weights(self):
        return weights(self.namespace, self.name, "grpcroute")

    def rules(self):
        return get(self.namespace, f"grpcroute/{self.name}")["spec"]["rules"]

    def ported(self, name):
        port = {"name": "grpc", "port": GRPC, "targetPort": GRPC, "appProtocol": "kubernetes.io/h2c"}
        spec = {"selector": {"app": self.version(name)}, "ports": [port]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": self.backend(name)}, "spec": spec}

    def called(self, *headers, **more):
        """A load test of the route that has begun."""
        about = {
            "url": f"grpc://{self.address.removeprefix('http://')}/v2/models/{MODEL}/infer",
            "header": [f"host: {self.host}", *headers],
            "tensors": "x:FP64[1,64]",
            "rate": "40",
            "duration": "10m",
        }
        return Steps(self).start("load-test", record="", **about | more)

    @contextmanager
    def users(self, *headers, **more):
        """Calls until the end, none of which may be lost; what the load test told is in ``.told`` then."""
        load, seen = self.called(*headers, **more), SimpleNamespace()
        try:
            yield seen
        finally:
            load.send_signal(signal.SIGINT)
            out, said = load.communicate(timeout=180)
        seen.told = json.loads(out)
        lost = set(seen.told["errors"]) - {"cancelled"}  # by the signal, with its answer on the way
        assert (load.returncode, lost, seen.told["requests"] > 50) == (130, set(), True), said


@pytest.fixture(scope="module")
def shared(space, address):
    """Versions that the tests here share: none of them takes their pods away."""
    made = Called(space, "shared", address)
    for name in VERSIONS:
        made.deploy_version(name)
    for name in VERSIONS:
        made.await_version(name)
    apply(space, [made.ported(name) for name in VERSIONS])
    return made


@pytest.fixture
def service(shared, request):
    """All of a host's calls to v1, by method, with a filter of the user's own; it is served."""
    made = Called(shared.namespace, named(request), shared.address, of="shared")
    route = http_route(made.name, made.host, made.backend("v1")) | {"kind": "GRPCRoute"}
    (rule,) = route["spec"]["rules"]
    rule |= {"matches": [{"method": {"service": "inference.GRPCInferenceService"}}]}
    rule["backendRefs"][0]["port"] = GRPC
    apply(made.namespace, [route])

    def served():
        out, _ = made.called(rate="10", duration="1s").communicate(timeout=300)
        return out.strip() and not json.loads(out)["errors"]

    eventually(served, 60, why="the gateway serves the route")
    return made


def ended(service, before, version):
    """The record, once nothing of the release is left in the route but that it goes to ``version``."""
    (rule,), (old,) = service.rules(), before
    assert {**rule, "backendRefs": old["backendRefs"]} == old
    assert [one["name"] for one in rule["backendRefs"]] == [service.backend(version)]
    return service.record()


def near(share, wanted, count):
    return abs(share - wanted) < 6.5 * math.sqrt(wanted * (1 - wanted) / count)


@pytest.mark.carries("canary", "GRPCRoute")
@pytest.mark.carries("canary, testers first", "GRPCRoute")
def test_a_canary_that_testers_meet_first(service):
    before, steps = service.rules(), Steps(service)
    with service.users():
        steps.begin(stages="header:x-canary=always@5s,50@5s", **KEPT)
        steps.run("wait-for-ready")
        steps.run("set-weights", stage="0")
        with service.users("x-canary: always", rate="20") as testers:
            told = steps.run("assess", stage="0", patience="1m").told
            counted = service.record()["results"][-1]["samples"]
        assert told["verdict"] == "advance", told
        assert 0 < counted["v2"] <= testers.told["requests"], "no user is among them"
        assert counted["v1"] > 0
        steps.run("set-weights", stage="1")
        assert steps.run("assess", stage="1", patience="1m").told["verdict"] == "promote"
        steps.run("promote")
    record = ended(service, before, "v2")
    counted = record["results"][-1]["samples"]
    assert near(counted["v2"] / sum(counted.values()), 0.5, sum(counted.values())), counted
    assert record["timeline"][-1]["measured"]["v2"] == 1


@pytest.mark.carries("blue-green", "GRPCRoute")
def test_blue_green(service):
    service.new = "v3"
    before, steps = service.rules(), Steps(service)
    with service.users():
        steps.begin(strategy="blue-green", stages="50@3s,100@5s", **KEPT)
        steps.run("wait-for-ready")
        steps.verdict("promote")
        steps.run("promote")
    record = ended(service, before, "v3")
    assert [one["asked"] for one in record["timeline"] if one["stage"] >= 0] == [{"v1": 50, "v3": 50}, {"v3": 100}]
    assert record["outcome"] == "promoted"


@pytest.mark.carries("mirror", "GRPCRoute")
def test_a_mirror_and_a_canary_after_it(service):
    service.new = "v4"
    before, steps = service.rules(), Steps(service)
    with service.users():
        steps.begin(strategy="mirror", stages="mirror:50@8s,50@5s", **KEPT)
        steps.run("wait-for-ready")
        steps.verdict("promote")
        mirrored, split = service.record()["results"]
        assert (mirrored["weight"], mirrored["samples"]["v4"] > 30) == (0, True), "copies are what it was judged by"
        assert split["samples"]["v4"] > 0
        steps.run("promote")
    assert ended(service, before, "v4")["outcome"] == "promoted"


def worth(namespace):
    """Of v6 seven calls in ten are worth something, of all others three: counted from the calls that the pods answered."""
    pod = f'namespace="{namespace}", pod=~"$workload-.*"'
    calls = f"request_predict_seconds_count{{{pod}}}"
    worth = f'0.7 * {calls[:-1]}, pod=~".*-v6-.*"}} or 0.3 * {calls}'
    told = {"requests": calls, "users": calls, "reward": worth, "reward-squares": worth}
    latency = {"latency": f"request_predict_seconds_bucket{{{pod}}}"}
    return json.dumps({"source": "prometheus", "url": prometheus(), "queries": told | latency})


@pytest.mark.carries("A/B/n split", "GRPCRoute")
def test_the_best_of_several_is_promoted(service):
    before, steps = service.rules(), Steps(service)
    limit = {"metric": "latency", "quantile": "p95", "limit": "5s", "min-requests": 30}
    with service.users():
        steps.begin(
            strategy="ab",
            candidate=",".join(map(service.at, ("v5", "v6"))),
            stages="v5=30+v6=30@30s",
            slos=json.dumps([limit, {"metric": "reward", "margin": "20%"}]),
            metrics=worth(service.namespace),
            **KEPT,
        )
        steps.run("wait-for-ready")
        steps.verdict("promote")
        steps.run("promote")
    record = ended(service, before, "v6")
    assert (record["outcome"], record["results"][-1]["assessment"]["winner"]) == ("promoted", "v6")
    counted = record["results"][-1]["samples"]
    for name, share in (("v1", 0.4), ("v5", 0.3), ("v6", 0.3)):
        assert near(counted[name] / sum(counted.values()), share, sum(counted.values())), counted


def test_answers_are_not_compared(service):
    before, steps = service.rules(), Steps(service)
    through = f"mirror:50:service/{service.namespace}/{service.backend('v3')}?port={GRPC}@10s"
    refused = steps.begin(1, strategy="mirror", stages=through, **KEPT)
    assert "a collector speaks HTTP/1.1, and compares no gRPC answers" in refused.said
    assert service.rules() == before
    assert get(service.namespace, f"configmap/fairway-{service.name}") is None


@pytest.mark.carries("none", "GRPCRoute")
def test_none(service):
    before, steps = service.rules(), Steps(service)
    with service.users():
        steps.begin(strategy="none", stages="", slos="", metrics="", **KEPT)
        steps.run("wait-for-ready")
        steps.run("promote")
    record = ended(service, before, "v2")
    assert (record["outcome"], record["results"]) == ("promoted", [])
