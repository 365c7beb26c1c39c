"""Whole counts, alone or one a stratum: how every test here takes its data, and the sentences for what cannot be."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = int | Sequence[int] | NDArray[Any]
"""One count, or one a stratum in the order of time."""

Array: TypeAlias = NDArray[np.float64]
"""Counts as floats: exact up to 2**53, and products of them do not wrap around."""


def whole(counts: Counts, name: str = "count") -> Array:
    """``counts`` as a flat array of whole numbers. Raises ValueError for what is negative, fractional or not a number."""
    try:
        array = np.atleast_1d(np.asarray(counts, dtype=np.float64)).ravel()
    except (TypeError, ValueError) as error:
        raise ValueError(f"a {name} is not a number: {counts!r}") from error
    bad = array[~((array >= 0) & (array == np.floor(array)) & np.isfinite(array))]
    if bad.size:
        raise ValueError(f"a {name} of {bad[0]:g} cannot be: counts are whole numbers from 0 on")
    return array


def rates(errors: Counts, n: Counts, what: str = "requests") -> tuple[Array, Array]:
    """Pairs of counts, one a stratum, with no more errors than requests. Raises ValueError."""
    errors, n = whole(errors, "number of errors"), whole(n, f"number of {what}")
    if errors.shape != n.shape:
        raise ValueError(f"{errors.size} numbers of errors do not fit {n.size} numbers of {what}")
    over = np.flatnonzero(errors > n)
    if over.size:
        raise ValueError(f"{errors[over[0]]:.0f} errors of {n[over[0]]:.0f} {what} cannot be")
    return errors, n


def running(start: float, steps: Array) -> Array:
    """``start`` plus the cumulative sums of ``steps``, added one after the other, so that any grouping gives the same bits."""
    return np.cumsum(np.concatenate(([start], steps)))[1:]
