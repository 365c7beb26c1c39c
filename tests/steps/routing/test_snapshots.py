"""The way back: what a snapshot holds, and where it is put when the route has been changed, spoilt or lost.

On files alone. Left out: a running Envoy (tests/contract/test_router.py).
"""

import json

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.envoy_admin import Admin
from fairway_steps.errors import Fenced, Refused, UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing import snapshots
from fairway_steps.routing.bootstrap import write_folder
from fairway_steps.routing.folder import CLUSTERS, ROUTES, Folder
from fairway_steps.routing.proxy import Proxy

V1 = Version("v1", "http://127.0.0.1:1")


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path, "iris", V1, "127.0.0.1:2", "127.0.0.1:3")
    return Folder(tmp_path)


@pytest.fixture
def put_back(folder, unused_port):
    proxy = Proxy(Admin(f"http://127.0.0.1:{unused_port}"), "iris", FakeClock(), 1.0)
    return lambda saved, fenced=lambda own: 5: snapshots.put_back(folder, "iris", saved, proxy, fenced)


def routes_of(folder):
    return folder.load(ROUTES)["resources"][0]["virtual_hosts"][0]["routes"]


def rewrite(folder, routes):
    stored = folder.load(ROUTES)
    resources = json.loads(json.dumps(stored["resources"]))
    resources[0]["virtual_hosts"][0]["routes"] = routes
    folder.replace(ROUTES, stored, resources)


def test_everything_of_the_service_comes_back_and_all_else_stays(folder, put_back):
    saved = snapshots.take(folder, "iris")
    (before,) = routes_of(folder)
    made = {"name": "iris/match/0", "metadata": {"filter_metadata": {"fairway": {"fence": 1}}}}
    others = [{"name": "a"}, made, {"name": "iris/health"}, {"name": "iris", "route": {"cluster": "x"}}, {"name": "b"}]
    rewrite(folder, others)
    folder.replace(CLUSTERS, folder.load(CLUSTERS), [{"name": "other"}])
    folder.remove("endpoints/iris~v1.json")
    put_back(saved)
    assert [entry["name"] for entry in routes_of(folder)] == ["a", "iris/health", "iris", "b"]
    (back,) = [entry for entry in routes_of(folder) if entry["name"] == "iris"]
    assert back["route"] == before["route"]
    assert back["metadata"]["filter_metadata"]["fairway"]["fence"] == 5
    assert [cluster["name"] for cluster in folder.load(CLUSTERS)["resources"]] == ["other", "iris/v1"]
    assert folder.load("endpoints/iris~v1.json")["resources"][0]["cluster_name"] == "iris/v1"


def test_a_route_that_is_gone_is_put_first_in_its_virtual_host(folder, put_back):
    saved = snapshots.take(folder, "iris")
    rewrite(folder, [{"name": "rest"}])
    put_back(saved)
    assert [entry["name"] for entry in routes_of(folder)] == ["iris", "rest"]


def test_a_virtual_host_that_is_gone_is_said(folder, put_back):
    saved = snapshots.take(folder, "iris")
    folder.replace(ROUTES, folder.load(ROUTES), [{"name": "routes", "virtual_hosts": []}])
    with pytest.raises(Refused, match="virtual host 'iris'"):
        put_back(saved)


def test_who_is_fenced_writes_nothing(folder, put_back):
    saved = snapshots.take(folder, "iris")
    rewrite(folder, [{"name": "iris", "route": {"cluster": "x"}}])
    folder.replace(CLUSTERS, folder.load(CLUSTERS), [])
    before = folder.load(ROUTES), folder.load(CLUSTERS)

    def fenced(own):
        assert own[-1]["route"] == {"cluster": "x"}
        raise Fenced("no")

    with pytest.raises(Fenced):
        put_back(saved, fenced)
    assert (folder.load(ROUTES), folder.load(CLUSTERS)) == before


@pytest.mark.parametrize(
    "saved", ["", "{}", "[]", '{"format": 2, "service": "iris"}', '{"format": 1, "service": "rose"}']
)
def test_what_is_no_snapshot_of_this_service_is_refused(put_back, saved):
    with pytest.raises(UsageError, match="no snapshot of the route of iris"):
        put_back(saved)


def test_a_snapshot_of_a_split_brings_its_backends_back(folder, put_back):
    from fairway_steps.routing.envoy import EnvoyRouter

    router = EnvoyRouter(folder.path, "iris", "http://127.0.0.1:9", FakeClock())
    versions = {"v1": V1, "v2": Version("v2", "http://127.0.0.1:2")}
    router.apply(Routes({"v1": 50, "v2": 50}), versions)
    saved = router.snapshot()
    router.apply(Routes({"v1": 100}), versions)
    assert [cluster["name"] for cluster in folder.load(CLUSTERS)["resources"]] == ["iris/v1"]
    assert router.restore(saved) == Routes({"v1": 50, "v2": 50})
    assert {c["name"] for c in folder.load(CLUSTERS)["resources"]} == {"iris/v1", "iris/v2", "iris/v2+v1"}
    assert [path.name for path in folder.endpoints("iris")] == ["iris~v1.json", "iris~v2.json"]
