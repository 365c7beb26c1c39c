"""A gRPC server with one method of each kind, reflection, and answers that its requests ask for.

``Ask`` says what it wants: ``text`` to be echoed, ``delay`` (ms) before each answer, ``count`` answers, ``code`` to fail
with (after the answers; ``text`` says why). The schema is built here, as protoc would compile it, so that the tests need no compiler.
"""

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection, reflection_pb2

SERVICE = "fairway.test.Echo"
KINDS = {"Unary": (False, False), "Serve": (False, True), "Collect": (True, False), "Chat": (True, True)}
_FIELDS = {
    "Ask": {
        "text": 9,
        "delay": 5,
        "count": 5,
        "code": 9,
        "number": 1,
        "big": 3,
        "data": 12,
        "sub": "Sub",
        "subs": "*Sub",
    },
    "Sub": {"name": 9},
    "Say": {"text": 9, "number": 5},
}


def _schema() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="fairway/test/echo.proto", package="fairway.test", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            added = message.field.add(name=field, number=number, label=1)
            if isinstance(kind, int):
                added.type = kind
            else:
                added.type, added.type_name = 11, f".fairway.test.{kind.lstrip('*')}"
                added.label = 3 if kind.startswith("*") else 1
    service = file.service.add(name="Echo")
    for name, (many_in, many_out) in KINDS.items():
        service.method.add(
            name=name,
            input_type=".fairway.test.Ask",
            output_type=".fairway.test.Say",
            client_streaming=many_in,
            server_streaming=many_out,
        )
    return file


SCHEMA = _schema()
POOL = descriptor_pool.DescriptorPool()
POOL.Add(SCHEMA)
Ask = message_factory.GetMessageClass(POOL.FindMessageTypeByName("fairway.test.Ask"))
Say = message_factory.GetMessageClass(POOL.FindMessageTypeByName("fairway.test.Say"))


def protoset() -> bytes:
    """The schema as ``protoc --descriptor_set_out`` writes it."""
    return descriptor_pb2.FileDescriptorSet(file=[SCHEMA]).SerializeToString()


class Echo:
    """What came is kept: (method, messages, metadata, seconds left) of each call, and those that the client gave up."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Ask], dict[str, str], float | None]] = []
        self.peers: set[str] = set()
        self.given_up: list[str] = []

    def handlers(self) -> grpc.GenericRpcHandler:
        made = {}
        for name, (many_in, many_out) in KINDS.items():
            make = getattr(
                grpc,
                f"{'stream' if many_in else 'unary'}_{'stream' if many_out else 'unary'}_rpc_method_handler",
            )
            made[name] = make(self._behaviour(name), Ask.FromString, Say.SerializeToString)
        return grpc.method_handlers_generic_handler(SERVICE, made)

    def _behaviour(self, name: str):
        many_in, many_out = KINDS[name]

        def answers(given, context) -> Iterator[Say]:
            asks = [] if many_in else [given]
            context.send_initial_metadata((("x-fairway-version", "v2"),))
            self.calls.append((name, asks, dict(context.invocation_metadata()), context.time_remaining()))
            self.peers.add(context.peer())
            if name == "Chat":
                for number, ask in enumerate(given):
                    asks.append(ask)
                    time.sleep(ask.delay / 1000)
                    yield Say(text=ask.text, number=number)
                    self._fail(ask, context)
                return
            if many_in:
                asks.extend(given)
            ask = asks[-1] if asks else Ask()
            for number in range(ask.count or 1 if many_out else 1):
                time.sleep(ask.delay / 1000)
                if not context.is_active():
                    self.given_up.append(name)
                if not many_out:
                    self._fail(ask, context)
                yield Say(text="".join(a.text for a in asks), number=len(asks) if many_in else number)
            self._fail(ask, context)

        return answers if many_out else lambda given, context: next(answers(given, context))

    def _fail(self, ask, context) -> None:
        if ask.code:
            context.abort(getattr(grpc.StatusCode, ask.code), ask.text or "as was asked")


def _reflection(version: str) -> grpc.GenericRpcHandler:
    """Server reflection, v1 or v1alpha: they differ in the name alone. Empty: none."""
    servicer = reflection.ReflectionServicer([SERVICE], POOL)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(
        f"grpc.reflection.{version}.ServerReflection", {"ServerReflectionInfo": method}
    )


@contextmanager
def serving(
    *,
    port: int = 0,
    credentials: grpc.ServerCredentials | None = None,
    reflect: str = "v1alpha",
    handlers: grpc.GenericRpcHandler | None = None,
) -> Iterator[tuple[str, Echo]]:
    """HOST:PORT of a server on loopback, and what it was asked."""
    echo = Echo()
    server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([handlers or echo.handlers()])
    if reflect:
        server.add_generic_rpc_handlers([_reflection(reflect)])
    address = f"127.0.0.1:{port}"
    bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield f"127.0.0.1:{bound}", echo
    finally:
        server.stop(0).wait()


if __name__ == "__main__":  # a process of its own, for programs that measure
    with serving(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as (where, _):
        sys.stdout.write(f"{where}\n")
        sys.stdout.flush()
        threading.Event().wait()
