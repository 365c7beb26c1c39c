"""One connection of HTTP/1.1: a request at a time, its answer read as it comes, or event by event."""

import asyncio
import socket
import time
from collections.abc import Mapping
from typing import Protocol, cast

from fairway_steps.loadtest.client import Answer, Done
from fairway_steps.loadtest.generation import Generation
from fairway_steps.loadtest.heads import MAX_KNOWN, Heads
from fairway_steps.loadtest.http1 import Parser, Sink
from fairway_steps.loadtest.labels import label_of
from fairway_steps.loadtest.sse import EventStream
from fairway_steps.loadtest.tls import reason, refused

UPSTREAM_HEADER = b"x-envoy-upstream-service-time"
"""Envoy adds it to answers from an upstream, and not to those it makes up itself."""
EVENTS = b"text/event-stream"
_ESTABLISHED = 1
_TCP_INFO = getattr(socket, "TCP_INFO", None)  # Linux


class Sent(Protocol):
    """What all connections of a client have in common: requests as bytes, which one is whose, and what to look for in answers."""

    prepared: list[bytes]
    label: bytes
    expect: bytes
    bodiless: bool
    heads: Heads
    answers: dict[bytes, tuple[int, Answer]]
    """To what mattered in heads that tell all of an answer: how long its body is, and what is made of it."""
    direct: bool
    """Whether sockets may be written to beside their transports."""
    room: memoryview

    def pick(self, index: int, /) -> int:
        """Which of ``prepared`` is for request ``index``."""


class HttpConnection(asyncio.Protocol):
    """``_index`` is the request under way, -1 when idle."""

    def __init__(self, client: Sent, done: Done, sock: socket.socket) -> None:
        self._prepared, self._pick, self._label, self._expect = (
            client.prepared,
            client.pick,
            client.label,
            client.expect,
        )
        self._room, self._report = client.room, done
        self._parser = Parser(head=client.bodiless, wanted=self._wanted, heads=client.heads)
        self._index = -1
        self._at = self._since = 0
        self._generation: Generation | None = None
        self._events: EventStream | None = None
        self._found, self._tail = False, b""  # what is expected, and what may be its beginning
        self._transport: asyncio.Transport | None = None
        self._socket, self._direct = sock, client.direct
        self._essence, self._answers = client.heads.essence, client.answers
        self._bodiless, self._plain = client.bodiless, not client.expect and not client.bodiless
        self._early = b""  # what came over a connection before its first request, which is told what that was
        self._fresh = True
        self._headers: Mapping[bytes, bytes] | None = (
            None  # of the last answer, and what they said; many answers have the same
        )
        self._origin = ("", -1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, index: int) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing() or not self._established():
            self.abort()
            return False
        if self._parser.begun:
            self._parser.reset()
        self._generation = None
        self._index, self._since, self._fresh = index, 0, False
        request, taken = self._prepared[self._pick(index)], 0
        if self._direct:  # half of the work of a transport, which gets what is left, or to tell what is wrong
            try:
                taken = self._socket.send(request)
            except OSError:
                taken = 0
        if taken < len(request):
            self._direct = False
            transport.write(request[taken:])
            if transport.is_closing() and not taken:  # the write failed at once: the kernel took no byte of it
                self._index = -1
                return False
            if transport.get_write_buffer_size():
                self._since = time.monotonic_ns()
        if self._early:
            asyncio.get_running_loop().call_soon(self.data_received, self._early)
            self._early = b""
        return True

    def _established(self) -> bool:
        """Whether the server has not closed its side, as the kernel knows it before the event loop is told."""
        if _TCP_INFO is None:
            return True
        return self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] == _ESTABLISHED

    def abort(self) -> None:
        self._index = -1
        if self._transport is not None:
            self._transport.abort()

    def _wanted(self, parser: Parser) -> Sink | None:
        """Who takes the body of the answer that begins."""
        self._found, self._tail = False, b""
        if (
            not self._bodiless
            and 200 <= parser.status < 300
            and parser.headers.get(b"content-type", b"").lower().startswith(EVENTS)
        ):
            generation = self._generation = Generation(self._search if self._expect else None)
            self._events = EventStream(lambda data: generation.take(data, self._at), generation.fail)
            return self._events.feed
        if self._expect:
            return self._search
        return None

    def _search(self, data: bytes) -> None:
        """Look for what is expected; a body may be longer than memory."""
        if not self._found:
            seen = self._tail + data
            self._found = self._expect in seen
            self._tail = seen[-len(self._expect) :]

    def data_received(self, data: bytes) -> None:
        self._at = at = time.monotonic_ns()
        if (index := self._index) < 0:
            if self._fresh:
                self._early += data
            else:  # nobody asked: a 408 before the server closes, or garbage
                self.abort()
            return
        if self._plain and not self._parser.begun:
            end = data.find(b"\r\n\r\n") + 4
            known = self._answers.get(self._essence(data[:end]))
            if known is not None and end + known[0] == len(data):  # as nearly all are
                self._index = -1
                self._report(self, index, known[1], at)
                return
        try:
            complete = self._parser.feed(data)
        except ValueError as error:
            self._end("protocol", str(error))
        else:
            if complete:
                self._end("")
            elif not self._since:
                self._since = at

    def eof_received(self) -> bool:
        self._closed(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed(exc)

    def _closed(self, error: Exception | None) -> None:
        if self._index < 0:
            return
        self._at = time.monotonic_ns()
        if error is not None:
            self._end("tls" if refused(error) else "reset", reason(error))
        elif self._parser.eof():
            self._end("")
        elif self._parser.begun:
            self._end("truncated", "the server closed within an answer")
        else:
            self._end("reset", "the server closed without an answer")

    def _end(self, error: str, detail: str = "") -> None:
        parser, index = self._parser, self._index
        self._index = -1
        if parser.status and not 200 <= parser.status < 300 and error != "protocol":
            error, detail = f"http-{parser.status}", detail or f"status {parser.status}"
        elif not error and parser.status and (self._generation is not None or self._expect):
            error, detail = self._flaw()
        reusable = parser.complete and parser.keep_alive and error != "protocol"
        if not reusable:
            self.abort()
        if parser.headers is not self._headers:
            self._headers, self._origin = parser.headers, self._from(parser.headers)
        version, upstream = self._origin
        stream = self._generation.stream if self._generation is not None else None
        answer = Answer(parser.status, error, version, upstream, reusable, detail, stream, self._since)
        if self._plain and reusable and not self._since and parser.length >= 0 and stream is None:
            if len(self._answers) >= MAX_KNOWN:
                self._answers.clear()
            self._answers[parser.essence] = parser.length, answer
        self._report(self, index, answer, self._at)

    def _from(self, headers: Mapping[bytes, bytes]) -> tuple[str, int]:
        """Which version an answer names, and whether a proxy has it from behind it; nothing of no answer."""
        if not (self._label and self._parser.status):
            return "", -1
        return label_of(headers.get(self._label, b"").decode("latin-1")), int(UPSTREAM_HEADER in headers)

    def _flaw(self) -> tuple[str, str]:
        """What is wrong with an answer that came whole and well: its class and a sentence, or neither."""
        generation = self._generation
        missing = (
            ("", "") if self._found or not self._expect else ("content-check", "the body has not what was expected")
        )
        if generation is None:
            return missing
        if generation.error:
            return "stream-error", f"the stream ended in an error: {generation.error}"
        if generation.garbled:
            return "content-check", generation.garbled
        if generation.cut or (self._events is not None and self._events.open):
            return "truncated", "the stream ended before its answer did"
        return missing


class BufferedConnection(HttpConnection, asyncio.BufferedProtocol):
    """For asyncio's own loops, which map 256 kB of memory for each read (and unmap it) of a protocol without a buffer: 10 µs."""

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._room[:nbytes]))
