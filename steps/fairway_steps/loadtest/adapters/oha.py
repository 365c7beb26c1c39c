"""oha: the JSON of ``oha --output-format json`` (a histogram of eleven buckets, counts of statuses and errors).

Checked against oha 1.16.0: ``src/printer.rs``, ``src/histogram.rs``, ``src/result_data.rs``. A bucket is named by its upper edge in
seconds. What oha calls a success is any answer; only with ``--stats-success-breakdown`` do 2xx have a histogram of their own. The file
says neither which rate was asked for nor whether latencies were corrected (``--latency-correction``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.files import begins_with, classify, http_class, load_object
from fairway_steps.loadtest.adapters.foreign import Bucket, Foreign
from fairway_steps.loadtest.client import CANCELLED

_DEADLINE = "aborted due to deadline"  # of oha's own -z: nobody's failure


def read(path: Path) -> Foreign:
    """Raises UsageError, ValueError or KeyError for a file that is not oha's."""
    if begins_with(path).startswith("request-start,"):
        raise UsageError(
            f"{path} is oha's CSV, which leaves out the requests without an answer", mend="use oha --output-format json"
        )
    return _report(load_object(path), path.stat().st_mtime)


def _report(data: Mapping[str, Any], written: float) -> Foreign:
    """``written`` is when the run ended."""
    summary, failures, answered = data["summary"], dict[str, int](), 0
    for status, count in data["statusCodeDistribution"].items():
        answered += int(count)
        if name := http_class(int(status)):
            failures[name] = failures.get(name, 0) + int(count)
    unwell = sum(failures.values())
    for message, count in data["errorDistribution"].items():
        name = CANCELLED if message == _DEADLINE else classify(message)
        failures[name] = failures.get(name, 0) + int(count)
    successes = answered - unwell
    histogram = data.get("responseTimeHistogramSuccessful") or (None if unwell else data["responseTimeHistogram"])
    percentiles = data.get("latencyPercentilesSuccessful") or ({} if unwell else data["latencyPercentiles"])
    buckets = _buckets(histogram or {})
    if buckets and sum(bucket.count for bucket in buckets) != successes:
        raise ValueError("its histogram does not count the successes")
    seconds = float(summary["total"])
    return Foreign(
        tool="oha",
        started=written - seconds,
        seconds=seconds,
        requests=answered + sum(failures.values()) - unwell,
        failures=failures,
        achieved_rate=float(summary["requestsPerSec"]),
        buckets=buckets,
        spent=0.0 if unwell else float(summary["average"] or 0.0) * successes,
        reported={name: float(value) * 1000 for name, value in percentiles.items() if value is not None},
        without="its histogram mixes in answers other than 2xx; use oha --stats-success-breakdown",
    ).held()


def _buckets(histogram: Mapping[str, int]) -> tuple[Bucket, ...]:
    given = sorted((float(edge), int(count)) for edge, count in histogram.items() if edge != "NaN")
    lows = [0.0, *(edge for edge, _ in given)]
    return tuple(Bucket(low, high, count) for low, (high, count) in zip(lows, given, strict=False))
