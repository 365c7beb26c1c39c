"""k6: points as ``k6 run --out json=FILE`` or ``--out csv=FILE`` writes them (every request), or an end-of-test summary (counts only).

Checked against k6 0.57: ``http_req_duration`` (or ``grpc_req_duration``) is a point for each request at the moment it ended, in
milliseconds, without the time to connect; a request is as good as its tag ``expected_response`` says, else its status. Points of
``dropped_iterations`` are requests that k6 was to send and could not. The codes are https://grafana.com/docs/k6/latest/javascript-api/error-codes/.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.files import SECOND, begins_with, http_class, json_lines, load_object, moment
from fairway_steps.loadtest.adapters.foreign import Entry, Foreign, from_rows, rows_of
from fairway_steps.loadtest.grpc_codes import code_name

_METRICS = ("http_req_duration", "grpc_req_duration")
_DROPPED = "dropped_iterations"
_CLASSES = {
    "105": "timeout",
    "11": "dns",
    "12": "connect",
    "1220": "reset",
    "13": "tls",
    "16": "protocol",
    "17": "protocol",
}
_MILLION = 1_000_000


def read(path: Path) -> Foreign:
    """Raises UsageError, ValueError or KeyError for a file that is not k6's."""
    start = begins_with(path)
    if start.startswith("metric_name,"):
        points = _csv(path)
    elif '"type":"Metric"' in start or '"type":"Point"' in start:
        points = _json(path)
    else:
        return _summary(load_object(path), path.stat().st_mtime)
    entries, dropped = [], 0.0
    for name, end, value, tags in points:
        if name == _DROPPED:
            dropped += value
        else:
            took = round(value * _MILLION)
            entries.append(Entry(end - took, end - took, end, _class(name, tags), int(tags.get("status") or 0)))
    if not entries:
        raise UsageError(f"{path} has no {_METRICS[0]} and no {_METRICS[1]}: k6 sent not one request")
    started, rows = rows_of(entries)
    return replace(from_rows("k6", started, rows), limited=_limited(dropped))


def _json(path: Path) -> Iterator[tuple[str, int, float, Mapping[str, Any]]]:
    for line in json_lines(path):
        if line.get("type") == "Point" and line["metric"] in (*_METRICS, _DROPPED):
            data = line["data"]
            yield line["metric"], moment(data["time"]), float(data["value"]), data.get("tags") or {}


def _csv(path: Path) -> Iterator[tuple[str, int, float, Mapping[str, Any]]]:
    """Times are whole seconds here, unless k6 was told otherwise (K6_CSV_TIME_FORMAT)."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["metric_name"] in (*_METRICS, _DROPPED):
                yield row["metric_name"], _time(row["timestamp"]), float(row["metric_value"]), row


def _time(text: str) -> int:
    if not text.isdigit():
        return moment(text)
    number = int(text)
    for unit in (SECOND, _MILLION, 1000, 1):  # s, ms, µs, ns: by the size of today's number
        if number * unit < 10_000_000_000 * SECOND:
            return number * unit
    raise ValueError(f"{text} is no time")


def _class(metric: str, tags: Mapping[str, Any]) -> str:
    told = str(tags.get("status") or "")
    if not told:
        raise UsageError(
            f"k6 wrote {metric} without the status of each request, so failures cannot be told",
            mend="keep `status` among its --system-tags",
        )
    status = int(told)
    if metric.startswith("grpc"):
        return f"grpc-{code_name(status)}" if status else ""
    if status:
        expected = str(tags.get("expected_response") or "")
        return "" if expected == "true" else f"http-{status}" if expected else http_class(status)
    code = str(tags.get("error_code") or "")
    return next((name for prefix, name in sorted(_CLASSES.items(), reverse=True) if code.startswith(prefix)), "other")


def _limited(dropped: float) -> str:
    return f"k6 could not send {dropped:.0f} of the iterations it was to send (dropped_iterations)" if dropped else ""


def _summary(data: Mapping[str, Any], written: float) -> Foreign:
    """What ``--summary-export`` or ``handleSummary`` wrote: counts, and quantiles of all requests, failed ones included; ``written`` at its end."""
    metrics = {name: _values(each) for name, each in data["metrics"].items()}
    if "http_reqs" not in metrics:
        raise UsageError("a k6 summary without http_reqs tells nothing of requests", mend="use k6 run --out json=FILE")
    requests = int(metrics["http_reqs"]["count"])
    failed = int(metrics.get("http_req_failed", {}).get("passes", 0))  # a "pass" of this metric is a failed request
    duration = metrics["http_req_duration"]
    names = {
        "med": "p50",
        "p(90)": "p90",
        "p(95)": "p95",
        "p(99)": "p99",
        "p(99.9)": "p99.9",
        "max": "max",
        "avg": "mean",
    }
    rate = float(metrics["http_reqs"]["rate"])
    return Foreign(
        tool="k6",
        started=written - (requests / rate if rate else 0.0),
        seconds=requests / rate if rate else 0.0,
        requests=requests,
        failures={"other": failed} if failed else {},
        achieved_rate=rate,
        reported={} if failed else {ours: float(duration[t]) for t, ours in names.items() if t in duration},
        limited=_limited(float(metrics.get(_DROPPED, {}).get("count", 0))),
        without="a summary has quantiles, no counts; use k6 run --out json=FILE",
    )


def _values(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    """The older form has the numbers in the metric itself, the newer one under ``values``."""
    values: Mapping[str, Any] = metric.get("values", metric)
    return values
