"""A fresh folder: what is in it, what it refuses to overwrite, and which inputs it does not take."""

import json

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing.bootstrap import LATENCIES, addresses, parse_address, write_folder
from fairway_steps.routing.envoy import EnvoyRouter

V1 = Version("v1", "http://127.0.0.1:8001")


def test_all_traffic_goes_to_the_primary(tmp_path):
    write_folder(tmp_path / "a" / "b", "iris", V1, "127.0.0.1:8080", "127.0.0.1:9901")
    assert EnvoyRouter(tmp_path / "a" / "b", "iris", "http://127.0.0.1:9", FakeClock()).read() == Routes({"v1": 100})
    assert addresses(tmp_path / "a" / "b") == [("127.0.0.1", 9901), ("127.0.0.1", 8080)]


def test_a_host_name_needs_no_file_of_endpoints(tmp_path):
    write_folder(tmp_path, "iris", Version("v1", "http://iris:80"), "[::1]:8080", "127.0.0.1:9901")
    assert list((tmp_path / "endpoints").iterdir()) == []
    assert addresses(tmp_path)[1] == ("::1", 8080)


def test_every_path_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    write_folder(Path("route"), "iris", V1, "127.0.0.1:8080", "127.0.0.1:9901")
    text = (tmp_path / "route" / "bootstrap.json").read_text() + (tmp_path / "route" / "clusters.json").read_text()
    assert text.count(f'"path": "{tmp_path}/route') == text.count('"path": ') > 5


def test_the_latency_edges_rise_and_cover_a_millisecond_to_a_minute():
    assert list(LATENCIES) == sorted(set(LATENCIES))
    assert (LATENCIES[0], LATENCIES[-1]) == (1, 60000)


@pytest.mark.parametrize("file", ["routes.json", "bootstrap.json"])
def test_nothing_is_overwritten(tmp_path, file):
    (tmp_path / file).write_text("mine")
    with pytest.raises(UsageError, match="already has routes"):
        write_folder(tmp_path, "iris", V1, "127.0.0.1:8080", "127.0.0.1:9901")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(file, "mine")]


@pytest.mark.parametrize(
    ("service", "uri", "listen", "admin", "says"),
    [
        ("Iris", V1.uri, "h:1", "h:2", "not a service's name"),
        ("iris", "deployment/a/b", "h:1", "h:2", "cannot be routed to"),
        ("iris", V1.uri, "8080", "h:2", "listen '8080' is not HOST:PORT"),
        ("iris", V1.uri, "h:1", "h:70000", "admin 'h:70000'"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path, service, uri, listen, admin, says):
    with pytest.raises(UsageError, match=says):
        write_folder(tmp_path / "route", service, Version("v1", uri), listen, admin)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", ":1", "h:", "h:0", "h:65536", "h:-1", "h:1x"])
def test_what_is_no_address(text):
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        parse_address(text, "listen")


@pytest.mark.parametrize("text", ["{", "{}", json.dumps({"admin": {"address": {}}})])
def test_a_bootstrap_that_tells_no_address(tmp_path, text):
    (tmp_path / "bootstrap.json").write_text(text)
    with pytest.raises(UsageError, match=r"bootstrap\.json cannot be read"):
        addresses(tmp_path)
