"""What a run measured: columns of one row a request.

Three latencies, each exact: *response* = end - scheduled (what a user saw, and what SLOs are about), *service* = end - sent
(what the server and the network took), *slip* = sent - scheduled (what the client added). Failed requests are counted
and kept out of response and service. Quantiles are Hyndman and Fan's definition 7 ("Sample quantiles in statistical
packages", The American Statistician 50(4), 1996), numpy's default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway_steps.loadtest.client import CANCELLED

FORMAT = 1
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
COLUMNS = {
    "scheduled_ns": np.int64,
    "sent_ns": np.int64,
    "end_ns": np.int64,
    "status": np.int16,
    "error": np.uint16,
    "version": np.uint16,
    "upstream": np.int8,
    "endpoint": np.uint8,
    "held_ns": np.int64,
}
STREAM_COLUMNS = {"events": np.int32, "output_tokens": np.int32, "prompt_tokens": np.int32, "reasoning": np.int32}
EVENT_COLUMNS = ("event_ns", "event_held_ns")
UNKNOWN = -1

Nanoseconds = NDArray[np.int64]
Rows = NDArray[np.bool_] | NDArray[np.intp] | slice
"""Which rows: a mask, their places, or a range, which copies nothing."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What the columns leave out.

    ``rate`` is the nominal one, None for a closed loop. ``client_limited`` says why the client, not the service, shaped the
    numbers, and is empty where it did not. ``late`` is what is to be said of requests that were sent late, whether or not
    that mattered to the limits known then; who holds the result against others must look again. ``decided`` is why the run
    ended early, if the evidence was enough; ``stopped`` says that less was sent than was planned. ``unsent`` are requests, among the
    cancelled, that could not be sent in time because the server left most of the others without an answer.
    ``tool`` names another tool that the rows are from; ``co_corrected`` is whether response counts from the scheduled moment.
    """

    started: float
    rate: float | None
    error_names: tuple[str, ...]
    version_names: tuple[str, ...]
    endpoint_names: tuple[str, ...] = ("",)
    warm_up: int = 0
    cpu: float = 0.0
    backlog: int = 0
    connections: int = 0
    workers: int = 1
    stopped: bool = False
    closed_loop: bool = False
    unsent: int = 0
    decided: str = ""
    client_limited: str = ""
    late: str = ""
    tool: str = ""
    co_corrected: bool = True
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Streams:
    """What streamed answers brought: of each request the number of ``events`` with output, and its tokens (-1: not known).

    ``event_ns`` are the moments of all events, request by request, in nanoseconds since the start, and ``event_held_ns`` how much
    earlier each may have come while this client did not run.
    """

    events: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    prompt_tokens: NDArray[np.int32]
    reasoning: NDArray[np.int32]
    event_ns: Nanoseconds
    event_held_ns: Nanoseconds

    @classmethod
    def none(cls, rows: int) -> "Streams":
        """What nothing was streamed says: one value for all rows, which takes no memory and cannot be written to."""
        unknown = np.broadcast_to(np.int32(UNKNOWN), (rows,))
        zero = np.broadcast_to(np.int32(0), (rows,))
        return cls(zero, unknown, unknown, zero, np.empty(0, np.int64), np.empty(0, np.int64))

    @property
    def blank(self) -> bool:
        return not len(self.event_ns) and self.events.strides == (0,)

    def of(self, rows: Rows) -> "Streams":
        """The chosen rows, in their order."""
        if self.blank:
            return Streams.none(len(self.events[rows]))
        chosen = np.arange(len(self.events))[rows]
        begins = np.concatenate([[0], np.cumsum(self.events)[:-1]]) if len(self.events) else self.events
        counts = self.events[chosen]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(begins[chosen], counts) + within
        columns = {name: getattr(self, name)[chosen] for name in STREAM_COLUMNS}
        return Streams(**columns, **{name: getattr(self, name)[places.astype(np.intp)] for name in EVENT_COLUMNS})


@dataclass(frozen=True, slots=True)
class Result:
    """The requests after the warm-up, in the order of the plan, as columns of equal length.

    Times are nanoseconds since ``meta.started`` (Unix seconds), -1 where it did not happen. ``error``, ``version`` and
    ``endpoint`` index the names in ``meta``; of the first two 0 is none. ``upstream``: 1 if a proxy had the answer from behind
    it, 0 if not, -1 unknown. ``held_ns`` is how much of a success's time, from the sending on, may be the client's, which did not run.
    """

    scheduled_ns: Nanoseconds
    sent_ns: Nanoseconds
    end_ns: Nanoseconds
    status: NDArray[np.int16]
    error: NDArray[np.uint16]
    version: NDArray[np.uint16]
    upstream: NDArray[np.int8]
    endpoint: NDArray[np.uint8]
    held_ns: Nanoseconds
    meta: Meta
    streams: Streams = field(repr=False)

    def __len__(self) -> int:
        return len(self.scheduled_ns)

    @property
    def begun(self) -> float:
        """The Unix time at which the first of the requests was due."""
        return self.meta.started + (int(self.scheduled_ns.min()) / 1e9 if len(self) else 0.0)

    @property
    def ok(self) -> NDArray[np.bool_]:
        return np.equal(self.error, 0)

    @property
    def response(self) -> Nanoseconds:
        """Nanoseconds of each success."""
        return (self.end_ns - self.scheduled_ns)[self.ok]

    @property
    def service(self) -> Nanoseconds:
        """Nanoseconds of each success."""
        return (self.end_ns - self.sent_ns)[self.ok]

    @property
    def slip(self) -> Nanoseconds:
        """Nanoseconds of each request that was sent."""
        return (self.sent_ns - self.scheduled_ns)[self.sent_ns >= 0]

    @property
    def waited(self) -> Nanoseconds:
        """How much of the time of each request, or of one of its events, may be this client's."""
        waited = self.held_ns.copy()
        if not self.streams.blank:
            np.maximum.at(waited, np.repeat(np.arange(len(self)), self.streams.events), self.streams.event_held_ns)
        return waited

    @property
    def counted(self) -> NDArray[np.bool_]:
        """The requests of which we know something: all but those that we cancelled ourselves."""
        return ~self.failed(CANCELLED)

    def failed(self, name: str) -> NDArray[np.bool_]:
        """Which requests failed with this class of error."""
        names = self.meta.error_names
        return self.error == names.index(name) if name in names else np.zeros(len(self), bool)

    @property
    def failures(self) -> dict[str, int]:
        """Failed requests by class, the commonest first."""
        return _counted(self.error, self.meta.error_names)

    @property
    def failures_by_version(self) -> dict[str, dict[str, int]]:
        """Failed requests by the version that was asked last and class; a version of no name is one nobody knows."""
        found: dict[str, dict[str, int]] = {}
        for code, name in enumerate(self.meta.version_names):
            failed = _counted(self.error[self.version == code], self.meta.error_names)
            if failed:
                found[name] = failed
        return found

    @property
    def versions(self) -> dict[str, int]:
        """Answers by the version they named."""
        return _counted(self.version, self.meta.version_names)

    @property
    def named(self) -> dict[str, int]:
        """The same, with those that named none under an empty name."""
        names = self.meta.version_names
        counts = np.bincount(self.version, minlength=len(names))
        return {name: int(count) for name, count in zip(names, counts, strict=True) if count}

    @property
    def lost(self) -> int | None:
        """Requests that no version answered; None if no answer says where it is from.

        Behind a proxy that marks what came from upstream, the mark decides (it may label answers of its own too), else
        the label. Requests that we cancelled are not counted.
        """
        if not (self.version.any() or np.any(self.upstream == 1)):
            return None
        nobody = self.upstream != 1 if np.any(self.upstream == 1) else self.version == 0
        return int(np.count_nonzero(nobody & self.counted))

    @property
    def unanswered(self) -> int:
        """Requests that got no answer at all, whoever it would have been from; without those that we cancelled."""
        return int(np.count_nonzero((self.status == 0) & self.counted))

    @property
    def achieved_rate(self) -> float | None:
        """Requests per second as sent: (n - 1) / (last - first); None below two."""
        return rate_of(self.sent_ns[self.sent_ns >= 0])

    def exceeded(self, limit: float) -> NDArray[np.bool_]:
        """Which requests took longer than ``limit`` seconds: failed ones are endless; of those that we cancelled, the older."""
        slow = self.end_ns - self.scheduled_ns > round(limit * 1e9)
        return slow | (~self.ok & self.counted)

    def of(self, rows: Rows) -> "Result":
        """The chosen rows, in their order."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS}, streams=self.streams.of(rows))

    def part(self, endpoint: int) -> "Result":
        """What was sent to one endpoint."""
        return self.of(self.endpoint == endpoint)


def result_of(columns: Mapping[str, Any], meta: Meta) -> Result:
    """A result of plain columns; those of streams, and of what the client itself held up, may be missing."""
    rows = len(columns["error"])
    known = columns if "held_ns" in columns else {**columns, "held_ns": np.zeros(rows)}
    arrays = {name: np.array(known[name], kind) for name, kind in COLUMNS.items()}
    streams = Streams.none(rows)
    if "event_ns" in columns:
        kinds = {name: np.array(columns[name], kind) for name, kind in STREAM_COLUMNS.items()}
        moments = np.array(columns["event_ns"], np.int64)
        held = columns["event_held_ns"] if "event_held_ns" in columns else np.zeros(len(moments))
        streams = Streams(**kinds, event_ns=moments, event_held_ns=np.array(held, np.int64))
    return Result(**arrays, meta=meta, streams=streams)


def rate_of(moments: Nanoseconds) -> float | None:
    """(n - 1) / (last - first) a second; None where there is no time between two."""
    span = int(moments.max() - moments.min()) if len(moments) > 1 else 0
    return (len(moments) - 1) * 1e9 / span if span else None


def _counted(codes: NDArray[np.uint16], names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(codes, minlength=len(names))
    pairs = [(name, int(count)) for name, count in zip(names, counts, strict=True) if name and count]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def quantiles(values: NDArray[Any]) -> dict[str, float | None]:
    """p50 to p99.9, max and mean of nanoseconds but those that are NaN, in ms; each None without values."""
    names = [*QUANTILES, "max", "mean"]
    values = values[~np.isnan(values)]
    if not len(values):
        return dict.fromkeys(names)
    numbers = [*np.quantile(values, list(QUANTILES.values())), values.max(), values.mean()]
    return {name: float(number) / 1e6 for name, number in zip(names, numbers, strict=True)}
