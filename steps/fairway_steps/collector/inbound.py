"""HTTP/1.1 requests, read from a stream (RFC 9112): what a proxy mirrors, within bounds."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fairway_steps.loadtest.heads import ProtocolError, fields

MAX_HEAD = 65_536
_LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]{1,8192}) HTTP/1\.([01])")
_LENGTH = re.compile(rb"\d{1,18}")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class Malformed(Exception):
    """What came is not an HTTP/1.1 request."""


class TooLarge(Exception):
    """The body is larger than it may be."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request but for its body. Header names are in lower case; ``length`` is -1 for a chunked body."""

    method: str
    target: str
    headers: Mapping[bytes, bytes]
    length: int
    keep_alive: bool

    @property
    def expects(self) -> bool:
        """Whether the other side waits to be told that its body is wanted."""
        return self.headers.get(b"expect", b"").lower() == b"100-continue"


async def read_head(stream: asyncio.StreamReader) -> Head | None:
    """The next request's head; None where the other side has closed. Raises Malformed."""
    try:
        raw = await stream.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Malformed from error
        return None
    except asyncio.LimitOverrunError as error:
        raise Malformed from error
    first, *lines = raw[:-4].split(b"\r\n")
    match = _LINE.fullmatch(first)
    if match is None or len(raw) > MAX_HEAD:
        raise Malformed
    try:
        headers = fields(lines)
    except ProtocolError as error:
        raise Malformed from error
    coding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if (coding and length) or (coding and coding.lower() != b"chunked") or (length and not _LENGTH.fullmatch(length)):
        raise Malformed
    connection = headers.get(b"connection", b"").lower()
    alive = b"close" not in connection and match[3] == b"1"
    return Head(match[1].decode(), match[2].decode(), headers, -1 if coding else int(length or 0), alive)


async def read_body(stream: asyncio.StreamReader, head: Head, most: int) -> bytes:
    """The request's body. Raises TooLarge for more than ``most`` bytes, Malformed for what is none."""
    if head.length > most:
        raise TooLarge
    try:
        return await stream.readexactly(head.length) if head.length >= 0 else await _chunks(stream, most)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Malformed from error


async def _chunks(stream: asyncio.StreamReader, most: int) -> bytes:
    body = bytearray()
    while True:
        match = _SIZE.fullmatch(await stream.readuntil(b"\r\n"))
        if match is None:
            raise Malformed
        size = int(match[1], 16)
        if len(body) + size > most:
            raise TooLarge
        if not size:
            break
        body += await stream.readexactly(size)
        if await stream.readexactly(2) != b"\r\n":
            raise Malformed
    while await stream.readuntil(b"\r\n") != b"\r\n":  # trailers
        pass
    return bytes(body)
