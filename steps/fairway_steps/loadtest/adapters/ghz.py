"""ghz: the JSON of ``ghz -O json`` (every request, up to a million), or its histogram where the details were cut out.

Checked against ghz 0.121.0: ``runner/reporter.go`` and ``runner/stats_handler.go``. The timestamp of a request is the moment it ended;
latencies begin when the call does. A mark of the histogram counts what took at most that long and more than the mark before.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.files import SECOND, load_object, moment
from fairway_steps.loadtest.adapters.foreign import Bucket, Entry, Foreign, from_rows, rows_of
from fairway_steps.loadtest.client import CANCELLED
from fairway_steps.loadtest.grpc_codes import CODES

_CANCELLED = "Canceled"


def read(path: Path) -> Foreign:
    """Raises UsageError, ValueError or KeyError for a file that is not ghz's."""
    data = load_object(path)
    options = data.get("options") or {}
    constant = options.get("load-schedule", "const") == "const"
    rate = float(options.get("rps") or 0) or None
    details = data.get("details") or []
    count = int(data["count"])
    if not details:
        return _histogram(data, rate if constant else None)
    if len(details) < count:
        raise UsageError(
            f"{path} has {len(details):,} of ghz's {count:,} requests, and of the others no latency",
            mend="let ghz send at most a million requests a run",
        )
    entries = []
    for each in details:
        end, took = moment(each["timestamp"]), int(each["latency"])
        entries.append(Entry(end - took, end - took, end, _class(each), _number(each)))
    started, rows = rows_of(entries)
    return from_rows("ghz", started, rows, requested=rate if constant else None)


def _class(each: Mapping[str, Any]) -> str:
    status = str(each.get("status") or "")
    if not each.get("error") and status in ("", "OK"):
        return ""
    return _named(status or "Unknown")


def _number(each: Mapping[str, Any]) -> int:
    """The status as gRPC counts them."""
    name = _words(str(each.get("status") or "OK")).replace("canceled", "cancelled")
    return CODES.index(name) if name in CODES else 0


def _named(status: str) -> str:
    """``DeadlineExceeded`` as ``grpc-deadline-exceeded``; what ghz itself broke off at its end is no failure of anyone."""
    if status == _CANCELLED:
        return CANCELLED
    return f"grpc-{name if (name := _words(status)) in CODES else 'unknown'}"


def _words(status: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", status).lower()


def _histogram(data: Mapping[str, Any], rate: float | None) -> Foreign:
    marks = data.get("histogram") or []
    failures = {_named(code): int(n) for code, n in (data.get("statusCodeDistribution") or {}).items() if code != "OK"}
    count = int(data["count"])
    buckets, low = [], 0.0
    for mark in marks:
        buckets.append(Bucket(low, float(mark["mark"]), int(mark["count"])))
        low = float(mark["mark"])
    if buckets and sum(bucket.count for bucket in buckets) != count - sum(failures.values()):
        raise ValueError("its histogram does not count the successes")
    return Foreign(
        tool="ghz",
        started=(moment(data["date"]) - int(data["total"])) / SECOND,
        seconds=int(data["total"]) / SECOND,
        requests=count,
        failures=failures,
        requested_rate=rate,
        achieved_rate=float(data["rps"]),
        buckets=tuple(buckets),
        spent=int(data["average"]) / SECOND * count,
        reported={f"p{p['percentage']}": int(p["latency"]) / 1e6 for p in data.get("latencyDistribution") or [] if p},
        without="" if buckets else "it has neither details nor a histogram",
    ).held()
