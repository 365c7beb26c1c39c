"""inference-perf: ``per_request_lifecycle_metrics.json`` (every request), or a ``stage_N_lifecycle_metrics.json`` (counts only).

Checked against inference-perf 0.7.0 (``reportgen/base.py``). The file of requests leaves out when each was due, so latencies count
from the sending; the files of the stages beside it tell the rates and how late requests were sent, and where those say that the
client fell behind, the run is evidence of nothing. Times are of a monotonic clock: the file's own time says when it ended.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.files import SECOND, classify, load_object, status_of
from fairway_steps.loadtest.adapters.foreign import RATE_KEPT, Entry, Foreign, from_rows, streamed_rows_of
from fairway_steps.loadtest.adapters.tokens import Told

PER_REQUEST = "per_request_lifecycle_metrics.json"
TOLERATED = 0.1
"""The share of the median latency by which the median request may be sent late."""
_STAGE = re.compile(r"stage_\d+_lifecycle_metrics\.json")
_HTTP = re.compile(r"HTTP Error (\d{3})")


def read(path: Path) -> Foreign:
    """A file, or the folder of a run. Raises UsageError, ValueError or KeyError for one that is not inference-perf's."""
    if path.is_dir():
        path /= PER_REQUEST
        if not path.exists():
            raise UsageError(
                f"{path.parent} has no {PER_REQUEST}", mend="set report.request_lifecycle.per_request in inference-perf"
            )
    if '"load_summary"' in path.read_text(encoding="utf-8")[:100_000]:
        return _stage(load_object(path), path.stat().st_mtime)
    requests = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(requests, list):
        raise ValueError("it is not a list of requests")  # noqa: TRY004 - it is the file that is wrong
    stages = [load_object(each) for each in sorted(path.parent.iterdir()) if _STAGE.fullmatch(each.name)]
    last = max(float(each["end_time"]) for each in requests) if requests else 0.0
    ended = path.stat().st_mtime
    entries, told = [], []
    for each in requests:
        begin, end = (round((float(each[name]) - last + ended) * SECOND) for name in ("start_time", "end_time"))
        error = _class(each.get("error"))
        entries.append(Entry(begin, begin, end, error, status_of(error)))
        told.append(_told(each.get("info") or {}, ended - last))
    started, rows, tokens = streamed_rows_of(entries, told)
    rates = {float(stage["load_summary"].get("requested_rate") or 0) for stage in stages}
    run = from_rows("inference-perf", started, rows, tokens=tokens)
    return replace(run, requested_rate=rates.pop() if len(rates) == 1 else None, limited=_late(stages))


def _told(info: Mapping[str, Any], shift: float) -> Told | None:
    """Its tokens (0.7: in ``response_metrics``, before that in ``info`` itself), and when they came if they were streamed."""
    found = info.get("response_metrics") or info
    moments = tuple(round((float(at) + shift) * SECOND) for at in found.get("output_token_times") or ())
    output, prompt = int(found.get("output_tokens") or len(moments) or -1), int(info.get("input_tokens") or -1)
    if not moments:
        return Told(output=output, prompt=prompt) if max(output, prompt) >= 0 else None
    return Told(moments[0], moments[-1], output, prompt, moments)


def _class(error: Mapping[str, Any] | None) -> str:
    if not error:
        return ""
    kind = str(error.get("error_type", ""))
    status = _HTTP.search(kind)
    return f"http-{status[1]}" if status else classify(f"{kind} {error.get('error_msg', '')}")


def _late(stages: list[dict[str, Any]]) -> str:
    """Why the client shaped the numbers of one of the stages, or nothing."""
    for stage in stages:
        load = stage["load_summary"]
        wanted, got = load.get("requested_rate"), load.get("achieved_rate")
        if wanted and got is not None and got < RATE_KEPT * wanted:
            return f"inference-perf sent {got:.4g} requests per second of the planned {wanted:.4g}"
        delay = (load.get("schedule_delay") or {}).get("median") or 0.0
        latency = ((stage["successes"].get("latency") or {}).get("request_latency") or {}).get("median") or 0.0
        if latency and delay > TOLERATED * latency:
            return (
                f"inference-perf sent half of the requests more than {delay:.3g} s late, which its latencies leave out"
            )
    return ""


def _stage(data: Mapping[str, Any], written: float) -> Foreign:
    load, wins, losses = data["load_summary"], data["successes"], data["failures"]
    failed = int(losses["count"])
    latency = (wins.get("latency") or {}).get("request_latency") or {}
    seconds = float(data.get("benchmark_time_seconds") or load.get("send_duration") or 0.0)
    names = {"median": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p99.9": "p99.9", "max": "max", "mean": "mean"}
    return Foreign(
        tool="inference-perf",
        started=written - seconds,
        seconds=seconds,
        requests=int(wins["count"]) + failed,
        failures={"other": failed} if failed else {},
        requested_rate=load.get("requested_rate"),
        achieved_rate=load.get("achieved_rate"),
        reported={ours: float(latency[theirs]) * 1000 for theirs, ours in names.items() if theirs in latency},
        limited=_late([dict(data)]),
        without=f"a stage's summary has quantiles, no counts; use {PER_REQUEST}",
    ).held()
