"""What shrinks a version while it has no traffic is told with what keeps it up: autoscalers of Deployments and InferenceServices,
KEDA, Knative.

Left out: when it is asked (tests/steps/test_begin.py); autoscalers' own judgement, and Knative's.
"""

import pytest

from fairway_steps.cluster import Reference
from fairway_steps.errors import DomainError
from fairway_steps.model import Version
from fairway_steps.workload.standby import AUTOSCALERS, SCALED_OBJECTS, shrinks
from fakes_cluster import FakeCluster

DEPLOYED = Version("v1", "deployment/default/iris-v1?service=iris-v1&port=8080")
SERVED = Version("v1", "inferenceservice/default/iris-v1?service=iris-v1-predictor&port=80")
REVISION = Version("v1", "revision/default/iris-00001")
AT = Reference.of("revision", "default", "iris-00001")
OWNER = Reference.of("ksvc", "default", "iris")


def autoscaler(target, now, **spec):
    cluster = FakeCluster()
    made = {"scaleTargetRef": {"kind": "Deployment", "name": target}, **spec}
    cluster.put(Reference(*AUTOSCALERS, "default", "scaler"), {"spec": made, "status": {"currentReplicas": now}})
    return cluster


@pytest.mark.parametrize(
    ("version", "target", "spec", "least"),
    [
        (DEPLOYED, "iris-v1", {}, 1),
        (DEPLOYED, "iris-v1", {"minReplicas": 2}, 2),
        (SERVED, "iris-v1-predictor", {"minReplicas": 0}, 0),
    ],
)
def test_an_autoscaler_that_may_shrink_it_is_named_with_what_keeps_it_up(version, target, spec, least):
    said = shrinks(autoscaler(target, 4, **spec), version)
    assert said.startswith(f"HorizontalPodAutoscaler default/scaler may shrink v1 from 4 to {least} replicas")
    assert said.endswith("set minReplicas to 4 for the release")


@pytest.mark.parametrize(
    ("cluster", "version"),
    [
        (FakeCluster(), DEPLOYED),
        (autoscaler("iris-v1", 4, minReplicas=4), DEPLOYED),
        (autoscaler("iris-v2", 4), DEPLOYED),
        (autoscaler("iris-v1", 4), Version("v1", "http://127.0.0.1:1")),
    ],
    ids=["none", "pinned", "another's", "a URL"],
)
def test_where_nothing_shrinks_it_nothing_is_said(cluster, version):
    assert shrinks(cluster, version) == ""


@pytest.mark.parametrize(
    ("spec", "least", "field"),
    [
        ({}, 0, "minReplicaCount"),
        ({"minReplicaCount": 2}, 2, "minReplicaCount"),
        ({"minReplicaCount": 2, "idleReplicaCount": 0}, 0, "idleReplicaCount"),
        ({"minReplicaCount": 4}, None, ""),
        (None, 0, "minReplicaCount"),
    ],
    ids=["default", "a minimum", "idle", "pinned", "not to be seen"],
)
def test_keda_shrinks_to_zero_what_its_autoscaler_would_keep_up(spec, least, field):
    cluster = autoscaler("iris-v1", 4, minReplicas=1)
    owner = {"kind": "ScaledObject", "name": "iris", "apiVersion": "keda.sh/v1alpha1"}
    cluster.edit(Reference(*AUTOSCALERS, "default", "scaler"), {"metadata": {"ownerReferences": [owner]}})
    if spec is None:
        cluster.fail["get"] = [DomainError("cannot get resource")]
    else:
        cluster.put(Reference(*SCALED_OBJECTS, "default", "iris"), {"spec": spec})
    said = shrinks(cluster, DEPLOYED)
    assert (said == "") is (least is None)
    if said:
        assert said.startswith(f"ScaledObject default/iris may shrink v1 from 4 to {least} replicas")
        assert ("first scales it up" in said) is (least == 0)
        assert said.endswith(f"set {field} to 4 for the release")


def test_what_is_not_for_us_to_see_is_not_said():
    cluster = autoscaler("iris-v1", 4)
    cluster.fail["list"] = [DomainError("cannot list resource")]
    assert shrinks(cluster, DEPLOYED) == ""


@pytest.mark.parametrize("least", [None, "0", "2"])
@pytest.mark.parametrize("tagged", [False, True])
def test_a_revision_goes_to_zero_unless_it_has_a_minimum_and_a_tag(least, tagged):
    cluster = FakeCluster()
    notes = {"autoscaling.knative.dev/min-scale": least} if least else {}
    labels = {"serving.knative.dev/service": "iris"}
    cluster.put(AT, {"metadata": {"labels": labels, "annotations": notes}})
    entry = {"revisionName": AT.name, "percent": 100} | ({"tag": "stable"} if tagged else {})
    cluster.put(OWNER, {"spec": {"traffic": [entry]}})
    said = shrinks(cluster, REVISION)
    assert bool(said) is not (tagged and least == "2")
    assert (
        not said
        or "to keep it up, give it a tag in spec.traffic, and its template autoscaling.knative.dev/min-scale" in said
    )


def test_a_revision_of_kserve_cannot_be_kept_up():
    cluster = FakeCluster()
    labels = {"serving.knative.dev/service": "iris", "serving.kserve.io/inferenceservice": "iris"}
    cluster.put(AT, {"metadata": {"labels": labels, "annotations": {"autoscaling.knative.dev/min-scale": "1"}}})
    assert "release two InferenceServices of mode Standard" in shrinks(cluster, REVISION)
