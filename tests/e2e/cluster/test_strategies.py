"""Covers: the strategies besides the canary as `argo submit` runs them, on plain Deployments behind a Gateway and under 50 requests/s with a
record of each, none lost: blue-green with a rehearsal, a candidate that the rehearsal ends, a mirror that goes on into a canary, performance
as a gate, none; a canary that people steer; blue-green and performance as Tekton Pipelines.

Leaves out: the canary (test_canary.py, test_tekton.py), what only this machine can show (e2e/test_tutorials.py).
"""

import json
import subprocess
import sys

import pytest

from on_cluster.kube import eventually
from on_cluster.pipelines import condition, create, results, skipped, tasks
from on_cluster.pipelines import ended as run_ended
from on_cluster.pipelines import story as run_story
from on_cluster.release import MODEL, SLOS, Service
from on_cluster.workflows import ended, node, outputs, story, submit

LOAD = {"load_rate": "30", "load_duration": "5s"}


def url(service):
    """The candidate's own address, past the route."""
    return f"http://{service.candidate}.{service.namespace}/v2/models/{MODEL}/infer"


def steered(service, verdict, by):
    """`fairway intervene`, by hand and from here."""
    record = service.parameters()["record"]
    command = ["intervene", f"--record={record}", f"--verdict={verdict}", f"--by={by}"]
    done = subprocess.run(
        [sys.executable, "-m", "fairway_steps", *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_blue_green(space, service):
    service.deploy()
    before = service.replicas("v1")
    given = service.parameters(stages="50@3s,100@10s") | {"load_url": url(service), **LOAD}
    with service.client() as client:
        name = submit(space, "blue-green-v1", **given)
        eventually(lambda: list(service.weights()) == [service.candidate], 300, why="all users are over")
        soaking = service.replicas("v1")
        found = ended(space, name)
    assert found["status"]["phase"] == "Succeeded", story(found)
    record = service.record()
    assert (record["outcome"], record["strategy"]) == ("promoted", "blue-green")
    assert record["rehearsal"]["assessment"]["verdict"] == "advance"
    assert soaking == before, "the old side stands by until the end"
    assert service.replicas("v1") == 0, "and is then released"
    service.check("v2", client)
    assert client.failed() == []


def test_a_rehearsal_keeps_a_failing_candidate_from_all_users(space, service):
    service.deploy("failing")
    given = service.parameters(stages="100@1m") | {"load_url": url(service), **LOAD}
    with service.client() as client:
        found = ended(space, submit(space, "blue-green-v1", **given))
    assert found["status"]["phase"] == "Failed", story(found)
    assert service.record()["outcome"] == "rolled-back", story(found)
    assert service.record()["stage"] == -1, "no stage was entered"
    assert client.answered_by("v2") == []
    service.check("v1", client)


def test_mirror(space, service):
    service.deploy()
    with service.client() as client:
        found = ended(space, submit(space, "mirror-v1", **service.parameters(stages="mirror:50@15s,50@10s")))
    assert found["status"]["phase"] == "Succeeded", story(found)
    record = service.record()
    assert (record["outcome"], record["strategy"]) == ("promoted", "mirror")
    mirrored = record["results"][0]
    assert (mirrored["weight"], mirrored["samples"]["v2"] > 30) == (0, True), "copies are what it was judged by"
    entered = record["timeline"][1]["at"]
    assert [one for one in client.answered_by("v2") if one.sent < entered - 1] == [], "no user before that"
    service.check("v2", client)
    assert client.failed() == []


def test_none(space, service):
    service.deploy()
    given = {name: one for name, one in service.parameters().items() if name not in ("stages", "slos", "metrics")}
    with service.client() as client:
        found = ended(space, submit(space, "none-v1", **given))
    assert found["status"]["phase"] == "Succeeded", story(found)
    assert (service.record()["outcome"], service.record()["results"]) == ("promoted", [])
    service.check("v2", client)
    assert client.failed() == []


@pytest.mark.parametrize(
    ("behave", "phase", "verdict"), [("good", "Succeeded", "promote"), ("failing", "Failed", "rollback")]
)
def test_performance_is_a_gate(space, address, behave, phase, verdict):
    service = Service(space, f"gate-{behave}", address)
    service.deploy_version("v2", behave)
    service.await_version("v2")
    given = {"candidate": f"v2=deployment/{space}/{service.candidate}", "load_url": url(service), "slos": SLOS}
    given |= {name: service.parameters()[name] for name in ("model", "payload")}
    found = ended(space, submit(space, "performance-v1", **given, **LOAD))
    assert found["status"]["phase"] == phase, story(found)
    assert outputs(node(found, "assess"))["verdict"] == verdict
    assert json.loads(outputs(node(found, "load-test"))["summary"])["requests"] == 150


def test_people_steer_a_canary_and_are_named(space, service):
    service.deploy()
    with service.client() as client:
        name = submit(space, "canary-v1", **service.parameters(stages="20@1h,40@1h,60@1h"))
        eventually(lambda: service.candidate in service.weights(), 300, why="the first stage")
        steered(service, "advance", "alice")
        eventually(lambda: service.weights().get(service.candidate) == 40, 120, why="the stage is skipped")
        steered(service, "promote", "bob")
        found = ended(space, name)
    assert found["status"]["phase"] == "Succeeded", story(found)
    record = service.record()
    assert record["outcome"] == "promoted"
    assert record["reason"] == "the candidate was promoted on the word of bob, not of the evidence"
    assert [event["message"] for event in record["events"] if event["step"] == "intervene"] == [
        "alice says advance",
        "bob says promote",
    ]
    service.check("v2", client)
    assert client.failed() == []


@pytest.mark.parametrize("behave", ["good", "failing"])
def test_blue_green_on_tekton(tekton, address, behave):
    service = Service(tekton, f"tekton-{behave}", address)
    service.deploy(behave)
    given = {name: one for name, one in service.parameters(stages="50@3s,100@10s").items() if name != "record"}
    with service.client() as client:
        name = create(tekton, "blue-green-v1", **given, load_url=url(service), **LOAD)
        found = run_ended(tekton, name)
    good = behave == "good"
    assert condition(found)["status"] == str(good), run_story(tekton, name)
    assert results(found)["outcome"] == ("promoted" if good else "rolled-back") == service.record()["outcome"]
    assert service.record()["rehearsal"]["assessment"]["verdict"] == ("advance" if good else "rollback")
    assert skipped(found) >= {"promote-first", "rollback", "hold"} if good else "ramp" not in tasks(tekton, name)
    assert good or client.answered_by("v2") == []
    service.check("v2" if good else "v1", client)


def test_performance_on_tekton(tekton, address):
    service = Service(tekton, "tekton-gate", address)
    service.deploy_version("v2")
    service.await_version("v2")
    given = {"candidate": f"v2=deployment/{tekton}/{service.candidate}", "slos": SLOS, "model": MODEL}
    given["payload"] = service.parameters()["payload"]
    name = create(tekton, "performance-v1", **given, load_url=url(service), **LOAD)
    found = run_ended(tekton, name)
    assert condition(found)["status"] == "True", run_story(tekton, name)
    assert results(found)["verdict"] == "promote"
