"""Covers: one notice to a real HTTP server: method, path, headers and body; refusals, 500 then 200, 429 with Retry-After,
redirects, no server, a silent and a trickling one; time and attempts are bounded, and no secret is in any word.

Leaves out: what a notice says (test_notice), the command (tests/steps/cli/test_notify).
"""

import json
import socket
import threading
import time

import pytest
from werkzeug import Response

from fairway_steps.clock import FakeClock, SystemClock
from fairway_steps.notify import delivery
from fairway_steps.notify.delivery import bounded, deliver
from fairway_steps.notify.notice import Request
from fairway_steps.secrets import Secret, scrub

PATH = "/services/T/B/s3cret"


def request(url, token=None, **headers):
    return Request(Secret(url, "env:HOOK"), {"text": "né"}, headers, token)


def quick():
    clock = FakeClock(0.0)
    clock.sleeps = []
    sleep = clock.sleep
    clock.sleep = lambda seconds: (clock.sleeps.append(seconds), sleep(seconds))
    return clock


def test_what_is_sent(httpserver):
    httpserver.expect_oneshot_request(PATH, method="POST").respond_with_data("ok")
    sent = deliver(request(httpserver.url_for(PATH), Secret("t0ken"), Accept="a/b"), quick())
    assert sent.delivered
    assert sent.attempts == 1
    ((got, _),) = httpserver.log
    assert json.loads(got.data) == {"text": "né"}
    assert got.headers["Authorization"] == "Bearer t0ken"
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["Accept"] == "a/b"
    assert got.headers["User-Agent"] == "fairway"


def test_a_netrc_entry_does_not_replace_the_token(httpserver, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text(f"machine {httpserver.host} login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    httpserver.expect_request(PATH).respond_with_data("ok")
    assert deliver(request(httpserver.url_for(PATH), Secret("t0ken")), quick()).delivered
    assert deliver(request(httpserver.url_for(PATH)), quick()).delivered
    assert httpserver.log[0][0].headers["Authorization"] == "Bearer t0ken"
    assert "Authorization" not in httpserver.log[1][0].headers


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_receiver_that_comes_back_is_told(httpserver, status):
    httpserver.expect_ordered_request(PATH).respond_with_data("", status)
    httpserver.expect_ordered_request(PATH).respond_with_data("", status)
    httpserver.expect_ordered_request(PATH).respond_with_data("ok", 204)
    clock = quick()
    sent = deliver(request(httpserver.url_for(PATH)), clock)
    assert (sent.delivered, sent.attempts) == (True, 3)
    assert clock.sleeps == [0.5, 1.0]


def test_retry_after_is_kept_to(httpserver):
    httpserver.expect_ordered_request(PATH).respond_with_data("", 429, {"Retry-After": "7"})
    httpserver.expect_ordered_request(PATH).respond_with_data("ok")
    clock = quick()
    assert deliver(request(httpserver.url_for(PATH)), clock).delivered
    assert clock.sleeps == [7.0]


def test_retry_after_past_the_deadline_ends_the_attempts(httpserver):
    httpserver.expect_request(PATH).respond_with_data("", 429, {"Retry-After": "86400"})
    clock = quick()
    sent = deliver(request(httpserver.url_for(PATH)), clock)
    assert (sent.problem, sent.attempts, clock.sleeps) == ("the receiver answered 429", 1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_refusal_is_not_asked_again(httpserver, status):
    httpserver.expect_request(PATH).respond_with_data("no_service", status)
    sent = deliver(request(httpserver.url_for(PATH)), quick())
    assert (sent.problem, sent.attempts) == (f"the receiver answered {status}", 1)


def test_a_redirect_is_not_followed(httpserver):
    httpserver.expect_request(PATH).respond_with_response(Response(status=307, headers={"Location": "/other"}))
    sent = deliver(request(httpserver.url_for(PATH), Secret("t0ken")), quick())
    assert sent.problem == "the receiver answered 307"
    assert [got.path for got, _ in httpserver.log] == [PATH]


def test_attempts_end_with_the_time(httpserver):
    httpserver.expect_request(PATH).respond_with_data("", 500)
    clock = quick()
    sent = deliver(request(httpserver.url_for(PATH)), clock, timeout=30)
    assert sent.problem == "the receiver answered 500"
    assert sum(clock.sleeps) < 30
    assert clock.sleeps == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_nobody_listens(unused_port):
    sent = deliver(request(f"http://127.0.0.1:{unused_port}{PATH}"), quick(), timeout=5)
    assert sent.problem == "the receiver cannot be reached"
    assert sent.attempts > 1


def test_a_silent_receiver_costs_no_more_than_the_timeout(silent_server):
    began = time.monotonic()
    sent = deliver(request(silent_server + PATH), SystemClock(), timeout=0.6)
    assert time.monotonic() - began < 3
    assert not sent.delivered
    assert "answer" in sent.problem


def test_a_trickling_receiver_costs_no_more_than_the_timeout(monkeypatch):
    """Each byte comes within the read timeout, so only the bound around the whole attempt ends it."""
    stop = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def trickle():
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(100):
                if stop.wait(0.05):
                    break
                connection.sendall(b"x")
            connection.sendall(b"\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=trickle)
    thread.start()
    before = set(threading.enumerate())
    try:
        began = time.monotonic()
        sent = deliver(request(f"http://127.0.0.1:{server.getsockname()[1]}{PATH}"), SystemClock(), timeout=0.5)
        assert time.monotonic() - began < 3
        assert sent.problem == "the receiver did not answer within 0.5 s"
    finally:
        stop.set()
        thread.join(5)
        server.close()
        for left in set(threading.enumerate()) - before:
            left.join(5)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/s3cret\n", "http://[::1/s3cret", "nonsense:s3cret", "http://s3cret:99999/"]
)
def test_no_secret_is_in_any_word(url, capfd, caplog):
    caplog.set_level("DEBUG")
    sent = deliver(request(url, Secret("t0ken\nx")), quick(), timeout=2)
    assert not sent.delivered
    out, err = capfd.readouterr()
    for told in (
        sent.problem,
        repr(sent),
        repr(request(url)),
        out,
        err,
        *(r.getMessage() for r in caplog.records if r.levelno >= 30),
    ):
        assert "s3cret" not in told
        assert "t0ken" not in told


def test_a_receiver_without_tls_is_told_as_such(httpserver):
    sent = deliver(request(httpserver.url_for(PATH).replace("http:", "https:")), quick())
    assert sent.problem == "the receiver's port does not speak TLS"


def test_an_untrusted_certificate_is_refused(httpserver_ssl):
    url, seen = httpserver_ssl
    sent = deliver(request(url + PATH, Secret("t0ken")), quick())
    assert sent.problem.startswith("the receiver's certificate is not trusted (")
    assert sent.attempts == 1
    assert seen == []


@pytest.fixture
def httpserver_ssl(tmp_path):
    """A TLS server with a certificate that nobody signed."""
    import ssl
    import subprocess

    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("needs openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    seen = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = server.accept()
        connection.settimeout(5)
        try:
            with context.wrap_socket(connection, server_side=True) as tls:
                seen.append(tls.recv(1000))
        except OSError:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://127.0.0.1:{server.getsockname()[1]}", seen
    thread.join(10)
    server.close()


def test_bounded():
    release = threading.Event()
    assert bounded(lambda: 3, 5) == 3
    assert bounded(lambda: release.wait(10), 0.05) is None
    release.set()


def test_secrets_are_stars():
    secret = Secret("hush", "env:X")
    assert f"{secret} {secret!r}" == "*** Secret(source='env:X')"
    assert scrub("a hush b", secret, None) == "a *** b"
    assert delivery.READ == 10.0
