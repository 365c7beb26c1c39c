"""A result for others: the strata of an assessment as JSON, and an HdrHistogram log."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from fairway_steps.loadtest.hdr import encoded
from fairway_steps.loadtest.result import Result
from fairway_steps.loadtest.streaming import Limit, broken, known, moved
from fairway_steps.outputs import replacing

SECOND = 1_000_000_000
LONGEST = 3600 * 1000 * 1000
"""Microseconds; what took longer counts as so long."""


def exceedances(result: Result, limits: Sequence[Limit]) -> list[dict[str, Any]]:
    """Counts by version and second of due moments: ``requests``, ``failed``, and ``over`` each limit (in ms, by name), ``moved`` as in the summary.

    Of requests that we cancelled only those count that are ``known`` to be slow.
    """
    broke, out, counted = broken(result, limits), moved(result, limits), known(result, limits)
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
                | ({"moved": int((rows & out).sum())} if (rows & out).any() else {})
            )
    return found


def write_exceedances(result: Result, limits: Sequence[Limit], path: Path) -> None:
    """Write them as a JSON object with why they are no evidence, if they are none. Raises DomainError."""
    told = {"client_limited": result.meta.client_limited, "strata": exceedances(result, limits)}
    with replacing(path) as file:
        file.write(json.dumps(told, indent=1).encode())


def write_hdr(result: Result, path: Path) -> None:
    """The response times of successes in microseconds, as a log of version 1.3 with V2 histograms. Raises DomainError.

    Each endpoint and version has an interval of its own, told apart by its ``Tag``, as soon as one of them has a name.
    """
    lines = [
        "#[Fairway load test: response times in microseconds, from the moment each request was due]",
        "#[Histogram log format version 1.3]",
        f"#[StartTime: {result.begun:.3f} (seconds since epoch)]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    lines += [f"{_tag(name)}{_interval(part, result.begun)}" for name, part in _parts(result)]
    with replacing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _parts(result: Result) -> Iterator[tuple[tuple[str, ...], Result]]:
    """What was sent to each endpoint and answered by each version, under their names; all of it if nothing has one."""
    meta = result.meta
    found = [
        (tuple(filter(None, (endpoint, version))), (result.endpoint == place) & (result.version == code))
        for place, endpoint in enumerate(meta.endpoint_names)
        for code, version in enumerate(meta.version_names)
    ]
    some = [(name, rows) for name, rows in found if rows.any()]
    yield from ((name, result.of(rows)) for name, rows in some) if some else [((), result)]


def _tag(name: Sequence[str]) -> str:
    """Without the commas, spaces and ends of lines that a tag must not have."""
    return f"Tag={'/'.join(quote(part, safe='') for part in name)}," if name else ""


def _interval(part: Result, start: float) -> str:
    microseconds = np.clip(part.response // 1000, 1, LONGEST)
    length = int(part.scheduled_ns.max() - part.scheduled_ns.min()) / 1e9 if len(part) else 0.0
    slowest = int(microseconds.max()) / 1000 if len(microseconds) else 0.0
    return f"{part.begun - start:.3f},{length:.3f},{slowest:.3f},{encoded(microseconds, LONGEST)}"
