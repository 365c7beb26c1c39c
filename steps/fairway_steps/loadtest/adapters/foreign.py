"""What another tool measured, in our terms, with marks for what it left out. Pure.

Two things most tools lack. *Correction*: their latencies begin when a request was sent, so that a request which waited
for its turn behind a stalled server is not charged for the wait ("coordinated omission": G. Tene, "How not to measure
latency", 2013). *Raw values*: a histogram tells how many requests took longer than one of its edges, and no more; between two
edges any number is a guess, and a verdict is never built on one.
"""

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.tokens import MEASURES, Tokens, Told, tokens_of
from fairway_steps.loadtest.client import CANCELLED
from fairway_steps.loadtest.lateness import many

SECOND = 1_000_000_000
RATE_KEPT = 0.95
"""Tools count their rate in ways of their own; one that is this far below the plan did not keep it."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """``count`` successes took more than ``low`` and at most ``high`` seconds."""

    low: float
    high: float
    count: int


class Entry(NamedTuple):
    """One request: Unix nanoseconds, the class of its error (empty: none), and the status of its answer, 0 where that is not told."""

    scheduled: int
    sent: int
    end: int
    error: str
    status: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """Every request, oldest first: nanoseconds since the start, its status, and the index of its error in ``errors`` (0: none).

    ``scheduled`` is ``sent`` where the tool does not tell the moment a request was due.
    """

    scheduled: "array[int]"
    sent: "array[int]"
    end: "array[int]"
    error: "array[int]"
    status: "array[int]"
    errors: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.end)

    @property
    def failures(self) -> dict[str, int]:
        counts = Counter(self.error)
        return {self.errors[code]: count for code, count in counts.most_common() if code}


@dataclass(frozen=True, slots=True)
class Foreign:
    """One run of another tool.

    ``requests`` includes the failed ones, which ``failures`` counts by class. Latencies are of successes alone:
    either ``rows`` (with ``tokens``, if answers were streamed and the tool tells) or ``buckets`` has them, or neither, and ``without`` is then the clause that says why. ``seconds``
    is how long the run took, ``spent`` the sum of the successes' latencies. ``requested_rate`` is None for a closed
    loop or where the file does not say. ``reported`` has the tool's own quantiles in ms. ``limited`` says why the
    client, not the service, shaped the numbers.
    """

    tool: str
    started: float
    seconds: float
    requests: int
    failures: Mapping[str, int]
    requested_rate: float | None = None
    achieved_rate: float | None = None
    corrected: bool = False
    rows: Rows | None = None
    tokens: Tokens | None = None
    buckets: tuple[Bucket, ...] = ()
    spent: float = 0.0
    reported: Mapping[str, float] = field(default_factory=dict)
    limited: str = ""
    without: str = ""

    @property
    def failed(self) -> int:
        """Failed requests; those the tool itself broke off at its end are nobody's failures."""
        return sum(count for name, count in self.failures.items() if name != CANCELLED)

    @property
    def successes(self) -> int:
        return self.requests - sum(self.failures.values())

    @property
    def exact(self) -> bool:
        """Whether every single latency is known."""
        return self.rows is not None

    def over(self, limit: float) -> int:
        """How many requests took longer than ``limit`` seconds; failed ones count as endless.

        Raises UsageError where the file cannot tell: within a bucket, or without latencies.
        """
        return self.failed + over(self, limit)

    def overdue(self, limits: Sequence[float]) -> frozenset[int]:
        """The rows that the tool itself broke off at its end, and that had taken longer than each of ``limits`` by then: they are slow."""
        if self.rows is None or not limits or CANCELLED not in self.rows.errors:
            return frozenset()
        code, edge = self.rows.errors.index(CANCELLED), round(max(limits) * SECOND)
        rows = enumerate(zip(self.rows.scheduled, self.rows.end, self.rows.error, strict=True))
        return frozenset(row for row, (due, end, error) in rows if error == code and end - due > edge)

    def over_tokens(self, metric: str, limit: float, overdue: frozenset[int] = frozenset()) -> int:
        """How many requests took longer than ``limit`` seconds by a measure of tokens; failed ones, and those without a token, did.

        Of those that the tool broke off the ``overdue`` count. Raises UsageError where the file does not tell.
        """
        if self.tokens is None or not self.tokens.timed or self.rows is None or metric not in MEASURES:
            raise UsageError(f"the file of {self.tool} does not tell {metric} of single requests")
        values = MEASURES[metric](self.tokens, self.rows.scheduled, self.rows.sent)
        edge = round(limit * SECOND)
        rows = enumerate(zip(self.rows.error, self.tokens.first, values, strict=True))
        slow = sum(
            1
            for row, (error, first, took) in rows
            if (not error or row in overdue) and (first < 0 or (took is not None and took > edge))
        )
        return self.failed + slow

    def held(self) -> "Foreign":
        """The same, ``limited`` if the rate fell short of the plan, or if many were broken off of which nobody knows how long they had waited."""
        wanted, got = self.requested_rate, self.achieved_rate
        cut = self.failures.get(CANCELLED, 0)
        if not self.limited and self.rows is None and many(cut, self.requests):
            return replace(
                self,
                limited=f"{self.tool} broke {cut} of {self.requests} requests off at its end, and how long they had waited the file "
                "does not tell; let it end by a number of requests",
            )
        if self.limited or not wanted or got is None or got >= RATE_KEPT * wanted:
            return self
        return replace(
            self,
            limited=f"{self.tool} sent {got:.4g} requests per second of the planned {wanted:.4g}, "
            "and what the others would have met is not known",
        )


def sound(run: Foreign) -> Foreign:
    """The same. Raises ValueError for figures that no run can have."""
    if min(run.requests, run.successes, *run.failures.values(), *(bucket.count for bucket in run.buckets)) < 0:
        raise ValueError("it counts fewer than no requests, or more failures than requests")
    if run.rows is not None and any(end < sent for sent, end in zip(run.rows.sent, run.rows.end, strict=True)):
        raise ValueError("a request of it ended before it was sent")
    if not all(map(math.isfinite, (run.started, run.seconds, run.spent))):
        raise ValueError("one of its times is no number")
    return run


def over(run: Foreign, limit: float) -> int:
    """How many successes took longer than ``limit`` seconds. Raises UsageError where the file cannot tell."""
    if run.rows is not None:
        edge = round(limit * SECOND)
        rows = zip(run.rows.scheduled, run.rows.end, run.rows.error, strict=True)
        return sum(1 for due, end, error in rows if not error and end - due > edge)
    if not run.successes:
        return 0
    if not run.buckets:
        raise UsageError(f"the file of {run.tool} has no latencies to hold against {_ms(limit)}: {run.without}")
    slow = 0
    for bucket in run.buckets:
        if bucket.count and _inside(bucket, limit):
            raise UsageError(
                f"{run.tool} kept no single latencies, and its bucket from {_ms(bucket.low)} to {_ms(bucket.high)} "
                f"({bucket.count} requests) lies across the limit of {_ms(limit)}",
                mend=f"use a limit on an edge, such as {_ms(bucket.low)} or {_ms(bucket.high)}",
            )
        slow += 0 if bucket.high <= limit or _same(bucket.high, limit) else bucket.count
    return slow


def edges(run: Foreign) -> tuple[float, ...]:
    """Seconds at which the buckets tell exact counts."""
    return tuple(sorted({edge for bucket in run.buckets for edge in (bucket.low, bucket.high) if math.isfinite(edge)}))


def cells(
    run: Foreign, limits: Sequence[float], judged: Sequence[float] = ()
) -> Iterator[tuple[float, float, int, dict[str, int], list[int], float]]:
    """Counts for assessment: start, end (s), requests, failures by class, successes between ``limits``, their seconds.

    With rows one cell for each second of scheduled time, else one for the run. ``limits`` rise; the last of the counts is
    of those above all. Requests that the tool itself cut off at its end (``cancelled``) are no one's failures, but slow if ``overdue`` by the
    limits that are ``judged``.
    """
    if run.rows is None:
        above = [over(run, limit) for limit in limits]
        counts = [upper - lower for upper, lower in zip([run.successes, *above], [*above, 0], strict=True)]
        failures = {name: count for name, count in run.failures.items() if name != CANCELLED}
        requests = run.successes + run.failed
        yield run.started, run.started + max(run.seconds, 1.0), requests, failures, counts, run.spent
        return
    bounds = [round(limit * SECOND) for limit in limits]
    found: dict[int, tuple[list[int], Counter[str]]] = {}
    seconds: Counter[int] = Counter()
    rows, overdue = run.rows, run.overdue(judged)
    for row, (due, end, error) in enumerate(zip(rows.scheduled, rows.end, rows.error, strict=True)):
        name = rows.errors[error]
        if name == CANCELLED and row not in overdue:
            continue
        second = due // SECOND
        between, failed = found.setdefault(second, ([0] * (len(bounds) + 1), Counter()))
        if error and name != CANCELLED:
            failed[name] += 1
        else:
            between[bisect_left(bounds, end - due)] += 1
            seconds[second] += end - due
    for second, (between, failed) in sorted(found.items()):
        at = run.started + second
        yield at, at + 1, sum(between) + sum(failed.values()), dict(failed), between, seconds[second] / SECOND


def rows_of(entries: Sequence[Entry]) -> tuple[float, Rows]:
    """Rows, and the Unix second of the first."""
    return streamed_rows_of(entries, [None] * len(entries))[:2]


def streamed_rows_of(entries: Sequence[Entry], told: Sequence[Told | None]) -> tuple[float, Rows, Tokens | None]:
    """The same, with what was told of the tokens of each."""
    order = sorted(range(len(entries)), key=entries.__getitem__)
    ordered = [entries[place] for place in order]
    start = ordered[0].scheduled if ordered else 0
    names = ("", *sorted({entry.error for entry in ordered} - {""}))
    codes = {name: code for code, name in enumerate(names)}
    due = array("q", (entry.scheduled - start for entry in ordered))
    sent = array("q", (entry.sent - start for entry in ordered))
    end = array("q", (entry.end - start for entry in ordered))
    error = array("H", (codes[entry.error] for entry in ordered))
    rows = Rows(due, sent, end, error, array("h", (entry.status for entry in ordered)), names)
    return start / SECOND, rows, tokens_of((told[place] for place in order), start)


def from_rows(
    tool: str,
    started: float,
    rows: Rows,
    *,
    requested: float | None = None,
    corrected: bool = False,
    tokens: Tokens | None = None,
) -> Foreign:
    """A run of which every request is known. Raises ValueError without any."""
    if not len(rows):
        raise ValueError("it has not one request")
    span = (max(rows.sent) - min(rows.sent)) / SECOND
    times = [end - due for due, end, error in zip(rows.scheduled, rows.end, rows.error, strict=True) if not error]
    return Foreign(
        tool=tool,
        started=started,
        seconds=max(rows.end) / SECOND,
        requests=len(rows),
        failures=rows.failures,
        requested_rate=requested,
        achieved_rate=(len(rows) - 1) / span if span > 0 else None,
        corrected=corrected,
        rows=rows,
        tokens=tokens,
        spent=sum(times) / SECOND,
    ).held()


def _inside(bucket: Bucket, limit: float) -> bool:
    return bucket.low < limit < bucket.high and not (_same(bucket.low, limit) or _same(bucket.high, limit))


def _same(value: float, limit: float) -> bool:
    """An edge that differs by rounding alone (0.018000000000000002) is the limit."""
    return math.isclose(value, limit, rel_tol=1e-9)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.6g} ms"
