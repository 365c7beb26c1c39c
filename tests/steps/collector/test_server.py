"""Covers: what a proxy is answered, that nothing is passed on which may not be, that there is a bound on what is under way, and the end.

Over real sockets, in one event loop. Leaves out: signals and options (tests/steps/cli/test_collector.py).
"""

import asyncio
import json
import signal
from contextlib import asynccontextmanager, suppress

import pytest

from fairway_steps.collector.collect import Budget, Collector
from fairway_steps.collector.compare import compare
from fairway_steps.collector.counts import Counts
from fairway_steps.collector.paths import INFERENCE, Allowed
from fairway_steps.collector.server import Server
from fairway_steps.collector.tensors import Tolerance
from fairway_steps.collector.upstream import Upstream
from fairway_steps.model import Version
from raw_server import always, answer, serving

BODY = b'{"inputs": []}'
INFER = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: iris-shadow\r\nContent-Length: 14\r\n\r\n" + BODY


def label(value):
    outputs = [{"name": "o", "datatype": "INT64", "shape": [1], "data": [value]}]
    return answer(body=json.dumps({"outputs": outputs}).encode())


class Held:
    """A version that answers when it is told to."""

    def __init__(self):
        self.go = asyncio.Event()

    async def __call__(self, reader, writer):
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(len(BODY))
                await self.go.wait()
                writer.write(label(1))
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def holding():
    """Such a version, and its URL; it lets go of all in the end."""
    held = Held()
    server = await asyncio.start_server(held, "127.0.0.1", 0)
    try:
        yield held, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        held.go.set()
        server.close()


async def compared(old, new):
    return compare(old, new, Tolerance())


@asynccontextmanager
async def collecting(primary, candidate, *, most=10, largest=100, grace=5.0):
    """A collector that runs: its server, port, and what a signal is put into."""
    upstreams = [Upstream(Version(*named), 10.0, 10_000) for named in (("v1", primary), ("v2", candidate))]
    options = {"share": 1.0, "budget": Budget(1e9), "compare": compared}
    made = Collector(*upstreams, Counts("v1", "v2", 0.0), allowed=Allowed.of(INFERENCE), **options)
    server, came, port = Server(made, most=most, largest=largest), asyncio.Queue(), asyncio.Queue()
    running = asyncio.create_task(server.run("127.0.0.1", 0, came, grace=grace, ready=port.put_nowait))
    try:
        yield made.counts, await port.get(), came, running
    finally:
        for _ in range(2):
            came.put_nowait(signal.SIGTERM)
        await running


async def sent(port, *requests):
    """What comes back over one connection that sends these requests and then nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.writelines(requests)
    writer.write_eof()
    told = await reader.read()
    writer.close()
    await writer.wait_closed()
    return told


async def until_refused(port):
    async with asyncio.timeout(20):
        while True:
            try:
                await sent(port)
            except OSError:
                return


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - counters call nobody
            await asyncio.sleep(0.001)


def test_a_mirrored_request_is_taken_passed_on_and_compared():
    async def main():
        async with collecting(primary.url, candidate.url) as (counts, port, *_):
            told = await sent(port, INFER, INFER)
            assert told == b"HTTP/1.1 204 No Content\r\n\r\n" * 2, "no body, and no word of the candidate's"
            await until(lambda: counts.comparisons == 2)
            assert counts.differences.total() == 2
            assert counts.in_flight == 0

    with serving(always(label(1))) as primary, serving(always(label(2))) as candidate:
        asyncio.run(main())
        assert [len(server.requests) for server in (primary, candidate)] == [2, 2]
        assert all(request.endswith(BODY) for request in candidate.requests)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"POST /v2/repository/index HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "path"),
        (b"GET /v2/models/m HTTP/1.1\r\n\r\n", "path"),
        (b"POST /v2/models/m/infer HTTP/1.1\r\nx-fairway-collector: 1\r\nContent-Length: 2\r\n\r\n{}", "loop"),
        (b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: 101\r\n\r\n" + b"x" * 101, "too-large"),
    ],
)
def test_what_may_not_be_passed_on_is_refused(request_, reason):
    async def main():
        async with collecting(other.url, other.url) as (counts, port, *_):
            assert (await sent(port, request_)).startswith(b"HTTP/1.1 403 Forbidden\r\n")
            assert (counts.refused, counts.in_flight) == ({reason: 1}, 0)

    with serving(always(label(1))) as other:
        asyncio.run(main())
        assert other.requests == []


def test_who_asks_before_sending_a_body_is_told_to_go_on():
    async def main():
        async with collecting(other.url, other.url) as (counts, port, *_):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(INFER.removesuffix(BODY).replace(b"Host:", b"Expect: 100-continue\r\nHost:"))
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(BODY)
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
            writer.close()
            await writer.wait_closed()
            await until(lambda: counts.comparisons)

    with serving(always(label(1))) as other:
        asyncio.run(main())
        assert all(b"expect" not in request.lower() for request in other.requests)


def test_http_2_is_refused_without_a_word():
    async def main():
        async with collecting("http://127.0.0.1:1", "http://127.0.0.1:1") as (counts, port, *_):
            assert await sent(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == b""
            assert counts.refused == {"protocol": 1}

    asyncio.run(main())


def test_metrics_and_readiness_are_its_own():
    async def main():
        async with collecting("http://127.0.0.1:1", "http://127.0.0.1:1") as (_, port, *_):
            told = await sent(port, b"GET /metrics HTTP/1.1\r\n\r\n", b"GET /v2/health/ready HTTP/1.1\r\n\r\n")
            assert told.count(b"HTTP/1.1 200 OK\r\n") == 2
            assert b'fairway_collector_comparisons_total{version="v2"} 0\n' in told
            assert told.endswith(b"ready\n")

    asyncio.run(main())


def test_what_there_is_no_room_for_is_dropped_and_counted():
    async def main():
        async with holding() as (held, url), collecting(url, url, most=2) as (counts, port, *_):
            told = await sent(port, INFER, INFER, INFER)
            assert told.count(b"HTTP/1.1 204") == 3, "the proxy is never kept waiting"
            assert (counts.in_flight, counts.dropped) == (2, {"busy": 1})
            held.go.set()
            await until(lambda: counts.comparisons == 2)
            await sent(port, INFER)
            await until(lambda: counts.comparisons == 3)

    asyncio.run(main())


def test_more_connections_than_there_is_room_for_are_closed():
    async def main():
        async with collecting("http://127.0.0.1:1", "http://127.0.0.1:1", most=1) as (counts, port, *_):
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            await until(lambda: counts.dropped)
            assert counts.dropped == {"connections": 1}
            for _, writer in opened:
                writer.close()
                await writer.wait_closed()

    asyncio.run(main())


def test_at_the_end_what_is_under_way_may_end():
    async def main():
        async with holding() as (held, url), collecting(url, url) as (counts, port, came, running):
            await sent(port, INFER)
            came.put_nowait(signal.SIGINT)
            await until_refused(port)
            assert not running.done()
            held.go.set()
            assert await running == signal.SIGINT
            assert (counts.comparisons, counts.dropped.total()) == (1, 0)

    asyncio.run(main())


def test_a_second_signal_ends_it_at_once_and_what_was_lost_is_counted():
    async def main():
        async with holding() as (_, url), collecting(url, url, grace=3600.0) as (counts, port, came, running):
            await sent(port, INFER)
            came.put_nowait(signal.SIGTERM)
            came.put_nowait(signal.SIGTERM)
            assert await running == signal.SIGTERM
            assert counts.dropped == {"stopped": 1}

    asyncio.run(main())
