"""The contract of a record store, over a file and over a ConfigMap in the fake and in a real API server.

Covered for all: what is stored is loaded, changes that fail, what is no record, writers at the same time, a write whose
answer was lost. For ConfigMaps: what kubectl shows, labels, a record of many stages. Left out: files as such
(tests/steps/test_record.py).
"""

import itertools
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fairway_steps.cluster import Reference
from fairway_steps.errors import Conflict, DomainError, TransientError, UsageError
from fairway_steps.model import Histogram, Outcome, Stratum
from fairway_steps.record import FileStore
from fairway_steps.remains import remains
from fairway_steps.stores import open_store
from fairway_steps.stores.configmap import ConfigMapStore
from fakes_cluster import FakeCluster
from records import record

NAMES = itertools.count()


class FileWorld:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "record.json"
        self.uri = f"file:{self.path}"

    def store(self):
        return open_store(self.uri)

    def spoil(self) -> None:
        self.path.write_text(json.dumps({"format": 99}))


class ConfigMapWorld:
    def __init__(self, cluster) -> None:
        self.cluster = cluster
        self.ref = Reference.of("configmap", cluster.namespace, f"fairway-iris-{os.getpid()}-{next(NAMES)}")
        self.uri = f"configmap/{self.ref.namespace}/{self.ref.name}"

    def store(self):
        return open_store(self.uri, lambda: self.cluster)

    def spoil(self) -> None:
        self.cluster.patch(self.ref, {"binaryData": {"record.json.gz": "AAAA"}})


@pytest.fixture(params=["file", "fake", pytest.param("real", marks=pytest.mark.cluster)])
def world(request, tmp_path):
    if request.param == "file":
        yield FileWorld(tmp_path)
        return
    made = ConfigMapWorld(FakeCluster() if request.param == "fake" else request.getfixturevalue("real"))
    yield made
    made.cluster.delete(made.ref)


def test_what_is_stored_is_loaded(world):
    store = world.store()
    assert store.uri == world.uri
    assert store.load() is None
    stored = store.update(lambda _: record())
    assert store.load() == stored == record() == world.store().load()
    assert store.update(lambda r: replace(r, stage=2, reason="ü")).stage == 2
    assert world.store().load() == record(stage=2, reason="ü")


def test_a_change_that_fails_leaves_the_record_as_it_was(world):
    store = world.store()
    store.update(lambda _: record())
    with pytest.raises(ZeroDivisionError):
        store.update(lambda _: 1 // 0)
    assert store.load() == record()


def test_what_is_no_record_is_refused_by_name(world):
    store = world.store()
    store.update(lambda _: record())
    world.spoil()
    with pytest.raises(UsageError, match="is not a Fairway record"):
        store.load()
    with pytest.raises(UsageError, match="is not a Fairway record"):
        store.update(lambda r: r)


def test_of_what_is_no_record_any_more_there_may_be_remains(world):
    store = world.store()
    assert store.remains() == ""
    store.update(lambda _: record())
    assert remains(store.remains()).versions == (record().primary, record().candidate)
    store.update(lambda r: r.ended(1.0, Outcome.PROMOTED, "it did well"))
    assert remains(store.remains()).promoted


def test_writers_at_the_same_time_lose_no_change(world):
    def count() -> None:
        for _ in range(8):
            world.store().update(lambda r: replace(r or record(token=0), token=(r.token if r else 0) + 1))

    writers = [threading.Thread(target=count) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert world.store().load().token == 32


@pytest.mark.parametrize("uri", ["", "file:", "r.json", "s3:bucket", "configmap:ns/name", "secret/ns/name"])
def test_an_unknown_kind_of_store_is_refused(uri):
    with pytest.raises(UsageError, match="write file:PATH or configmap/NAMESPACE/NAME"):
        open_store(uri, FakeCluster)


def test_a_record_in_a_cluster_needs_one():
    with pytest.raises(UsageError, match="works on one machine"):
        open_store("configmap/ns/name")
    with pytest.raises(UsageError, match="write configmap/NAMESPACE/NAME"):
        open_store("configmap/ns", FakeCluster)


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def store(cluster):
    return ConfigMapStore(Reference.of("configmap", "default", "fairway-iris"), cluster)


def test_kubectl_shows_what_people_look_for(store, cluster):
    store.update(lambda _: record(service="iris"))
    store.update(lambda r: r.ended(1.0, Outcome.HELD, "nobody approved it"))
    found = cluster.get(store.ref)
    assert found["metadata"]["labels"]["app.kubernetes.io/instance"] == "iris"
    told = found["data"]
    assert (told["outcome"], told["reason"], told["weights"]) == ("held", "nobody approved it", '{"v1": 100}')
    assert (told["holder"], told["lease-until"]) == ("test", "2023-11-14T22:23:20Z")


def test_a_write_whose_answer_was_lost_is_not_made_twice(store, cluster):
    store.update(lambda _: record())
    real_patch = cluster.patch

    def lost(ref, patch, **options):
        cluster.patch = real_patch
        real_patch(ref, patch, **options)
        raise Conflict("tried again after a timeout, and its own first attempt had come through")

    cluster.patch = lost
    assert store.update(lambda r: replace(r, token=r.token + 1)).token == 2
    assert store.load().token == 2


def test_a_conflict_that_never_ends_is_transient(store, cluster):
    store.update(lambda _: record())
    cluster.fail["patch"] = [Conflict("again")] * 1000
    with pytest.raises(TransientError, match="written by others all the time"):
        store.update(lambda r: replace(r, stage=9))
    assert store.load().stage == -1


def test_foreign_fields_of_the_configmap_are_kept(store, cluster):
    store.update(lambda _: record())
    cluster.edit(store.ref, {"metadata": {"annotations": {"theirs": "1"}}, "data": {"note": "mine"}})
    store.update(lambda r: replace(r, stage=1))
    found = cluster.get(store.ref)
    assert (found["metadata"]["annotations"]["theirs"], found["data"]["note"]) == ("1", "mine")


def test_a_record_of_many_stages_fits(store, cluster):
    edges = tuple(i / 100 for i in range(1, 40))
    strata = [
        Stratum(
            version, float(at), at + 1.0, weight, 40 + at % 7, {"http-500": at % 3}, Histogram(edges, (at % 5,) * 39)
        )
        for version in ("v1", "v2")
        for weight in range(1, 11)
        for at in range(240)
    ]
    store.update(lambda _: record().with_strata(strata))
    size = len(cluster.get(store.ref)["binaryData"]["record.json.gz"])
    assert len(store.load().strata) == len(strata) == 4800
    assert size < 500_000


def test_one_that_does_not_fit_is_told(store):
    noise = os.urandom(700_000).hex()
    with pytest.raises(DomainError, match="too large for a ConfigMap"):
        store.update(lambda _: record(reason=noise))
    assert store.load() is None


def test_a_file_is_a_store_too(tmp_path):
    assert isinstance(open_store(f"file:{tmp_path}/r.json"), FileStore)
