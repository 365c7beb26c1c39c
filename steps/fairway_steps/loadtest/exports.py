"""A result for others: the strata of an assessment as JSON, and an HdrHistogram log."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairway_steps.errors import DomainError
from fairway_steps.loadtest.hdr import encoded
from fairway_steps.loadtest.result import Result
from fairway_steps.loadtest.streaming import Limit, exceeded, known

SECOND = 1_000_000_000
LONGEST = 3600 * 1000 * 1000
"""Microseconds; what took longer counts as so long."""


def exceedances(result: Result, limits: Sequence[Limit]) -> list[dict[str, Any]]:
    """Counts by version and second of due moments: ``requests``, ``failed``, and ``over`` each limit (in ms, by name).

    Of requests that we cancelled only those count that are ``known`` to be slow.
    """
    broke = {limit.name: exceeded(result, limit) for limit in limits}
    counted = known(result, limits)
    seconds = result.scheduled_ns // SECOND
    found = []
    for second in np.unique(seconds):
        for code, name in enumerate(result.meta.version_names):
            rows = (seconds == second) & (result.version == code) & counted
            if not rows.any():
                continue
            found.append(
                {
                    "version": name,
                    "start": result.meta.started + int(second),
                    "seconds": 1,
                    "requests": int(rows.sum()),
                    "failed": int((rows & ~result.ok & result.counted).sum()),
                    "over": {limit: int((rows & over).sum()) for limit, over in broke.items()},
                }
            )
    return found


def write_exceedances(result: Result, limits: Sequence[Limit], path: Path) -> None:
    """Write them as a JSON object with why they are no evidence, if they are none. Raises DomainError."""
    told = {"client_limited": result.meta.client_limited, "strata": exceedances(result, limits)}
    _write(path, json.dumps(told, indent=1).encode())


def write_hdr(result: Result, path: Path) -> None:
    """The response times of successes in microseconds, as one interval of a log of version 1.3 with a V2 histogram. Raises DomainError."""
    microseconds = np.clip(result.response // 1000, 1, LONGEST)
    length = int(result.scheduled_ns.max() - result.scheduled_ns.min()) / 1e9 if len(result) else 0.0
    slowest = int(microseconds.max()) / 1000 if len(microseconds) else 0.0
    lines = [
        "#[Fairway load test: response times in microseconds, from the moment each request was due]",
        "#[Histogram log format version 1.3]",
        f"#[StartTime: {result.meta.started:.3f} (seconds since epoch)]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
        f"0.000,{length:.3f},{slowest:.3f},{encoded(microseconds, LONGEST)}",
    ]
    _write(path, ("\n".join(lines) + "\n").encode())


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise DomainError(f"{path} cannot be written: {error.strerror}") from error
