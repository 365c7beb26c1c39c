"""Covers: the canary as a Tekton Pipeline on plain Deployments behind a Gateway, by the example's PipelineRun: a good candidate is
promoted, a failing and a never-ready one are rolled back; results go from task to task and come out of the run, and
`finally` runs whatever happens, also when the run is stopped.

Leaves out: what the steps themselves do in a cluster (test_canary.py); how the Pipeline is made (tests/workflows).
"""

import pytest

from on_cluster.kube import eventually, kubectl
from on_cluster.pipelines import condition, create, ended, results, skipped, story, tasks
from on_cluster.release import Service


@pytest.fixture
def service(tekton, address, request):
    return Service(tekton, request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-"), address)


def given(service, **changed):
    """The Pipeline says itself where the record is."""
    return {name: value for name, value in service.parameters(**changed).items() if name != "record"}


def test_good_is_promoted(tekton, service):
    service.deploy()
    with service.client() as client:
        name = create(tekton, **given(service, stages="20@5s,60@5s"))
        found = ended(tekton, name)
    assert condition(found)["status"] == "True", story(tekton, name)
    assert results(found)["verdict"] == "promote"
    assert results(found)["outcome"] == "promoted" == service.record()["outcome"]
    assert skipped(found) == {"rehearsal", "promote-first", "rollback", "hold"}
    assert results(tasks(tekton, name)["promote"])["stable-version"] == "v2"
    assert service.record()["holder"] == found["metadata"]["uid"]
    service.check("v2", client)


def test_failing_is_rolled_back(tekton, service):
    service.deploy("failing")
    with service.client() as client:
        name = create(tekton, **given(service))
        found = ended(tekton, name)
        off = service.record()["timeline"][-1]["at"]
        eventually(lambda: len(client.since(off)) > 100, 120)
    assert condition(found)["status"] == "False", story(tekton, name)
    assert results(found)["outcome"] == "rolled-back" == service.record()["outcome"]
    assert skipped(found) == {"rehearsal", "promote-first", "promote", "hold"}
    ran = tasks(tekton, name)
    assert condition(ran["finish"])["status"] == "True", story(tekton, name)
    assert condition(ran["outcome"])["status"] == "False"
    assert [one for one in client.since(off + 0.5) if one.failed] == []
    service.check("v1", client)


def test_never_ready_gets_nothing(tekton, service):
    service.deploy("never-ready")
    with service.client() as client:
        name = create(tekton, **given(service, ready_timeout="20s"))
        found = ended(tekton, name)
    assert condition(found)["status"] == "False", story(tekton, name)
    assert results(found)["outcome"] == "rolled-back" == service.record()["outcome"]
    assert set(tasks(tekton, name)) == {"begin", "wait-for-ready", "finish"}
    assert client.answered_by("v2") == []
    service.check("v1", client)


def test_stopped_midway_goes_back(tekton, service):
    service.deploy()
    with service.client() as client:
        name = create(tekton, **given(service, stages="20@10m"))
        eventually(lambda: service.candidate in service.weights(), 120, why="the candidate gets traffic")
        patch = '{"spec": {"status": "CancelledRunFinally"}}'
        kubectl("patch", f"pipelinerun/{name}", "-n", tekton, "--type=merge", f"--patch={patch}")
        found = ended(tekton, name)
    assert condition(found)["reason"] == "Cancelled", story(tekton, name)
    assert condition(tasks(tekton, name)["finish"])["status"] == "True", story(tekton, name)
    assert service.record()["outcome"] != "promoted"
    service.check("v1", client)


def test_a_second_run_is_refused_and_ends_nothing(tekton, service):
    service.deploy()
    with service.client() as client:
        first = create(tekton, **given(service, stages="20@20s"))
        eventually(lambda: service.candidate in service.weights(), 120, why="the candidate gets traffic")
        second = ended(tekton, create(tekton, **given(service)))
        assert condition(second)["status"] == "False"
        assert "outcome" not in results(second) or results(second)["outcome"] == ""
        found = ended(tekton, first)
    assert condition(found)["status"] == "True", story(tekton, first)
    service.check("v2", client)


def test_one_that_has_lost_its_route_says_so_in_its_results(tekton, service):
    service.deploy()
    name = create(tekton, **given(service, stages="20@10m"))
    eventually(lambda: service.candidate in service.weights(), 120, why="the candidate gets traffic")
    held = service.weights()
    service.claim()
    patch = '{"spec": {"status": "CancelledRunFinally"}}'
    kubectl("patch", f"pipelinerun/{name}", "-n", tekton, "--type=merge", f"--patch={patch}")
    found = ended(tekton, name)
    assert condition(tasks(tekton, name)["finish"])["status"] == "True", story(tekton, name)
    assert results(found)["outcome"] == "broken" == service.record()["outcome"]
    assert "the route is now of another release" in results(found)["summary"].lower()
    assert service.weights() == held
