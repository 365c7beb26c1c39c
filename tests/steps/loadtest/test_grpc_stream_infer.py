"""V2's streamed inference tells errors in its messages, with a status that is well. Left out: all else of gRPC (test_grpc.py)."""

import asyncio
from concurrent import futures

import grpc
import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.loadtest.engine import run
from fairway_steps.loadtest.grpc.channel import Peer
from fairway_steps.loadtest.grpc.client import STREAM_INFER, Call, GrpcClient
from fairway_steps.loadtest.grpc.messages import join
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import constant
from fairway_steps.loadtest.settings import Settings

FINE, ERROR = (
    b"\x12\x02\x0a\x00",
    b"\x0a\x08cuda oom",
)  # ModelStreamInferResponse: infer_response is field 2, error_message 1


@pytest.mark.parametrize(
    ("path", "answers", "error"),
    [
        (STREAM_INFER, [FINE, ERROR, FINE], "stream-error"),
        (STREAM_INFER, [FINE, b""], ""),
        ("/other.Service/ModelStreamInfer", [ERROR], ""),
    ],
)
def test_an_error_message_is_an_error(path: str, answers: list[bytes], error: str):
    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details):
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: iter(answers))

    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    async def main():
        call = Call(path, many_in=True, many_out=True)
        client = GrpcClient(Peer("127.0.0.1", port, secure=False), call, Payloads((join([b""]),)), streams=8)
        return await run(constant(100, requests=2), client, Settings(20.0, 4), clock=FakeClock())

    try:
        records = asyncio.run(main())
    finally:
        server.stop(None)
    assert [end.error for end in records.ends] == [error] * 2
    assert records.details == ({error: "the stream tells an error: cuda oom"} if error else {})
    assert list(records.stream_events) == [len(answers)] * 2
