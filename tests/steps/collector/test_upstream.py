"""Covers: what a version is sent, connections that are used again, and every way in which an answer does not come.

Against real sockets. Leaves out: the parser of answers (tests/steps/loadtest/test_http1.py), TLS beyond its failure.
"""

import asyncio
import ssl

import pytest

from certificates import issue
from fairway_steps.collector.upstream import Upstream
from fairway_steps.errors import UsageError
from fairway_steps.model import Version
from fakes_routing import free_ports
from raw_server import always, answer, serving


def ask(url, times=1, *, keep=True, timeout=10.0, most=100, headers=None):
    async def asked():
        upstream = Upstream(Version("v2", url), timeout, most)
        try:
            return [await upstream.ask("POST", "/x?y=z", headers or {}, b"body", keep=keep) for _ in range(times)]
        finally:
            await upstream.close()

    return asyncio.run(asked())


def closing(data=b""):
    async def answering(number, writer):
        writer.write(data)
        writer.close()

    return answering


def test_a_version_is_sent_the_request_without_what_is_of_the_connection():
    headers = {
        b"host": b"iris-shadow",
        b"connection": b"keep-alive, X-Hop",
        b"x-hop": b"1",
        b"transfer-encoding": b"chunked",
        b"accept-encoding": b"gzip",
        b"content-type": b"application/json",
        b"authorization": b"Bearer x",
    }
    with serving(always(answer(body=b"told", X_A="1"))) as server:
        (reply,) = ask(server.url, headers=headers)
        lines = server.requests[0].decode().split("\r\n")
        assert lines[0] == "POST /x?y=z HTTP/1.1"
        assert sorted(lines[1:-2]) == sorted(
            [
                f"host: {server.url.removeprefix('http://')}",
                "x-fairway-collector: 1",
                "accept-encoding: identity",
                "content-length: 4",
                "content-type: application/json",
                "authorization: Bearer x",
            ]
        )
        assert lines[-1] == "body"
    assert (reply.status, reply.error, reply.body, reply.headers[b"x-a"]) == (200, "", b"told", b"1")
    assert reply.seconds > 0


def test_a_connection_is_used_again():
    with serving(always(answer())) as server:
        assert [reply.status for reply in ask(server.url, 3)] == [200, 200, 200]
        assert server.connections == 1


def test_one_that_was_closed_while_it_idled_costs_no_answer():
    async def answering(number, writer):
        if number != 1:
            writer.write(answer())
        writer.close() if number else None

    with serving(answering) as server:
        assert [(reply.status, reply.error) for reply in ask(server.url, 2)] == [(200, ""), (200, "")]
        assert (server.connections, len(server.requests)) == (2, 3)


def test_a_body_is_kept_as_far_as_it_is_wanted():
    with serving(always(answer(body=b"x" * 300_000))) as server:
        (cut,) = ask(server.url, most=1000)
        (whole,) = ask(server.url, most=300_000)
        (none,) = ask(server.url, keep=False)
    assert (len(cut.body), cut.cut, cut.status) == (1000, True, 200)
    assert (len(whole.body), whole.cut) == (300_000, False)
    assert (none.body, none.cut, none.status) == (b"", False, 200)


@pytest.mark.parametrize(
    ("answering", "error"),
    [
        (closing(), "reset"),
        (closing(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "truncated"),
        (closing(b"SSH-2.0-nonsense\r\n"), "protocol"),
    ],
)
def test_an_answer_that_does_not_come_whole_has_a_class(answering, error):
    with serving(answering) as server:
        (reply,) = ask(server.url)
    assert (reply.status, reply.error) == (0, error)


def test_a_server_that_says_nothing_runs_into_the_timeout():
    with serving(always(b"")) as server:
        (reply,) = ask(server.url, timeout=0.05)
        assert (reply.status, reply.error) == (0, "timeout")


def test_where_nobody_listens_there_is_no_connection():
    (port,) = free_ports(1)
    assert ask(f"http://127.0.0.1:{port}")[0].error == "connect"
    assert ask("http://nowhere.invalid:1")[0].error == "dns"


def test_a_certificate_that_nobody_vouches_for_is_not_believed(tmp_path):
    trusted = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trusted.load_cert_chain(*issue(tmp_path, "127.0.0.1"))
    with serving(always(answer()), tls=trusted) as server:
        assert ask(server.url)[0].error == "tls"
        assert server.requests == []


@pytest.mark.parametrize("uri", ["deployment/team/v2", "http://h:1/path", "http://user@h:1", "http://h:1?a=b"])
def test_a_version_is_an_address(uri):
    with pytest.raises(UsageError, match="cannot be asked by a collector; write http://HOST:PORT"):
        Upstream(Version("v2", uri), 1.0, 1)
