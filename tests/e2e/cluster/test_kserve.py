"""Covers: versions that are KServe InferenceServices in Standard mode, a real scikit-learn model from a volume each, behind an HTTPRoute of
our own over their predictors: on Argo a good one is promoted, by the very lines of the README, and a slow, failing, crashing or
never-ready one is rolled back; step by step, too; under a continuous client with a record of each request; the one that lost is stopped
after its traffic has left, and its object kept.

Leaves out: KServe's own traffic splitting, which Fairway does not use.
"""

import re
import shlex
from pathlib import Path

import pytest

from on_cluster.inference import inference_service, store_models
from on_cluster.kube import apply, eventually, get, has_kind, kubectl, lacks, named
from on_cluster.release import PROMETHEUS, Service, lost
from on_cluster.steps import Steps
from on_cluster.witness import Witness
from on_cluster.workflows import argo, ended, story, submit

ROOT = Path(__file__).parents[3]
STOPPED = "serving.kserve.io/stop"


@pytest.fixture(scope="module")
def models(space):
    if not has_kind("InferenceService"):
        lacks("KServe")
    if get(space, "clusterservingruntime/fairway-digits") is None:
        lacks("runtime fairway-digits; examples/cluster/runtime.yaml is the one")
    store_models(space)
    return space


@pytest.fixture
def service(models, address, request):
    all_made = []

    def made(behave, name=""):
        found = Service(models, name or named(request), address, kind="inferenceservice")
        pair = {found.primary: ("v1", "good"), found.candidate: ("v2", behave)}
        apply(models, [inference_service(each, how, model=model) for each, (model, how) in pair.items()])
        for each in list(pair)[: 1 if behave == "never-ready" else 2]:
            words = ("wait", f"inferenceservice/{each}", "-n", models, "--for=condition=Ready", "--timeout=240s")
            kubectl(*words, timeout=260)
        found.expose()
        all_made.append(found)
        return found

    yield made
    for each in all_made:
        each.retire()


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


def as_readme_shows(namespace, folder):
    """What the README says after `argo`, for this namespace and the cluster's own Prometheus."""
    (shown,) = re.findall(r"^argo (submit (?:.*\\\n)*.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    file = ROOT / "examples" / "canary-parameters.yaml"
    given = folder / file.name
    given.write_text(file.read_text().replace("http://prometheus.monitoring:9090", PROMETHEUS))
    words = shlex.split(shown.replace("\\\n", " ").replace("/models/", f"/{namespace}/"))
    words.remove("-n")
    words.remove("models")
    return [str(given) if word == f"examples/{file.name}" else word for word in words]


def test_a_good_model_is_promoted_as_the_readme_shows(service, tmp_path):
    service = service("good", "digits")
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        argo(service.namespace, *as_readme_shows(service.namespace, tmp_path), timeout=600)
        eventually(lambda: get(service.namespace, f"deployment/{service.backend('v1')}") is None, 180)
    assert service.record()["outcome"] == "promoted"
    service.check("v2", client)
    assert client.failed() == []
    assert gone_after_its_traffic(seen, service, "v1")
    assert notes(service, service.primary)[STOPPED] == "true"
    assert STOPPED not in notes(service, service.candidate)


@pytest.mark.parametrize("behave", ["slow", "failing", "crashing", "never-ready"])
def test_a_bad_model_is_rolled_back_on_argo(service, behave):
    service = service(behave)
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        given = service.parameters(**{"ready-timeout": "20s"} if behave == "never-ready" else {})
        found = ended(service.namespace, submit(service.namespace, "canary-v1", **given))
        eventually(lambda: get(service.namespace, f"deployment/{service.backend('v2')}") is None, 180)
    assert found["status"]["phase"] == "Failed", story(found)
    assert service.record()["outcome"] == "rolled-back", story(found)
    service.check("v1", client, may_lose=behave == "crashing")
    if behave == "never-ready":
        assert client.answered_by("v2") == []
        assert client.failed() == []
        return
    assert gone_after_its_traffic(seen, service, "v2")
    back = service.record()["timeline"][-1]
    assert [one for one in client.since(back["at"] + back["settled_after"]) if one.failed] == []
    assert len(lost(client.records)) < 50, "the crash's own"


@pytest.mark.usefixtures("within_reach")
def test_a_failing_model_is_rolled_back_step_by_step(service):
    service = service("failing")
    steps = Steps(service)
    with service.client() as client, Witness(service.namespace, service.name) as seen:
        steps.begin(stages="20@10m")
        steps.ready()
        steps.verdict("rollback")
        steps.run("rollback")
        eventually(lambda: get(service.namespace, f"deployment/{service.backend('v2')}") is None, 180)
    record = service.record()
    assert record["outcome"] == "rolled-back"
    service.check("v1", client)
    back = record["timeline"][-1]
    assert [one for one in client.since(back["at"] + back["settled_after"]) if one.failed] == []
    assert {one.status for one in client.failed()} == {500}, "what the candidate's own users met"
    assert gone_after_its_traffic(seen, service, "v2")
    assert notes(service, service.candidate)[STOPPED] == "true"
