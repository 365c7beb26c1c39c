"""How exact the load test is and what a request costs it: `python bench/load_test.py`, about 20 s, loopback only.

The server (a process of its own) waits a seeded lognormal time and answers with the time it really took, so the injected
sample is known: the quantiles of the very same requests are compared, and no sampling error is left. Costs are of the
sending thread; the yardstick of the same run is a bare asyncio client that sends one request after another and parses
nothing. Differences on a shared machine are indicative; the ratios hold.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fairway_steps.clock import SystemClock
from fairway_steps.loadtest.engine import Settings, run
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import Plan, constant
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.result import Result

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


class Server(asyncio.Protocol):
    """Answers after ``median * exp(sigma * z)`` seconds (median 0: at once); GET /took gives all times so far, anew."""

    median, sigma = 0.0, 0.2
    draw = random.Random(20261123)  # noqa: S311 - a reproducible sample
    took: list[int] = []  # noqa: RUF012 - one server a process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        came = time.monotonic_ns()
        if data.startswith(b"GET /took"):
            self._write(json.dumps(self.took).encode())
            self.took.clear()
        elif self.median:
            delay = self.median * self.draw.lognormvariate(0, self.sigma)
            asyncio.get_running_loop().call_later(delay, self._answer, came)
        else:
            self._answer(came)

    def _answer(self, came: int) -> None:
        self._write(b"{}")
        self.took.append(time.monotonic_ns() - came)

    def _write(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


async def serve(median: float) -> None:
    Server.median = median
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving(median: float) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(median)], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


async def took(url: str) -> list[int]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /took HTTP/1.1\r\n\r\n")
    length = int((await reader.readuntil(b"\r\n\r\n")).split(b"content-length: ")[1])
    body = await reader.readexactly(length)
    writer.close()
    return json.loads(body)


async def _load(url: str, plan: Plan) -> Records:
    return await run(plan, Request(url).open(Payloads()), Settings(), clock=SystemClock())


def load(url: str, plan: Plan) -> tuple[Result, float]:
    """The result, and µs of the sending thread a request."""
    records = asyncio.run(_load(url, plan))
    span = (plan.offsets[-1] + 2_000_000) / 1e3
    return measured([records]), records.cpu * span / len(plan)


def accuracy(rate: float, seconds: float) -> None:
    with serving(0.02) as url:
        load(url, constant(50, requests=20))
        asyncio.run(took(url))
        result, _ = load(url, constant(rate, seconds=seconds))
        injected = np.array(asyncio.run(took(url)))
    slip = result.slip / 1e6
    achieved = result.achieved_rate or 0.0
    print(
        f"accuracy at {rate:g}/s, {len(result)} requests of median 20 ms, {len(result) - len(result.response)} failed"
    )
    print(
        f"  rate off by {abs(achieved / rate - 1):.4%}; slip p50 {np.median(slip):.3f} p99 {np.quantile(slip, 0.99):.3f} ms"
    )
    for name, q in QUANTILES.items():
        ours, theirs = np.quantile(result.response, q) / 1e6, np.quantile(injected, q) / 1e6
        print(
            f"  {name:<6} response {ours:7.3f} ms, injected {theirs:7.3f} ms: {ours - theirs:+.3f} ms ({ours / theirs - 1:+.2%})"
        )
    print(f"  client limited: {result.meta.client_limited or 'no'}")


class Bare(asyncio.Protocol):
    """One request after another on one connection, the answers unread."""

    def __init__(self, request: bytes, count: int, done: asyncio.Future[None]) -> None:
        self.request, self.left, self.done = request, count, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        del data
        self.left -= 1
        if self.left:
            self.transport.write(self.request)
        elif not self.done.done():
            self.done.set_result(None)


async def bare(url: str, count: int) -> float:
    """µs of this thread a request."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    host, port = url.removeprefix("http://").split(":")
    before = time.thread_time_ns()
    transport, _ = await loop.create_connection(lambda: Bare(Request(url).to_bytes(), count, done), host, int(port))
    await done
    transport.close()
    return (time.thread_time_ns() - before) / 1e3 / count


def cost() -> None:
    print("cost of a request (server answers at once)")
    with serving(0.0) as url:
        yardstick = asyncio.run(bare(url, 10_000))
        print(f"  bare client, closed loop   {yardstick:6.1f} µs")
        for rate in (100, 1000, 4000):
            result, each = load(url, constant(rate, seconds=2))
            print(
                f"  load test at {rate:>5}/s      {each:6.1f} µs, {each / yardstick:.2f} times bare; failed {sum(result.failures.values())}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=float)
    if (median := parser.parse_args().serve) is not None:
        asyncio.run(serve(median))
    else:
        accuracy(100, 4)
        accuracy(1000, 4)
        cost()
