"""What the head of an HTTP/1.1 answer says (RFC 9112, sections 4 to 6). No I/O."""

import re
from collections.abc import Iterable
from typing import NamedTuple

BODILESS = (204, 304)
MAX_KNOWN = 1000
_MAX_KNOWN_SIZE = 2048
_FRAMING = (b"connection", b"content-length", b"transfer-encoding")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?", re.DOTALL)
_LENGTH = re.compile(rb"\d{1,18}")


class ProtocolError(ValueError):
    """What came is not an HTTP/1.1 answer."""


class Head(NamedTuple):
    """``length`` is that of the body, -1 if the head does not tell it; ``flaw`` is why its framing cannot be right."""

    status: int
    headers: dict[bytes, bytes]
    keep_alive: bool
    length: int
    chunked: bool
    flaw: str


class Heads:
    """Reads heads, each with the blank line that ends it, and remembers what it has read: many are alike but for a date or a number.

    ``names`` are the headers that matter beside those of framing, in lower case; None: all do.
    """

    def __init__(self, names: Iterable[bytes] | None = None) -> None:
        self._known: dict[bytes, Head] = {}
        self._rest: re.Pattern[bytes] | None = None
        if names is not None:
            kept = b"|".join(re.escape(name) for name in (*_FRAMING, *names))
            self._rest = re.compile(rb"\r\n(?!(?i:%b):)[!#$%%&'*+\-.^_`|~0-9A-Za-z]++:[^\r\n]*+(?=\r\n)" % kept)

    def essence(self, head: bytes) -> bytes:
        """``head`` without the lines that do not matter. A malformed one does."""
        return head if self._rest is None else self._rest.sub(b"", head)

    def read(self, essence: bytes) -> Head:
        """Raises ProtocolError for what is no head."""
        known = self._known.get(essence)
        if known is None:
            known = _parsed(essence)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            if len(essence) <= _MAX_KNOWN_SIZE:
                self._known[essence] = known
        return known


def _parsed(head: bytes) -> Head:
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    match = _STATUS.fullmatch(first)
    if match is None:
        raise ProtocolError("the status line is malformed")
    headers = fields(lines)
    connection = headers.get(b"connection", b"").lower()
    alive = b"close" not in connection and (match[1] == b"1" or b"keep-alive" in connection)
    coding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    flaw = ""
    if coding is not None and length is not None:
        flaw = "the answer has a transfer-encoding and a content-length"
    elif length is not None and _LENGTH.fullmatch(length) is None:
        flaw = "the content-length is no number"
    status = int(match[2])
    if status in BODILESS:
        flaw, size = "", 0
    else:
        size = int(length) if length is not None and not flaw else -1
    return Head(status, headers, alive, size, (coding or b"").lower().endswith(b"chunked"), flaw)


def fields(lines: list[bytes]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not (colon and name) or name[-1:].isspace() or name[:1].isspace():
            raise ProtocolError("a header line is malformed")
        key, value = name.lower(), value.strip()
        if key in headers and not (key == b"content-length" and headers[key] == value):
            value = headers[key] + b", " + value
        headers[key] = value
    return headers
