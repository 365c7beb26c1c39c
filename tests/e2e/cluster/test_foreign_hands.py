"""Covers: others at work on what a release uses, in the middle of a stage, under a continuous client with a record of each request: a
person who changes the weights and adds a timeout and a filter to the rule; an autoscaler that scales either side.

Leaves out: a tool that takes the weights back again and again (tests/steps/test_drift.py), other back ends
(tests/contract/test_foreign_edits.py), an autoscaler's own judgement: its writes are made here.
"""

import json

import pytest

from on_cluster.kube import eventually, get, kubectl, named
from on_cluster.release import Service
from on_cluster.steps import Steps
from on_cluster.witness import Witness

pytestmark = pytest.mark.usefixtures("within_reach")


@pytest.fixture
def service(space, address, request):
    made = Service(space, named(request), address)
    made.deploy()
    return made


def scale(service, version, replicas):
    kubectl("scale", f"deployment/{service.version(version)}", f"--replicas={replicas}", "-n", service.namespace)


def promoted(service, ramp):
    """The end of a ramp that was begun, and of its release."""
    out, said = ramp.communicate(timeout=300)
    assert (ramp.returncode, json.loads(out)["verdict"]) == (0, "promote"), said
    Steps(service).run("promote")
    return service.record()


def test_a_persons_weights_are_put_right_and_what_else_they_added_is_kept(service):
    steps, at = Steps(service), f"httproute/{service.name}"
    with service.client() as client:
        steps.begin(stages="20@20s", candidate_policy="keep", primary_policy="keep")
        steps.ready()
        ramp = steps.start("ramp", patience=service.parameters()["patience"])
        eventually(lambda: len(client.answered_by("v2")) > 20, 180)
        (rule,) = get(service.namespace, at)["spec"]["rules"]
        added = {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"set": [{"name": "x-team", "value": "iris"}]},
        }
        edited = rule | {"timeouts": {"request": "9s"}, "filters": [*rule["filters"], added]}
        edited["backendRefs"] = [one | {"weight": 50} for one in rule["backendRefs"]]
        patch = json.dumps({"spec": {"rules": [edited]}})
        kubectl("patch", at, "-n", service.namespace, "--type=merge", "--field-manager=somebody", f"--patch={patch}")
        eventually(lambda: service.weights() == {service.primary: 80, service.candidate: 20}, 180)
        record = promoted(service, ramp)
        eventually(lambda: len(client.since(record["finished"])) > 50, 180)
    (left,) = get(service.namespace, at)["spec"]["rules"]
    assert (left["timeouts"], left["filters"]) == (edited["timeouts"], edited["filters"])
    assert [one["name"] for one in left["backendRefs"]] == [service.candidate]
    told = [event["message"] for event in record["events"] if event["step"] == "route"]
    assert [sentence.startswith("somebody changed the route: it held v1 50 %, v2 50 %") for sentence in told] == [True]
    assert client.failed() == []


def test_an_autoscaler_may_scale_either_side_and_moves_no_weight(service):
    steps = Steps(service)
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages="20@15s,50@30s")
        steps.ready()
        ramp = steps.start("ramp", patience=service.parameters()["patience"])
        for version, replicas in (("v1", 2), ("v2", 2), ("v1", 3), ("v2", 1), ("v1", 2)):
            scale(service, version, replicas)
            eventually(lambda version=version, replicas=replicas: len(service.pods(version)) == replicas, 180)
        record = promoted(service, ramp)
        eventually(lambda: len(client.since(record["finished"])) > 50, 180)
    service.check("v2", client)
    assert client.failed() == []
    assert seen.without_endpoints() == []
    asked = [change["asked"] for change in record["timeline"] if change["stage"] >= 0]
    assert asked == [{"v1": 80, "v2": 20}, {"v1": 50, "v2": 50}], "nothing was put right, for nothing had moved"
    assert not [event for event in record["events"] if event["step"] == "route"]
    assert (service.replicas("v1"), service.replicas("v2")) == (0, 1)
    found = get(service.namespace, f"deployment/{service.primary}")
    assert found["metadata"]["annotations"]["fairway/replicas"] == "2", (
        "the next release takes up what the autoscaler had made"
    )
