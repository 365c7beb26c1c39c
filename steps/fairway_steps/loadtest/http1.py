"""A parser of HTTP/1.1 answers (RFC 9112): bytes in, the end of the answer out. No I/O.

It reads what a load test needs (status, framing, whether the connection lives on, the headers) and passes over the
body, unless somebody wants it. It is strict: what RFC 9112 calls an error is one here too.
"""

import re
from collections.abc import Callable

from fairway_steps.loadtest.heads import Head, Heads, ProtocolError
from fairway_steps.loadtest.spoken import HTTP2, TLS, is_http2

MAX_HEAD = 65_536
MAX_LINE = 8_192
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_PREFIX = b"HTTP/1."
Sink = Callable[[bytes], None]


class Parser:
    """Reads one answer after another; ``reset`` stands between two. ``head`` says that the request was a HEAD.

    ``heads`` reads the heads; several parsers may share it.
    ``wanted`` is asked, once status and headers are known, who takes the body, piece by piece as it comes; None: nobody.

    After ``feed`` has returned true: ``status`` (0 before the head of a final answer), ``keep_alive`` (the connection may carry another request) and
    ``headers`` (names in lower case). ``begun`` is true from the first byte on. ``essence`` is what mattered in its head, and ``length``
    that of the body which this tells, or -1.
    """

    def __init__(
        self,
        *,
        head: bool = False,
        wanted: "Callable[[Parser], Sink | None] | None" = None,
        heads: Heads | None = None,
    ) -> None:
        self._bodiless, self._wanted = head, wanted
        self._heads = heads or Heads()
        self.reset()

    def reset(self) -> None:
        self.status = 0
        self.length = -1
        self.essence = b""
        self.headers: dict[bytes, bytes] = {}
        self.keep_alive = self.begun = self.complete = False
        self._buffer = b""
        self._left = 0
        self._sink: Sink | None = None
        self._step: Callable[[], bool] = self._head

    def feed(self, data: bytes) -> bool:
        """Take bytes as they come; true once the answer is complete. Raises ProtocolError."""
        self.begun = True
        self._buffer = self._buffer + data if self._buffer else data
        while not self.complete and self._step():
            pass
        if self.complete and self._buffer:
            self.keep_alive = False  # more than was asked for: what follows cannot be trusted
        return self.complete

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
        self.essence = self._heads.essence(buffer[: end + 4])
        head = self._heads.read(self.essence)
        if head.status >= 200:
            self.status, self.headers, self.keep_alive, self.length = (
                head.status,
                head.headers,
                head.keep_alive,
                head.length,
            )
            if self._wanted is not None:
                self._sink = self._wanted(self)
            self._frame(head)
        elif head.status == 101:
            raise ProtocolError("the server switched protocols unasked")
        return True  # a 1xx answer is followed by the real one

    def _frame(self, head: Head) -> None:
        """How the body ends (RFC 9112, section 6.3)."""
        if self._bodiless or head.length == 0:
            self.complete = True
        elif head.flaw:
            raise ProtocolError(head.flaw)
        elif head.length > 0:
            self._left = head.length
            self._step = self._body
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
