"""HTTP over real sockets: the request as sent, keep-alive, and every class of error, each from a server that causes it.

Left out: the parser's details (test_http1.py); resolvers that never answer; HTTP/2.
"""

import asyncio
import contextlib
import datetime as dt
import errno
import ipaddress
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.client import Answer
from fairway_steps.loadtest.engine import run
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import SECOND, Plan, constant
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Settings
from fairway_steps.loadtest.tls import Tls
from raw_server import OK, always, always_then_close, answer, serving


def load(
    request: Request, plan: Plan | None = None, *, body: bytes = b"", timeout: float = 5.0, connections: int = 64
) -> Records:
    faults: list[dict] = []

    async def carry_out() -> Records:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        settings = Settings(timeout, connections)
        return await run(
            plan or constant(100, requests=3), request.open(Payloads((body,))), settings, clock=FakeClock()
        )

    records = asyncio.run(carry_out())
    assert not faults
    return records


def errors(records: Records) -> list[str]:
    return [end.error for end in records.ends]


def test_a_connection_carries_one_request_after_another():
    with serving(always(OK)) as server:
        records = load(Request(server.url + "/a/b?c=d"), constant(50, requests=10), connections=1)
    assert errors(records) == [""] * 10
    assert server.connections == 1
    assert server.requests == [server.requests[0]] * 10
    assert server.requests[0].split(b"\r\n")[0] == b"GET /a/b?c=d HTTP/1.1"


def test_the_request_as_it_is_sent():
    headers = {"Authorization": "Bearer x", "content-type": "application/json"}
    with serving(always(OK)) as server:
        load(Request(server.url, "POST", headers), constant(1, requests=1), body=b'{"a": 1}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST / HTTP/1.1",
        b"Host: " + server.url.removeprefix("http://").encode(),
        b"User-Agent: fairway-load-test",
        b"Accept: */*",
        b"Authorization: Bearer x",
        b"content-type: application/json",
        b"Content-Length: 8",
    ]
    assert body == b'{"a": 1}'


def test_a_host_header_replaces_ours():
    sent = Request("http://127.0.0.1:1/", headers={"host": "iris.example"}).to_bytes()
    assert sent.startswith(b"GET / HTTP/1.1\r\n")
    assert sent.lower().count(b"host:") == 1
    assert b"host: iris.example\r\n" in sent


def test_a_body_larger_than_the_sockets_buffers_arrives():
    body = b"x" * 8_000_000
    with serving(always(OK)) as server:
        records = load(Request(server.url, "POST"), constant(1, requests=1), body=body)
    assert errors(records) == [""]
    assert len(server.requests[0].partition(b"\r\n\r\n")[2]) == len(body)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
    ids=["chunked", "1xx", "204"],
)
def test_framed_answers_keep_the_connection(data: bytes):
    with serving(always(data)) as server:
        records = load(Request(server.url), constant(20, requests=6), connections=1)
    assert errors(records) == [""] * 6
    assert server.connections == 1


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        answer(Connection="close"),
    ],
    ids=["close-delimited", "http/1.0", "connection: close"],
)
def test_answers_that_end_the_connection_are_answers(data: bytes):
    with serving(always_then_close(data)) as server:
        records = load(Request(server.url), constant(50, requests=4))
    assert errors(records) == [""] * 4
    assert server.connections == 4


@pytest.mark.parametrize("status", [301, 404, 429, 500, 503])
def test_any_status_but_2xx_is_an_error_of_its_own(status: int):
    with serving(always(answer(status))) as server:
        records = load(Request(server.url), constant(20, requests=6), connections=1)
    assert errors(records) == [f"http-{status}"] * 6
    assert [end.status for end in records.ends] == [status] * 6
    assert server.connections == 1


def test_answers_that_begin_alike_are_each_looked_at():
    """Heads that differ in a number alone: with their body whole, in two pieces, with a byte too many, cut off, and broken."""

    async def ends_otherwise(number: int, writer: asyncio.StreamWriter):
        whole = answer(X_Number=str(number))
        first, rest = {5: (whole[:-4], whole[-4:]), 6: (whole[:-1], b"k"), 8: (whole[:-1], b"")}.get(
            number, (whole, b"")
        )
        first += b"!" * (number == 7)
        writer.write(first.replace(b"X-Number:", b"X-Number :") if number == 9 else first)
        await writer.drain()
        if rest:
            await asyncio.sleep(0.01)
            writer.write(rest)
        elif number == 8:
            writer.close()

    with serving(ends_otherwise) as server:
        records = load(Request(server.url), constant(50, requests=12), connections=1)
    assert errors(records) == [""] * 8 + ["truncated", "protocol"] + [""] * 2
    assert server.connections == 4


def test_the_version_and_the_proxys_mark_are_read_from_the_answer():
    answers = [
        answer(X_Fairway_Version="v2", x_envoy_upstream_service_time="3"),
        answer(500, X_Fairway_Version="v1", x_envoy_upstream_service_time="3"),
        answer(503),
    ]

    async def answering(number, writer):
        writer.write(answers[number])

    with serving(answering) as server:
        records = load(Request(server.url, label_header="x-fairway-version"), constant(20, requests=3))
    assert [(end.version, end.upstream) for end in records.ends] == [("v2", 1), ("v1", 1), ("", 0)]


def test_an_unresolvable_host_is_dns():
    records = load(Request("http://no-such-host.invalid/"), timeout=60)
    assert errors(records) == ["dns"] * 3
    assert "no-such-host.invalid" in records.details["dns"]


def test_no_port_left_is_the_clients_limit(unused_port, monkeypatch):
    async def none_left(loop, sock, address):
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", none_left)
    records = load(Request(f"http://127.0.0.1:{unused_port}/"))
    assert errors(records) == ["connect"] * 3
    assert (
        "lets no more connections be opened (cannot assign requested address)"
        in measured([records]).meta.client_limited
    )


def two_addresses(monkeypatch, port: int, failing) -> list[str]:
    """A name that resolves to an address which is ``failing`` and to 127.0.0.1; returns those that are tried, as they are."""
    dead, tried = (socket.AF_INET6, ("::2", port, 0, 0)), []
    found = [(*each[:1], socket.SOCK_STREAM, 6, "", each[1]) for each in (dead, (socket.AF_INET, ("127.0.0.1", port)))]
    connect = asyncio.SelectorEventLoop.sock_connect

    async def sock_connect(loop, sock, place):
        tried.append(place[0])
        await (failing() if place == dead[1] else connect(loop, sock, place))

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", sock_connect)
    return tried


async def swallowed():
    await asyncio.Event().wait()


async def without_ipv6():
    raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")


@pytest.mark.parametrize("failing", [swallowed, without_ipv6])
def test_an_address_that_lets_nobody_connect_is_tried_once(monkeypatch, failing):
    monkeypatch.setattr("fairway_steps.loadtest.http.PATIENCE", 0.05)
    with serving(always_then_close(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")) as server:
        port = int(server.url.rpartition(":")[2].strip("/"))
        tried = two_addresses(monkeypatch, port, failing)
        records = load(Request(f"http://two.test:{port}/"), connections=1)
    assert errors(records) == [""] * 3
    assert tried == ["::2", *["127.0.0.1"] * 3]


def test_a_connection_given_up_lets_the_next_one_try_another_address(monkeypatch):
    under_way = asyncio.Event()

    async def swallowing():
        under_way.set()
        await swallowed()

    async def twice(url: str) -> None:
        client = Request(url).open(Payloads())
        first = asyncio.create_task(client.connect(lambda *_: None))
        await under_way.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = await client.connect(lambda *_: None)
        while not server.connections:  # noqa: ASYNC110 - the server's state; one that is not yet taken would be left open
            await asyncio.sleep(0.001)
        second.abort()

    with serving(always(OK)) as server:
        port = int(server.url.rpartition(":")[2].strip("/"))
        tried = two_addresses(monkeypatch, port, swallowing)
        asyncio.run(twice(f"http://two.test:{port}/"))
    assert tried == ["::2", "127.0.0.1"]


def test_a_refused_connection_is_connect(unused_port):
    records = load(Request(f"http://127.0.0.1:{unused_port}/"))
    assert errors(records) == ["connect"] * 3
    assert records.details == {"connect": "connection refused"}


def test_an_answer_that_never_comes_is_timeout(silent_server):
    records = load(Request(silent_server), timeout=0.2)
    assert errors(records) == ["timeout"] * 3
    assert all(took >= 0.2 * SECOND for took in records.took)


def test_a_server_that_never_answers_a_tls_handshake_is_timeout(silent_server):
    records = load(Request(silent_server.replace("http:", "https:")), timeout=0.2)
    assert errors(records) == ["timeout"] * 3


def test_half_an_answer_that_never_goes_on_is_timeout():
    with serving(always(OK[:-1])) as server:
        records = load(Request(server.url), timeout=0.2)
    assert errors(records) == ["timeout"] * 3


def test_a_close_without_an_answer_is_reset_and_the_request_is_not_repeated():
    with serving(always_then_close(b"")) as server:
        records = load(Request(server.url, "POST"), body=b"{}")
        assert errors(records) == ["reset"] * 3
        assert len(server.requests) == 3


def test_a_tcp_reset_is_reset_even_within_an_answer():
    async def answering(number, writer):
        writer.write(OK[:-1])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    with serving(answering) as server:
        assert errors(load(Request(server.url))) == ["reset"] * 3


@pytest.mark.parametrize(
    "data",
    [
        OK[:-1],
        OK[:20],
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["body", "head", "only 1xx", "chunks"],
)
def test_a_close_within_an_answer_is_truncated(data: bytes):
    with serving(always_then_close(data)) as server:
        assert errors(load(Request(server.url))) == ["truncated"] * 3


def test_a_truncated_failure_is_the_failure_it_says():
    with serving(always_then_close(answer(500)[:-1])) as server:
        assert errors(load(Request(server.url))) == ["http-500"] * 3


@pytest.mark.parametrize("data", [b"\x00\x01\x02garbage", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_garbage_is_protocol(data: bytes):
    with serving(always(data)) as server:
        records = load(Request(server.url))
    assert errors(records) == ["protocol"] * 3


@contextlib.contextmanager
def greeting(said: bytes) -> Iterator[int]:
    """The port of a server that says so as soon as it is connected to, and nothing more."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])
                    held[-1].sendall(said)

        threading.Thread(target=greet, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for sock in held:
        sock.close()


def test_a_server_that_speaks_first_is_told_by_what_it_says():
    """As one of HTTP/2 does: its SETTINGS may come before the request or after it."""
    with greeting(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00") as port:
        records = load(Request(f"http://127.0.0.1:{port}/"), constant(200, requests=40))
    assert set(errors(records)) == {"protocol"}
    assert "HTTP/2 only" in records.details["protocol"]


def test_what_came_before_the_request_is_its_answer():
    """The same, with the server's word certainly first."""
    ended: list[Answer] = []

    async def carry_out(port: int) -> None:
        client = Request(f"http://127.0.0.1:{port}/").open(Payloads((b"",)))
        connection = await client.connect(lambda _connection, _index, answer, _at: ended.append(answer))
        while not (connection._early or connection._transport.is_closing()):  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.001)
        assert connection.send(0)
        while not ended:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.001)

    with greeting(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00") as port:
        asyncio.run(asyncio.wait_for(carry_out(port), 30))
    assert [answer.error for answer in ended] == ["protocol"]


@pytest.mark.parametrize(
    ("size", "pieces", "told"),
    [(0, (OK,), False), (0, (OK[:20], OK[20:]), True), (0, (OK[:-1], OK[-1:]), True), (30_000_000, (OK,), True)],
    ids=["at once", "in its head", "in its body", "sent in pieces"],
)
def test_an_answer_tells_since_when_it_waits_for_the_client(size: int, pieces: tuple[bytes, ...], told: bool):
    """Where not all is sent, or read, at once. The second piece comes when the client has read the first; the third answer is known by its head."""
    ended: list[Answer] = []
    read = asyncio.Event()

    async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(size)
                for number, piece in enumerate(pieces):
                    if number:
                        await read.wait()
                    writer.write(piece)
        writer.close()

    async def carry_out() -> None:
        nonlocal read
        read = asyncio.Event()
        server = await asyncio.start_server(in_pieces, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        client = Request(url, "POST" if size else "GET").open(Payloads((b"x" * size,)))
        connection = await client.connect(lambda _connection, _index, answer, _at: ended.append(answer))
        heard = connection.data_received
        connection.data_received = lambda data: (heard(data), read.set())
        for number in range(3):
            read.clear()
            before = time.monotonic_ns()
            assert connection.send(number)
            while len(ended) == number:  # noqa: ASYNC110 - nobody would set an event
                await asyncio.sleep(0)
            assert (ended[-1].error, ended[-1].since > 0) == ("", told)
            assert not told or before <= ended[-1].since <= time.monotonic_ns()
        connection.abort()
        server.close()

    asyncio.run(asyncio.wait_for(carry_out(), 60))


def test_a_server_without_tls_is_said_to_be_one():
    with greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        records = load(Request(f"https://127.0.0.1:{port}/", tls=Tls(insecure=True)))
    assert records.details == {"tls": "the server does not speak TLS there"}


def test_an_idle_connection_that_the_server_closed_costs_no_request():
    with serving(always_then_close(OK)) as server:  # it says nothing of closing, and does it
        records = load(Request(server.url, "POST"), constant(10, requests=5), body=b"{}")
        assert errors(records) == [""] * 5
        assert (len(server.requests), server.connections) == (5, 5)


def test_a_close_that_only_the_kernel_knows_of_is_seen_before_sending():
    async def closed_behind_the_loop(listener: socket.socket) -> bool:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        connection = await Request(url).open(Payloads()).connect(lambda *_: None)
        listener.accept()[0].close()
        sock = connection._transport.get_extra_info("socket")
        deadline = time.monotonic() + 10
        while sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1 and time.monotonic() < deadline:
            time.sleep(0.001)  # noqa: ASYNC251 - the loop must not hear of it
        sent = connection.send(0)
        await asyncio.sleep(0)
        return sent

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(closed_behind_the_loop(listener)) is False


def test_bytes_nobody_asked_for_end_an_idle_connection_not_a_request():
    async def answering(number, writer):
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    with serving(answering) as server:
        records = load(Request(server.url), constant(3, requests=3))
    assert errors(records) == [""] * 3
    assert server.connections == 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[ssl.SSLContext, str]:
    """A server's context with a certificate that it signed itself for 127.0.0.1, and the file of the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, str(folder / "cert.pem")


def test_a_certificate_nobody_vouches_for_is_tls(certificate):
    with serving(always(OK), certificate[0]) as server:
        records = load(Request(server.url))
    assert errors(records) == ["tls"] * 3
    assert "self-signed" in records.details["tls"]
    assert server.requests == []


def test_with_its_authority_tls_works_and_keeps_its_connection(certificate):
    with serving(always(OK), certificate[0]) as server:
        records = load(Request(server.url, tls=Tls(certificate[1])), constant(20, requests=5), connections=1)
    assert errors(records) == [""] * 5
    assert server.connections == 1


@pytest.mark.parametrize(
    ("data", "error"), [(OK[:-1], "truncated"), (b"", "reset"), (b"HTTP/1.1 200 OK\r\n\r\nto the end", "")]
)
def test_closes_are_told_apart_over_tls_too(certificate, data, error):
    with serving(always_then_close(data), certificate[0]) as server:
        assert errors(load(Request(server.url, tls=Tls(certificate[1])))) == [error] * 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"url": "ftp://host/"}, "is no endpoint"),
        ({"url": "127.0.0.1:80"}, "is no endpoint"),
        ({"url": "http:///path"}, "is no endpoint"),
        ({"url": "http://host:99999/"}, "cannot be read"),
        ({"url": "http://user:secret@host/"}, "the URL carries credentials"),
        ({"url": "http://host/a b"}, "percent-encoded"),
        ({"url": "http://host/ü"}, "percent-encoded"),
        ({"url": "http://host/", "tls": Tls("ca.pem")}, "are of no use"),
        ({"url": "http://host/", "headers": {"a b": "c"}}, "header 'a b' cannot be sent"),
        ({"url": "http://host/", "headers": {"a": "secret\r\nb: c"}}, "header 'a' cannot be sent"),
        ({"url": "http://host/", "headers": {"Content-Length": "3"}}, "the load test's own"),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        Request(**arguments)
    assert "secret" not in str(caught.value)


def test_a_ca_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    for path in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
        with pytest.raises(UsageError, match="cannot be used"):
            Request("https://host/", tls=Tls(str(path))).open(Payloads())


def test_every_response_is_at_least_what_the_server_took():
    delays = [0.002, 0.02, 0.08]

    async def answering(number, writer):
        delay = delays[number % 3]
        await asyncio.sleep(delay)
        writer.write(answer(X_Fairway_Version=f"{delay}"))

    with serving(answering) as server:
        records = load(Request(server.url, label_header="x-fairway-version"), constant(100, requests=90))
    assert errors(records) == [""] * 90
    for took, end in zip(records.took, records.ends, strict=True):
        assert took >= float(end.version) * SECOND


def test_a_stall_is_charged_to_all_who_would_have_waited():
    """At 100 per second, a server frozen for half a second: about 50 requests wait, not the one that met the freeze."""
    freeze = asyncio.Lock()

    async def answering(number, writer):
        if number == 20:
            async with freeze:
                await asyncio.sleep(0.5)
        async with freeze:
            writer.write(OK)

    with serving(answering) as server:
        records = load(Request(server.url), constant(100, requests=120))
    assert errors(records) == [""] * 120
    waits = list(records.took)
    assert sum(wait > 0.1 * SECOND for wait in waits) >= 35  # 40 of the 50 that came during the freeze
    assert sum(wait > 0.25 * SECOND for wait in waits) >= 20
    assert sum(wait > 0.4 * SECOND for wait in waits) >= 7


@pytest.mark.parametrize("at", [1, 4, 8])
def test_what_is_expected_may_come_in_pieces(at: int):
    pieces = [b"{" * 50, b'"outputs"'[:at], b'"outputs"'[at:], b"}" * 50]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with serving(always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)) as server:
        assert errors(load(Request(server.url, expect=b'"outputs"'))) == [""] * 3
        assert errors(load(Request(server.url, expect=b'"output"'))) == ["content-check"] * 3


@pytest.mark.parametrize(("body", "error"), [(b'{"outputs": []}', ""), (b'{"error": "x"}', "content-check")])
def test_a_body_that_is_not_what_was_expected_has_failed(body: bytes, error: str):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for data in (answer(200, body), chunked):
        with serving(always(data)) as server:
            records = load(Request(server.url, expect=b'"outputs"'), constant(50, requests=4), connections=1)
        assert errors(records) == [error] * 4
        assert server.connections == 1  # the connection itself is sound
