"""fortio: the JSON of ``fortio load -json`` (buckets), or its access log (``-access-log-file``, every request).

Checked against fortio 1.57.3: ``periodic/periodic.go`` (RunnerResults) and ``stats/stats.go`` (Histogram.Export). Buckets
are open below and closed above; the first begins at the smallest value and the last ends at the largest. Versions before
1.39 mix the latencies of failed requests into the only histogram they write.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairway_steps.loadtest.adapters.files import SECOND, begins_with, json_lines, load_object, moment
from fairway_steps.loadtest.adapters.foreign import Bucket, Entry, Foreign, from_rows, rows_of

_EXACTLY = re.compile(r"exactly (\d+) calls")


def read(path: Path) -> Foreign:
    """Raises UsageError, ValueError or KeyError for a file that is not fortio's."""
    start = begins_with(path)
    if '"iter"' in start.partition("\n")[0]:
        return _access_log(path)
    return _report(load_object(path))


def _access_log(path: Path) -> Foreign:
    """One line a request: when it began (Unix ns), how long it took (s), whether it was well, and a code."""
    entries = []
    for line in json_lines(path):
        begin = int(line["timestamp"])
        took = round(float(line["latency"]) * SECOND)
        details = str(line.get("details", ""))
        error = "" if line["ok"] else _failure(details)
        entries.append(Entry(begin, begin, begin + took, error, int(details) if details.isdigit() else 0))
    started, rows = rows_of(entries)
    return from_rows("fortio", started, rows)


def _report(data: Mapping[str, Any]) -> Foreign:
    every, failed = data["DurationHistogram"], data.get("ErrorsDurationHistogram")
    codes = {name: int(count) for name, count in (data.get("RetCodes") or {}).items()}
    grpc = str(data["RunType"]).startswith("GRPC")
    failures: dict[str, int] = {}
    for code, count in codes.items():
        if name := _health(code) if grpc else _failure(code):
            failures[name] = failures.get(name, 0) + count
    total, errors = int(every["Count"]), sum(failures.values())
    buckets, without, spent = _successes(every, failed, errors)
    return Foreign(
        tool=f"fortio {data.get('Version', '')}".strip(),
        started=moment(data["StartTime"]) / SECOND,
        seconds=int(data["ActualDuration"]) / SECOND,
        requests=total,
        failures=failures,
        requested_rate=_requested(data, total),
        achieved_rate=float(data["ActualQPS"]),
        buckets=buckets,
        spent=spent,
        reported={} if errors else _percentiles(every),
        without=without,
    ).held()


def _successes(
    every: Mapping[str, Any], failed: Mapping[str, Any] | None, errors: int
) -> tuple[tuple[Bucket, ...], str, float]:
    if errors and failed is None:
        return (), "this version mixes the latencies of failed requests in; use 1.39 or later", 0.0
    buckets = [Bucket(float(b["Start"]), float(b["End"]), int(b["Count"])) for b in every.get("Data") or []]
    spent = float(every["Sum"])
    if failed is not None:
        spent -= float(failed["Sum"])
        for part in failed.get("Data") or []:
            low, high = float(part["Start"]), float(part["End"])
            middle = (low + high) / 2
            at = next((i for i, b in enumerate(buckets) if b.low <= middle <= b.high), None)
            if at is None:
                raise ValueError("it counts errors where it has no requests")
            left = buckets[at].count - int(part["Count"])
            if left < 0:
                raise ValueError("it counts more errors than requests between two latencies")
            buckets[at] = Bucket(buckets[at].low, buckets[at].high, left)
    if sum(b.count for b in buckets) != int(every["Count"]) - (int(failed["Count"]) if failed else 0):
        raise ValueError("its buckets do not add up")
    return tuple(buckets), "", max(0.0, spent)


def _requested(data: Mapping[str, Any], total: int) -> float | None:
    """The rate fortio set out for; with an exact number of calls each thread keeps its own pace, and one does the remainder."""
    try:
        rate = float(data["RequestedQPS"])
    except ValueError:
        return None  # "max": a closed loop
    match = _EXACTLY.match(str(data.get("RequestedDuration", "")))
    threads = int(data["NumThreads"])
    if match and total:
        most = total // threads + total % threads
        rate = min(rate, total / (most * threads / rate))
    return rate if math.isfinite(rate) and rate > 0 else None


def _health(state: str) -> str:
    """Of gRPC it counts the states of health, ``SERVING`` for a ping that was answered, and ``ERROR``."""
    return {"SERVING": "", "ERROR": "other"}.get(state, state.lower().replace("_", "-"))


def _failure(code: str) -> str:
    """Fortio calls all but 2xx and 418 failed; a code that is no status (-1) is a connection's or a timeout."""
    match = re.match(r"-?\d+", code)
    status = int(match[0]) if match else -1
    if status <= 0:
        return "connect"
    return "" if 200 <= status < 300 or status == 418 else f"http-{status}"


def _percentiles(every: Mapping[str, Any]) -> dict[str, float]:
    return {f"p{p['Percentile']:g}": float(p["Value"]) * 1000 for p in every.get("Percentiles") or []}
