"""How many requests of each stratum are known by their latency, or by their user. Pure."""

from collections.abc import Sequence

import numpy as np

from fairway_steps.stats.columns import Columns, Mask
from fairway_steps.stats.counts import Array


def users(columns: Columns) -> Array:
    return np.array([stratum.users for stratum in columns.strata], dtype=np.float64)


def comparisons(columns: Columns) -> tuple[Array, Array]:
    """How many were made, and how many were to be made."""
    made = np.array([stratum.comparisons for stratum in columns.strata], dtype=np.float64)
    attempts = np.array([stratum.attempts for stratum in columns.strata], dtype=np.float64)
    return made, np.maximum(made, attempts)


def at_rows(values: Array, rows: Sequence[int], size: int) -> Array:
    """The values in their places among ``size``; 0 elsewhere."""
    found = np.zeros(size)
    found[list(rows)] = values
    return found


def timed(columns: Columns) -> Array:
    """Of how many of its successful requests each stratum tells the latency, or may a source of its own that told of the same time."""
    lacking = columns.requests - columns.errors
    known: Array = np.minimum(columns.timed, lacking)
    if alone(columns).any():
        known += _lent(columns, lacking - known)
    return known


def alone(columns: Columns) -> Mask:
    """Which strata tell latencies alone, those of a source of their own."""
    found: Mask = (columns.requests == 0) & (columns.timed > 0)
    return found


def _lent(columns: Columns, lacking: Array) -> Array:
    """How many latencies told alone may be of requests that are ``lacking`` one: the earliest first, each once."""
    given, lone = np.zeros(len(lacking)), alone(columns)
    lenders = [columns.strata[row] for row in np.flatnonzero(lone).tolist()]
    left, first = columns.timed[lone].tolist(), 0
    for row in np.flatnonzero(lacking > 0).tolist():
        own, need = columns.strata[row], float(lacking[row])
        while first < len(lenders) and lenders[first].end <= own.start and lenders[first].start < own.start:
            first += 1
        for place in range(first, len(lenders)):
            if not need or (lenders[place].start >= own.end and lenders[place].start > own.start):
                break
            if lenders[place].weight == own.weight:
                taken = min(left[place], need)
                left[place], need = left[place] - taken, need - taken
        given[row] = lacking[row] - need
    return given
