"""ModelInfer against KServe's own Python server, as the demo runs it: typed and raw tensors, and what it refuses.

Left out: every other kind of method (test_grpc.py), for KServe's gRPC has none.
"""

import asyncio
import json
import sys

import pytest

from fairway_steps import processes
from fairway_steps.clock import FakeClock, SystemClock
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.engine import run
from fairway_steps.loadtest.grpc import target
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import constant
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Settings
from fairway_steps.loadtest.tensors import body, parse
from fairway_steps.model import Version
from fairway_workflows.demo.servers import await_primary, free_ports

pytestmark = pytest.mark.local
BODIES = tuple(json.dumps(body(parse("pixels:FP64[1,64]=0..16"), seed)).encode() for seed in range(3))


@pytest.fixture(scope="module")
def kserve(tmp_path_factory):
    http, port = free_ports(2)
    log = tmp_path_factory.mktemp("kserve") / "v1.log"
    module = ["-m", "fairway_workflows.demo.model_server", "--version", "v1"]
    with log.open("wb") as file:
        server = processes.start([sys.executable, *module, f"--http_port={http}", f"--grpc_port={port}"], stdout=file)
        try:
            await_primary(Version("v1", f"http://127.0.0.1:{http}"), "digits", SystemClock(), log)
            yield f"127.0.0.1:{port}"
        finally:
            processes.stop(server, grace=3.0)


def load(url: str, bodies: tuple[bytes, ...] = BODIES, **options) -> Records:
    aim = target(url, **options)

    async def carry_out() -> Records:
        client = aim.open(aim.prepare(Payloads(bodies)))
        return await run(constant(50, requests=12), client, Settings(timeout=30), clock=FakeClock())

    return asyncio.run(carry_out())


@pytest.mark.parametrize("raw", [False, True])
def test_tensors_are_understood(kserve, raw):
    records = load(f"grpc://{kserve}/v2/models/digits/infer", raw=raw)
    assert [end.error for end in records.ends] == [""] * 12, records.details


def test_the_model_may_be_named_in_the_body(kserve):
    bodies = tuple(json.dumps(json.loads(each) | {"model_name": "digits"}).encode() for each in BODIES)
    assert {end.error for end in load(f"grpc://{kserve}", bodies).ends} == {""}
    with pytest.raises(UsageError, match="the request names no model"):
        load(f"grpc://{kserve}")


def test_a_model_that_is_not_there_is_a_class_of_its_own(kserve):
    records = load(f"grpc://{kserve}/v2/models/nope/infer")
    assert {end.error for end in records.ends} == {"grpc-not-found"}


def test_tensors_of_another_shape_fail(kserve):
    records = load(f"grpc://{kserve}/v2/models/digits/infer", (json.dumps(body(parse("x:FP64[1,3]"))).encode(),))
    assert all(end.error.startswith("grpc-") for end in records.ends)
