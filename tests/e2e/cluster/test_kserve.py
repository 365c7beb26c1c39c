"""Covers: versions that are KServe InferenceServices in Standard mode, a real scikit-learn model from a volume each, behind an HTTPRoute of
our own over their predictors: on Argo a good one is promoted, step by step a failing one is rolled back, under a continuous
client with a record of each request; the one that lost is stopped after its traffic has left, and its object kept.

Leaves out: KServe's own traffic splitting, which Fairway does not use.
"""

import pytest

from on_cluster.inference import inference_service, store_models
from on_cluster.kube import apply, eventually, get, has_kind, kubectl, named
from on_cluster.release import Service
from on_cluster.steps import Steps
from on_cluster.witness import Witness
from on_cluster.workflows import ended, story, submit

STOPPED = "serving.kserve.io/stop"


@pytest.fixture(scope="module")
def models(space):
    if not has_kind("InferenceService"):
        pytest.skip("this cluster has no KServe")
    store_models(space)
    return space


@pytest.fixture
def service(models, address, request):
    def made(behave):
        found = Service(models, named(request), address, kind="inferenceservice")
        pair = {found.primary: ("v1", "good"), found.candidate: ("v2", behave)}
        apply(models, [inference_service(name, how, model=model) for name, (model, how) in pair.items()])
        for name in pair:
            words = ("wait", f"inferenceservice/{name}", "-n", models, "--for=condition=Ready", "--timeout=240s")
            kubectl(*words, timeout=260)
        found.expose()
        return found

    return made


def gone_after_its_traffic(seen, service, name):
    """Whether KServe's Deployment of a version went only when the route had left it."""
    backend = service.backend(name)
    left = seen.when(
        lambda now: now.backends and backend not in now.backends, after=seen.when(lambda now: backend in now.backends)
    )
    return left < seen.when(lambda now: backend in now.replicas and not now.replicas[backend])


def notes(service, name):
    found = get(service.namespace, f"inferenceservice/{name}")
    assert found is not None
    return found["metadata"]["annotations"]


def test_a_good_model_is_promoted_on_argo(service):
    service = service("good")
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        found = ended(
            service.namespace, submit(service.namespace, "canary-quick-v1", **service.parameters(stages="20@5s,50@5s"))
        )
        assert found["status"]["phase"] == "Succeeded", story(found)
        eventually(lambda: get(service.namespace, f"deployment/{service.backend('v1')}") is None, 60)
    assert service.record()["outcome"] == "promoted"
    service.check("v2", client)
    assert client.failed() == []
    assert gone_after_its_traffic(seen, service, "v1")
    assert notes(service, service.primary)[STOPPED] == "true"
    assert STOPPED not in notes(service, service.candidate)


@pytest.mark.usefixtures("within_reach")
def test_a_failing_model_is_rolled_back(service):
    service = service("failing")
    steps = Steps(service)
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages="20@10m")
        steps.ready()
        assert steps.run("ramp").told["verdict"] == "rollback"
        steps.run("rollback")
        eventually(lambda: get(service.namespace, f"deployment/{service.backend('v2')}") is None, 60)
    record = service.record()
    assert record["outcome"] == "rolled-back"
    service.check("v1", client)
    back = record["timeline"][-1]
    assert [one for one in client.since(back["at"] + back["settled_after"]) if one.failed] == []
    assert {one.status for one in client.failed()} == {500}, "what the candidate's own users met"
    assert gone_after_its_traffic(seen, service, "v2")
    assert notes(service, service.candidate)[STOPPED] == "true"
