"""Covers: what a version's URI says of its place in a cluster, and how what it leaves out is looked up."""

import pytest

from fairway_steps.cluster import Reference
from fairway_steps.errors import DomainError, UsageError
from fairway_steps.model import Version
from fairway_steps.workload.lookup import lookup
from fairway_steps.workload.place import Place, backends, is_found, is_placed, place, written
from fakes_cluster import FakeCluster

WHOLE = "deployment/ns/iris-v2?service=iris-two&port=8080"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (WHOLE, Place(Reference.of("deployment", "ns", "iris-v2"), "iris-two", 8080)),
        ("service/ns/iris?port=80", Place(Reference.of("service", "ns", "iris"), "iris", 80)),
        (
            "leader.x-k8s.io/v1/LeaderWorkerSet/ns/llm?ready=Available,Ready&url=http://llm:80/v1",
            Place(Reference("leader.x-k8s.io", "v1", "LeaderWorkerSet", "ns", "llm"), conditions=("Available", "Ready"), url="http://llm:80/v1"),
        ),
    ],
)  # fmt: skip
def test_a_uri_says_where_a_version_is(uri, expected):
    version = Version("v2", uri)
    assert place(version) == expected
    assert place(written(version, expected)) == expected


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("deployment/ns", "is not a reference"),
        ("deployment/ns/a?svc=x", "has no option 'svc'"),
        ("deployment/ns/a?port=http", "is not a number of a port"),
        ("deployment/ns/a?port=99999", "is not a number of a port"),
    ],
)
def test_what_is_none_is_told(uri, sentence):
    with pytest.raises(UsageError, match=sentence):
        place(Version("v2", uri))


def test_what_is_known_of_a_place_is_told_apart():
    assert not is_placed(Version("v", "http://h:1"))
    assert is_placed(Version("v", "iris"))
    assert [is_found(Version("v", uri)) for uri in ("iris", "deployment/ns/a", "http://h:1", WHOLE)] == [False] * 3 + [
        True
    ]
    assert backends({"v2": Version("v2", WHOLE)})["v2"].backend == Reference.of("service", "ns", "iris-two")


@pytest.fixture
def cluster():
    return FakeCluster("team")


def deployed(cluster, name, labels):
    spec = {"template": {"metadata": {"labels": labels}}}
    cluster.put(Reference.of("deployment", "team", name), {"spec": spec})


def served(cluster, name, selector, *ports):
    spec = {"selector": selector, "ports": [{"port": number, "name": named} for named, number in ports]}
    cluster.put(Reference.of("service", "team", name), {"spec": spec})


def uri(cluster, text, like=None):
    return lookup(cluster, Version("v", text), like=like).uri


def test_a_bare_name_is_a_deployment_with_the_service_of_its_name(cluster):
    deployed(cluster, "iris-v2", {"app": "iris"})
    served(cluster, "iris", {"app": "iris"}, ("http", 80))
    served(cluster, "iris-v2", {"app": "iris", "v": "2"}, ("http", 8080))
    assert uri(cluster, "iris-v2") == "deployment/team/iris-v2?service=iris-v2&port=8080"
    assert uri(cluster, "iris-v2?port=81") == "deployment/team/iris-v2?service=iris-v2&port=81"


def test_else_the_only_service_that_selects_its_pods(cluster):
    deployed(cluster, "iris-v2", {"app": "iris", "v": "2"})
    served(cluster, "two", {"v": "2"}, ("grpc", 9000), ("metrics", 9100))
    served(cluster, "headless-of-nobody", {}, ("http", 80))
    assert uri(cluster, "deployment/team/iris-v2") == "deployment/team/iris-v2?service=two&port=9000"
    served(cluster, "one", {"app": "iris"}, ("http", 80))
    with pytest.raises(UsageError, match=r"several Services select its pods \(one, two\).*iris-v2\?service=NAME"):
        uri(cluster, "iris-v2")
    assert uri(cluster, "iris-v2?service=one").endswith("?service=one&port=80")


def test_no_service_or_no_port_is_told(cluster):
    deployed(cluster, "a", {"app": "a"})
    with pytest.raises(UsageError, match="no Service selects its pods"):
        uri(cluster, "a")
    with pytest.raises(UsageError, match="there is no Service team/gone"):
        uri(cluster, "a?service=gone")
    served(cluster, "a", {}, ("x", 1), ("y", 2))
    with pytest.raises(UsageError, match=r"has the ports x 1, y 2, and which one serves.*a\?port=NUMBER"):
        uri(cluster, "a")


def test_an_inference_service_has_kserves_predictor(cluster):
    cluster.put(Reference.of("inferenceservice", "team", "iris"), {"spec": {}})
    assert uri(cluster, "iris") == "inferenceservice/team/iris?service=iris-predictor&port=80"
    served(cluster, "iris-predictor", {}, ("http1", 8000))
    assert uri(cluster, "iris") == "inferenceservice/team/iris?service=iris-predictor&port=8000"


def test_what_is_not_there_yet_is_like_the_primary(cluster):
    primary = Version("v1", "inferenceservice/other/iris-v1?service=iris-v1-predictor&port=80")
    assert uri(cluster, "iris-v2", primary) == "inferenceservice/other/iris-v2?service=iris-v2-predictor&port=80"
    with pytest.raises(
        UsageError,
        match="neither a Deployment nor an InferenceService nor a Knative revision iris-v2 in namespace team",
    ):
        uri(cluster, "iris-v2")


def test_a_cluster_without_kserve_has_only_deployments(cluster):
    cluster.fail["get"] = [DomainError("the cluster has no kind InferenceService")]
    served(cluster, "iris", {}, ("http", 80))
    deployed(cluster, "iris", {"app": "iris"})
    cluster.fail["get"] = []
    assert uri(cluster, "iris") == "deployment/team/iris?service=iris&port=80"


def test_what_is_whole_asks_nobody(cluster):
    assert uri(cluster, WHOLE) == WHOLE
    assert cluster.calls == []
