"""ghz: the JSON of ``ghz -O json`` (every request, up to a million), or its histogram where the details were cut out.

Checked against ghz 0.121.0: ``runner/reporter.go`` and ``runner/stats_handler.go``. The timestamp of a request is the moment it ended;
latencies begin when the call does. A mark of the histogram counts what took at most that long and more than the mark before.
A run that ends by its time (``-z``) or by a signal closes its connections, and what was under way, one call a worker, fails by that.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.files import SECOND, load_object, moment
from fairway_steps.loadtest.adapters.foreign import Bucket, Entry, Foreign, from_rows, rows_of
from fairway_steps.loadtest.client import CANCELLED
from fairway_steps.loadtest.grpc_codes import CODES

_CLOSED = re.compile(
    r"rpc error: code = (\w+) desc = (?:error reading from server: .*: use of closed network connection"
    r"|grpc: the client connection is closing)"
)
_CUT = "rpc error: code = Canceled desc = context canceled"


def read(path: Path) -> Foreign:
    """Raises UsageError, ValueError or KeyError for a file that is not ghz's."""
    data = load_object(path)
    options = data.get("options") or {}
    constant = options.get("load-schedule", "const") == "const"
    rate = float(options.get("rps") or 0) or None
    details = data.get("details") or []
    count = int(data["count"])
    errors = {message: int(n) for message, n in (data.get("errorDistribution") or {}).items()}
    own = _own(data, options, errors)
    limited = (
        f"ghz, or the server, broke {errors[_CUT]} calls off, and which of the two the file does not tell"
        if errors.get(_CUT)
        else ""
    )
    if not details:
        run = _histogram(data, own, rate if constant else None)
        return replace(run, limited=limited or run.limited)
    if len(details) < count:
        raise UsageError(
            f"{path} has {len(details):,} of ghz's {count:,} requests, and of the others no latency",
            mend="let ghz send at most a million requests a run",
        )
    entries = []
    for each in details:
        end, took = moment(each["timestamp"]), int(each["latency"])
        entries.append(Entry(end - took, end - took, end, _class(each, own), _number(each)))
    started, rows = rows_of(entries)
    run = from_rows("ghz", started, rows, requested=rate if constant else None)
    return replace(run, limited=limited or run.limited)


def _own(data: Mapping[str, Any], options: Mapping[str, Any], errors: Mapping[str, int]) -> dict[str, int]:
    """The messages of what ghz itself broke off at its end, and how many there are of each."""
    own = {message: n for message, n in errors.items() if _CLOSED.fullmatch(message)}
    workers = max(int(options.get(name) or 0) for name in ("concurrency", "concurrency-start", "concurrency-end"))
    return own if data.get("endReason") in ("timeout", "cancel") and sum(own.values()) <= workers else {}


def _class(each: Mapping[str, Any], own: Mapping[str, int]) -> str:
    if each.get("error") in own:
        return CANCELLED
    status = str(each.get("status") or "")
    if not each.get("error") and status in ("", "OK"):
        return ""
    return _named(status or "Unknown")


def _number(each: Mapping[str, Any]) -> int:
    """The status as gRPC counts them."""
    name = _words(str(each.get("status") or "OK"))
    return CODES.index(name) if name in CODES else 0


def _named(status: str) -> str:
    """``DeadlineExceeded`` as ``grpc-deadline-exceeded``."""
    return f"grpc-{name if (name := _words(status)) in CODES else 'unknown'}"


def _words(status: str) -> str:
    """As gRPC writes it, who cancels with two l's."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", status).lower().replace("canceled", "cancelled")


def _histogram(data: Mapping[str, Any], own: Mapping[str, int], rate: float | None) -> Foreign:
    marks = data.get("histogram") or []
    codes = Counter({code: int(n) for code, n in (data.get("statusCodeDistribution") or {}).items() if code != "OK"})
    for message, n in own.items():
        codes[_CLOSED.sub(r"\1", message)] -= n
    failures = {_named(code): n for code, n in codes.items() if n} | ({CANCELLED: sum(own.values())} if own else {})
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
        spent=0.0 if failures else int(data["average"]) / SECOND * count,  # its average is of failed calls, too
        reported={f"p{p['percentage']}": int(p["latency"]) / 1e6 for p in data.get("latencyDistribution") or [] if p},
        without="" if buckets else "it has neither details nor a histogram",
    ).held()
