"""Server-sent events (WHATWG, "HTML", section 9.2): bytes in, the data of each event out. No I/O."""

from collections.abc import Callable

MAX_EVENT = 16_777_216
BOM = b"\xef\xbb\xbf"


class EventStream:
    """Calls ``take`` with the data of each event as soon as the blank line after it has come.

    Comments, which servers send to keep a connection alive, and events without data are passed over. Raises ValueError for an
    event of more than ``MAX_EVENT`` bytes. One that is named ``error`` goes to ``fail`` instead, whatever data it has.
    """

    def __init__(self, take: Callable[[bytes], None], fail: Callable[[bytes], None] | None = None) -> None:
        self._take, self._fail = take, fail
        self._buffer = b""
        self._begun = False

    def feed(self, data: bytes) -> None:
        if self._begun and not self._buffer and data[:6] == b"data: " and data[-1:] == b"\n":
            end = data.find(b"\n")
            if end == len(data) - 2 and b"\r" not in data:  # one event, whole: nearly all reads
                self._take(data[6:end])
                return
        buffer = self._buffer + data if self._buffer else data
        if not self._begun:
            if BOM.startswith(buffer):  # perhaps the rest of it comes later
                self._buffer = buffer
                return
            buffer = buffer.removeprefix(BOM)
            self._begun = True
        held = b""
        if b"\r" in buffer:
            if buffer.endswith(b"\r"):  # half of a line's end, or all of it
                buffer, held = buffer[:-1], b"\r"
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *events, rest = buffer.split(b"\n\n")
        self._buffer = rest + held
        if len(self._buffer) > MAX_EVENT:
            raise ValueError(f"an event is longer than {MAX_EVENT} bytes")
        for event in events:
            if event.startswith(b"data:") and b"\n" not in event:  # nearly all are
                self._take(event[6:] if event[5:6] == b" " else event[5:])
            else:
                self._dispatch(event)

    @property
    def open(self) -> bool:
        """Whether the last event has begun and not ended."""
        return bool(self._buffer.strip(b"\r\n"))

    def _dispatch(self, event: bytes) -> None:
        lines, kind = [], b""
        for line in event.split(b"\n"):
            name, _, value = line.partition(b":")
            if name == b"data":
                lines.append(value.removeprefix(b" "))
            elif name == b"event":
                kind = value.removeprefix(b" ")
        if kind == b"error" and self._fail is not None:
            self._fail(b"\n".join(lines))
        elif lines:
            self._take(b"\n".join(lines))
