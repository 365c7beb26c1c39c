"""How exact gRPC's load is and what a call costs: `python bench/grpc_load.py`, about 40 s, loopback only.

The server (a process of its own, grpcio) waits a seeded lognormal time and keeps what it really took, so the quantiles of the
very same calls are compared. What it cannot see, the library's way to it and back, is the difference that is left. Costs are CPU
time of all threads of the sending process. The same calls are sent by ghz, for the ratio, where Go is there to build it.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import numpy as np
from grpc import aio
from load_tools import ghz, timed
from realtime import awake, real_time
from realtime import told as scheduling

from fairway_steps.clock import SystemClock
from fairway_steps.loadtest.engine import run
from fairway_steps.loadtest.grpc import target
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import constant
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.result import Result
from fairway_steps.loadtest.settings import Settings

try:
    import uvloop
except ImportError:
    uvloop = None

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
V2 = "inference.GRPCInferenceService"
BODY = {"inputs": [{"name": "x", "shape": [64], "datatype": "FP32", "data": [1.0] * 64}], "model_name": "m"}


async def serve(median: float) -> None:
    """ModelInfer waits ``median * exp(0.2 z)`` seconds (0: not at all); Took tells what all took, anew."""
    draw = random.Random(20261124)  # noqa: S311 - a reproducible sample
    took: list[int] = []

    async def infer(request: bytes, context: object) -> bytes:
        del request, context
        came = time.monotonic_ns()
        if median:
            await asyncio.sleep(median * draw.lognormvariate(0, 0.2))
        took.append(time.monotonic_ns() - came)
        return b""

    async def told(request: bytes, context: object) -> bytes:
        del request, context
        answer = json.dumps(took).encode()
        took.clear()
        return answer

    handlers = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(infer),
        "Took": grpc.unary_unary_rpc_method_handler(told),
    }
    server = aio.server(options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(V2, handlers)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


@contextmanager
def serving(median: float) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(median)], stdout=subprocess.PIPE, text=True)
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


def took(address: str) -> np.ndarray:
    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        return np.array(json.loads(channel.unary_unary(f"/{V2}/Took")(b"")))


def load(address: str, rate: float, seconds: float, *, fast: bool) -> tuple[Result, float]:
    """The result, and µs of CPU a call."""
    aim = target(f"grpc://{address}")
    ready = aim.prepare(Payloads((json.dumps(BODY).encode(),)))

    async def carry_out() -> Records:
        warm = constant(100, requests=20)
        await run(warm, aim.open(ready), Settings(), clock=SystemClock())
        took(address)
        return await run(
            constant(rate, seconds=seconds), aim.open(ready), Settings(connections=200), clock=SystemClock()
        )

    loop = uvloop.new_event_loop if fast and uvloop else None
    with asyncio.Runner(loop_factory=loop) as runner:
        records = runner.run(carry_out())
    span = (max(due + late for due, late in zip(records.offsets, records.slip, strict=True)) + 2_000_000) / 1e3
    return measured([records]), records.cpu * span / len(records.offsets)


def accuracy(rate: int, seconds: int, other: str) -> None:
    """Both ways, ours and ghz's, go through the same libraries of the server, so the difference of the two is the clients'."""
    with serving(0.02) as address:
        result, _ = load(address, rate, seconds, fast=True)
        injected = took(address)
    achieved = result.achieved_rate or 0.0
    print(f"accuracy at {rate:g}/s: {len(result)} calls of median 20 ms, {sum(result.failures.values())} failed")
    print(f"  rate off by {abs(achieved / rate - 1):.4%}; client limited: {result.meta.client_limited or 'no'}")
    rows = {"ours": (result.service / 1e6, injected / 1e6)}
    if other:
        report, _, theirs = by_ghz(other, rate, seconds, 0.02)
        rows["ghz"] = (np.array([each["latency"] for each in report["details"]]) / 1e6, theirs / 1e6)
    for who, (seen, true) in rows.items():
        told = ", ".join(f"{name} {np.quantile(seen, q) - np.quantile(true, q):+.3f}" for name, q in QUANTILES.items())
        print(f"  {who:<5} service time less what the handler took, ms: {told}")


def cost(rates: tuple[int, ...], other: str) -> None:
    print("CPU of a call, all threads (the server answers at once)")
    for rate in rates:
        each = {}
        for fast in (False, True) if uvloop else (False,):
            with serving(0.0) as address:
                told = apart(address, rate, fast=fast)
            each[fast] = told["cpu"]
            print(
                f"  {'uvloop ' if fast else 'asyncio'} at {rate:>5}/s  {told['cpu']:6.1f} µs a call, {told['cpu'] * rate / 1e6:.0%} of a core; "
                f"rate off by {told['off']:.4%}, failed {told['failed']}; {told['limited'] or 'not client limited'}"
                + (f" [goal 0.1 %: {'met' if told['off'] <= 0.001 else 'MISSED'}]" if rate == 2000 else "")
            )
        if other:
            report, theirs, _ = by_ghz(other, rate, 4)
            off = abs(report["rps"] / rate - 1)
            print(
                f"  ghz     at {rate:>5}/s  {theirs:6.1f} µs a call, ours is {min(each.values()) / theirs:.2f} of it; rate off by {off:.4%}"
            )


def apart(address: str, rate: int, *, fast: bool) -> dict[str, Any]:
    """One load in a process of its own, for grpcio keeps threads of the loop that it saw first."""
    command = [sys.executable, __file__, "--load", address, "--rate", str(rate), *(["--fast"] if fast else [])]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def told(address: str, rate: int, *, fast: bool) -> None:
    result, cpu = load(address, rate, 4, fast=fast)
    off = abs((result.achieved_rate or 0) / rate - 1)
    failed = sum(result.failures.values())
    print(json.dumps({"cpu": cpu, "off": off, "failed": failed, "limited": result.meta.client_limited}))


def by_ghz(program: str, rate: int, seconds: int, median: float = 0.0) -> tuple[dict[str, Any], float, np.ndarray]:
    """Its report, µs of CPU a call, and what the server says the calls took."""
    from fairway_steps.loadtest.grpc.infer import model_infer  # noqa: PLC0415 - only with ghz

    with serving(median) as address, TemporaryDirectory() as folder:
        protoset, out = Path(folder) / "v2.protoset", Path(folder) / "out.json"
        protoset.write_bytes(model_infer().schema)
        tensor = {"name": "x", "shape": [64], "datatype": "FP32", "contents": {"fp32_contents": [1.0] * 64}}
        body = json.dumps({"model_name": "m", "inputs": [tensor]})
        _, used = timed(
            [
                *(program, "--insecure", "--protoset", str(protoset), "--call", f"{V2}/ModelInfer", "-d", body),
                *("-c", "50", "--connections", "4", "--rps", str(rate), "-n", str(rate * seconds)),
                *("-O", "json", "-o", str(out), address),
            ]
        )
        report = json.loads(out.read_text())
        return report, used * 1e6 / report["count"], took(address)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=float)
    parser.add_argument("--load")
    parser.add_argument("--rate", type=int)
    parser.add_argument("--fast", action="store_true")
    given = parser.parse_args()
    if given.serve is not None:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        asyncio.run(serve(given.serve))
    elif given.load:
        told(given.load, given.rate, fast=given.fast)
    else:
        print(f"load average {os.getloadavg()[0]:.1f}; {scheduling(on=real_time(on=True))}")
        other = ghz()
        with awake():
            accuracy(100, 4, other)
            accuracy(1000, 4, other)
            cost((100, 1000, 2000), other)
