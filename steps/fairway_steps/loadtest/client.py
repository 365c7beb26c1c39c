"""The contract between the engine and what it loads: connections that carry one request at a time.

HTTP/1.1 is one client; gRPC (a connection is then a slot of a channel) and event streams are others.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Answer(NamedTuple):
    """How a request ended: ``error`` is its class, empty for a success; ``status`` is 0 without an answer.

    ``version`` is what the answer says of its origin. ``upstream`` tells whether a proxy on the way got the answer
    from behind it: 1 yes, 0 no, -1 not known.
    """

    status: int
    error: str
    version: str = ""
    upstream: int = -1
    reusable: bool = False
    detail: str = ""


class ConnectionFailed(Exception):
    """A connection could not be opened: ``error`` is the class (``dns``, ``connect``, ``tls``)."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error, self.detail = error, detail


class Connection(Protocol):
    """Carries one request at a time, and calls the ``Done`` of its client exactly once for each that was sent."""

    def send(self, index: int) -> bool:
        """Send request ``index``; False if the connection is closed and not a byte of it was sent."""

    def abort(self) -> None:
        """Close at once; no Done will follow."""


Done = Callable[[Connection, int, Answer], None]


class Client(Protocol):
    """Opens connections. Raises ConnectionFailed; may be cancelled."""

    async def connect(self, done: Done) -> Connection: ...
