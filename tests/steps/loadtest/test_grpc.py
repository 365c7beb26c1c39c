"""gRPC over real channels: every kind of method, what goes with a call, and every class of failure from a peer that causes it.

Left out: schemas and messages (test_grpc_messages.py); KServe's own server (test_grpc_kserve.py).
"""

import asyncio
import errno
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest

import grpc_server
from certificates import issue
from fairway_steps.clock import FakeClock
from fairway_steps.errors import DomainError, UsageError
from fairway_steps.loadtest.client import Answer
from fairway_steps.loadtest.engine import run
from fairway_steps.loadtest.grpc import target
from fairway_steps.loadtest.grpc.failures import classify
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import SECOND, Plan, constant
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Settings
from raw_server import OK, always, always_then_close, serving

ECHO = grpc_server.SERVICE


def load(url: str, body: object = None, plan: Plan | None = None, *, timeout=5.0, connections=64, **options) -> Records:
    aim = target(url, **options)
    bodies = (json.dumps(body or {}).encode(),)
    faults: list[dict] = []

    async def carry_out() -> Records:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        client = aim.open(aim.prepare(Payloads(bodies)))
        return await run(plan or constant(100, requests=3), client, Settings(timeout, connections), clock=FakeClock())

    records = asyncio.run(carry_out())
    assert not [fault for fault in faults if not of_an_earlier_loop(fault)]
    return records


def of_an_earlier_loop(fault: dict) -> bool:
    """grpcio has one poller a process: it may tell this loop of calls that a closed one, of an earlier test, gave up."""
    return "PollerCompletionQueue" in fault["message"] and str(fault.get("exception")) == "Event loop is closed"


def errors(records: Records) -> list[str]:
    return [end.error for end in records.ends]


@pytest.fixture
def server() -> Iterator[tuple[str, grpc_server.Echo]]:
    with grpc_server.serving() as (address, echo):
        yield f"grpc://{address}", echo


@pytest.mark.parametrize("method", ["Unary", "Serve"])
def test_one_message_goes_to_the_methods_that_take_one(server, method):
    url, echo = server
    records = load(f"{url}/{ECHO}/{method}", {"text": "a", "sub": {"name": "b"}, "subs": [{"name": "c"}], "count": 2})
    assert errors(records) == [""] * 3
    assert [end.status for end in records.ends] == [0] * 3
    assert [(name, len(asks)) for name, asks, *_ in echo.calls] == [(method, 1)] * 3
    ask = echo.calls[0][1][0]
    assert (ask.text, ask.sub.name, ask.subs[0].name) == ("a", "b", "c")


@pytest.mark.parametrize("method", ["Collect", "Chat"])
def test_a_list_goes_as_a_stream(server, method):
    url, echo = server
    records = load(f"{url}/{ECHO}/{method}", [{"text": "a"}, {"text": "b"}, {"text": "c"}])
    assert errors(records) == [""] * 3
    assert [[ask.text for ask in asks] for _, asks, *_ in echo.calls] == [["a", "b", "c"]] * 3


def test_the_messages_of_a_stream_keep_their_distance(server):
    url, _ = server
    plan = constant(1, requests=1)
    records = load(f"{url}/{ECHO}/Collect", [{}, {}, {}], plan, message_interval=0.05)
    assert errors(records) == [""]
    assert records.took[0] - records.slip[0] >= 0.1 * SECOND


async def one(aim, body: object) -> tuple[int, Answer, int]:
    """When one call was sent, its answer, and when that had come."""
    answered = asyncio.get_running_loop().create_future()
    client = aim.open(aim.prepare(Payloads((json.dumps(body).encode(),))))
    slot = await client.connect(lambda slot, index, answer, at: answered.set_result((answer, at)))
    sent = time.monotonic_ns()
    assert slot.send(0)
    answer, at = await answered
    slot.abort()
    await client.close()
    return sent, answer, at


@pytest.mark.parametrize(("method", "body"), [("Serve", {"count": 4, "delay": 30}), ("Chat", [{"delay": 30}] * 4)])
def test_the_moments_of_a_streamed_answer_are_kept(server, method, body):
    sent, answer, at = asyncio.run(one(target(f"{server[0]}/{ECHO}/{method}"), body))
    events = list(answer.stream.events)
    assert len(events) == 4
    # None can come before the server has sent it; a busy client may be late with one, and then in time with the next.
    assert all(event - sent >= 0.029 * SECOND * (n + 1) for n, event in enumerate(events))
    assert all(after > before for before, after in itertools.pairwise(events))
    assert events[-1] <= at <= time.monotonic_ns()


def test_a_stream_that_fails_keeps_what_had_come(server):
    _, answer, _ = asyncio.run(one(target(f"{server[0]}/{ECHO}/Serve"), {"count": 2, "code": "ABORTED"}))
    assert (answer.error, len(answer.stream.events)) == ("grpc-aborted", 2)


def test_metadata_authority_and_the_deadline_go_with_each_call(server):
    url, echo = server
    headers = {"Authorization": "Bearer x", "trace-bin": "AQI=", "host": "iris.example"}
    load(f"{url}/{ECHO}/Unary", {}, headers=headers, deadline=4.0)
    _, _, metadata, left = echo.calls[0]
    assert metadata["authorization"] == "Bearer x"
    assert metadata["trace-bin"] == b"\x01\x02"
    assert 0 < left < 4.5  # it is rounded up on its way


@pytest.mark.parametrize("body", [{}, {"code": "ABORTED"}])
@pytest.mark.parametrize("method", ["Unary", "Serve"])
def test_the_version_is_read_from_the_answers_metadata_failed_or_not(server, method, body):
    url, _ = server
    records = load(f"{url}/{ECHO}/{method}", body, label_header="X-Fairway-Version")
    assert [end.version for end in records.ends] == ["v2"] * 3
    assert {end.version for end in load(f"{url}/{ECHO}/{method}", body).ends} == {""}


def test_the_host_is_the_authority(server):
    peer = target(f"{server[0]}/{ECHO}/Unary", headers={"Host": "iris.example"}).peer
    assert ("grpc.default_authority", "iris.example") in peer.options()


def test_calls_share_connections_and_more_are_opened_when_those_are_full(server):
    url, echo = server
    load(f"{url}/{ECHO}/Unary", {"delay": 100}, constant(1000, requests=12), streams=4)
    assert len(echo.calls) == 12
    assert len(echo.peers) == 3


@pytest.mark.parametrize("call", [f"{ECHO}/Unary", f"{ECHO}.Unary", f"/{ECHO}/Unary"])
def test_the_method_may_stand_apart_from_the_url(server, call):
    url, echo = server
    load(url, {}, call=call)
    assert len(echo.calls) == 3


def test_a_descriptor_set_does_instead_of_reflection(tmp_path):
    path = tmp_path / "echo.protoset"
    path.write_bytes(grpc_server.protoset())
    with grpc_server.serving(reflect="") as (address, echo):
        records = load(f"grpc://{address}/{ECHO}/Unary", {"text": "a"}, descriptors=str(path))
        assert errors(records) == [""] * 3
        assert echo.calls[0][1][0].text == "a"
        with pytest.raises(UsageError, match=r"does not describe itself .*; give --descriptors FILE"):
            target(f"grpc://{address}/{ECHO}/Unary")


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection_are_understood(version):
    with grpc_server.serving(reflect=version) as (address, _):
        assert target(f"grpc://{address}/{ECHO}/Chat").call.many_out


def test_messages_that_are_made_already_go_as_they_are(server):
    url, echo = server
    aim = target(f"{url}/{ECHO}/Unary", content_type="application/x-protobuf")
    ready = aim.prepare(Payloads((grpc_server.Ask(text="made").SerializeToString(),)))

    async def carry_out():
        return await run(constant(100, requests=1), aim.open(ready), Settings(), clock=FakeClock())

    asyncio.run(carry_out())
    assert echo.calls[0][1][0].text == "made"


@pytest.mark.parametrize(
    "code", ["RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "UNAVAILABLE", "INTERNAL", "UNAUTHENTICATED"]
)
@pytest.mark.parametrize("method", ["Unary", "Serve"])
def test_a_status_is_a_class_of_its_own(server, code, method):
    url, _ = server
    records = load(f"{url}/{ECHO}/{method}", {"code": code})
    assert errors(records) == [f"grpc-{code.lower().replace('_', '-')}"] * 3
    assert [end.status for end in records.ends] == [getattr(grpc.StatusCode, code).value[0]] * 3
    assert records.details[errors(records)[0]].endswith("as was asked")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("INTERNAL", "certificate expired"),
        ("INTERNAL", "HTTP/1.1 502 Bad Gateway"),
        ("INTERNAL", "upstream: received http2 header with status: 503"),
        ("UNAVAILABLE", "redis: connection refused"),
        ("UNAVAILABLE", "backend: socket closed"),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded"),
    ],
)
def test_a_status_of_the_server_is_its_code_whatever_its_words(server, code, words):
    url, _ = server
    records = load(f"{url}/{ECHO}/Unary", {"code": code, "text": words}, deadline=4.0)
    assert errors(records) == [f"grpc-{code.lower().replace('_', '-')}"] * 3


@pytest.mark.parametrize(
    ("details", "error"),
    [
        ("failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused", "connect"),
        ("failed to connect to all addresses; last error: UNKNOWN: Ssl handshake failed: SSL_ERROR_SSL", "tls"),
        ("DNS resolution failed for no-such.invalid:1: Domain name not found", "dns"),
        (
            "errors resolving no-such.invalid:1: [field:hostname lookup error:address lookup failed for x: Timeout]",
            "dns",
        ),
        ("Trying to connect an http1.x server (HTTP status 200)", "protocol"),
        ("Received http2 header with status: 503", "http-503"),
        ("Received RST_STREAM with error code 2", "reset"),
    ],
)
def test_a_status_of_the_library_is_told_by_its_words(details, error):
    assert classify(14, details) == error
    assert classify(14, details, told=True) == (error if error == "http-503" else "grpc-unavailable")


def test_an_unknown_method_is_told_with_those_there_are(server):
    url, _ = server
    with pytest.raises(UsageError, match=r"has no method .*Echo/Nope: Echo has Unary, Serve, Collect, Chat"):
        target(f"{url}/{ECHO}/Nope")
    with pytest.raises(UsageError, match=r"has no service no.Such"):
        target(f"{url}/no.Such/Thing")


@pytest.mark.parametrize("method", ["Unary", "Serve"])
def test_an_answer_that_never_comes_is_timeout_and_the_call_is_given_up(server, method):
    url, echo = server
    # the run outlasts the first call, so that not only the end of the run gives it up
    records = load(f"{url}/{ECHO}/{method}", {"delay": 1000}, constant(2, requests=4), timeout=0.2)
    assert errors(records) == ["timeout"] * 4
    assert all(took >= 0.2 * SECOND for took in records.took)
    until = time.monotonic() + 20
    while len(echo.given_up) < 4 and time.monotonic() < until:
        time.sleep(0.05)
    assert echo.given_up == [method] * 4


def test_our_own_deadline_is_timeout_too(server):
    url, _ = server
    assert errors(load(f"{url}/{ECHO}/Unary", {"delay": 500}, deadline=0.1)) == ["timeout"] * 3


V2 = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}], "model_name": "m"}


def test_no_port_left_is_the_clients_limit(unused_port: int, monkeypatch):
    async def no_port(*_):
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr(asyncio, "open_connection", no_port)
    records = load(f"grpc://127.0.0.1:{unused_port}/v2/models/m/infer", {"inputs": []})
    assert errors(records) == ["connect"] * 3
    assert records.exhausted == "cannot assign requested address"


def test_a_refused_connection_is_connect(unused_port):
    records = load(f"grpc://127.0.0.1:{unused_port}", V2)
    assert errors(records) == ["connect"] * 3
    assert records.details == {"connect": "connection refused"}


def test_an_unresolvable_host_is_dns_also_where_its_schema_is_asked_for():
    with pytest.raises(DomainError, match=r"no-such-host.invalid:1 is unusable, .* cannot be resolved"):
        target(f"grpc://no-such-host.invalid:1/{ECHO}/Unary")
    records = load("grpc://no-such-host.invalid:1", V2, timeout=60)
    assert errors(records) == ["dns"] * 3


def test_an_http_port_is_told_from_a_grpc_port():
    with serving(always(OK)) as http:
        url = http.url.replace("http:", "grpc:")
        records = load(url, V2)
        assert set(errors(records)) == {"protocol"}
        assert "answers in HTTP/1: this is not its gRPC port" in records.details["protocol"]
        with pytest.raises(DomainError, match=r"is unusable.*answers in HTTP/1: this is not its gRPC port"):
            target(f"{url}/{ECHO}/Unary")


def test_a_server_that_closes_at_once_does_not_speak_grpc():
    with serving(always_then_close(b"")) as http:
        records = load(http.url.replace("http:", "grpc:"), V2)
    assert set(errors(records)) <= {"protocol", "reset", "connect"}


def test_a_server_that_never_speaks_does_not_hang_the_run(silent_server):
    records = load(silent_server.replace("http:", "grpc:"), V2, timeout=0.3)
    assert errors(records) == ["timeout"] * 3


@contextmanager
def relay(address: str, cut_at: bytes, times: int = 1, *, by_client: bool = False) -> Iterator[str]:
    """Passes bytes on in both directions, and cuts both once one side has said ``cut_at`` so many ``times``."""
    host, port = address.removeprefix("grpc://").split(":")
    tasks: set[asyncio.Task] = set()
    loop = asyncio.new_event_loop()

    async def pump(reader, writer, marks: bytes = b"") -> None:
        seen = b""
        while data := await reader.read(65536):
            seen += data
            if marks and seen.count(marks) >= times:
                break
            writer.write(data)
            await writer.drain()

    async def accept(reader, writer) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(pump(there_reader, writer, b"" if by_client else cut_at))
        tasks.update({asyncio.current_task(), back})
        await asyncio.wait(
            [back, asyncio.create_task(pump(reader, there_writer, cut_at if by_client else b""))],
            return_when="FIRST_COMPLETED",
        )
        there_writer.transport.abort()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        where.append(f"grpc://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await stop.wait()
        server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    where: list[str] = []
    ready, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield where[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_a_connection_that_breaks_within_a_streamed_answer_is_truncated(server):
    url, _ = server
    with relay(url, b"CUT-HERE", 2) as broken:
        aim = target(f"{url}/{ECHO}/Serve")
        aim = replace(aim, peer=replace(aim.peer, port=int(broken.rpartition(":")[2])))
        _, answer, _ = asyncio.run(one(aim, {"text": "CUT-HERE", "count": 3, "delay": 300}))
    assert (answer.error, len(answer.stream.events)) == ("truncated", 1)


def test_a_connection_that_breaks_under_a_call_is_reset(server):
    url, _ = server
    aim = target(f"{url}/{ECHO}/Unary")
    with relay(url, b"CUT-HERE", by_client=True) as broken:
        aim = replace(aim, peer=replace(aim.peer, port=int(broken.rpartition(":")[2])))
        _, answer, _ = asyncio.run(one(aim, {"text": "CUT-HERE"}))
    assert answer.error == "reset"


@dataclass(frozen=True)
class Files:
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure: bool = False


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> dict[str, tuple[str, str]]:
    folder = tmp_path_factory.mktemp("tls")
    return {name: tuple(map(str, issue(folder, "127.0.0.1", name=name))) for name in ("server", "client")}


@contextmanager
def secured(pair, *, mutual: bool = False) -> Iterator[tuple[str, grpc_server.Echo]]:
    certificate, key = (Path(path).read_bytes() for path in pair["server"])
    roots = Path(pair["client"][0]).read_bytes() if mutual else None
    made = grpc.ssl_server_credentials([(key, certificate)], roots, require_client_auth=mutual)
    with grpc_server.serving(credentials=made) as (address, echo):
        yield f"grpcs://{address}", echo


def test_with_its_authority_tls_works(pair):
    with secured(pair) as (url, echo):
        assert errors(load(f"{url}/{ECHO}/Unary", {}, tls=Files(pair["server"][0]))) == [""] * 3
        assert len(echo.calls) == 3


def test_a_certificate_nobody_vouches_for_is_tls(pair):
    with secured(pair) as (url, _):
        records = load(url, V2)
        assert errors(records) == ["tls"] * 3
        assert "self-signed" in records.details["tls"]
        with pytest.raises(DomainError, match=r"is unusable.*self-signed certificate \(tls\)"):
            target(f"{url}/{ECHO}/Unary")


def test_a_certificate_for_another_name_is_tls_unless_that_name_is_asked_for(pair):
    with secured(pair) as (url, _):
        local = url.replace("127.0.0.1", "localhost")
        records = load(local, V2, tls=Files(pair["server"][0]))
        assert set(errors(records)) == {"tls"}
        assert "localhost" in records.details["tls"]
        named = Files(pair["server"][0], server_name="127.0.0.1")
        assert errors(load(f"{local}/{ECHO}/Unary", {}, tls=named)) == [""] * 3


def test_a_server_that_asks_for_a_client_certificate_gets_it(pair):
    with secured(pair, mutual=True) as (url, _):
        ours = Files(pair["server"][0], *pair["client"])
        assert errors(load(f"{url}/{ECHO}/Unary", {}, tls=ours)) == [""] * 3
        assert set(errors(load(url, V2, tls=Files(pair["server"][0])))) <= {"tls", "reset", "connect"}
        with pytest.raises(DomainError, match=r"client certificate.*\(tls\)|certificate required \(tls\)"):
            target(f"{url}/{ECHO}/Unary", tls=Files(pair["server"][0]))


def test_plain_text_to_a_tls_port_is_one_sentence(pair):
    with secured(pair) as (url, _):
        records = load(url.replace("grpcs", "grpc"), V2)
    assert set(errors(records)) == {"protocol"}
    assert "write grpcs:// if it expects TLS" in records.details["protocol"]


def test_tls_to_a_plain_port_is_tls(server):
    assert set(errors(load(server[0].replace("grpc:", "grpcs:"), V2))) == {"tls"}


def test_a_target_can_be_sent_to_another_process(server):
    import pickle

    aim = target(f"{server[0]}/{ECHO}/Unary")
    assert pickle.loads(pickle.dumps(aim)) == aim


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("grpc://h", {}, "names no port"),
        ("http://h:1", {}, "is no gRPC endpoint"),
        ("grpc://u:p@h:1", {}, "carries credentials"),
        ("grpc://h:1/x", {}, "'x' is no gRPC method"),
        ("grpc://h:1/a.B/C", {"call": "a.B/D"}, "the URL calls a.B/C and --call says a.B/D"),
        ("grpc://h:1", {"headers": {"grpc-timeout": "1S"}}, "is gRPC's own"),
        ("grpc://h:1", {"headers": {"ä": "1"}}, "cannot be sent"),
        ("grpc://h:1", {"headers": {"a-bin": "?"}}, "is not base64"),
        ("grpc://h:1", {"headers": {"a": "x\ny"}}, "is not printable ASCII"),
        ("grpc://h:1", {"descriptors": "/no/such/file"}, "cannot be read"),
        ("grpc://h:1", {"descriptors": __file__}, "is no descriptor set"),
        ("grpc://h:1", {"tls": Files(ca_file="x")}, "certificates are of no use"),
        ("grpcs://h:1", {"tls": Files(insecure=True)}, "gRPC always checks the server's certificate"),
        ("grpcs://h:1", {"tls": Files(ca_file=__file__)}, "cannot be used"),
        ("grpcs://h:1", {"tls": Files(cert_file=__file__)}, "a certificate or a key is not to be found"),
        ("grpc://h:1", {"streams": 0}, "0 calls over a connection are none"),
    ],
)
def test_what_cannot_be_is_one_sentence(url, options, says):
    with pytest.raises(UsageError) as caught:
        target(url, **options)
    assert says in str(caught.value)
