"""A parser of HTTP/1.1 answers (RFC 9112): bytes in, the end of the answer out. No I/O.

It reads what a load test needs (status, framing, whether the connection lives on, the headers) and passes over the
body, unless somebody wants it. It is strict: what RFC 9112 calls an error is one here too.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from fairway_steps.loadtest.spoken import HTTP2, TLS, is_http2

MAX_HEAD = 65_536
MAX_LINE = 8_192
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?", re.DOTALL)
_LENGTH = re.compile(rb"\d{1,18}")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_PREFIX = b"HTTP/1."
BODILESS = (204, 304)


class ProtocolError(ValueError):
    """What came is not an HTTP/1.1 answer."""


Sink = Callable[[bytes], None]
MAX_KNOWN = 1000
MAX_KNOWN_SIZE = 2048


class Head(NamedTuple):
    """What the head of an answer says: ``length`` is -1 if it tells none; ``flaw`` is why its framing cannot be right.

    ``whole`` is the length of such an answer, head and all, if the head tells it and a body may follow; else 0.
    """

    status: int
    headers: dict[bytes, bytes]
    keep_alive: bool
    length: int
    chunked: bool
    flaw: str
    whole: int


class Parser:
    """Reads one answer after another; ``reset`` stands between two. ``head`` says that the request was a HEAD.

    Many answers begin alike: what their heads say is kept in ``known``, which several parsers may share.
    ``wanted`` is asked, once status and headers are known, who takes the body, piece by piece as it comes; None: nobody.

    After ``feed`` has returned true: ``status`` (0 before the head of a final answer), ``keep_alive`` (the connection may carry another request) and
    ``headers`` (names in lower case). ``begun`` is true from the first byte on. ``whole`` is how long an answer is that begins with
    ``head``, if that is known and tells it; else 0.
    """

    def __init__(
        self,
        *,
        head: bool = False,
        wanted: "Callable[[Parser], Sink | None] | None" = None,
        known: "dict[bytes, Head] | None" = None,
    ) -> None:
        self._bodiless, self._wanted = head, wanted
        self._known: dict[bytes, Head] = {} if known is None else known
        self.reset()

    def reset(self) -> None:
        self.status = self.whole = 0
        self.head = b""
        self.headers: dict[bytes, bytes] = {}
        self.keep_alive = self.begun = self.complete = False
        self._buffer = b""
        self._left = 0
        self._sink: Sink | None = None
        self._step: Callable[[], bool] = self._head

    def feed(self, data: bytes) -> bool:
        """Take bytes as they come; true once the answer is complete. Raises ProtocolError."""
        if not self.begun and self._whole(data):
            return True
        self.begun = True
        self._buffer = self._buffer + data if self._buffer else data
        while not self.complete and self._step():
            pass
        if self.complete and self._buffer:
            self.keep_alive = False  # more than was asked for: what follows cannot be trusted
        return self.complete

    def _whole(self, data: bytes) -> bool:
        """Whether a first read was all of an answer whose head is known: nearly all are, and this is half of the work."""
        end = data.find(b"\r\n\r\n")
        raw = data[:end]
        head = self._known.get(raw)
        if head is None or head.whole != len(data) or self._bodiless:
            return False
        self.status, self.headers, self.keep_alive = head.status, head.headers, head.keep_alive
        self.head, self.whole = raw, head.whole
        self.begun = self.complete = True
        if self._wanted is not None and (sink := self._wanted(self)) is not None and head.length:
            sink(data[end + 4 :])
        return True

    def eof(self) -> bool:
        """The other side has closed; true if that is how this answer ends."""
        self.keep_alive = False
        if self._step == self._until_close:
            self.complete = True
        return self.complete

    def _head(self) -> bool:
        buffer = self._buffer
        if not buffer.startswith(_PREFIX[: len(buffer)]):
            raise ProtocolError(_other_protocol(buffer))
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            if len(buffer) > MAX_HEAD:
                raise ProtocolError(f"the head of the answer is longer than {MAX_HEAD} bytes")
            return False
        self._buffer = buffer[end + 4 :]
        head = buffer[:end]
        known = self._known.get(head)
        if known is None:
            known = _parsed(head)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            if end <= MAX_KNOWN_SIZE:
                self._known[head] = known
        if known.status >= 200:
            self.status, self.headers, self.keep_alive = known.status, known.headers, known.keep_alive
            if self._wanted is not None:
                self._sink = self._wanted(self)
            self._frame(known)
        elif known.status == 101:
            raise ProtocolError("the server switched protocols unasked")
        return True  # a 1xx answer is followed by the real one

    def _frame(self, head: Head) -> None:
        """How the body ends (RFC 9112, section 6.3)."""
        if self._bodiless or head.status in BODILESS:
            self.complete = True
        elif head.flaw:
            raise ProtocolError(head.flaw)
        elif head.length >= 0:
            if head.length == len(self._buffer) and self._sink is None:  # nearly all of these come whole
                self._buffer = b""
                self.complete = True
                return
            self._left = head.length
            self._step = self._body
            self.complete = self._left == 0
        else:
            self._step = self._chunk if head.chunked else self._until_close

    def _take(self) -> bool:
        """Pass over the body as far as it has come; true at the end of the part that was announced."""
        taken = min(self._left, len(self._buffer))
        self._left -= taken
        if self._sink is not None and taken:
            self._sink(self._buffer[:taken])
        self._buffer = self._buffer[taken:]
        return self._left == 0

    def _body(self) -> bool:
        self.complete = self._take()
        return False

    def _until_close(self) -> bool:
        if self._sink is not None and self._buffer:
            self._sink(self._buffer)
        self._buffer = b""
        return False

    def _chunk(self) -> bool:
        buffer = self._buffer
        match = _CHUNK.match(buffer)
        if match is None:
            if self._line() is None:
                return False
            raise ProtocolError("the size of a chunk is no number")
        begin = match.end()
        if begin > MAX_LINE:
            raise ProtocolError(f"a line of the answer is longer than {MAX_LINE} bytes")
        size = int(match[1], 16)
        end = begin + size
        if size and buffer[end : end + 2] == b"\r\n":  # nearly all come whole
            if self._sink is not None:
                self._sink(buffer[begin:end])
            self._buffer = buffer[end + 2 :]
            return bool(self._buffer)
        self._left, self._buffer = size, buffer[begin:]
        self._step = self._chunk_data if size else self._trailer
        return True

    def _chunk_data(self) -> bool:
        if not self._take() or len(self._buffer) < 2:
            return False
        if not self._buffer.startswith(b"\r\n"):
            raise ProtocolError("a chunk is longer than it says")
        self._buffer = self._buffer[2:]
        self._step = self._chunk
        return True

    def _trailer(self) -> bool:
        line = self._line()
        self.complete = line == b""
        return bool(line)

    def _line(self) -> bytes | None:
        line, end, rest = self._buffer.partition(b"\r\n")
        if len(line) > MAX_LINE:
            raise ProtocolError(f"a line of the answer is longer than {MAX_LINE} bytes")
        if not end:
            return None
        self._buffer = rest
        return line


def _other_protocol(buffer: bytes) -> str:
    """What an answer is that does not begin as one of HTTP/1 does."""
    if is_http2(buffer):
        return HTTP2
    if buffer[:2] == b"\x15\x03":  # a TLS alert (RFC 8446, section 5.1)
        return TLS
    return "the answer does not begin with HTTP/1"


def _parsed(head: bytes) -> Head:
    first, *lines = head.split(b"\r\n")
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
    size = int(length) if length is not None and not flaw else -1
    status = int(match[2])
    whole = len(head) + 4 + size if size >= 0 and status >= 200 and status not in BODILESS else 0
    return Head(status, headers, alive, size, (coding or b"").lower().endswith(b"chunked"), flaw, whole)


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
