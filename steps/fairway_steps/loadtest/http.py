"""HTTP/1.1 for the engine: requests prepared once, sent over connections that are kept open.

Classes of error: ``dns``, ``connect``, ``tls`` (no connection), ``timeout``, ``reset`` (closed without an answer),
``truncated`` (closed within one, or a stream that ends before its answer), ``protocol`` (not HTTP/1.1), ``http-NNN`` (any status
but 2xx: redirects are not followed), ``stream-error`` (the server said so within a stream), ``content-check`` (not the body that
was expected, or a stream that is none), and the engine's ``cancelled``.

An answer of type ``text/event-stream`` is followed event by event; what else comes is not looked at, unless it is to be checked.

A request is sent at most once. An idle connection that the server has closed is known by the state of its socket and
is not used; that costs no request. If the close crosses the request on the wire, the request may have been carried out
(RFC 9112, section 9.3.1, leaves a client in doubt), so it is not repeated but recorded as ``reset``: that is what a user
without retries would have seen, and a repetition would be load that nobody planned.
"""

import asyncio
import errno
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.client import Answer, Connection, ConnectionFailed, Done, Exhausted
from fairway_steps.loadtest.heads import Heads
from fairway_steps.loadtest.http_connection import UPSTREAM_HEADER, BufferedConnection, HttpConnection
from fairway_steps.loadtest.names import Names, Places
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.spoken import spoken
from fairway_steps.loadtest.tls import PLAIN, Tls, context, reason
from fairway_steps.secrets import address

ALPN = ("http/1.1",)
ROOM = 1 << 18
"""Bytes that are read at once, at most."""
PATIENCE = 1.0
"""Seconds after which a name's next address is tried: by then an unanswered SYN is repeated (RFC 6298, section 2.1)."""
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_MEND = "write http://HOST:PORT/PATH or https://…"
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "expect", "upgrade"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request but for its body. Raises UsageError for a URL or a header that cannot be sent.

    ``label_header`` names the header of an answer that tells which version it is from; empty: nobody asks.
    With ``expect`` an answer without these bytes in its body has failed.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    label_header: str = ""
    expect: bytes = b""
    tls: Tls = PLAIN

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"URL {self.name!r} cannot be read", mend=_MEND) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise UsageError(f"URL {self.name!r} is no endpoint", mend=_MEND)
        if parts.username is not None:
            raise UsageError("the URL carries credentials", mend="give them in a header, by reference")
        if not (self.url.isascii() and self.url.isprintable()) or " " in self.url:
            raise UsageError(f"URL {self.name!r} or its query has characters that must be percent-encoded")
        if self.tls != PLAIN and parts.scheme != "https":
            raise UsageError(
                f"certificates and the like are of no use for {self.name!r}", mend="write https://, or leave them out"
            )
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
                raise UsageError(f"header {name!r} cannot be sent", mend="its name or its value is not allowed in HTTP")
            if name.lower() in _OURS:
                raise UsageError(f"header {name!r} is the load test's own", mend="leave it out")

    @property
    def name(self) -> str:
        return address(self.url)

    def prepare(self, payloads: Payloads) -> Payloads:
        """Any body is sent as it is; what TLS needs is looked at."""
        if self.url.startswith("https:"):
            context(self.tls, ALPN)
        return payloads

    def spoken(self) -> str:
        host, port = _place(self.url)
        if self.url.startswith("https:"):
            return spoken(host, port, context(self.tls, ("h2",)), self.tls.server_name or host)
        return spoken(host, port)

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


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


class Http:
    """The engine's client for HTTP. The host's name is resolved once, by the first connection.

    All connections go to the first of its addresses that lets one be opened, until it does not.
    """

    def __init__(self, request: Request, payloads: Payloads) -> None:
        self._host, self._port = _place(request.url)
        self.pick = payloads.pick
        self.prepared = [request.to_bytes(body) for body in payloads.bodies]
        self.bodiless, self.expect = request.method == "HEAD", request.expect
        self.label = request.label_header.lower().encode()
        self.heads = Heads([b"content-type", *([self.label, UPSTREAM_HEADER] if self.label else [])])
        self.answers: dict[bytes, tuple[int, Answer]] = {}
        self.room = memoryview(bytearray(ROOM))
        self._tls = context(request.tls, ALPN) if request.url.startswith("https:") else None
        self.direct = self._tls is None
        self._name = request.tls.server_name or self._host
        self._addresses: Places = []
        self._names = Names(self._host, self._port)

    async def connect(self, done: Done) -> Connection:
        sock = await self._socket()
        loop = asyncio.get_running_loop()
        kind = BufferedConnection if isinstance(loop, asyncio.SelectorEventLoop) else HttpConnection
        connection = kind(self, done, sock)
        try:
            await loop.create_connection(
                lambda: connection, sock=sock, ssl=self._tls, server_hostname=self._name if self._tls else None
            )
        except (ssl.SSLError, OSError) as error:
            sock.close()
            raise ConnectionFailed("tls" if self._tls else "connect", reason(error)) from error
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
                found = await self._names()
            except (OSError, UnicodeError) as error:
                raise ConnectionFailed("dns", f"{self._host!r} cannot be resolved: {reason(error)}") from error
            self._addresses = list(found)
        failure: OSError | None = None
        for left, entry in zip(range(len(self._addresses) - 1, -1, -1), tuple(self._addresses), strict=True):
            family, place = entry
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                raise Exhausted("connect", reason(error)) from error
            sock.setblocking(False)
            try:
                async with asyncio.timeout(PATIENCE if left else None):
                    await loop.sock_connect(sock, place)
            except BaseException as error:
                sock.close()
                if self._addresses[0] == entry:  # the next connection begins with another one
                    self._addresses.append(self._addresses.pop(0))
                if not isinstance(error, OSError):
                    raise
                # Every local port is taken; or this machine has no IPv6.
                if error.errno == errno.EADDRNOTAVAIL and (family == socket.AF_INET or not left):
                    raise Exhausted("connect", reason(error)) from error
                failure = error
            else:
                return sock
        raise ConnectionFailed("connect", reason(failure)) from failure
