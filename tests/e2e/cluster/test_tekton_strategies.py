"""Covers: the strategies besides the canary as Tekton Pipelines, on plain Deployments behind a Gateway and under 50 requests/s with a record of
each, none lost: blue-green with a rehearsal, and a candidate that the rehearsal ends; a mirror that becomes a canary, an A/B/n split, none; performance
as a gate.

Leaves out: the canary (test_tekton.py), what the strategies do beside that (test_strategies.py).
"""

import pytest

from on_cluster.kube import named
from on_cluster.pipelines import condition, create, ended, results, skipped, story, tasks
from on_cluster.release import MODEL, SLOS, Service, rehearsal
from on_cluster.warehouse import split, warehouse

KEPT = {"primary_policy": "keep", "candidate_policy": "keep"}


@pytest.fixture(scope="module")
def shared(tekton, address):
    """Versions that tests here share: none of them takes their pods away."""
    made = Service(tekton, "shared", address)
    for name in ("v1", "v2", "v3", "v4"):
        made.deploy_version(name)
    for name in ("v1", "v2", "v3", "v4"):
        made.await_version(name)
    return made


@pytest.fixture
def service(shared, request):
    """A route of its own, with all traffic on v1."""
    made = Service(shared.namespace, named(request), shared.address, of="shared")
    made.expose()
    return made


def given(service, *without, **changed):
    """The Pipeline says itself where the record is."""
    known = service.parameters(**KEPT, **changed)
    return {name: value for name, value in known.items() if name not in ("record", *without)}


def promoted(service, pipeline, client, parameters, winner="v2"):
    """The record, once the Pipeline has promoted the winner and nobody was lost."""
    name = create(service.namespace, pipeline, **parameters)
    found = ended(service.namespace, name)
    assert condition(found)["status"] == "True", story(service.namespace, name)
    assert results(found)["outcome"] == "promoted" == service.record()["outcome"]
    service.check(winner, client)
    assert client.failed() == []
    return service.record()


def test_a_mirror_and_a_canary_after_it(service):
    with service.client() as client:
        record = promoted(service, "mirror-v1", client, given(service, stages="mirror:50@8s,50@5s"))
    mirrored, after = record["results"]
    assert (record["strategy"], mirrored["weight"], mirrored["samples"]["v2"] > 30) == ("mirror", 0, True)
    assert after["samples"]["v2"] > 0
    entered = record["timeline"][1]["at"]
    assert [one for one in client.answered_by("v2") if one.sent < entered - 1] == [], "no user before that"


def test_the_best_of_several_is_promoted(service, within_reach):
    """Within reach, for it is told from here what users were worth."""
    with service.client() as client, warehouse(client, {"v1": 0.3, "v3": 0.3, "v4": 0.7}) as sums:
        record = promoted(service, "ab-v1", client, given(service, **split(service, sums, "v3", "v4")), "v4")
    assert record["results"][-1]["assessment"]["winner"] == "v4"
    assert {one.version for one in client.records} == {"v1", "v3", "v4"}


def test_none(service):
    with service.client() as client:
        record = promoted(service, "none-v1", client, given(service, "stages", "slos", "metrics"))
    assert (record["strategy"], record["results"]) == ("none", [])


@pytest.mark.parametrize("behave", ["good", "failing"])
def test_blue_green(tekton, address, behave):
    service = Service(tekton, f"tekton-{behave}", address)
    service.deploy(behave)
    given = {name: one for name, one in service.parameters(stages="50@3s,100@10s").items() if name != "record"}
    with service.client() as client:
        name = create(tekton, "blue-green-v1", **given, **rehearsal(service))
        found = ended(tekton, name)
    good = behave == "good"
    assert condition(found)["status"] == str(good), story(tekton, name)
    assert results(found)["outcome"] == ("promoted" if good else "rolled-back") == service.record()["outcome"]
    assert service.record()["rehearsal"]["assessment"]["verdict"] == ("advance" if good else "rollback")
    assert skipped(found) >= {"promote-first", "rollback", "hold"} if good else "ramp" not in tasks(tekton, name)
    assert good or client.answered_by("v2") == []
    service.check("v2" if good else "v1", client)


def test_performance_is_a_gate(tekton, address):
    service = Service(tekton, "tekton-gate", address)
    service.deploy_version("v2")
    service.await_version("v2")
    given = {"candidate": f"v2=deployment/{tekton}/{service.candidate}", "slos": SLOS, "model": MODEL}
    given["payload"] = service.parameters()["payload"]
    name = create(tekton, "performance-v1", **given, **rehearsal(service))
    found = ended(tekton, name)
    assert condition(found)["status"] == "True", story(tekton, name)
    assert results(found)["verdict"] == "promote"
