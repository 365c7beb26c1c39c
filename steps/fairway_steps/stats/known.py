"""How many requests of each stratum are known by their latency, or by their user. Pure."""

from collections.abc import Sequence

import numpy as np

from fairway_steps.stats.columns import Columns, Mask
from fairway_steps.stats.counts import Array


def users(columns: Columns) -> Array:
    return np.array([stratum.users for stratum in columns.strata], dtype=np.float64)


def at_rows(values: Array, rows: Sequence[int], size: int) -> Array:
    """The values in their places among ``size``; 0 elsewhere."""
    found = np.zeros(size)
    found[list(rows)] = values
    return found


def timed(columns: Columns) -> Array:
    """Of how many of its successful requests each stratum tells the latency, or may a source of its own that told of the same time."""
    lacking = columns.requests - columns.errors
    known: Array = np.minimum(columns.timed, lacking)
    alone = (columns.requests == 0) & (columns.timed > 0)
    if alone.any():
        known += _lent(columns, lacking - known, alone)
    return known


def _lent(columns: Columns, lacking: Array, alone: Mask) -> Array:
    """How many latencies of strata that are of latencies ``alone`` may be of requests that ``lack`` one: the earliest first, each once."""
    given = np.zeros(len(lacking))
    lenders = [columns.strata[row] for row in np.flatnonzero(alone).tolist()]
    left, first = columns.timed[alone].tolist(), 0
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
