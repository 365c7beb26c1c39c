"""A foreign run in the summary of our own load tests, with what it lacks said."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.loadtest.adapters.foreign import Foreign
from fairway_steps.loadtest.fitting import fitted, limit_name, shortened

_LONGEST = 40  # letters of what a file calls a tool, or a failure
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
NAMES = (*_QUANTILES, "max", "mean")


def summary(run: Foreign, limits: Sequence[float] = (), of_tokens: Sequence[tuple[str, float]] = ()) -> dict[str, Any]:
    """At most 1 kB of JSON. ``co_corrected`` is whether latencies count from the moment a request was due.

    What is not corrected is a service time; ``response_ms`` is then empty. ``quantiles`` are exact, or the tool's own or those of its
    buckets. ``of_tokens`` are limits on measures of tokens: the measure (``ttft``, ``ttft_sent``, ``tpot``) and seconds. What concerns tokens is
    there if the tool tells when they came; a TTFT counts from where a latency does. Raises UsageError for a limit that the file cannot tell the count of.
    """
    exact, overdue = run.exact, run.overdue(limits)
    measured = _exact(run) if exact else _reported(run)
    served = _exact(run, served=True) if run.corrected else measured
    values: dict[str, Any] = {
        "tool": run.tool[:_LONGEST],
        "co_corrected": run.corrected,
        "quantiles": "exact" if exact else "bucketed",
        "requests": run.requests,
        "requested_rate": _rounded(run.requested_rate),
        "achieved_rate": _rounded(run.achieved_rate),
        "client_limited": bool(run.limited),
        "errors": _errors(run.failures),
        "response_ms": measured if run.corrected else dict.fromkeys(NAMES),
        "service_ms": served,
        "slip_ms": dict.fromkeys(NAMES),
        "over_ms": {limit_name(limit): run.over(limit) + len(overdue) for limit in limits}
        | {limit_name(limit, metric): run.over_tokens(metric, limit, overdue) for metric, limit in of_tokens},
        "warm_up": 0,
        "started": round(run.started, 1),
    }
    values |= _tokens(run)
    if overdue:
        values["overdue"] = len(overdue)
    if run.limited:
        values["reason"] = shortened(run.limited, 160)
    return fitted(values)


def _errors(failures: Mapping[str, int]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, count in failures.items():
        found[name if len(name) <= _LONGEST else "other"] += count
    return dict(found)


def _tokens(run: Foreign) -> dict[str, Any]:
    if run.tokens is None or run.rows is None:
        return {}
    rows, tokens = run.rows, run.tokens
    fine = [not error for error in rows.error]
    ttft, tpot = (
        _quantiles([took for took, ok in zip(measured, fine, strict=True) if ok and took is not None])
        for measured in (tokens.ttft(rows.scheduled), tokens.tpot())
    )
    output = [n for n, ok in zip(tokens.output, fine, strict=True) if ok and n >= 0]
    found: dict[str, Any] = {"ttft_ms": ttft, "tpot_ms": tpot} if tokens.timed else {}
    if output:
        found["output_tokens"] = sum(output)
    if gaps := tokens.itl():
        found["itl_ms"] = _quantiles(gaps)
    if output and run.seconds > 0:
        found["tokens_per_s"] = _rounded(sum(output) / run.seconds)
    return found


def _exact(run: Foreign, *, served: bool = False) -> dict[str, float | None]:
    if run.rows is None:
        return dict.fromkeys(NAMES)
    starts = run.rows.sent if served else run.rows.scheduled
    return _quantiles(
        [end - at for at, end, error in zip(starts, run.rows.end, run.rows.error, strict=True) if not error]
    )


def _quantiles(values: Sequence[int]) -> dict[str, float | None]:
    times = sorted(values)
    if not times:
        return dict.fromkeys(NAMES)
    found: dict[str, float | None] = {name: _rounded(_r7(times, share) / 1e6) for name, share in _QUANTILES.items()}
    return found | {"max": _rounded(times[-1] / 1e6), "mean": _rounded(sum(times) / len(times) / 1e6)}


def _r7(ordered: Sequence[int], share: float) -> float:
    """Hyndman and Fan's definition 7, as our own results."""
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def _reported(run: Foreign) -> dict[str, float | None]:
    """The tool's own word, else what its buckets give."""
    found: dict[str, float | None] = {}
    for name in NAMES:
        number = run.reported.get(name)
        if number is None and name in _QUANTILES:
            seconds = _quantile(run, _QUANTILES[name])
            number = None if seconds is None else seconds * 1000
        found[name] = _rounded(number)
    if found["mean"] is None and run.spent and run.successes:
        found["mean"] = _rounded(run.spent / run.successes * 1000)
    if found["max"] is None and run.buckets and run.buckets[-1].high < math.inf:
        found["max"] = _rounded(max((b.high for b in run.buckets if b.count), default=math.nan) * 1000)
    return found


def _quantile(run: Foreign, share: float) -> float | None:
    """Seconds; the tool's own word, or linear within a bucket. None without data. For people only, never for a verdict."""
    total = sum(bucket.count for bucket in run.buckets)
    want, seen = share * total, 0
    for bucket in run.buckets:
        if bucket.count and seen + bucket.count >= want:
            part = (want - seen) / bucket.count
            return bucket.low if math.isinf(bucket.high) else bucket.low + part * (bucket.high - bucket.low)
        seen += bucket.count
    return None


def _rounded(number: float | None) -> float | None:
    """None, too, for what is no number: JSON has none of these."""
    return None if number is None or not math.isfinite(number) else round(float(f"{number:.5g}"), 3)
