"""The contract between the engine and what it loads: a protocol is a ``Target`` that opens a ``Client`` in each sending process.

HTTP/1.1 is one protocol, event streams over it included; gRPC is another, whose connections are slots of a channel.
"""

from array import array
from collections.abc import Callable
from typing import NamedTuple, Protocol

from fairway_steps.loadtest.payloads import Payloads

CANCELLED = "cancelled"
TIMEOUT = "timeout"


class Stream(NamedTuple):
    """What a streamed answer brought, piece by piece.

    ``events`` are the moments (nanoseconds of ``time.monotonic_ns``) at which pieces with output were read: an event with at
    least one token, or a message. Pieces that came in one read have the same moment. Numbers of tokens are -1 where the
    server did not tell them; ``reasoning`` is how many of the events brought a model's reasoning instead of its answer.
    """

    events: "array[int]"
    output_tokens: int = -1
    prompt_tokens: int = -1
    reasoning: int = 0


class Answer(NamedTuple):
    """How a request ended: ``error`` is its class, empty for a success; ``status`` is 0 without an answer.

    ``version`` is what the answer says of its origin. ``upstream`` tells whether a proxy on the way got the answer
    from behind it: 1 yes, 0 no, -1 not known. Answers without a stream may be shared by requests that ended alike. ``since`` is the
    moment from which on the end waited for this client wherever it did not run, as not all was sent or read at once; 0: only as the end was read.
    """

    status: int
    error: str
    version: str = ""
    upstream: int = -1
    reusable: bool = False
    detail: str = ""
    stream: Stream | None = None
    since: int = 0


class ConnectionFailed(Exception):
    """A connection could not be opened: ``error`` is the class (``dns``, ``connect``, ``tls``)."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error, self.detail = error, detail


class Exhausted(ConnectionFailed):
    """Not the server but our own machine lets no more connections be opened."""


class Connection(Protocol):
    """Carries one request at a time, and calls the ``Done`` of its client exactly once for each that was sent."""

    def send(self, index: int) -> bool:
        """Send request ``index``; False if the connection is closed and not a byte of it was sent."""

    def abort(self) -> None:
        """Close at once; no Done will follow."""


Done = Callable[[Connection, int, Answer, int], None]
"""Is told the connection, the request, its answer, and the moment its last byte was read (``time.monotonic_ns``)."""


class Client(Protocol):
    """Opens connections. ``connect`` raises ConnectionFailed; it may be cancelled."""

    async def connect(self, done: Done) -> Connection: ...

    def cpu_ns(self) -> int:
        """The CPU time that sending has taken: of this thread (``time.thread_time_ns``), or of the process if others help."""

    async def close(self) -> None:
        """Let go of what its connections shared, once all of them were aborted."""


class Target(Protocol):
    """What is loaded and how, as a frozen value that can be pickled: it is checked once, and opened in each process."""

    @property
    def name(self) -> str:
        """The endpoint, as a sentence would name it."""

    def prepare(self, payloads: Payloads) -> Payloads:
        """The bodies as they will be sent, made once, before any process is started. Raises UsageError for one that cannot be."""

    def spoken(self) -> str:
        """What a server speaks that gave no request an answer, in a sentence, asked once more; empty if that cannot be told."""

    def open(self, payloads: Payloads) -> Client:
        """A client whose request ``index`` carries ``payloads[index]``, as prepared. Called within the running event loop."""
