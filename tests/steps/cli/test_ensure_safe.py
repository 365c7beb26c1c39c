"""``fairway ensure-safe`` of a record that cannot be parsed: users go back all the same, over a file and over a ConfigMap; and where its metrics
cannot be had.

Left out: of records that can be (test_release.py), what is told of which remains (test_remains.py).
"""

from dataclasses import replace

import pytest

from fairway_steps.cli import _run, wiring
from fairway_steps.cluster import Reference
from fairway_steps.model import Outcome, Routes, Version
from fairway_steps.record import FileStore
from fairway_steps.routing.envoy import EnvoyRouter
from fairway_steps.routing.gateway_api import GatewayRouter
from fairway_steps.stores.configmap import ConfigMapStore
from fakes_cluster import FakeCluster
from fakes_gateway import GatewayLab
from fakes_routing import Lab
from records import record

V1, V2 = Version("v1", "http://127.0.0.1:1"), Version("v2", "http://127.0.0.1:2")
SPLIT = Routes({"v1": 50, "v2": 50})


class OnFiles:
    def __init__(self, folder):
        (folder / "route").mkdir()
        self.router, self.path = Lab(folder / "route", V1).router(patience=0.1), folder / "record.json"
        self.router.apply(SPLIT, {"v1": V1, "v2": V2})
        FileStore(self.path).update(lambda _: record(primary=V1, candidate=V2, route=f"envoy:{folder}/route"))
        self.uri = f"file:{self.path}"

    def spoil(self, *, wholly=False):
        self.path.write_text("{" if wholly else self.path.read_text()[:-9])


class OnCluster:
    def __init__(self, monkeypatch):
        lab = GatewayLab(FakeCluster(), names=("v1", "v2"))
        monkeypatch.setattr(wiring, "cluster", lambda: lab.cluster)
        v1, v2 = lab.versions.values()
        route = f"{lab.kind}/{lab.ref.namespace}/{lab.ref.name}"
        self.router, self.cluster = wiring.router(route, "iris", [v1, v2]), lab.cluster
        self.router.apply(SPLIT, lab.versions)
        self.ref = Reference.of("configmap", lab.cluster.namespace, "fairway-iris")
        ConfigMapStore(self.ref, lab.cluster).update(lambda _: record(primary=v1, candidate=v2, route=route))
        self.uri = f"configmap/{self.ref.namespace}/fairway-iris"

    def spoil(self, *, wholly=False):
        gone = {"data": {"way-back": None}} if wholly else {}
        self.cluster.patch(self.ref, {"binaryData": {"record.json.gz": "AAAA"}, **gone})


@pytest.fixture(params=["file", "configmap"])
def world(request, tmp_path, monkeypatch):
    """No proxy runs here that could serve the route."""
    for kind in (EnvoyRouter, GatewayRouter):
        monkeypatch.setattr(kind, "settled", lambda _: None)
    return OnFiles(tmp_path) if request.param == "file" else OnCluster(monkeypatch)


def test_users_go_back_and_it_is_said_what_to_do_with_the_record(world, capsys):
    world.spoil()
    assert _run(["ensure-safe", f"--record={world.uri}"]) == 0
    out, err = capsys.readouterr()
    assert f"restored: v1 has all of the traffic; move {world.uri} away to begin anew" in out
    assert "is not a Fairway record" in err
    assert world.router.read() == Routes({"v1": 100})
    assert _run(["ensure-safe", f"--record={world.uri}"]) == 0
    assert "confirmed: v1 has all of the traffic" in capsys.readouterr().out


@pytest.mark.parametrize("more", ["--holder=another", "--dry-run=true"])
def test_an_exit_handler_of_another_run_and_a_dry_run_touch_nothing(world, more):
    world.spoil()
    assert _run(["ensure-safe", f"--record={world.uri}", more]) == 0
    assert world.router.read() == SPLIT


def test_where_nothing_is_left_it_is_said_in_a_sentence(world, capsys):
    world.spoil(wholly=True)
    assert _run(["ensure-safe", f"--record={world.uri}"]) == 2
    said = capsys.readouterr().err
    assert "nothing in it tells where the traffic belongs, so nothing was made safe" in said
    assert "fairway set-weights" in said
    assert "Traceback" not in said
    assert world.router.read() == SPLIT


METRICS = ["file:metrics.yaml", "{source: prometheus, url: 'http://127.0.0.1:1', preset: kserve, bearer: 'env:UNSET'}"]


@pytest.mark.parametrize("metrics", METRICS)
@pytest.mark.parametrize("command", ["ensure-safe", "rollback"])
def test_the_way_back_needs_no_metrics(command, metrics, monkeypatch):
    monkeypatch.setattr(GatewayRouter, "settled", lambda _: None)
    world = OnCluster(monkeypatch)
    store = ConfigMapStore(world.ref, world.cluster)
    store.update(lambda held: replace(held, metrics=metrics, original=world.router.snapshot()))
    assert _run([command, f"--record={world.uri}"]) == 0
    assert world.router.read() == Routes({"v1": 100})
    assert store.load().outcome is Outcome.ROLLED_BACK
