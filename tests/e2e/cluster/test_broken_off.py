"""Covers: releases on a real Argo that are broken off or disturbed: a stage's pod that is killed right after its write, a
controller that is away while a person is waited for, a candidate that turns bad meanwhile, a run that is stopped in the middle of a
shift and while it waits; each under a continuous client with a record of each request.

Leaves out: `argo terminate` and deleted workflows, for which no exit handler runs; the steps themselves (test_faults.py).
"""

import json
import time

import pytest

from lab.addons.argo import NAMESPACE
from on_cluster.kube import eventually, items, kubectl, named, spares
from on_cluster.release import Service
from on_cluster.workflows import argo, ended, node, nodes, story, submit, workflow

KEPT = {"primary_policy": "keep", "candidate_policy": "keep", "hold_timeout": "5s"}


ASKED = KEPT | {"hold_timeout": "10m"}
SOON = 60.0
"""Seconds for what is done at once, in a second or two, however busy the machine is; what it interrupts lasts ten minutes."""
CANDIDATES = {"killed": "v2", "asked": "v3", "stage": "v4", "approval": "v5", "spoilt": "v6"}


@pytest.fixture(scope="module")
def shared(space, address):
    """Versions that the tests here share: none of them takes their pods away."""
    made = Service(space, "shared", address)
    for name in ("v1", *CANDIDATES.values()):
        made.deploy_version(name)
    for name in ("v1", *CANDIDATES.values()):
        made.await_version(name)
    return made


@pytest.fixture
def service(shared, request):
    """A route with all traffic on v1, and a candidate of the test's own."""

    def made(what):
        found = Service(shared.namespace, named(request), shared.address, of="shared", new=CANDIDATES[what])
        found.expose()
        return found

    return made


def running(service, name, display):
    """The node of a display name while it runs."""
    found = workflow(service.namespace, name)
    return [one for one in nodes(found) if one["displayName"] == display and one["phase"] == "Running"]


KILL = """
import os, signal, time
while True:
    for each in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{each}/cmdline") as file:
            words = file.read().split(chr(0))
        if "assess" in words and "emissary" not in words:
            os.kill(int(each), signal.SIGKILL)
            raise SystemExit
    time.sleep(0.05)
"""


def test_a_step_that_is_killed_is_done_again_and_advances_once(service):
    service = service("killed")
    with service.client() as client:
        name = submit(service.namespace, "canary-v1", **service.parameters(stages="50@20s", **KEPT))
        eventually(lambda: service.candidate in service.weights(), 120)
        (pod,) = (
            one["metadata"]["name"]
            for one in items(service.namespace, "pod", f"workflows.argoproj.io/workflow={name}")
            if "-stage-" in one["metadata"]["name"]
        )
        kubectl("exec", "-n", service.namespace, pod, "-c", "main", "--", "python", "-c", KILL)
        found = ended(service.namespace, name)
    assert found["status"]["phase"] == "Succeeded", story(found)
    tries = {
        one["displayName"]: one.get("message", "") for one in nodes(found) if one["displayName"].startswith("stage(")
    }
    assert set(tries) == {"stage(0)", "stage(1)"}, story(found)
    assert "137" in tries["stage(0)"]
    record = service.record()
    assert record["outcome"] == "promoted"
    assert [change["stage"] for change in record["timeline"]] == [0, -1]
    assert "set-weights" in {event["step"] for event in record["events"]}, "that it was done again is told"
    service.check(service.new, client)
    assert client.failed() == []


def test_a_controller_that_was_away_while_a_person_was_asked_goes_on_at_the_same_stage(service):
    spares("Argo's controller")
    service = service("asked")
    with service.client() as client:
        name = submit(service.namespace, "canary-approval-v1", **service.parameters(stages="50@4s", **ASKED))
        eventually(lambda: running(service, name, "wait"), 180, why="a person is asked")
        before = {one["id"] for one in nodes(workflow(service.namespace, name))}
        kubectl("delete", "pod", "-n", NAMESPACE, "--selector=app=workflow-controller", "--now")
        argo(
            service.namespace,
            "node",
            "set",
            name,
            "--output-parameter=approve=YES",
            "--node-field-selector=displayName=wait",
        )
        argo(service.namespace, "resume", name, "--node-field-selector=displayName=wait")
        found = ended(service.namespace, name)
    assert found["status"]["phase"] == "Succeeded", story(found)
    assert before <= {one["id"] for one in nodes(found)}
    made = {one["id"] for one in nodes(found) if one["displayName"].startswith("stage")}
    assert made <= before, "no stage was made again"
    record = service.record()
    assert [change["stage"] for change in record["timeline"]] == [0, -1]
    service.check(service.new, client)
    assert client.failed() == []


def test_a_candidate_that_turns_bad_while_a_person_is_asked_loses_its_traffic(service):
    service = service("spoilt")
    bad = {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--behave=failing"}
    with service.client() as client:
        name = submit(service.namespace, "canary-approval-v1", **service.parameters(stages="50@4s", **ASKED))
        eventually(lambda: running(service, name, "wait"), 180, why="a person is asked")
        assert service.weights() == {service.primary: 50, service.candidate: 50}
        version = f"deployment/{service.candidate}"
        kubectl("patch", version, "-n", service.namespace, "--type=json", "-p", json.dumps([bad]))
        eventually(lambda: service.record()["outcome"], 180, why="the look-out has seen it")
        assert list(service.weights()) == [service.primary]
        assert running(service, name, "wait"), "the question is still open"
        argo(service.namespace, "resume", name, "--node-field-selector=displayName=wait")
        found = ended(service.namespace, name)
    assert found["status"]["phase"] == "Failed", story(found)
    record = service.record()
    assert record["outcome"] == "rolled-back"
    assert "over the limit of 1 %" in record["reason"]
    service.check("v1", client)
    assert {one.status for one in client.failed()} == {500}, "what the candidate's own users met"


@pytest.mark.parametrize("where", ["stage", "approval"])
def test_a_run_that_is_stopped_puts_the_traffic_back(service, where):
    service = service(where)
    with service.client() as client:
        template, stages = ("canary-approval-v1", "50@4s") if where == "approval" else ("canary-v1", "50@10m")
        name = submit(service.namespace, template, **service.parameters(stages=stages, **ASKED))
        eventually(lambda: service.candidate in service.weights(), 120)
        if where == "approval":
            eventually(lambda: running(service, name, "wait"), 120, why="a person is asked")
        argo(service.namespace, "stop", name)
        told = time.monotonic()
        waiting = "wait" if where == "approval" else "stage(0)"
        eventually(lambda: not running(service, name, waiting), 180)
        acted = time.monotonic() - told
        found = ended(service.namespace, name)
    assert found["status"]["phase"] == "Failed", story(found)
    assert acted < SOON, f"it was stopped after {acted:.1f} s"
    assert node(found, "ensure-safe")["phase"] == "Succeeded"
    assert service.record()["outcome"] == "rolled-back"
    service.check("v1", client)
    assert client.failed() == []


def test_a_run_that_has_lost_its_route_is_reported_and_leaves_it(service):
    service = service("stage")
    name = submit(service.namespace, "canary-v1", **service.parameters(stages="50@10m", **ASKED))
    eventually(lambda: service.candidate in service.weights(), 120)
    held = service.weights()
    service.claim()
    argo(service.namespace, "stop", name)
    found = ended(service.namespace, name)
    assert [node(found, one)["phase"] for one in ("ensure-safe", "report", "make-sure")] == [
        "Failed",
        "Succeeded",
        "Succeeded",
    ], story(found)
    assert "the route is now of another release" in service.record()["reason"]
    assert service.weights() == held
