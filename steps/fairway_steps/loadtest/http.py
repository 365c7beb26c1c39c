"""HTTP/1.1 for the engine: requests prepared once, sent over connections that are kept open.

Classes of error: ``dns``, ``connect``, ``tls`` (no connection), ``timeout``, ``reset`` (closed without an answer),
``truncated`` (closed within one), ``protocol`` (not HTTP/1.1), ``http-NNN`` (any status but 2xx: redirects are not
followed), and the engine's ``cancelled``.

A request is sent at most once. An idle connection that the server has closed is known by the state of its socket and
is not used; that costs no request. If the close crosses the request on the wire, the request may have been carried out
(RFC 9112, section 9.3.1, leaves a client in doubt), so it is not repeated but recorded as ``reset``: that is what a user
without retries would have seen, and a repetition would be load that nobody planned.
"""

import asyncio
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.client import Answer, Connection, ConnectionFailed, Done
from fairway_steps.loadtest.http1 import Parser, ProtocolError
from fairway_steps.loadtest.payloads import Payloads

UPSTREAM_HEADER = b"x-envoy-upstream-service-time"
"""Envoy adds it to answers from an upstream, and not to those it makes up itself."""
MAX_LABEL = 63
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "expect", "upgrade"})
_ESTABLISHED = 1
_TCP_INFO = getattr(socket, "TCP_INFO", None)  # Linux


@dataclass(frozen=True, slots=True)
class Request:
    """A request but for its body. Raises UsageError for a URL or a header that cannot be sent.

    ``label_header`` names the header of an answer that tells which version it is from; empty: nobody asks.
    ``ca_file`` replaces the system's authorities.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    label_header: str = ""
    ca_file: str = ""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"URL {self.url!r} cannot be read: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise UsageError(f"URL {self.url!r} is no endpoint", mend="write http://HOST:PORT/PATH or https://…")
        if parts.username is not None:
            raise UsageError("the URL carries credentials", mend="give them in a header, by reference")
        if not (self.url.isascii() and self.url.isprintable()) or " " in self.url:
            raise UsageError(f"URL {self.url!r} has characters that must be percent-encoded")
        if self.ca_file and parts.scheme != "https":
            raise UsageError(f"a CA file is of no use for {self.url!r}", mend="write https://, or leave it out")
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise UsageError(f"header {name!r} cannot be sent", mend="its name or its value is not allowed in HTTP")
            if name.lower() in _OURS:
                raise UsageError(f"header {name!r} is the load test's own", mend="leave it out")

    @property
    def name(self) -> str:
        return self.url

    def prepare(self, payloads: Payloads) -> Payloads:
        """Any body is sent as it is."""
        return payloads

    def open(self, payloads: Payloads) -> "Http":
        return Http(self, payloads)

    def to_bytes(self, body: bytes = b"") -> bytes:
        """The request as it goes over the wire."""
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        given = {name.lower() for name in self.headers}
        lines = [f"{self.method} {target} HTTP/1.1"]
        defaults = {"Host": parts.netloc, "User-Agent": "fairway-load-test", "Accept": "*/*"}
        lines += [f"{name}: {value}" for name, value in defaults.items() if name.lower() not in given]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if body or self.method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Http:
    """The engine's client for HTTP. The host's name is resolved once, by the first connection."""

    def __init__(self, request: Request, payloads: Payloads) -> None:
        parts = urlsplit(request.url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._pick = payloads.pick
        self._prepared = [request.to_bytes(body) for body in payloads.bodies]
        self._bodiless = request.method == "HEAD"
        self._label = request.label_header.lower().encode()
        self._tls = _tls(request.ca_file) if parts.scheme == "https" else None
        self._addresses: list[tuple[int, Any]] = []  # family and address, as getaddrinfo gives them

    async def connect(self, done: Done) -> Connection:
        sock = await self._socket()
        connection = _HttpConnection(self._prepared, self._pick, Parser(head=self._bodiless), self._label, done)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection, sock=sock, ssl=self._tls, server_hostname=self._host if self._tls else None
            )
        except (ssl.SSLError, OSError) as error:
            sock.close()
            raise ConnectionFailed("tls" if self._tls else "connect", _reason(error)) from error
        except asyncio.CancelledError:
            connection.abort()
            sock.close()
            raise
        return connection

    def cpu_ns(self) -> int:
        return time.thread_time_ns()

    async def close(self) -> None:
        """Connections share nothing that must be closed."""

    async def _socket(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        if not self._addresses:
            try:
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                raise ConnectionFailed("dns", f"{self._host!r} cannot be resolved: {_reason(error)}") from error
            self._addresses = [(entry[0], entry[4]) for entry in found]
        failure: OSError | None = None
        for family, address in self._addresses:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, address)
            except BaseException as error:
                sock.close()
                if not isinstance(error, OSError):
                    raise
                failure = error
            else:
                return sock
        raise ConnectionFailed("connect", _reason(failure)) from failure


class _HttpConnection(asyncio.Protocol):
    """``_index`` is the request under way, -1 when idle."""

    def __init__(
        self, prepared: Sequence[bytes], pick: Callable[[int], int], parser: Parser, label: bytes, done: Done
    ) -> None:
        self._prepared, self._pick, self._parser, self._label, self._report = prepared, pick, parser, label, done
        self._index = -1
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._socket = transport.get_extra_info("socket")

    def send(self, index: int) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing() or not self._established():
            self.abort()
            return False
        self._parser.reset()
        self._index = index
        transport.write(self._prepared[self._pick(index)])
        if transport.is_closing():  # the write failed at once: the kernel took no byte of it
            self._index = -1
            return False
        return True

    def _established(self) -> bool:
        """Whether the server has not closed its side, as the kernel knows it before the event loop is told."""
        if self._socket is None or _TCP_INFO is None:
            return True
        return self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] == _ESTABLISHED

    def abort(self) -> None:
        self._index = -1
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._index < 0:  # nobody asked: a 408 before the server closes, or garbage
            self.abort()
            return
        try:
            complete = self._parser.feed(data)
        except ProtocolError as error:
            self._end("protocol", str(error))
        else:
            if complete:
                self._end("")

    def eof_received(self) -> bool:
        self._closed(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed(exc)

    def _closed(self, error: Exception | None) -> None:
        if self._index < 0:
            return
        if error is not None:
            self._end("reset", _reason(error))
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
        reusable = parser.complete and parser.keep_alive and error != "protocol"
        if not reusable:
            self.abort()
        version, upstream = "", -1
        if self._label and parser.status:
            version = parser.headers.get(self._label, b"").decode("ascii", "ignore")[:MAX_LABEL]
            upstream = int(UPSTREAM_HEADER in parser.headers)
        self._report(self, index, Answer(parser.status, error, version, upstream, reusable, detail))


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"CA file {ca_file} cannot be used: {_reason(error)}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _reason(error: BaseException | None) -> str:
    """What happened, without the errno and the traceback."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
