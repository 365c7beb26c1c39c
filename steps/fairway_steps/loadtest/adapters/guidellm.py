"""guidellm: the JSON report of ``guidellm run`` (every request that was kept).

Checked against guidellm 0.8.1 (``info.timings``, report version 2) and the published schema of 0.3 (``scheduler_info``, ``start_time``).
Newer versions tell the moment each request was due, so that with an open-loop profile the response times are corrected. Requests
that were under way at the end (``incomplete``) are nobody's failures. A report of several benchmarks needs ``#benchmark=N``, from 1.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.files import SECOND, classify, load_object, status_of
from fairway_steps.loadtest.adapters.foreign import Entry, Foreign, from_rows, streamed_rows_of
from fairway_steps.loadtest.adapters.tokens import Told

_STATUS = re.compile(r"error '(\d{3})\b")
_OPEN_LOOP = ("constant", "poisson", "async", "replay")
_KINDS = {"successful": "", "errored": "other", "incomplete": "cancelled"}


def read(path: Path, number: int = 0) -> Foreign:
    """``number`` picks a benchmark, from 1; 0: the only one. Raises UsageError, ValueError or KeyError."""
    data = load_object(path)
    benchmarks = data["benchmarks"]
    if not number and len(benchmarks) != 1:
        raise UsageError(
            f"{path} has {len(benchmarks)} benchmarks", mend=f"name one, such as guidellm:{path}#benchmark=1"
        )
    if not 0 <= number <= len(benchmarks):
        raise UsageError(f"{path} has no benchmark {number}, only {len(benchmarks)}")
    benchmark = benchmarks[number - 1 if number else 0]
    kept = {kind: benchmark["requests"].get(kind) or [] for kind in _KINDS}
    _check_all_there(path, benchmark, {kind: len(each) for kind, each in kept.items()})
    strategy = _strategy(benchmark)
    due = strategy.get("type_") in _OPEN_LOOP
    found = [pair for kind, each in kept.items() for pair in _entries(each, kind, due=due)]
    started, rows, tokens = streamed_rows_of([entry for entry, _ in found], [told for _, told in found])
    corrected = due and any(begin != at for begin, at in zip(rows.scheduled, rows.sent, strict=True))
    rate = float(strategy["rate"]) if due and strategy.get("rate") else None
    version = (data.get("metadata") or {}).get("guidellm_version", "")
    return from_rows(f"guidellm {version}".strip(), started, rows, requested=rate, corrected=corrected, tokens=tokens)


def _entries(requests: list[dict[str, Any]], kind: str, *, due: bool) -> Iterator[tuple[Entry, Told | None]]:
    for request in requests:
        scheduled, begin, end = _times(request)
        if begin is None or end is None:
            if kind == "incomplete":
                continue  # never sent
            raise ValueError(f"a request of it, {request.get('request_id', '?')}, has no times")
        sent = round(begin * SECOND)
        first = min(round(scheduled * SECOND), sent) if due and scheduled is not None else sent
        error = _class(request, kind)
        yield Entry(first, sent, round(end * SECOND), error, status_of(error)), _told(request)


def _told(request: Mapping[str, Any]) -> Told | None:
    """Its tokens, and when the first and the last came if they were streamed; it does not keep the moments of those between."""
    times = (request.get("info") or {}).get("timings") or {}
    first = times.get("first_token_iteration") or request.get("first_token_time")
    last = times.get("last_token_iteration") or request.get("last_token_time")
    output, prompt = (int(request.get(name) or -1) for name in ("output_tokens", "prompt_tokens"))
    if not (first and last):
        return Told(output=output, prompt=prompt) if max(output, prompt) >= 0 else None
    return Told(round(first * SECOND), round(last * SECOND), output, prompt)


def _times(request: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    """When it was due, sent and answered, in Unix seconds."""
    info = request.get("info") or request.get("scheduler_info") or {}
    times = info.get("timings") or info.get("request_timings") or {}
    scheduled = times.get("targeted_start") or info.get("targeted_start_time")
    begin = (
        request.get("request_start_time")
        or times.get("request_start")
        or times.get("resolve_start")
        or request.get("start_time")
    )
    end = (
        request.get("request_end_time")
        or times.get("request_end")
        or times.get("resolve_end")
        or request.get("end_time")
    )
    return scheduled, begin, end


def _class(request: Mapping[str, Any], kind: str) -> str:
    if kind != "errored":
        return _KINDS[kind]
    message = str((request.get("info") or {}).get("error") or request.get("error") or "")
    status = _STATUS.search(message)
    return f"http-{status[1]}" if status else classify(message)


def _strategy(benchmark: Mapping[str, Any]) -> Mapping[str, Any]:
    for place in ("config", "args", "scheduler"):
        found = (benchmark.get(place) or {}).get("strategy")
        if isinstance(found, Mapping):
            return found
    return {}


def _check_all_there(path: Path, benchmark: Mapping[str, Any], kept: Mapping[str, int]) -> None:
    totals = (
        (benchmark.get("metrics") or {}).get("request_totals")
        or benchmark.get("run_stats", {}).get("requests_made")
        or {}
    )
    for kind in ("successful", "errored"):
        told = int(totals.get(kind) or 0)
        if told > kept[kind]:
            raise UsageError(
                f"{path} has {kept[kind]} of guidellm's {told} {kind} requests: it kept a sample",
                mend="let guidellm keep all requests",
            )
