"""What two versions did in the same windows, as pairs of counts for the test of odds. Pure.

Error rates are compared as they are. A latency quantile q is compared where the primary's own q quantile lies: what is asked is
whether a share 1 - q of the candidate's requests takes longer than that, lengthened by the margin. Which edge of the histogram that
is, and what share of the primary's requests lies above it, its *earlier* windows tell: a choice that foresees nothing keeps the
test valid. Between two edges, harm is read at the upper one and health at the lower one, and as the primary's share there is not
1 - q, the odds that are allowed are those of 1 - q to that share: a histogram can hide a difference, and never make one up.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fairway_steps.stats.columns import Buckets, Columns, at_least
from fairway_steps.stats.comparison import FARTHEST
from fairway_steps.stats.counts import Array

ROUNDING = 1e-9

FIRST, RECENT = 10, 200
"""The primary's quantile is told by its last requests: so many, and at least so many, of them above it."""

AT_ONCE = 4096
"""Windows taken at once: the histograms of all would be much to hold."""

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Pairs:
    """``x`` of the candidate's ``n`` requests and ``y`` of the primary's ``m`` are over their line, at ``allowed`` odds; one a window.

    ``rows`` says which windows those are, and ``lines`` the edge in seconds at which the primary's requests are read.
    """

    rows: Rows
    counts: tuple[Array, Array, Array, Array]
    allowed: Array
    lines: Array

    def some(self, which: Rows) -> "Pairs":
        x, n, y, m = (column[which] for column in self.counts)
        return Pairs(self.rows[which], (x, n, y, m), self.allowed[which], self.lines[which])

    def places(self, windows: Rows) -> Rows:
        """Which of them are of some windows."""
        return np.flatnonzero(np.isin(self.rows, windows))

    def within(self, windows: Rows) -> "Pairs":
        """Of some windows alone, by their place among them."""
        found = self.some(self.places(windows))
        return replace(found, rows=np.searchsorted(windows, found.rows))


@dataclass(frozen=True)
class Edges:
    """Edges of histograms, in seconds, and how many times the primary's odds above them are allowed; NaN for none."""

    at: Array
    allowed: Array

    @classmethod
    def none(cls, windows: int) -> "Edges":
        return cls(np.full(windows, np.nan), np.full(windows, np.nan))


def of_failures(own: Columns, other: Columns) -> Pairs:
    """Failed requests, window by window."""
    rows = np.arange(len(own.strata))
    return Pairs(
        rows, (own.errors, own.requests, other.errors, other.requests), np.ones(len(rows)), np.full(len(rows), np.nan)
    )


def of_quantile(
    own: Columns, other: Columns, looks: Sequence[int], quantile: float, margin: float
) -> tuple[Pairs, Pairs]:
    """Those slower than the primary's ``quantile``, the candidate's lengthened by ``margin``: for harm and for health.

    ``looks`` says of each window when it became known: only those known before it tell where it is read.
    """
    harm, health = quantile_edges(other, np.searchsorted(looks, looks), round(1 - quantile, 12))
    return _slower(own, other, harm, margin, harm=True), _slower(own, other, health, margin, harm=False)


def quantile_edges(
    columns: Columns, before: Rows, above: float, first: float = FIRST, recent: float = RECENT
) -> tuple[Edges, Edges]:
    """Where harm and where health is read: the edges around the point that a share ``above`` of the requests exceeds.

    As the latest of the first ``before`` windows tell, of all that have the same edges: with ``recent`` requests above it or a little
    more; with fewer than ``first`` they tell nothing.
    """
    harm, health = Edges.none(len(before)), Edges.none(len(before))
    timed = np.flatnonzero(columns.has_latency)
    if not timed.size:
        return harm, health
    which, place = np.empty((2, len(columns.strata)), dtype=np.intp)
    for index, some in enumerate(columns.buckets):
        which[some.rows], place[some.rows] = index, np.arange(len(some.rows))
    which, place = which[timed], place[timed]
    starts = np.concatenate(([0], np.flatnonzero(np.diff(which)) + 1))  # of runs with the same edges
    sizes = _running(columns.sizes[timed])
    ends = np.searchsorted(timed, before)
    last = np.maximum(ends - 1, 0)
    begins = np.maximum(
        starts[np.searchsorted(starts, last, "right") - 1],
        np.searchsorted(sizes, sizes[ends] - math.ceil(recent / above), "right") - 1,
    )
    requests = sizes[ends] - sizes[begins]
    errors = _running(columns.errors[timed])
    errors = errors[ends] - errors[begins]
    for index, some in enumerate(columns.buckets):
        known = np.flatnonzero((ends > 0) & (which[last] == index) & (requests >= first / above))
        totals = np.cumsum(np.vstack((np.zeros(len(some.edges)), some.counts)), axis=0)
        for start in range(0, known.size, AT_ONCE):
            now = known[start : start + AT_ONCE]
            counts = totals[place[last[now]] + 1] - totals[place[begins[now]]]
            _read(some, counts, requests[now], errors[now], above, (harm, health), now)
    return harm, health


def readable(own: Columns, other: Columns, quantile: float) -> float:
    """How many of the candidate's requests came once the primary's ``quantile`` was known, so that edges near it would tell something."""
    known = _running(other.sizes)[:-1] >= FIRST / round(1 - quantile, 12)
    return float(own.sizes[known].sum())


def _read(
    some: Buckets, counts: Array, requests: Array, errors: Array, above: float, into: tuple[Edges, Edges], rows: Rows
) -> None:
    timed = counts.sum(axis=1)
    counted = timed > 0
    counts, requests, errors, timed, rows = (array[counted] for array in (counts, requests, errors, timed, rows))
    longer = timed[:, None] - np.cumsum(counts, axis=1)
    most = np.minimum(1.0, (longer + errors[:, None]) / np.minimum(requests, timed + errors)[:, None])
    surely, whole = at_least(requests[:, None], errors[:, None], timed[:, None], longer)
    least = surely / whole
    upper = np.count_nonzero(most > above * (1 + ROUNDING), axis=1)
    lower = np.count_nonzero(least >= above * (1 - ROUNDING), axis=1) - 1
    for edges, shares, at in ((into[0], most, upper), (into[1], least, lower)):
        there = np.flatnonzero((at >= 0) & (at < len(some.edges)))
        _keep(edges, rows[there], np.array(some.edges)[at[there]], shares[there, at[there]], above)


def _keep(edges: Edges, rows: Rows, at: Array, share: Array, above: float) -> None:
    usable = np.isfinite(at) & (share > 0) & (share < 1)
    rows, at, share = rows[usable], at[usable], share[usable]
    allowed = above / (1 - above) / (share / (1 - share))
    near = (allowed >= 1 / FARTHEST) & (allowed <= FARTHEST)
    edges.at[rows[near]], edges.allowed[rows[near]] = at[near], allowed[near]


def _slower(own: Columns, other: Columns, edges: Edges, margin: float, *, harm: bool) -> Pairs:
    """How many of both took longer than the edges, the candidate's lengthened by the margin: harm reads in the candidate's favour."""
    told = own.has_latency | (own.errors > 0)
    rows = np.flatnonzero(told & other.has_latency & ~np.isnan(edges.at))
    mine = surely_or_perhaps(own, edges.at * (1 + margin), surely=harm)
    theirs = surely_or_perhaps(other, edges.at, surely=not harm)
    x, n, y, m = (column[rows] for column in (*mine, *theirs))
    return Pairs(rows, (x, n, y, m), edges.allowed[rows], edges.at[rows])


def surely_or_perhaps(columns: Columns, lines: Array | float, *, surely: bool) -> tuple[Array, Array]:
    """At least so many of at most so many, or at most so many of at least so many requests took longer; a failed request did."""
    least, most = columns.over(lines)
    fewest = np.minimum(columns.sizes, columns.timed + columns.errors)
    if surely:
        return at_least(columns.sizes, columns.errors, columns.timed, least)
    return np.minimum(fewest, most + columns.errors), fewest


def held(values: Array, looks: Sequence[int], begin: int, end: int) -> Array:
    """At each look from ``begin`` to before ``end`` the last of ``values``, which became known at ``looks``; 0 before the first."""
    known = np.searchsorted(looks, np.arange(begin, end), "right")
    return np.concatenate(([0.0], values))[known]


def _running(values: Array) -> Array:
    return np.concatenate(([0.0], np.cumsum(values)))
