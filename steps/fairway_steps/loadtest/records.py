"""What a run leaves behind: 18 bytes a request, in columns, and 8 for each event of a stream."""

from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

from fairway_steps.loadtest.client import Answer
from fairway_steps.loadtest.plan import AnyPlan, Plan

MAX_VERSIONS = 100
"""Names of versions that are told apart; a header that names more is not a version's, and the rest are ``other``."""
MAX_OUTCOMES = 65_535
NEVER = -1.0
UNSEEN = -1
"""How long a request took that nobody saw end: this client was held up when its time ran out."""


class Outcome(NamedTuple):
    """What requests have in common that ended alike; the fields are the first of Answer."""

    status: int = 0
    error: str = ""
    version: str = ""
    upstream: int = -1


OTHER = Outcome(error="other")


@dataclass(slots=True, repr=False)  # asyncio shows the result of a run in a message that nobody reads: of all columns
class Records:
    """What became of each request of ``plan``, in its order; ``started`` is the Unix time of offset 0.

    ``offsets`` are the moments at which requests were due, in nanoseconds since the start. Of the first ``due`` of them (the
    others were never tried) ``slip`` is how much later each was sent, ``took`` how long after its moment it ended, in nanoseconds,
    -1 where it did not happen: single precision keeps a microsecond of 16 s. ``outcome`` is an index into ``outcomes``.

    Streams are recorded as they end: ``stream_rows`` are their requests, ``stream_events`` how many events each had, and ``events``
    the moments of all of these, since the start; tokens are -1 where they are not known.

    ``pauses`` are when the client did not run: for each the moments, since the start, at which it began and ended (see ``pulse``).
    ``waits`` are the nanoseconds that a request whose answer came in pieces, or that was not sent at once, may have waited for that.
    ``cpu`` is the share of one core that the sending thread used, ``backlog`` the most requests that ever waited for a
    connection, ``opened`` how many connections could be opened, ``exhausted`` why this machine let
    no more be opened, ``details`` the first message of each class of error.
    """

    plan: AnyPlan
    started: float
    offsets: "array[int]"
    slip: "array[float]"
    took: "array[float]"
    outcome: "array[int]"
    outcomes: dict[Outcome, int] = field(default_factory=lambda: {Outcome(): 0, OTHER: 1})
    versions: set[str] = field(default_factory=lambda: {""})
    details: dict[str, str] = field(default_factory=dict)
    stream_rows: "array[int]" = field(default_factory=lambda: array("I"))
    stream_events: "array[int]" = field(default_factory=lambda: array("I"))
    events: "array[int]" = field(default_factory=lambda: array("q"))
    output_tokens: "array[int]" = field(default_factory=lambda: array("i"))
    prompt_tokens: "array[int]" = field(default_factory=lambda: array("i"))
    reasoning: "array[int]" = field(default_factory=lambda: array("i"))
    pauses: "array[int]" = field(default_factory=lambda: array("q"))
    waits: dict[int, int] = field(default_factory=dict)
    due: int = 0
    cpu: float = 0.0
    backlog: int = 0
    connections: int = 0
    opened: int = 0
    exhausted: str = ""
    stopped: bool = False

    @classmethod
    def empty(cls, plan: AnyPlan, started: float) -> "Records":
        """Room for each request of ``plan``; for none of one that does not know them."""
        offsets = plan.offsets if isinstance(plan, Plan) else array("q")
        count, never = len(offsets), array("f", [NEVER])
        return cls(plan, started, offsets, never * count, never * count, array("H", [0]) * count)

    def grow(self, offset: int) -> None:
        """One request more than was known beforehand."""
        self.offsets.append(offset)
        self.slip.append(NEVER)
        self.took.append(NEVER)
        self.outcome.append(0)

    def end(self, index: int, took: int, answer: Answer, zero: int) -> None:
        """Request ``index`` ended ``took`` nanoseconds after its moment; ``zero`` is the start by ``time.monotonic_ns``."""
        self.took[index] = took
        code = self.outcomes.get(answer[:4])  # type: ignore[call-overload]  # a plain tuple equals the named one
        self.outcome[index] = self._new(answer) if code is None else code
        if answer.stream is not None:
            self.stream_rows.append(index)
            self.stream_events.append(len(answer.stream.events))
            self.events.extend(at - zero for at in answer.stream.events)
            self.output_tokens.append(answer.stream.output_tokens)
            self.prompt_tokens.append(answer.stream.prompt_tokens)
            self.reasoning.append(answer.stream.reasoning)

    def _new(self, answer: Answer) -> int:
        """The code of an outcome not seen before, or too different from too many others."""
        if answer.error:
            self.details.setdefault(answer.error, answer.detail)
        known = answer.version in self.versions or len(self.versions) <= MAX_VERSIONS
        outcome = Outcome(answer.status, answer.error, answer.version if known else "other", answer.upstream)
        if len(self.outcomes) >= MAX_OUTCOMES:
            return self.outcomes[OTHER]
        self.versions.add(outcome.version)
        return self.outcomes.setdefault(outcome, len(self.outcomes))

    @property
    def ends(self) -> list[Outcome]:
        """How each request ended; the default where it did not."""
        names = list(self.outcomes)
        return [names[code] for code in self.outcome]
