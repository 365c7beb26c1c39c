"""Covers: versions of a cluster scaled down and up again, deleted, copied onto one another, kept from deletion; each done
twice is done once, and what others have written is kept.

Leaves out: when it is done (tests/steps/test_release.py, test_retire.py), real controllers (tests/e2e).
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.clock import FakeClock
from fairway_steps.cluster import Reference
from fairway_steps.errors import Conflict, DomainError, NotReady, UsageError
from fairway_steps.model import Policy, Version
from fairway_steps.workload.ends import ClusterWorkloads, replacing
from fakes_cluster import FakeCluster, merged

V1 = Version("v1", "deployment/ns/one?service=one&port=80")
V2 = Version("v2", "deployment/ns/two?service=two&port=80")
ISVC = Version("v3", "inferenceservice/ns/three?service=three-predictor&port=80")
URL = Version("v4", "http://127.0.0.1:1")
OTHER = Version("v5", "a.b/v1/Llm/ns/five?service=five&port=80")
ONE, TWO, THREE = (Reference.of(kind, "ns", name) for kind, name in (("deployment", "one"), ("deployment", "two"), ("inferenceservice", "three")))  # fmt: skip


def deployment(name, image, replicas=3, **pod):
    labels = {"app": "iris", "version": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "model", "image": image}], **pod}}
    return {"spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}}


@pytest.fixture
def cluster():
    made = FakeCluster("ns")
    made.put(ONE, deployment("one", "model:1", nodeSelector={"gpu": "a"}))
    made.put(TWO, deployment("two", "model:2", serviceAccountName="loader"))
    made.put(THREE, {"spec": {"predictor": {"minReplicas": 2}}})
    for name in ("one", "two"):
        made.put(Reference.of("service", "ns", name), {"spec": {}})
    return made


@pytest.fixture
def workloads(cluster):
    return ClusterWorkloads(cluster, FakeClock())


def test_a_deployment_is_scaled_down_and_up_again(workloads, cluster):
    assert workloads.wake(V1) is False
    assert workloads.retire(V1, Policy.SCALE) == "Deployment ns/one is scaled to 0"
    assert cluster.get(ONE)["spec"]["replicas"] == 0
    assert workloads.retire(V1, Policy.SCALE) == ""
    assert workloads.wake(V1) is True
    assert cluster.get(ONE)["spec"]["replicas"] == 3
    assert "annotations" not in cluster.get(ONE)["metadata"] or not cluster.get(ONE)["metadata"]["annotations"]


def test_who_was_scaled_to_nothing_by_somebody_else_is_not_woken(workloads, cluster):
    cluster.edit(ONE, {"spec": {"replicas": 0}})
    assert workloads.wake(V1) is False
    assert workloads.retire(V1, Policy.SCALE) == ""


@pytest.mark.parametrize(("noted", "replicas"), [(4, 4), (0, 1)])
def test_one_that_anybody_has_scaled_to_nothing_is_revived_with_what_it_had(workloads, cluster, noted, replicas):
    cluster.edit(ONE, {"spec": {"replicas": 0}})
    assert workloads.revive(V1, noted)
    assert workloads.size(V1) == replicas
    assert workloads.revive(V1, 9), "it may still be on its way up"
    assert workloads.size(V1) == replicas


def test_the_predictor_of_an_inference_service_is_revived(workloads, cluster):
    predictor = Reference.of("deployment", "ns", "three-predictor")
    cluster.put(predictor, deployment("three-predictor", "model:1", replicas=0))
    assert workloads.revive(ISVC, 2)
    assert (workloads.size(ISVC), cluster.get(predictor)["spec"]["replicas"]) == (2, 2)


@pytest.mark.parametrize("version", [URL, OTHER, ISVC])
def test_what_runs_in_no_deployment_has_no_size_and_is_not_revived(workloads, version):
    assert (workloads.size(version), workloads.revive(version, 3)) == (0, False)


def test_a_size_that_is_not_for_us_to_see_is_none(workloads, cluster):
    cluster.fail["get"] = [DomainError("cannot get resource")]
    assert workloads.size(V1) == 0


def test_an_inference_service_is_stopped_and_started(workloads, cluster):
    assert workloads.retire(ISVC, Policy.SCALE) == "InferenceService ns/three is stopped"
    assert cluster.get(THREE)["metadata"]["annotations"]["serving.kserve.io/stop"] == "true"
    assert workloads.retire(ISVC, Policy.SCALE) == ""
    assert workloads.wake(ISVC) is True
    assert not cluster.get(THREE)["metadata"]["annotations"]
    cluster.edit(THREE, {"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}})
    assert workloads.wake(ISVC) is False, "somebody else has stopped it"


def test_a_model_of_a_modelmesh_is_not_said_to_be_stopped(workloads, cluster):
    cluster.edit(THREE, {"metadata": {"annotations": {"serving.kserve.io/deploymentMode": "ModelMesh"}}})
    assert workloads.retire(ISVC, Policy.SCALE) == ""
    assert "serving.kserve.io/stop" not in cluster.get(THREE)["metadata"]["annotations"]


def test_a_version_is_deleted_once(workloads, cluster):
    assert workloads.retire(V2, Policy.DELETE) == "Deployment ns/two is deleted"
    assert cluster.get(TWO) is None
    assert workloads.retire(V2, Policy.DELETE) == ""


@pytest.mark.parametrize(("version", "policy"), [(V1, Policy.KEEP), (URL, Policy.SCALE), (URL, Policy.DELETE), (OTHER, Policy.SCALE)])  # fmt: skip
def test_what_is_not_to_be_touched_is_kept(workloads, cluster, version, policy):
    before = dict(cluster.objects)
    assert workloads.retire(version, policy) == ""
    assert cluster.objects == before


def test_a_copy_runs_what_the_other_runs_under_its_own_labels(workloads, cluster):
    before = workloads.carried(V1)
    workloads.carry(V1, workloads.carried(V2))
    spec = cluster.get(ONE)["spec"]
    assert spec["template"]["spec"] == cluster.get(TWO)["spec"]["template"]["spec"]
    assert (
        spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"] == {"app": "iris", "version": "one"}
    )
    assert spec["replicas"] == 3
    generation = cluster.get(ONE)["metadata"]["generation"]
    workloads.carry(V1, workloads.carried(V2))
    assert cluster.get(ONE)["metadata"]["generation"] == generation, "the same again is no new rollout"
    workloads.carry(V1, before)
    assert cluster.get(ONE)["spec"]["template"] == json.loads(before)


def test_what_cannot_be_copied_is_told(workloads, cluster):
    for version, kind in ((OTHER, "Llm"), (ISVC, "InferenceService")):
        with pytest.raises(UsageError, match=f"no copy of a {kind} can be made"):
            workloads.carried(version)
    cluster.remove(TWO)
    with pytest.raises(DomainError, match="there is no Deployment ns/two"):
        workloads.carried(V2)


def test_a_deleted_candidate_stays_until_its_traffic_has_left(workloads, cluster):
    cluster.edit(TWO, {"metadata": {"finalizers": ["theirs/own"]}})
    workloads.guard(V2)
    workloads.guard(V2)
    service = Reference.of("service", "ns", "two")
    assert cluster.get(TWO)["metadata"]["finalizers"] == ["theirs/own", "fairway/traffic"]
    cluster.delete(TWO)
    cluster.delete(service)
    assert cluster.get(TWO)["metadata"]["deletionTimestamp"]
    assert cluster.get(service)["metadata"]["deletionTimestamp"]
    workloads.unguard(V2)
    assert cluster.get(TWO)["metadata"]["finalizers"] == ["theirs/own"]
    assert cluster.get(service) is None
    workloads.unguard(V2)
    workloads.guard(URL)


def test_what_is_being_deleted_already_gets_no_finalizer(workloads, cluster):
    cluster.edit(TWO, {"metadata": {"finalizers": ["theirs/own"]}})
    cluster.delete(TWO)
    workloads.guard(V2)
    assert cluster.get(TWO)["metadata"]["finalizers"] == ["theirs/own"]


def test_a_guard_that_is_not_allowed_is_only_a_warning(workloads, cluster, caplog):
    cluster.fail["patch"] = [DomainError("forbidden")] * 2
    workloads.guard(V2)
    assert "not kept from deletion: forbidden" in caplog.text


def test_conflicts_are_overcome(workloads, cluster):
    cluster.fail["patch"] = [Conflict("again")] * 3
    assert workloads.retire(V1, Policy.SCALE)


def test_waiting_for_readiness_ends_in_time_and_says_why(cluster):
    clock = FakeClock()
    workloads = ClusterWorkloads(cluster, clock)

    class Impatient(FakeClock):
        def now(self):
            self.time += 1.0
            return self.time

    workloads._clock, beats = Impatient(), []
    with pytest.raises(
        NotReady, match=r"not ready within 0\.5 s: v1: Deployment ns/one: its controller has not yet seen"
    ):
        workloads.await_ready(V1, 0.5, lambda: beats.append(1))
    assert beats, "whoever holds the lease is asked to show that he lives"


json_values = st.recursive(
    st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


@given(objects, objects)
def test_a_replacing_patch_makes_one_of_the_other(now, wanted):
    assert merged(now, replacing(now, wanted)) == wanted


def test_an_event_is_noted_on_what_is_deployed(workloads, cluster):
    workloads.tell(V2, "RolledBack", "too slow", warning=True)
    workloads.tell(URL, "RolledBack", "nobody hears it")
    assert cluster.events == [(TWO, "RolledBack", "too slow", True)]
