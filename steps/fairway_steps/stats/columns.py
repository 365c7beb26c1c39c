"""The strata of one version as columns of numbers, so that what is asked of many of them is asked at once. Pure.

Whole counts as floats: exact up to 2**53, as everywhere in ``stats``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway_steps.model import Stratum
from fairway_steps.stats.counts import Array
from fairway_steps.stats.latency import SAME

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
NO_ROWS: Rows = np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class Buckets:
    """The histograms of those strata, ``rows``, that have the same edges: a row of counts each."""

    edges: tuple[float, ...]
    rows: Rows
    counts: Array

    @cached_property
    def above(self) -> Array:
        """How many lie above each edge; the first column is of all."""
        whole = np.zeros((len(self.rows), len(self.edges) + 1))
        np.cumsum(self.counts[:, ::-1], axis=1, out=whole[:, -2::-1])
        return whole

    def at(self, rows: Rows) -> "Buckets":
        """Of some rows alone, by their place among them."""
        place = np.searchsorted(rows, self.rows)
        kept = np.flatnonzero(rows[np.minimum(place, rows.size - 1)] == self.rows) if rows.size else NO_ROWS
        return Buckets(self.edges, place[kept], self.counts[kept])

    def around(self, line: float) -> tuple[int, int]:
        """The columns of ``above`` that tell surely, and perhaps, what took longer than ``line`` seconds."""
        edges = np.array(self.edges)
        with np.errstate(invalid="ignore"):
            same = np.flatnonzero(np.abs(edges - line) <= SAME * np.maximum(edges, abs(line)))
        if same.size and np.isfinite(edges[same[0]]):
            return int(same[0]) + 1, int(same[0]) + 1
        return int(np.searchsorted(edges, line, "right")) + 1, int(np.searchsorted(edges, line, "left"))


def _column(read: Callable[["Columns"], NDArray[Any]]) -> "cached_property[NDArray[Any]]":
    """One that is read of all strata once; some of them take it from there."""

    @wraps(read)
    def column(columns: "Columns") -> NDArray[Any]:
        whole = columns.whole
        return read(columns) if whole is None else getattr(whole, read.__name__)[columns.rows]

    return cached_property(column)


@dataclass(frozen=True)
class Columns:
    """Strata in their order, column by column; perhaps some ``rows`` of a ``whole``."""

    strata: Sequence[Stratum]
    whole: "Columns | None" = None
    rows: Rows = field(default_factory=lambda: NO_ROWS)

    def some(self, rows: Sequence[int] | Rows) -> "Columns":
        """Of rows that rise."""
        if len(rows) == len(self.strata):
            return self
        which = np.asarray(rows, dtype=np.intp)
        return Columns([self.strata[row] for row in which.tolist()], self, which)

    @_column
    def requests(self) -> Array:
        return np.array([stratum.requests for stratum in self.strata], dtype=np.float64)

    @_column
    def weights(self) -> Array:
        """Each one's share of the traffic, in percent."""
        return np.array([stratum.weight for stratum in self.strata], dtype=np.float64)

    def at(self, weight: int | None) -> Rows:
        """The rows of one stage; None: all."""
        return np.arange(len(self.strata)) if weight is None else np.flatnonzero(self.weights == weight)

    @_column
    def errors(self) -> Array:
        return np.array(
            [sum(some.values()) if (some := each.failures) else 0 for each in self.strata], dtype=np.float64
        )

    @_column
    def seconds(self) -> Array:
        """The sums of their latencies."""
        return np.array([stratum.seconds for stratum in self.strata], dtype=np.float64)

    @_column
    def has_latency(self) -> Mask:
        return np.array([stratum.latency is not None for stratum in self.strata], dtype=bool)

    @_column
    def timed(self) -> Array:
        """How many requests their histograms hold."""
        timed = np.zeros(len(self.strata))
        for some in self.buckets:
            timed[some.rows] = some.above[:, 0]
        return timed

    @cached_property
    def sizes(self) -> Array:
        """Their requests; where a source of its own tells latencies (``metrics.combined``) those it timed."""
        return self.requests if self.requests.all() else np.where(self.requests > 0, self.requests, self.timed)

    @cached_property
    def buckets(self) -> tuple[Buckets, ...]:
        if self.whole is not None:
            parts = [some.at(self.rows) for some in self.whole.buckets]
            return tuple(sorted((part for part in parts if part.rows.size), key=lambda part: int(part.rows[0])))
        found: dict[tuple[float, ...], tuple[list[int], list[tuple[int, ...]]]] = {}
        edges: tuple[float, ...] | None = None
        for row, stratum in enumerate(self.strata):
            if stratum.latency is None:
                continue
            if stratum.latency.edges != edges:
                edges = stratum.latency.edges
                rows, counts = found.setdefault(edges, ([], []))
            rows.append(row)
            counts.append(stratum.latency.counts)
        return tuple(Buckets(e, np.array(rows), _table(counts, len(e))) for e, (rows, counts) in found.items())

    def over(self, lines: Array | float) -> tuple[Array, Array]:
        """How many surely, and perhaps, took longer than a line in seconds; each stratum's own, or NaN for none."""
        surely, perhaps = np.zeros(len(self.strata)), np.zeros(len(self.strata))
        own = np.broadcast_to(lines, self.requests.shape)
        for some in self.buckets:
            at, which = np.unique(own[some.rows], return_inverse=True)
            columns = np.array([some.around(line) if np.isfinite(line) else (-1, -1) for line in at.tolist()])
            each = np.arange(len(some.rows))
            surely[some.rows] = some.above[each, columns[which, 0]]
            perhaps[some.rows] = some.above[each, columns[which, 1]]
        return surely, perhaps

    def squares(self, limit: float, most: float = math.inf) -> Array:
        """At most the sum of the squares of how far each timed request lies from ``limit`` seconds, if none takes longer than ``most``.

        Infinite where one did.
        """
        found = np.zeros(len(self.strata))
        for some in self.buckets:
            between = zip((0.0, *some.edges[:-1]), (min(edge, most) for edge in some.edges), strict=True)
            worst = np.array(
                [
                    max((edge - limit) ** 2, (below - limit) ** 2) if below < most else math.inf
                    for below, edge in between
                ]
            )
            with np.errstate(invalid="ignore"):
                each = np.where(some.counts > 0, some.counts * worst, 0.0)
            found[some.rows] = np.cumsum(each, axis=1)[:, -1]
        return found

    def error_rate(self, weights: Array) -> float:
        """The weighted share of requests that failed; 0 of none."""
        of, errors = total(np.array([self.requests, self.errors]).T * weights[:, None]).tolist()
        return errors / of if of else 0.0

    def weighted(self, weights: Array | float) -> tuple[float, float, float]:
        """The weighted sums of sizes, errors and timed requests."""
        requests, errors, timed = total((np.array([self.sizes, self.errors, self.timed]) * weights).T).tolist()
        return requests, errors, timed

    def histograms(self, weights: Array | float) -> dict[tuple[float, ...], list[float]]:
        """The weighted sums of buckets, by their edges."""
        each = np.broadcast_to(weights, self.sizes.shape)
        return {some.edges: total(some.counts * each[some.rows][:, None]).tolist() for some in self.buckets}

    def sums(self, limit: float | None) -> Array:
        """What adds up over strata, a row each: requests, errors, timed, and those surely and perhaps over ``limit`` seconds.

        Without a limit the last three are left out, as zeros.
        """
        none = np.zeros(len(self.strata))
        latencies = (none, none, none) if limit is None else (self.timed, *self.over(limit))
        return np.array([self.requests, self.errors, *latencies])

    @property
    def compared(self) -> Array:
        """The same of comparisons, and of those that differed."""
        counts = [[stratum.comparisons, stratum.differing] for stratum in self.strata]
        return np.vstack((np.array(counts, dtype=np.float64).reshape(-1, 2).T, np.zeros((3, len(counts)))))


def broken(sums: Array, *, share: bool) -> Array:
    """Of such sums, how many broke a limit on a ``share`` of requests or on their latency: ``least`` of ``of_most``, ``most`` of ``of_least``.

    A failed request is slower than any limit; whether the histogram holds it as well is not known.
    """
    requests, errors, timed, surely, perhaps = sums
    if share:
        return np.array([errors, requests, errors, requests])
    of_least = np.minimum(requests, timed + errors)
    return np.array([*at_least(requests, errors, timed, surely), np.minimum(of_least, perhaps + errors), of_least])


def at_least(requests: Array, errors: Array, timed: Array, surely: Array) -> tuple[Array, Array]:
    """How many surely broke a limit on latency, of how many; where more latencies are told than there were requests, the slow may be others'."""
    whole = np.where(requests > 0, requests, timed)
    return np.maximum(errors, surely - np.maximum(0.0, timed - whole)), whole


def _table(rows: Sequence[Sequence[int]], width: int) -> Array:
    return np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * width).reshape(len(rows), width)


def total(rows: Array) -> Array:
    """Their sum, one after the other, so that it has the same bits however many there are."""
    return np.cumsum(rows, axis=0)[-1] if len(rows) else np.zeros(rows.shape[1])
