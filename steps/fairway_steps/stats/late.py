"""Harm that begins late: a mixture of e-processes, the first over all looks, each later one from a change of weights on.

What went well for hours must not outweigh what only a higher weight brings (``model.LATE``). The weights are fixed before the first request.
"""

import math
from collections.abc import Sequence

import numpy as np

from fairway_steps.model import LATE
from fairway_steps.stats.counts import Array


def mixed(paths: Sequence[Array]) -> list[float]:
    """Ln of the mixture at each look, from ln of the e-values of each process since its beginning; all end at the same look.

    A process that has not begun is at 0, and so is what is kept back for changes that have not come.
    """
    looks = max(map(len, paths))
    weights = [math.log1p(-LATE), *(math.log(LATE) - k * math.log(2) for k in range(1, len(paths)))]
    rows = np.empty((len(paths) + 1, looks))
    rows[0] = math.log(LATE) - (len(paths) - 1) * math.log(2)
    for row, weight, path in zip(rows[1:], weights, paths, strict=True):
        row[: looks - len(path)] = weight
        row[looks - len(path) :] = weight + path
    return log_sums(rows)


def silent(looks: int) -> Array:
    """Of what tells nothing at any look."""
    return np.zeros(looks)


def mean_of(paths: Sequence[Array]) -> Array:
    """Ln of the mean of e-processes at each look."""
    return np.array(log_sums(np.array(paths))) - math.log(len(paths))


def log_sums(rows: Array) -> list[float]:
    """Ln of the sum of each column of what is given as logarithms.

    By the sums, powers and logarithms of ``math``: they give the same bits in any company.
    """
    top = rows.max(axis=0)
    with np.errstate(invalid="ignore"):
        away = np.where(np.isinf(top), 0.0, rows - top)
    parts = [map(math.exp, row) for row in away.tolist()]
    logs = map(math.log, map(math.fsum, zip(*parts, strict=True)))
    return [high if math.isinf(high) else high + log for high, log in zip(top.tolist(), logs, strict=True)]
