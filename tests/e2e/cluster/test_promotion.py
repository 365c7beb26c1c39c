"""Covers: both kinds of promotion of plain Deployments behind a Gateway, step by step, under a continuous client with a record
of each request: *route* (the candidate becomes the primary where it stands) and *copy* (the primary takes over what the
candidate runs, is awaited, and gets the traffic back). No request is lost, at no moment does the route hold a backend without
ready endpoints, and no version's pods go before its traffic has.

Leaves out: Argo and Tekton around the steps (test_canary.py, test_tekton.py), InferenceServices (test_kserve.py).
"""

import itertools
import math

import pytest

from on_cluster.kube import apply, get
from on_cluster.steps import Steps
from on_cluster.versions import deployment
from on_cluster.witness import Witness

pytestmark = pytest.mark.usefixtures("within_reach")
STAGES = "10@4s,30@4s"


def split(service, client, change, until):
    """The candidate's share of the requests sent while a change of weights was served, and the error that chance allows it."""
    served = change["at"] + change["settled_after"]
    mine = [one for one in client.records if served <= one.sent < until]
    asked = change["asked"]["v2"] / 100
    allowed = 6.5 * math.sqrt(asked * (1 - asked) / len(mine)) + 2 / len(
        mine
    )  # two were under way when the weights changed
    return sum(one.version == "v2" for one in mine) / len(mine), asked, allowed


def test_by_route_the_candidate_becomes_the_primary_where_it_stands(service):
    service.deploy()
    steps, before = Steps(service), service.pods("v2")
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages=STAGES)
        steps.ready()
        steps.verdict("promote")
        assert steps.run("promote").told["stable-version"] == "v2"
    record = service.record()
    service.check("v2", client)
    assert client.failed() == []
    assert seen.without_endpoints() == []
    assert (record["outcome"], service.pods("v2")) == ("promoted", before)
    changes = record["timeline"]
    for change, following in itertools.pairwise(changes):
        found, asked, allowed = split(service, client, change, following["at"])
        assert abs(found - asked) < allowed, f"{found:.0%} of the requests at {asked:.0%}"
    promoted = changes[-1]["at"] + changes[-1]["settled_after"]
    assert len([one for one in client.answered_by("v1") if one.sent > promoted]) <= 3
    off = seen.when(lambda now: service.candidate in now.backends and service.primary not in now.backends)
    scaled = seen.when(lambda now: now.replicas.get(service.primary) == 0)
    assert off < scaled
    assert max(one.sent for one in client.answered_by("v1")) < seen.told(scaled), "the old pods go after their traffic"


def test_by_copy_the_primary_runs_what_the_candidate_ran(service):
    """Its new pods take a while to get ready: until then the candidate answers all."""
    service.deploy_version("v1")
    service.deploy_version("v2", slow_start=6)
    service.await_version("v1")
    service.await_version("v2")
    service.expose()
    steps = Steps(service)
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages="50@4s", promotion="copy")
        steps.ready()
        steps.verdict("promote")
        assert steps.run("promote").told["stable-version"] == "v1"
    service.check("v1", client)
    assert client.failed() == []
    assert seen.without_endpoints() == []
    record = service.record()
    assert {one.version for one in client.since(record["finished"])} == {"v2"}
    assert record["outcome"] == "promoted"
    candidate_alone = seen.when(lambda now: now.backends == {service.candidate})
    back = seen.when(lambda now: now.backends == {service.primary}, after=candidate_alone)
    gone = seen.when(lambda now: now.replicas.get(service.candidate) == 0)
    assert candidate_alone < back < gone
    runs = [
        get(service.namespace, f"deployment/{name}")["spec"]["template"]["spec"]
        for name in (service.primary, service.candidate)
    ]
    assert runs[0] == runs[1]


def test_a_copy_that_does_not_get_ready_is_undone_and_the_primary_answers_again(service):
    service.deploy()
    steps = Steps(service)
    before = get(service.namespace, f"deployment/{service.primary}")["spec"]["template"]
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages="50@4s", promotion="copy")
        steps.ready()
        steps.verdict("promote")
        # What the candidate's pods ran is not what the next ones will: as when an image was taken back.
        spoilt, _ = deployment(service.candidate, model="v2", slow_start=3600)
        spoilt["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0}}
        apply(service.namespace, [spoilt])
        refused = steps.run("promote", 1, ready_timeout="5s")
        assert "not ready within 5 s" in refused.said
        assert list(service.weights()) == [service.candidate], "until the primary is ready the candidate answers"
        assert steps.run("rollback").told["stable-version"] == "v1"
    service.check("v1", client)
    assert client.failed() == []
    assert seen.without_endpoints() == []
    assert service.record()["outcome"] == "rolled-back"
    assert get(service.namespace, f"deployment/{service.primary}")["spec"]["template"] == before
