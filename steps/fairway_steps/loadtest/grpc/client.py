"""gRPC for the engine: each connection is a slot of a channel and carries one call at a time, bytes in and bytes out.

HTTP/2 carries many calls over one connection, so up to ``streams`` slots share a channel, and the next one opens another.
Nothing is decoded: an answer is good when its status is, but for V2's streamed inference, which tells errors in its messages. The library works in threads of its own, so the CPU that counts is the
whole process's.
"""

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from grpc import aio

from fairway_steps.loadtest.client import Answer, Connection, Done, Stream
from fairway_steps.loadtest.grpc.channel import Peer, connected
from fairway_steps.loadtest.grpc.failures import classify, sentence
from fairway_steps.loadtest.grpc.messages import split
from fairway_steps.loadtest.labels import label_of
from fairway_steps.loadtest.payloads import Payloads

STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"
_ERROR_MESSAGE = b"\x0a"
"""How a ModelStreamInferResponse begins that has an ``error_message``: field 1, with a length (its other field is 2)."""
_NO_EVENTS: "array[int]" = array("q")


@dataclass(frozen=True, slots=True)
class Call:
    """A method and what goes with each call of it. ``interval`` seconds lie between the messages of a stream of ours."""

    path: str
    many_in: bool = False
    many_out: bool = False
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=(), repr=False)
    label: str = ""
    interval: float = 0.0
    deadline: float = 0.0


@dataclass(slots=True)
class _Shared:
    """A channel, its method, and how many slots use it. ``ready`` is done once it is, or has failed."""

    channel: aio.Channel
    method: Callable[..., Any]
    ready: "asyncio.Task[None]"
    slots: int = 0


class GrpcClient:
    """The engine's client for one method; bodies are messages as ``messages.join`` makes them."""

    cpu_ns = staticmethod(time.process_time_ns)

    def __init__(self, peer: Peer, call: Call, payloads: Payloads, streams: int) -> None:
        self._peer, self._call, self._streams = peer, call, streams
        self._payloads = payloads
        self._bodies = [split(body) for body in payloads.bodies]
        self._channels: list[_Shared] = []
        aio.init_grpc_aio()  # starts its threads now, so that the first call does not wait for them

    async def connect(self, done: Done) -> Connection:
        shared = next((each for each in self._channels if each.slots < self._streams), None) or self._open()
        shared.slots += 1
        try:
            await asyncio.shield(shared.ready)
        except BaseException as error:
            shared.slots -= 1
            if not isinstance(error, asyncio.CancelledError) and shared in self._channels:
                self._channels.remove(shared)
                await shared.channel.close()
            raise
        return _Slot(self, shared, done)

    async def close(self) -> None:
        for shared in self._channels:
            shared.ready.cancel()
        await asyncio.gather(*(shared.ready for shared in self._channels), return_exceptions=True)
        await asyncio.gather(*(shared.channel.close() for shared in self._channels), return_exceptions=True)
        self._channels.clear()

    def _open(self) -> _Shared:
        channel = self._peer.open()
        kind = f"{'stream' if self._call.many_in else 'unary'}_{'stream' if self._call.many_out else 'unary'}"
        method = getattr(channel, kind)(self._call.path)  # no serialisers: bytes as they are
        ready = asyncio.get_running_loop().create_task(connected(channel, self._peer))
        shared = _Shared(channel, method, ready)
        self._channels.append(shared)
        return shared

    def messages(self, index: int) -> Sequence[bytes]:
        return self._bodies[self._payloads.pick(index)]

    @property
    def call(self) -> Call:
        return self._call


class _Slot:
    """``_task`` is the call under way."""

    def __init__(self, client: GrpcClient, shared: _Shared, done: Done) -> None:
        self._client, self._shared, self._report = client, shared, done
        self._loop = asyncio.get_running_loop()
        self._rpc: Any = None
        self._sent = 0
        self._task: asyncio.Task[None] | None = None
        self._open = True
        call = client.call
        self._metadata = call.metadata or None
        self._deadline = call.deadline or None
        self._carry = self._stream if call.many_out else self._unary

    def send(self, index: int) -> bool:
        if not self._open:
            return False
        call, messages = self._client.call, self._client.messages(index)
        request: Any = _paced(messages, call.interval) if call.many_in else messages[0]
        self._sent = time.monotonic_ns()
        self._rpc = self._shared.method(request, metadata=self._metadata, timeout=self._deadline)
        self._task = self._loop.create_task(self._carry(index, self._rpc))
        return True

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._shared.slots -= 1
        if self._rpc is not None:
            self._rpc.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _unary(self, index: int, rpc: Any) -> None:
        try:
            await rpc
        except aio.AioRpcError as error:
            self._failed(index, rpc, error, _NO_EVENTS, time.monotonic_ns())
        else:
            await self._ended(index, rpc, None, time.monotonic_ns())

    async def _stream(self, index: int, rpc: Any) -> None:
        events, flaw, tells = array("q"), "", self._client.call.path == STREAM_INFER
        try:
            while (message := await rpc.read()) is not aio.EOF:
                events.append(time.monotonic_ns())
                if tells and message.startswith(_ERROR_MESSAGE):
                    flaw = flaw or message[2:].decode(errors="replace")[:200]
            at = time.monotonic_ns()
            await self._ended(index, rpc, Stream(events), at, flaw)
        except aio.AioRpcError as error:
            self._failed(index, rpc, error, events, time.monotonic_ns())

    async def _ended(self, index: int, rpc: Any, stream: Stream | None, at: int, flaw: str = "") -> None:
        label = self._client.call.label
        version = _named(await rpc.initial_metadata(), label) if label else ""
        error, detail = ("stream-error", f"the stream tells an error: {flaw}") if flaw else ("", "")
        answer = Answer(0, error, version, reusable=True, detail=detail, stream=stream, since=self._sent)
        self._end(index, answer, at)

    def _failed(self, index: int, rpc: Any, error: aio.AioRpcError, events: "array[int]", at: int) -> None:
        del rpc
        number, details = error.code().value[0], error.details() or ""
        label = self._client.call.label
        version = ""
        if label:
            version = _named(error.initial_metadata(), label) or _named(error.trailing_metadata(), label)
        name = classify(number, details, begun=bool(events), told=bool(error.trailing_metadata()))
        late = self._deadline is not None and at >= self._sent + round(self._deadline * 1e9)
        if name == "grpc-deadline-exceeded" and late:  # a server may have deadlines of its own
            name = "timeout"
        stream = Stream(events) if events else None
        answer = Answer(number, name, version, reusable=True, detail=sentence(number, details), stream=stream)
        self._end(index, answer, at)

    def _end(self, index: int, answer: Answer, at: int) -> None:
        if self._open:
            self._rpc = self._task = None
            self._report(self, index, answer, at)


async def _paced(messages: Sequence[bytes], interval: float) -> AsyncIterator[bytes]:
    for number, message in enumerate(messages):
        if number and interval:
            await asyncio.sleep(interval)
        yield message


def _named(metadata: Any, label: str) -> str:
    for key, value in metadata or ():
        if key == label:
            return label_of(value.decode("latin-1") if isinstance(value, bytes) else str(value))
    return ""
