"""The contract of a cluster, over the fake and over a real API server.

Covered for both: reading, listing by labels, creating once, server-side apply of owned fields, merge patches with and
without a resource version, dry runs, deletion and finalizers, watches of one object and of many, events. For the real one:
a kind found by discovery, a kind that is not there, a watch that outlives many requests, a token without rights.
Left out: faults of the server (tests/steps/cluster, over a scripted server).
"""

import itertools
import os
import threading

import pytest

from api_server import TOKEN
from fairway_steps.clock import SystemClock
from fairway_steps.cluster import Reference
from fairway_steps.cluster.connect import connect
from fairway_steps.errors import Conflict, DomainError
from fakes_cluster import FakeCluster
from fakes_routing import eventually

NAMES = itertools.count()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.cluster)])
def cluster(request):
    return FakeCluster() if request.param == "fake" else request.getfixturevalue("real")


@pytest.fixture
def ref(cluster):
    made = Reference.of("configmap", cluster.namespace, f"fairway-contract-{os.getpid()}-{next(NAMES)}")
    yield made
    for found in cluster.list(Reference.of("configmap", cluster.namespace)):
        name = found["metadata"]["name"]
        if name.startswith("fairway-contract-"):
            at = Reference.of("configmap", cluster.namespace, name)
            if found["metadata"].get("finalizers"):
                cluster.patch(at, {"metadata": {"finalizers": None}})
            cluster.delete(at)


def test_what_is_not_there_is_none(cluster, ref):
    assert cluster.get(ref) is None
    assert cluster.delete(ref) is False
    with pytest.raises(DomainError, match=f"there is no ConfigMap {cluster.namespace}/{ref.name}"):
        cluster.patch(ref, {"data": {"a": "1"}})


def test_an_object_is_made_once(cluster, ref):
    made = cluster.create(ref, {"data": {"a": "1"}})
    assert (made["data"], made["metadata"]["name"]) == ({"a": "1"}, ref.name)
    with pytest.raises(Conflict):
        cluster.create(ref, {"data": {"a": "2"}})
    assert cluster.get(ref)["data"] == {"a": "1"}
    assert cluster.delete(ref, dry_run=True) is True
    assert cluster.get(ref) is not None
    assert cluster.delete(ref) is True
    assert cluster.get(ref) is None


def test_objects_are_found_by_their_labels(cluster, ref):
    other = Reference.of("configmap", ref.namespace, f"{ref.name}-b")
    cluster.create(ref, {"metadata": {"labels": {"t": ref.name, "side": "a"}}, "data": {"x": "1"}})
    cluster.create(other, {"metadata": {"labels": {"t": ref.name, "side": "b"}}})
    kind = Reference.of("configmap", ref.namespace)
    both = cluster.list(kind, labels={"t": ref.name})
    assert sorted(item["metadata"]["name"] for item in both) == [ref.name, other.name]
    (one,) = cluster.list(kind, labels={"t": ref.name, "side": "a"})
    assert (one["kind"], one["apiVersion"], one["data"]) == ("ConfigMap", "v1", {"x": "1"})
    assert cluster.list(kind, labels={"t": "nobody"}) == []


def test_a_merge_patch_changes_what_it_names_and_removes_what_it_nulls(cluster, ref):
    cluster.create(ref, {"data": {"a": "1", "b": "2"}})
    assert cluster.patch(ref, {"data": {"a": "9"}}, dry_run=True)["data"] == {"a": "9", "b": "2"}
    assert cluster.get(ref)["data"] == {"a": "1", "b": "2"}
    assert cluster.patch(ref, {"data": {"a": None, "c": "3"}})["data"] == {"b": "2", "c": "3"}


def test_a_patch_of_an_old_version_is_a_conflict(cluster, ref):
    before = cluster.create(ref, {"data": {"a": "1"}})["metadata"]["resourceVersion"]
    after = cluster.patch(ref, {"data": {"a": "2"}}, resource_version=before)["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        cluster.patch(ref, {"data": {"a": "3"}}, resource_version=before)
    assert cluster.patch(ref, {"data": {"a": "4"}}, resource_version=after)["data"] == {"a": "4"}


def test_apply_owns_only_what_it_names(cluster, ref):
    cluster.create(ref, {"data": {"foreign": "1"}})
    cluster.apply(ref, {"data": {"ours": "1", "more": "1"}})
    assert cluster.get(ref)["data"] == {"foreign": "1", "ours": "1", "more": "1"}
    assert cluster.apply(ref, {"data": {"ours": "2"}})["data"] == {"foreign": "1", "ours": "2"}
    made = Reference.of("configmap", ref.namespace, f"{ref.name}-new")
    cluster.apply(made, {"data": {"a": "1"}}, dry_run=True)
    assert cluster.get(made) is None
    assert cluster.apply(made, {"data": {"a": "1"}})["data"] == {"a": "1"}


def test_a_finalizer_keeps_an_object_until_it_is_taken_off(cluster, ref):
    cluster.create(ref, {"metadata": {"finalizers": ["fairway.test/wait"]}})
    cluster.delete(ref)
    assert cluster.get(ref)["metadata"]["deletionTimestamp"]
    cluster.patch(ref, {"metadata": {"finalizers": None}})
    assert cluster.get(ref) is None


def test_a_watch_tells_the_present_then_every_change(cluster, ref):
    seen = []
    ready = threading.Event()

    def look():
        for objects in cluster.watch(ref, timeout=30):
            seen.append([item.get("data") for item in objects])
            ready.set()
            if len(seen) > 3 and not objects:
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    assert ready.wait(20)
    cluster.create(ref, {"data": {"a": "1"}})
    eventually(lambda: seen[-1] == [{"a": "1"}])
    cluster.patch(ref, {"data": {"a": "2"}})
    eventually(lambda: seen[-1] == [{"a": "2"}])
    cluster.create(Reference.of("configmap", ref.namespace, f"{ref.name}-b"), {"data": {"other": "1"}})
    cluster.delete(ref)
    watcher.join(20)
    assert not watcher.is_alive()
    assert seen[0] == seen[-1] == []
    assert all({"other": "1"} not in objects for objects in seen)


def test_a_watch_of_many_goes_by_labels_and_ends_in_time(cluster, ref):
    kind = Reference.of("configmap", ref.namespace)
    cluster.create(ref, {"metadata": {"labels": {"t": ref.name}}})
    (first,) = itertools.islice(cluster.watch(kind, labels={"t": ref.name}, timeout=30), 1)
    assert [(item["kind"], item["metadata"]["name"]) for item in first] == [("ConfigMap", ref.name)]
    assert [[i["metadata"]["name"] for i in now] for now in cluster.watch(kind, labels={"t": ref.name}, timeout=1)] == [
        [ref.name]
    ]


def test_an_event_never_fails(cluster, ref):
    cluster.create(ref, {})
    cluster.event(ref, "Promoted", "v2 has all of the traffic")
    cluster.event(Reference.of("configmap", "no-such-namespace", "x"), "Promoted", "nobody hears it")


@pytest.mark.cluster
def test_the_field_manager_is_fairway_and_a_foreign_field_is_a_conflict(real, ref):
    real.create(ref, {"data": {"a": "1"}})
    managers = {m["manager"] for m in real.get(ref)["metadata"]["managedFields"]}
    assert managers == {"fairway"}
    real._object("steal", ref, *real._send("PATCH", "steal", ref, query={"fieldManager": "other", "force": "true"},
                                           body={"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "x"}},
                                           content="application/apply-patch+yaml"))  # fmt: skip
    with pytest.raises(Conflict, match="other"):
        real.apply(ref, {"data": {"b": "y"}})
    assert real.apply(ref, {"data": {"b": "y"}}, force=True)["data"]["b"] == "y"


@pytest.mark.cluster
def test_an_event_is_found_with_its_object(real, ref):
    real.create(ref, {})
    real.event(ref, "Held", "nobody approved it", warning=True)
    events = real.list(Reference("", "v1", "Event", ref.namespace))
    (note,) = [e for e in events if e["involvedObject"]["name"] == ref.name]
    assert (note["reason"], note["type"], note["message"]) == ("Held", "Warning", "nobody approved it")
    assert note["involvedObject"]["uid"] == real.get(ref)["metadata"]["uid"]


@pytest.mark.cluster
def test_a_kind_out_of_the_table_is_discovered(real):
    leases = Reference("coordination.k8s.io", "v1", "Lease", real.namespace)
    assert isinstance(real.list(leases), list)
    assert real._plurals["coordination.k8s.io", "Lease"] == "leases"


@pytest.mark.cluster
@pytest.mark.parametrize(
    "kind", [("no.such.group", "v1", "Thing"), ("apps", "v1", "Thing"), ("networking.istio.io", "v9", "VirtualService")]
)
def test_a_kind_that_the_cluster_does_not_know_is_told(real, kind):
    with pytest.raises(DomainError, match=f"the cluster has no kind {kind[2]}"):
        real.get(Reference(*kind, real.namespace, "x"))


@pytest.mark.cluster
def test_a_watch_goes_on_over_many_requests_of_the_server(real, ref, monkeypatch):
    monkeypatch.setattr("fairway_steps.cluster.watching.LONGEST", 1)
    seen = []

    def look():
        seen.extend([item["data"] for item in objects] for objects in real.watch(ref, timeout=6))

    watcher = threading.Thread(target=look)
    watcher.start()
    eventually(lambda: seen == [[]])
    for value in range(8):
        (real.patch if value else real.create)(ref, {"data": {"n": str(value)}})
        eventually(lambda value=value: seen[-1] == [{"n": str(value)}])
        threading.Event().wait(0.5)
    watcher.join(20)
    assert [objects[0]["n"] for objects in seen[1:]] == [str(value) for value in range(8)]


@pytest.mark.cluster
def test_without_credentials_the_sentence_says_so(real_config, tmp_path):
    lesser = tmp_path / "kubeconfig"
    lesser.write_text(real_config.read_text().replace(TOKEN, "nobody"))
    if lesser.read_text() == real_config.read_text():
        pytest.skip("only the tests' own API server has a token to spoil")
    cluster = connect({"KUBECONFIG": str(lesser)}, SystemClock())
    with pytest.raises(DomainError, match="does not know who we are"):
        cluster.get(Reference.of("configmap", "default", "x"))
    cluster.close()


@pytest.mark.cluster
def test_an_object_of_the_whole_cluster_has_no_namespace(real):
    found = real.get(Reference("", "v1", "Namespace", "", "default"))
    assert found["metadata"]["name"] == "default"
    assert real.get(Reference("", "v1", "Namespace", "", "nowhere")) is None
