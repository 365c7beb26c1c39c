"""Covers: when a version in a cluster is ready and why it is not (status, generations, endpoints, pods), that changes are
told by watches and cost no request, the first inference at every endpoint, and when a version is away.

Leaves out: real controllers and pods (tests/e2e), the watch itself (tests/contract/test_cluster.py).
"""

import re

import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.cluster import Reference
from fairway_steps.errors import DomainError, NotReady
from fairway_steps.model import Version
from fairway_steps.ready import wait_for_ready
from fairway_steps.workload import pods, status
from fairway_steps.workload.place import place
from fairway_steps.workload.probe import ClusterProbe
from fakes_cluster import FakeCluster
from fakes_routing import eventually

V2 = Version("v2", "deployment/ns/iris?service=iris&port=80")
DEPLOYMENT = place(V2).ref
SLICE = Reference("discovery.k8s.io", "v1", "EndpointSlice", "ns", "iris-1")
POD = Reference("", "v1", "Pod", "ns", "iris-abc")
SERVED = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "observedGeneration": 1}


def deployment(spec=None, **told):
    return {
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "iris"}}} | (spec or {}),
        "status": SERVED | told,
    }


def slices(*addresses, ready=True, port=8080):
    labels = {"kubernetes.io/service-name": "iris"}
    endpoints = [{"addresses": [a], "conditions": {"ready": ready}} for a in addresses]
    return {"metadata": {"labels": labels}, "ports": [{"port": port}], "endpoints": endpoints}


def pod(state, last=None, **more):
    container = {"name": "model", "state": state} | ({"lastState": {"terminated": last}} if last else {})
    return {"metadata": {"labels": {"app": "iris"}}, "status": {"containerStatuses": [container]} | more}


@pytest.fixture
def cluster():
    made = FakeCluster("ns")
    made.put(DEPLOYMENT, deployment())
    made.put(SLICE, slices("198.18.0.1", "fd00::1"))
    return made


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (None, "there is no Deployment ns/iris"),
        (deployment(observedGeneration=0), "its controller has not yet seen the newest spec"),
        (deployment({"replicas": 0}), "it is scaled to 0"),
        (deployment(updatedReplicas=1), "1 of 2 pods are up to date"),
        (deployment(replicas=3), "1 old pods are still there"),
        (deployment(availableReplicas=1), "1 of 2 pods are available"),
        (
            deployment(conditions=[{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "stuck"}]),
            "it did not progress in time: stuck",
        ),
        (deployment(), ""),
    ],
)
def test_a_deployment_is_ready_when_its_newest_pods_alone_are_available(found, sentence):
    whole = found and found | {"metadata": {"generation": 1}}
    told = status.trouble(whole, place(V2))
    assert sentence in told if sentence else told == ""


def conditions(kind="Ready", value="True", **more):
    return {"conditions": [{"type": kind, "status": value} | more]}


UPDATING = {"readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"}


@pytest.mark.parametrize(
    ("uri", "told", "sentence"),
    [
        ("inferenceservice/ns/iris", conditions(), ""),
        ("inferenceservice/ns/iris", {}, "its condition Ready is not told yet"),
        ("inferenceservice/ns/iris", conditions() | {"observedGeneration": 4}, ""),
        ("a.b/v1/Llm/ns/iris", conditions() | {"observedGeneration": 4}, "not yet seen the newest spec"),
        ("inferenceservice/ns/iris", conditions(value="False", reason="X", message="no"), r"Ready is False \(X: no\)"),
        (
            "inferenceservice/ns/iris",
            conditions()
            | {"modelStatus": {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": {"message": "bad"}}},
            "its model is BlockedByFailedLoad: bad",
        ),
        (
            "inferenceservice/ns/iris",
            conditions(value="Unknown")
            | {"modelStatus": {"transitionStatus": "InvalidSpec", "lastFailureInfo": {"message": "no runtime"}}},
            "Ready is Unknown; its model is InvalidSpec: no runtime",
        ),
        ("a.b/v1/Llm/ns/iris?ready=Available", conditions("Available"), ""),
        ("a.b/v1/Llm/ns/iris?ready=Available", conditions(), "Available is not told yet"),
        ("a.b/v1/Llm/ns/iris", conditions(observedGeneration=4), "told of an older generation"),
        ("service/ns/iris", {}, ""),
        ("a.b/v1/Llm/ns/iris?ready=none", {}, ""),
        ("a.b/v1/Llm/ns/iris?ready=none", conditions(value="False"), ""),
        ("a.b/v1/Llm/ns/iris?ready=none", {"observedGeneration": 4}, "not yet seen the newest spec"),
        ("apps/v1/StatefulSet/ns/iris", {"readyReplicas": 1}, ""),
        ("apps/v1/StatefulSet/ns/iris", {"readyReplicas": 0}, "0 of 1 pods are ready"),
        ("apps/v1/StatefulSet/ns/iris", {}, "Ready is not told yet"),
        ("apps/v1/StatefulSet/ns/iris", UPDATING, "0 of 1 pods are up to date"),
        ("apps/v1/StatefulSet/ns/iris", UPDATING | {"updatedReplicas": 1}, ""),
        ("apps/v1/StatefulSet/ns/iris?ready=Ready", {"readyReplicas": 1}, "Ready is not told yet"),
        ("a.b/v1/Llm/ns/iris", conditions(value="False") | {"readyReplicas": 1}, "Ready is False"),
    ],
)
def test_other_kinds_are_ready_by_their_conditions(uri, told, sentence):
    found = {"metadata": {"generation": 5}, "status": told}
    said = status.trouble(found, place(Version("v", uri)))
    assert re.search(sentence, said) if sentence else said == ""


def test_what_is_being_deleted_is_not_ready():
    found = deployment() | {"metadata": {"generation": 1, "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert status.trouble(found, place(V2)) == "Deployment ns/iris is being deleted"


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            pod(
                {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                {"exitCode": 1, "reason": "Error"},
            ),
            "container model: CrashLoopBackOff (back-off 10s), last exit code 1 (Error)",
        ),
        (pod({"waiting": {"reason": "ImagePullBackOff"}}), "container model: ImagePullBackOff"),
        (pod({"waiting": {"reason": "ContainerCreating"}}), ""),
        (pod({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}), "ended with exit code 137 (OOMKilled)"),
        (pod({"running": {}}), ""),
        (
            pod({}, conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]),
            "it is not scheduled: 0/1 nodes",
        ),
    ],
)
def test_pods_tell_why_they_do_not_run(found, sentence):
    told = pods.reason([found | {"metadata": {"name": "iris-abc"}}])
    assert told == (f"pod iris-abc: {sentence}" if sentence and "ended" not in sentence else told)
    assert sentence in told


def test_a_version_is_ready_with_its_endpoints(cluster):
    probe = ClusterProbe(cluster)
    assert probe(V2) == ""
    cluster.put(SLICE, slices("198.18.0.1", ready=False))
    eventually(lambda: probe(V2) == "v2: the Service iris has no ready endpoints")


def test_a_crashing_pod_is_told_in_the_sentence_and_by_a_timeout(cluster):
    cluster.put(DEPLOYMENT, deployment(availableReplicas=0))
    cluster.put(POD, pod({"waiting": {"reason": "CrashLoopBackOff"}}))
    probe = ClusterProbe(cluster)
    wanted = "v2: Deployment ns/iris: 0 of 2 pods are available; pod iris-abc: container model: CrashLoopBackOff"
    assert probe(V2) == wanted
    with pytest.raises(NotReady, match=r"not ready within 0\.2 s: v2: .*CrashLoopBackOff"):
        wait_for_ready([V2], probe, SystemClock(), timeout=0.2, interval=0.05, pause=probe.pause)


def test_without_the_right_to_see_pods_there_is_less_to_tell(cluster):
    cluster.put(DEPLOYMENT, deployment(availableReplicas=0))
    real = cluster.watch

    def watch(ref, **options):
        if ref.kind == "Pod":
            raise DomainError("pods are forbidden")
        yield from real(ref, **options)

    cluster.watch = watch
    assert ClusterProbe(cluster)(V2) == "v2: Deployment ns/iris: 0 of 2 pods are available"


def test_waiting_ends_with_the_change_and_makes_no_further_request(cluster):
    cluster.put(DEPLOYMENT, deployment(availableReplicas=0))
    probe = ClusterProbe(cluster)
    assert probe(V2)
    before = len(cluster.calls)
    waits = []

    def pause(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            cluster.put(DEPLOYMENT, deployment())
        probe.pause(60.0 if len(waits) > 2 else 0.0)

    took = wait_for_ready([V2], probe, SystemClock(), timeout=60.0, interval=60.0, pause=pause)
    assert took["v2"] < 30
    assert len(cluster.calls) == before


def test_every_ready_endpoint_answers_the_first_inference(cluster):
    asked = []

    def inference(version):
        asked.append(version.uri)
        return "" if "198" in version.uri else f"{version.name}: {version.uri} answers 500"

    probe = ClusterProbe(cluster, inference)
    assert probe(V2) == "v2: http://[fd00::1]:8080 answers 500"
    assert asked == ["http://198.18.0.1:8080", "http://[fd00::1]:8080"]
    asked.clear()
    assert probe(Version("v2", f"{V2.uri}&url=http://198.18.9.9/v1")) == ""
    assert asked == ["http://198.18.9.9/v1"]


def test_a_version_is_away_without_endpoints_or_when_it_is_deleted(cluster):
    probe = ClusterProbe(cluster)
    assert probe.away(V2) == ""
    cluster.put(DEPLOYMENT, deployment(availableReplicas=1))
    assert probe.away(V2) == "", "less than wanted, but there"
    cluster.put(SLICE, slices())
    eventually(lambda: "has no ready endpoints" in probe.away(V2))
    cluster.put(SLICE, slices("198.18.0.1"))
    eventually(lambda: probe.away(V2) == "")
    cluster.edit(DEPLOYMENT, {"metadata": {"finalizers": ["a/b"]}})
    cluster.delete(DEPLOYMENT)
    eventually(lambda: probe.away(V2) == "v2: Deployment ns/iris is being deleted")
    cluster.remove(DEPLOYMENT)
    eventually(lambda: probe.away(V2) == "v2: there is no Deployment ns/iris")


def test_a_version_is_away_once_it_has_crashed_under_traffic(cluster):
    def died(at, **more):
        return pod({"running": {}}, {"exitCode": 3, "reason": "Error", "finishedAt": at}) | more

    probe, traffic = ClusterProbe(cluster), 1_795_540_000.7  # 2026-11-24T17:06:40.7Z
    cluster.put(POD, died("2026-11-24T17:06:39Z"))
    assert probe.away(V2, traffic) == "", "that was before it had traffic"
    cluster.put(POD, died("2026-11-24T17:06:40Z"))
    told = "v2: pod iris-abc: container model ended under traffic (exit code 3, Error)"
    eventually(lambda: probe.away(V2, traffic) == told)
    assert probe.away(V2) == "", "it never had any"


def test_a_pod_that_was_asked_to_end_has_not_crashed():
    ended = pod({"terminated": {"exitCode": 143, "reason": "Error", "finishedAt": "2026-11-24T17:06:41Z"}})
    about = {"name": "iris-abc"}
    assert pods.crash([ended | {"metadata": about}], 0.0)
    assert pods.crash([ended | {"metadata": about | {"deletionTimestamp": "2026-11-24T17:06:40Z"}}], 0.0) == ""


def test_a_watch_that_is_refused_is_told(cluster):
    def watch(*_, **__):
        raise DomainError("watching is forbidden")
        yield

    cluster.watch = watch
    with pytest.raises(DomainError, match="watching is forbidden"):
        ClusterProbe(cluster)(V2)
