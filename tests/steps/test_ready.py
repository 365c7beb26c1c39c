"""Covers: the probe against a real HTTP server (ready, saying not ready, refusing, silent, failing its first inference), and
the wait: until all are ready, what it says at its deadline.

Leaves out: real model servers (the releases in tests/e2e use them).
"""

import pytest
import requests
from pytest_httpserver import HTTPServer

from fairway_steps.clock import FakeClock
from fairway_steps.errors import NotReady, UsageError
from fairway_steps.model import Version
from fairway_steps.ready import HttpProbe, HttpReach, wait_for_ready


@pytest.fixture
def probe():
    with requests.Session() as session:
        yield HttpProbe(session, model="digits", payload='{"inputs": []}', timeout=0.5)


def serve(server: HTTPServer, *, health=200, model=200, infer=200, model_says=None):
    server.expect_request("/v2/health/ready").respond_with_json({"ready": True}, status=health)
    server.expect_request("/v2/models/digits/ready").respond_with_json(model_says or {"ready": True}, status=model)
    server.expect_request("/v2/models/digits/infer", method="POST").respond_with_json({"outputs": []}, status=infer)
    return Version("v2", server.url_for("").rstrip("/"))


def test_a_version_that_answers_everything_is_ready(httpserver, probe):
    assert probe(serve(httpserver)) == ""
    asked = [request.path for request, _ in httpserver.log]
    assert asked == ["/v2/health/ready", "/v2/models/digits/ready", "/v2/models/digits/infer"]
    assert httpserver.log[-1][0].get_data() == b'{"inputs": []}'


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"health": 503}, "/v2/health/ready answers 503"),
        ({"model": 503}, "/v2/models/digits/ready answers 503"),
        ({"model_says": {"ready": False}}, "answers not ready"),
        ({"infer": 500}, "a first inference is answered with 500"),
    ],
)
def test_ready_is_what_it_shows_not_what_it_says(httpserver, probe, answers, said):
    assert said in probe(serve(httpserver, **answers))


def test_a_refused_connection_is_a_sentence(probe, unused_port):
    assert "refused or broke" in probe(Version("v2", f"http://127.0.0.1:{unused_port}"))


def test_a_server_that_never_answers_does_not_hang(probe, silent_server):
    assert "no answer in time" in probe(Version("v2", silent_server))


def test_a_reference_that_is_no_http_server_is_refused(probe):
    with pytest.raises(UsageError, match="is not an HTTP server"):
        probe(Version("v2", "deployment/default/iris"))


@pytest.mark.parametrize(("status", "there"), [(200, True), (404, True), (500, True), (503, False)])
def test_a_server_is_still_there_if_it_answers_at_all(httpserver, status, there):
    httpserver.expect_request("/v2/health/ready").respond_with_data("", status=status)
    with requests.Session() as session:
        assert (HttpReach(session)(Version("v2", httpserver.url_for(""))) == "") is there


def test_a_server_that_is_gone_is_not(unused_port):
    with requests.Session() as session:
        assert "refused or broke" in HttpReach(session)(Version("v2", f"http://127.0.0.1:{unused_port}"))


def test_the_wait_ends_when_the_last_version_is_ready():
    clock = FakeClock(100.0)

    def slow_start(version):
        return "" if version.name == "v1" or clock.now() >= 103.0 else "still loading"

    took = wait_for_ready(
        [Version("v1", "http://a:1"), Version("v2", "http://b:1")], slow_start, clock, timeout=10.0, interval=1.0
    )
    assert took == {"v1": 0.0, "v2": 3.0}


def test_the_deadline_says_who_is_not_ready_and_why():
    versions = [Version("v1", "http://a:1"), Version("v2", "http://b:1")]
    with pytest.raises(NotReady, match="not ready within 5 s: v2 is loading"):
        wait_for_ready(
            versions, lambda v: "" if v.name == "v1" else "v2 is loading", FakeClock(), timeout=5.0, interval=1.0
        )
