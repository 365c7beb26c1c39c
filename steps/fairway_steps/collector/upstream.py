"""One version, asked over connections that are kept open."""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.heads import ProtocolError
from fairway_steps.loadtest.http1 import Parser
from fairway_steps.loadtest.tls import PLAIN, context
from fairway_steps.model import Version

MARK = b"x-fairway-collector"
"""The header of every request that a collector sends. One that comes with it has gone in a circle."""
_HOPS = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"te", b"trailer", b"upgrade"),
        *(b"host", b"content-length", b"expect", b"accept-encoding"),
    }
)
"""Headers of one connection alone, and those that are written anew (RFC 9110, section 7.6.1)."""
_IDLE = 1.5
"""Seconds after which a connection is not used again: model servers close theirs after 2 and more."""
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Reply:
    """How a request ended: ``status`` is 0 without an answer, ``error`` the class of failure (as in a load test), empty for an answer.

    ``body`` is kept only if it was asked for; ``cut`` says that it was too large for that.
    """

    seconds: float
    status: int = 0
    error: str = ""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False


class Upstream:
    """A version at ``http(s)://HOST:PORT``. Raises UsageError for any other.

    ``timeout`` is for a whole answer, in seconds; ``most`` bytes of a body are kept.
    """

    def __init__(self, version: Version, timeout: float, most: int) -> None:
        parts = urlsplit(version.uri)
        if parts.scheme not in ("http", "https") or parts.path not in ("", "/") or parts.query or parts.username:
            raise UsageError(
                f"version {version.name}={version.uri} cannot be asked by a collector", mend="write http://HOST:PORT"
            )
        self.name = version.name
        self.host, self.port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._host = parts.netloc.encode()
        self._tls = context(PLAIN, ("http/1.1",)) if parts.scheme == "https" else None
        self._timeout, self._most = timeout, most
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []

    async def ask(self, method: str, target: str, headers: Mapping[bytes, bytes], body: bytes, *, keep: bool) -> Reply:
        """The version's answer; its body only with ``keep``. Never raises for what goes wrong on the way."""
        request = self._written(method, target, headers, body)
        began = time.monotonic()
        error = ""
        try:
            async with asyncio.timeout(self._timeout):
                status, told, kept, cut = await self._exchange(request, keep=keep)
                return Reply(time.monotonic() - began, status, "", told, kept, cut)
        except TimeoutError:
            error = "timeout"
        except ssl.SSLError:
            error = "tls"
        except socket.gaierror:
            error = "dns"
        except ProtocolError:
            error = "protocol"
        except _Cut:
            error = "truncated"
        except ConnectionRefusedError:
            error = "connect"
        except ConnectionError:
            error = "reset"
        except OSError:
            error = "connect"
        return Reply(time.monotonic() - began, error=error)

    async def close(self) -> None:
        writers = [writer for _, writer, _ in self._idle]
        self._idle.clear()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    def _written(self, method: str, target: str, headers: Mapping[bytes, bytes], body: bytes) -> bytes:
        hops = _HOPS | {name.strip().lower() for name in headers.get(b"connection", b"").split(b",")}
        passed = [(name, value) for name, value in headers.items() if name not in hops and name != MARK]
        # Uncompressed, so that answers can be compared.
        own = [(b"host", self._host), (MARK, b"1"), (b"accept-encoding", b"identity")]
        own += [(b"content-length", b"%d" % len(body))] if body or method == "POST" else []
        lines = [f"{method} {target} HTTP/1.1".encode(), *(b": ".join(pair) for pair in (*own, *passed))]
        return b"\r\n".join([*lines, b"", body])

    async def _exchange(self, request: bytes, *, keep: bool) -> tuple[int, Mapping[bytes, bytes], bytes, bool]:
        reader, writer, used = await self._connection()
        body = bytearray()
        parser = Parser(wanted=(lambda _: body.extend) if keep else None)
        reusable = False
        try:
            try:
                await self._read(reader, writer, request, parser, body)
            except ConnectionError:
                if not used or parser.begun:
                    raise
                # Closed while it was idle: what is mirrored writes nothing, so it may be sent once more.
                writer.close()
                reader, writer = await self._open()
                await self._read(reader, writer, request, parser, body)
            reusable = parser.keep_alive and parser.complete
        finally:
            if reusable:
                self._idle.append((reader, writer, time.monotonic()))
            else:
                writer.close()
        return parser.status, parser.headers, bytes(body[: self._most]), len(body) > self._most

    async def _read(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: bytes,
        parser: Parser,
        body: bytearray,
    ) -> None:
        writer.write(request)
        await writer.drain()
        while True:
            data = await reader.read(_CHUNK)
            if not data and not parser.eof():
                if parser.begun:
                    raise _Cut
                raise ConnectionResetError
            if not data or parser.feed(data):
                return
            if len(body) > self._most + _CHUNK:
                del body[self._most + 1 :]  # the rest is only counted as too much

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bool]:
        while self._idle:
            reader, writer, since = self._idle.pop()
            if time.monotonic() - since < _IDLE and not reader.at_eof() and not writer.is_closing():
                return reader, writer, True
            writer.close()
        return (*await self._open(), False)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port, ssl=self._tls)


class _Cut(Exception):
    """The server closed within an answer."""
