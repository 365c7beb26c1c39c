"""vegeta: results as ``vegeta encode`` writes them (JSON or CSV: every request), or ``vegeta report -type json`` (buckets if asked for).

Checked against vegeta 12.13: ``lib/results.go``, ``lib/metrics.go``, ``lib/histogram.go``. Latencies begin when the request is sent, and
the report's are those of all requests, failed ones included. A bucket is named by its lower edge in nanoseconds.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairway_steps.loadtest.adapters.files import (
    SECOND,
    begins_with,
    classify,
    http_class,
    json_lines,
    load_object,
    moment,
)
from fairway_steps.loadtest.adapters.foreign import Bucket, Entry, Foreign, from_rows, rows_of

_CSV_FIELDS = 6  # timestamp, code, latency, bytes out, bytes in, error, …


def read(path: Path) -> Foreign:
    """Raises UsageError, ValueError or KeyError for a file that is not vegeta's."""
    start = begins_with(path)
    if '"latencies"' in start:
        return _report(load_object(path))
    if start.startswith("\x0e") or "\x00" in start[:64] or "\ufffd" in start[:64]:
        raise ValueError("it is in vegeta's binary form; write it with `vegeta encode`")
    entries = [_entry(*each) for each in (_json(path) if start.startswith("{") else _csv(path))]
    started, rows = rows_of(entries)
    return from_rows("vegeta", started, rows)


def _entry(begin: int, took: int, status: int, error: str) -> Entry:
    name = http_class(status) if status else ""
    if not name and (error or not status):  # the head of an answer may be fine, and its body break off
        name = classify(error)
    return Entry(begin, begin, begin + took, name, status)


def _json(path: Path) -> Iterator[tuple[int, int, int, str]]:
    for line in json_lines(path):
        yield moment(line["timestamp"]), int(line["latency"]), int(line["code"]), str(line.get("error", ""))


def _csv(path: Path) -> Iterator[tuple[int, int, int, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if len(row) < _CSV_FIELDS:
                raise ValueError(f"line {number} has {len(row)} fields")
            yield int(row[0]), int(row[2]), int(row[1]), row[5]


def _report(data: Mapping[str, Any]) -> Foreign:
    failures: dict[str, int] = {}
    for code, count in data["status_codes"].items():
        name = http_class(int(code)) if int(code) else "other"
        if name:
            failures[name] = failures.get(name, 0) + int(count)
    failed, requests = sum(failures.values()), int(data["requests"])
    given = sorted((int(edge) / SECOND, int(count)) for edge, count in (data.get("buckets") or {}).items())
    edges = [*(edge for edge, _ in given), float("inf")]
    buckets = tuple(Bucket(edges[i], edges[i + 1], count) for i, (_, count) in enumerate(given))
    without = "" if buckets else "a report has quantiles; use `vegeta encode`, or `vegeta report -type json -buckets`"
    if failed and buckets:
        buckets, without = (), "its buckets mix in the failed requests; use `vegeta encode`"
    latencies = data["latencies"]
    names = {"50th": "p50", "90th": "p90", "95th": "p95", "99th": "p99", "max": "max", "mean": "mean"}
    return Foreign(
        tool="vegeta",
        started=moment(data["earliest"]) / SECOND,
        seconds=(int(data["duration"]) + int(data["wait"])) / SECOND,
        requests=requests,
        failures=failures,
        achieved_rate=float(data["rate"]),
        buckets=buckets,
        spent=0.0 if failed else int(latencies["total"]) / SECOND,
        reported={} if failed else {ours: int(latencies[t]) / 1e6 for t, ours in names.items() if t in latencies},
        without=without,
    )
