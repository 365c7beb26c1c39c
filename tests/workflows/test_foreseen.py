"""`fairway explain` over a route that can be reached: what `begin` would refuse is told after the steps, and nothing is written.

Left out: that `begin` refuses the same (tests/steps/test_begin.py), what each back end's preflight sees (tests/contract/test_preflight.py).
"""

import json
import math

import pytest
from click.testing import CliRunner

from fairway_steps.cli import first_look, wiring
from fairway_steps.cluster import Reference
from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.base import Reading
from fairway_steps.metrics.preflight import Inspection, Seen
from fairway_steps.model import Routes, Version
from fairway_steps.record import FileStore
from fairway_workflows import foreseen
from fairway_workflows.cli.explain import explain
from fakes_cluster import FakeCluster
from fakes_gateway import GatewayLab
from fakes_routing import Lab
from records import record

V1, V2 = Version("v1", "http://127.0.0.1:1"), Version("v2", "http://127.0.0.1:2")
BEGINS = "as the route is now, it would begin"
UNSEEN = f"{BEGINS}; its metrics were not looked at: a --file names them"
FILE = """
strategy: canary
service: iris
route: envoy:./route
primary: v1=http://127.0.0.1:1
candidate: v2=http://127.0.0.1:2
stages: 50@5m
metrics: "prometheus:http://127.0.0.1:9#preset=triton"
slos: [{metric: latency, quantile: p95, LIMIT}]
"""


def told(*arguments):
    """The exit code, and all that is told: the lines, and the sentence of a refusal."""
    done = CliRunner().invoke(explain, arguments, standalone_mode=False)
    code = getattr(done.exception, "exit_code", None) if done.exception else 0
    return code, [*done.stdout.splitlines(), *([str(done.exception)] if done.exception else [])]


@pytest.fixture
def envoy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "route").mkdir()
    return Lab(tmp_path / "route", V1)


@pytest.fixture
def gateway(monkeypatch):
    lab = GatewayLab(FakeCluster())
    for module in (wiring, foreseen):
        monkeypatch.setattr(module, "cluster", lambda: lab.cluster)
    return lab


def local(*more):
    versions = ("--primary", f"v1={V1.uri}", "--candidate", f"v2={V2.uri}")
    return told("canary", "--route", "envoy:./route", "--service", "iris", *versions, *more)


def clustered(lab, *more, strategy="canary"):
    v1, v2 = lab.versions.values()
    route = f"{lab.kind}/{lab.ref.namespace}/{lab.ref.name}"
    versions = ("--primary", f"v1={v1.uri}", "--candidate", f"v2={v2.uri}")
    return told(strategy, "--route", route, "--service", "iris", *versions, *more)


def test_a_release_that_would_begin_says_so_last_and_has_written_nothing(envoy, tmp_path):
    """But for the lock under which the route is read."""

    def written():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}

    before = written()
    code, lines = local()
    assert (code, lines[-1]) == (0, UNSEEN)
    assert written() == before


def test_a_split_route_is_told_after_the_steps(envoy):
    envoy.router(patience=0.1).apply(Routes({"v1": 50, "v2": 50}), {"v1": V1, "v2": V2})
    code, lines = local()
    assert code == 1
    assert lines[0].startswith("canary: iris on envoy:./route")
    assert any(line.startswith("1 begin:") for line in lines)
    assert lines[-2] == "as the route is now, it would be refused:"
    assert lines[-1].startswith("the route is split (v1 50 %, v2 50 %): another release may be under way")


def test_a_service_that_another_release_holds_is_told(envoy, tmp_path):
    FileStore(tmp_path / ".fairway/iris.json").update(
        lambda _: record(primary=V1, candidate=V2, route=f"envoy:{tmp_path}/route", lease_until=9e9, holder="alice")
    )
    code, lines = local()
    assert (code, lines[-1].partition(" (")[0]) == (1, "service iris is held by alice")


def test_a_route_that_is_not_there_or_versions_that_are_not_named_hold_nothing_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, lines = local()
    assert code == 0
    assert lines[-1].startswith("not held against the route as it is now: there is no folder")
    code, lines = told("canary", "--route", "envoy:./route")
    assert code == 0
    assert "as it is now" not in lines[-1]


def test_what_a_gateway_s_route_has_no_room_for_is_told(gateway):
    assert clustered(gateway)[1][-1] == UNSEEN
    rules = gateway.rules()
    rules[0]["matches"][0]["headers"] = [{"name": "x-tester", "value": "1"}]
    gateway.edit({"spec": {"rules": rules}})
    stored = json.dumps(gateway.stored())
    gateway.cluster.calls.clear()
    code, lines = clustered(gateway, "--stages", "header:x-tester=yes@10s,50@10s")
    assert code == 1
    assert "has a rule that asks for the header x-tester itself" in lines[-1]
    assert json.dumps(gateway.stored()) == stored
    assert {verb for verb, _ in gateway.cluster.calls} <= {"get", "list"}


def test_a_version_that_is_not_there_is_told(gateway):
    route, space = f"httproute/{gateway.ref.namespace}/{gateway.ref.name}", gateway.cluster.namespace
    gateway.cluster.remove(Reference.of("service", space, gateway.services["v2.1"]))
    code, lines = clustered(gateway)
    assert code == 1
    assert lines[0].startswith(f"canary: iris on {route}")
    assert "which does not exist" in lines[-1]


@pytest.mark.parametrize("error", [UsageError("there is no kubeconfig"), TransientError("it is away")])
def test_a_cluster_that_is_not_there_is_no_refusal(gateway, monkeypatch, error):
    if isinstance(error, UsageError):
        monkeypatch.setattr(foreseen, "cluster", lambda: (_ for _ in ()).throw(error))
    else:
        gateway.cluster.fail["get"] = [error] * 9
    code, lines = clustered(gateway)
    assert (code, lines[-1]) == (0, f"not held against the route as it is now: {error.message}")


class Source:
    """A source whose buckets tell a limit of 250 ms, and nothing finer."""

    def inspect(self, versions, now):
        primary, candidate = versions
        seen = Seen(primary, 3, 30_000, 300.0, (0.1, 0.25, 0.5, math.inf), frozenset({"a"}), "a")
        return [Inspection("prom", (seen, Seen(candidate, 0)), label="v")]

    def read(self, versions, weights, cursor, now):
        return Reading((), "here")


@pytest.mark.parametrize(
    ("limit", "code", "said"),
    [
        ("limit: 250ms", 0, BEGINS),
        ("margin: 10%", 1, "the edges of prom are too far apart for a margin of 10 % on p95"),
    ],
)
def test_metrics_that_a_file_names_are_looked_at_as_begin_looks_at_them(
    envoy, tmp_path, monkeypatch, limit, code, said
):
    opened = []
    monkeypatch.setattr(first_look, "source", lambda text, *_, **__: opened.append(text) or Source())
    (tmp_path / "release.yaml").write_text(FILE.replace("LIMIT", limit))
    found, lines = told("canary", "--file", str(tmp_path / "release.yaml"))
    assert found == code
    assert lines[-1].startswith(said)
    assert opened == ["prometheus:http://127.0.0.1:9#preset=triton"]


def test_metrics_that_are_away_are_told_and_hold_nothing_up(envoy, tmp_path, unused_port):
    (tmp_path / "release.yaml").write_text(FILE.replace("LIMIT", "limit: 250ms").replace(":9#", f":{unused_port}#"))
    code, lines = told("canary", "--file", str(tmp_path / "release.yaml"))
    assert code == 0
    assert lines[-1].startswith("not held against the route as it is now: ")
    assert str(unused_port) in lines[-1]
