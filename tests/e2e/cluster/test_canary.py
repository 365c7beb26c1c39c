"""Covers: `argo submit --from workflowtemplate/canary-v1` on plain Deployments behind a Gateway, judged by Prometheus, under 50
requests/s with a record of each: the good candidate is promoted where it stands, the bad ones are rolled back, and no
request is lost because of a route change.

Leaves out: InferenceServices (test_kserve.py), what a copy does step by step (test_promotion.py), what is killed or stopped (test_broken_off.py).
"""

from datetime import datetime

import pytest

from on_cluster.kube import eventually
from on_cluster.workflows import ended, node, outputs, story, submit


@pytest.mark.carries("canary", "HTTPRoute")
def test_a_good_candidate_is_promoted_where_it_stands(space, service):
    service.deploy()
    before = service.pods("v2")
    with service.client() as client:
        found = ended(space, submit(space, "canary-v1", **service.parameters(stages="20@5s,40@5s,60@5s")))
    assert found["status"]["phase"] == "Succeeded", story(found)
    assert service.record()["outcome"] == "promoted"
    service.check("v2", client)
    assert client.failed() == []
    assert service.pods("v2") == before
    assert outputs(node(found, "promote"))["stable-version"] == "v2"
    promoted = datetime.fromisoformat(node(found, "promote")["finishedAt"]).timestamp()
    late = [one for one in client.answered_by("v1") if one.sent > promoted]
    assert len(late) <= 3


def test_a_good_candidate_is_promoted_by_copy(space, service):
    service.deploy()
    with service.client() as client:
        found = ended(space, submit(space, "canary-v1", **service.parameters(stages="50@10s", promotion="copy")))
    assert found["status"]["phase"] == "Succeeded", story(found)
    assert service.record()["outcome"] == "promoted"
    service.check("v1", client)
    assert client.failed() == []
    finished = service.record()["finished"]
    assert {one.version for one in client.since(finished)} == {"v2"}, "the primary runs what the candidate ran"
    assert service.replicas("v2") == 0
    assert outputs(node(found, "promote"))["stable-version"] == "v1"


@pytest.mark.parametrize("behave", ["slow", "failing", "crashing"])
def test_a_bad_candidate_is_rolled_back(space, service, behave):
    service.deploy(behave)
    with service.client() as client:
        found = ended(space, submit(space, "canary-quick-v1", **service.parameters()))
        assert found["status"]["phase"] == "Failed", story(found)
        assert service.record()["outcome"] == "rolled-back", story(found)
        off = service.record()["timeline"][-1]["at"]
        eventually(lambda: len(client.since(off)) > 100, 120)
    assert list(service.weights()) == [service.primary]
    assert [one for one in client.since(off + 0.5) if one.failed] == []
    service.check("v1", client, may_lose=behave == "crashing")
    first = min(one.sent for one in client.answered_by("v2"))
    assert [one for one in client.failed() if one.sent < first - 1] == [], "before the candidate had users"


@pytest.mark.parametrize("behave", ["never-ready", "no-image"])
def test_a_candidate_that_never_gets_ready_gets_no_traffic(space, service, behave):
    bad = {"image": "example.invalid/nothing:v1"} if behave == "no-image" else {}
    service.deploy("never-ready", **bad)
    with service.client() as client:
        found = ended(space, submit(space, "canary-quick-v1", **service.parameters(), ready_timeout="20s"))
    assert found["status"]["phase"] == "Failed", story(found)
    assert service.record()["outcome"] == "rolled-back"
    assert client.failed() == []
    assert client.answered_by("v2") == []
    service.check("v1", client)
