"""Covers: the strategies besides the canary as `argo submit` runs them, on plain Deployments behind a Gateway and under 50 requests/s with a
record of each, none lost: blue-green with a rehearsal, a candidate that the rehearsal ends, a mirror that goes on into a canary, one whose
answers a collector compares, an A/B/n split, performance as a gate, none; a canary that testers meet first, and one that people steer.

Leaves out: the canary (test_canary.py), the same on Tekton (test_tekton_strategies.py), what only this machine can show (e2e/test_tutorials.py).
"""

import json
import subprocess
import sys

import pytest

from on_cluster.collector import deploy_collector
from on_cluster.kube import eventually
from on_cluster.release import SLOS, Service, rehearsal
from on_cluster.warehouse import split, warehouse
from on_cluster.witness import Witness
from on_cluster.workflows import ended, node, outputs, story, submit


def steered(service, verdict, by):
    """`fairway intervene`, by hand and from here."""
    record = service.parameters()["record"]
    command = ["intervene", f"--record={record}", f"--verdict={verdict}", f"--by={by}"]
    done = subprocess.run(
        [sys.executable, "-m", "fairway_steps", *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.carries("canary, testers first", "HTTPRoute")
def test_testers_meet_the_candidate_before_any_user_does(space, service):
    service.deploy()
    with service.client() as client, service.client(rate=10, x_canary="always") as testers:
        found = ended(space, submit(space, "canary-v1", **service.parameters(stages="header:x-canary=always@8s,50@8s")))
    assert found["status"]["phase"] == "Succeeded", story(found)
    first, second = (one for one in service.record()["timeline"] if one["stage"] >= 0)
    before_users = [
        one for one in testers.since(first["at"] + first["settled_after"] + 1) if one.sent < second["at"] - 1
    ]
    assert {one.version for one in before_users} == {"v2"}
    assert {one.version for one in client.records if one.sent < second["at"] - 1} == {"v1"}
    service.check("v2", client)
    assert client.failed() == testers.failed() == []


@pytest.mark.carries("blue-green", "HTTPRoute")
def test_blue_green(space, service):
    service.deploy()
    given = service.parameters(stages="50@3s,100@10s") | {**rehearsal(service)}
    with service.client() as client, Witness(space, service.name) as seen:
        found = ended(space, submit(space, "blue-green-v1", **given))
    assert found["status"]["phase"] == "Succeeded", story(found)
    over = seen.when(lambda now: now.backends == {service.candidate})
    released = seen.when(lambda now: now.replicas[service.primary] == 0, after=over)
    for state in seen.states()[:released]:
        for side in (service.primary, service.candidate):
            assert (state.replicas[side], state.ready[side]) == (1, 1), "both sides stand by until the end"
    assert seen.told(released) - seen.told(over) >= 10, "the soak"
    record = service.record()
    assert (record["outcome"], record["strategy"]) == ("promoted", "blue-green")
    assert record["rehearsal"]["assessment"]["verdict"] == "advance"
    service.check("v2", client)
    assert client.failed() == []


def test_a_rehearsal_keeps_a_failing_candidate_from_all_users(space, service):
    service.deploy("failing")
    given = service.parameters(stages="100@1m") | {**rehearsal(service)}
    with service.client() as client:
        found = ended(space, submit(space, "blue-green-v1", **given))
    assert found["status"]["phase"] == "Failed", story(found)
    assert service.record()["outcome"] == "rolled-back", story(found)
    assert service.record()["stage"] == -1, "no stage was entered"
    assert client.answered_by("v2") == []
    service.check("v1", client)


@pytest.mark.carries("mirror", "HTTPRoute")
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


@pytest.mark.carries("mirror, answers compared", "HTTPRoute")
def test_a_candidate_that_answers_otherwise_is_found_by_copies_and_meets_no_user(space, service):
    """v1 and v2 read the digit of every request here differently."""
    service.deploy()
    deploy_collector(service)
    slos = json.dumps([*json.loads(SLOS)[:1], {"metric": "difference-rate", "limit": "2%"}])
    given = service.parameters(stages=f"mirror:50:service/{space}/collector?port=8090@1m,50@10s", slos=slos)
    with service.client() as client:
        found = ended(space, submit(space, "mirror-v1", **given))
    assert found["status"]["phase"] == "Failed", story(found)
    record = service.record()
    assert (record["outcome"], record["stage"]) == ("rolled-back", 0), story(found)
    assert "v2 differs from v1 in 100 % of comparisons" in json.dumps(record["results"][-1]["assessment"])
    assert client.answered_by("v2") == []
    service.check("v1", client)
    assert client.failed() == []


@pytest.mark.carries("A/B/n split", "HTTPRoute")
def test_the_best_of_several_is_promoted(space, service, within_reach):
    """Within reach, for it is told from here what users were worth."""
    for name in ("v1", "v2", "v3"):
        service.deploy_version(name)
    for name in ("v1", "v2", "v3"):
        service.await_version(name)
    service.expose()
    with service.client() as client, warehouse(client, {"v1": 0.3, "v2": 0.3, "v3": 0.7}) as sums:
        given = service.parameters(**split(service, sums, "v2", "v3"))
        found = ended(space, submit(space, "ab-v1", **given))
    assert found["status"]["phase"] == "Succeeded", story(found)
    record = service.record()
    assert (record["outcome"], record["results"][-1]["assessment"]["winner"]) == ("promoted", "v3")
    first = next(one for one in record["timeline"] if one["stage"] == 0)
    assert first["asked"] == {"v1": 40, "v2": 30, "v3": 30}
    assert {one.version for one in client.since(first["at"])} == {"v1", "v2", "v3"}
    service.check("v3", client)
    assert client.failed() == []
    assert [service.replicas(name) for name in ("v1", "v2", "v3")] == [0, 0, 1]


@pytest.mark.carries("none", "HTTPRoute")
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
    given = {"candidate": f"v2=deployment/{space}/{service.candidate}", "slos": SLOS}
    given |= {name: service.parameters()[name] for name in ("model", "payload")}
    found = ended(space, submit(space, "performance-v1", **given, **rehearsal(service)))
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
