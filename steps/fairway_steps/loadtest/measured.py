"""From the records of a run to its result: the shares of all processes put together, the warm-up left out.

The client is the limit if it sent at less than 99 % of the planned rate, if it used more than 80 % of its core, or if
more than 1 % of the requests were sent, or their answers read, later than 1 ms or 2 % of the time that the median request took, whichever is more. So that one
hiccup of a busy machine is not taken for that, a run may end 0.1 s late and two requests of any run may be late; and
where limits are known, lateness matters only if it alone brought a request over one of them (it brings none under). A timeout that
was noticed late, or one of a request sent so late that the server did not have the whole of it, which counts from the due moment,
is no one's failure but the client's: such requests are as good as cancelled, and too many of them are no evidence.

Where requests waited for a connection because the server left most of those that were sent without an answer, it is the server
that shaped the numbers: those that were sent in time are the evidence, and the others are as good as cancelled.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway_steps.loadtest.client import CANCELLED, TIMEOUT
from fairway_steps.loadtest.lateness import SLIP_SHARE, many, outweighs
from fairway_steps.loadtest.plan import SECOND, Closed
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.result import (
    COLUMNS,
    EVENT_COLUMNS,
    STREAM_COLUMNS,
    UNKNOWN,
    Meta,
    Result,
    Streams,
    rate_of,
)
from fairway_steps.loadtest.streaming import Limit, moved

RATE_KEPT = 0.99
SLIP_FLOOR = 1e6  # ns
HICCUP = 100e6  # ns by which any run may end late
CPU_SHARE = 0.8


def measured(
    shares: Sequence[Records], *, limits: Sequence[float] | None = None, version: str = "", decided: str = ""
) -> Result:
    """The requests of a run that count; ``shares`` are the records of its processes, in their order.

    ``limits`` (seconds) are those the result will be held against, None if that is not known. Requests whose answer names no version belong to
    ``version``, if the endpoint is one's.
    """
    errors, versions = _names(shares, version)
    whole = _merged([_share(records, errors, versions, version) for records in shares], shares)
    closed = isinstance(shares[0].plan, Closed)
    warm_up = _warm_up(shares, whole.scheduled_ns)
    rates = [records.plan.rate for records in shares]
    meta = Meta(
        started=shares[0].started,
        rate=None if closed else sum(rate or 0.0 for rate in rates),
        error_names=tuple(errors),
        version_names=tuple(versions),
        warm_up=warm_up,
        cpu=round(max(records.cpu for records in shares), 4),
        backlog=sum(records.backlog for records in shares),
        connections=sum(records.connections for records in shares),
        workers=len(shares),
        stopped=any(records.stopped for records in shares),
        closed_loop=closed,
        decided=decided,
    )
    result = replace(whole.of(slice(warm_up, None)), meta=meta)
    waited = _kept_waiting(result)
    result = _given_up(result, _shortened(result) if waited is None else _shortened(result) & ~waited)
    judged = result if waited is None else result.of(~waited)
    late = _lateness(judged)
    matters = limits is None or moved(judged, [Limit(limit) for limit in limits]).any()
    limited = _exhausted(shares) or _shortfall(judged) or _held_up(judged) or (late if matters else "")
    if waited is not None and not limited:
        result = _given_up(result, waited)
        result = replace(result, meta=replace(result.meta, unsent=int(waited.sum())))
    return replace(result, meta=replace(result.meta, client_limited=limited, late=late))


def _kept_waiting(result: Result) -> NDArray[np.bool_] | None:
    """Which requests a server kept from being sent in time by leaving most of the others without an answer; None: it did not."""
    if result.meta.closed_loop or not result.meta.backlog:
        return None
    late = result.sent_ns - result.scheduled_ns > _tolerated(result)
    waited = late | (result.sent_ns < 0)
    hung, ended = ~waited & result.failed(TIMEOUT), ~waited & result.counted
    return waited if waited.any() and 2 * np.count_nonzero(hung) > np.count_nonzero(ended) else None


def _shortened(result: Result) -> NDArray[np.bool_]:
    """The timeouts of requests that were sent too late for the server to have the whole of it."""
    slip, took = result.sent_ns - result.scheduled_ns, result.end_ns - result.scheduled_ns
    return result.failed(TIMEOUT) & (slip > SLIP_SHARE * took)


def _given_up(result: Result, rows: NDArray[np.bool_]) -> Result:
    """The ``rows`` as if they had been cancelled on the spot."""
    if not rows.any():
        return result
    names = result.meta.error_names
    names = names if CANCELLED in names else (*names, CANCELLED)
    error, end = result.error.copy(), result.end_ns.copy()
    error[rows], end[rows] = names.index(CANCELLED), UNKNOWN
    return replace(result, error=error, end_ns=end, meta=replace(result.meta, error_names=names))


def combined(results: Mapping[str, Result]) -> Result:
    """One result of several endpoints that were loaded at the same time, by their names; rows by their moments."""
    if len(results) == 1:
        ((name, only),) = results.items()
        return replace(only, meta=replace(only.meta, endpoint_names=(name,)))
    metas = [result.meta for result in results.values()]
    errors = list(dict.fromkeys(name for meta in metas for name in meta.error_names))
    versions = list(dict.fromkeys(name for meta in metas for name in meta.version_names))
    parts = []
    for number, result in enumerate(results.values()):
        recode = {"error": (result.meta.error_names, errors), "version": (result.meta.version_names, versions)}
        codes = {
            name: np.array([into.index(one) for one in names], np.uint16)[getattr(result, name)]
            for name, (names, into) in recode.items()
        }
        parts.append(replace(result, **codes, endpoint=np.full(len(result), number, np.uint8)))
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    limited = [
        f"{name}: {result.meta.client_limited}" for name, result in results.items() if result.meta.client_limited
    ]
    meta = replace(
        metas[0],
        rate=None if any(meta.closed_loop for meta in metas) else sum(meta.rate or 0.0 for meta in metas),
        error_names=tuple(errors),
        version_names=tuple(versions),
        endpoint_names=tuple(results),
        warm_up=sum(meta.warm_up for meta in metas),
        cpu=max(meta.cpu for meta in metas),
        backlog=sum(meta.backlog for meta in metas),
        connections=sum(meta.connections for meta in metas),
        stopped=any(meta.stopped for meta in metas),
        closed_loop=any(meta.closed_loop for meta in metas),
        unsent=sum(meta.unsent for meta in metas),
        client_limited="; ".join(limited),
        late="; ".join(f"{name}: {result.meta.late}" for name, result in results.items() if result.meta.late),
    )
    whole = Result(**columns, meta=meta, streams=_joined([part.streams for part in parts]))
    return whole.of(np.argsort(whole.scheduled_ns, kind="stable"))


def _names(shares: Sequence[Records], version: str) -> tuple[list[str], list[str]]:
    used = [outcome for records in shares for outcome in records.outcomes]
    errors = dict.fromkeys(["", *(outcome.error for outcome in used)])
    versions = dict.fromkeys(["", version, *(outcome.version for outcome in used)])
    counts = [
        np.bincount(np.asarray(records.outcome, np.uint16), minlength=len(records.outcomes)) for records in shares
    ]
    met = {o.error for r, n in zip(shares, counts, strict=True) for o, k in zip(r.outcomes, n, strict=True) if k}
    return [name for name in errors if not name or name in met], list(versions)


def _share(records: Records, errors: Sequence[str], versions: Sequence[str], version: str) -> dict[str, Any]:
    """The columns of one process, of the requests that it tried."""
    due = slice(0, records.due)
    scheduled = np.asarray(records.offsets, np.int64)[due]
    slip, took = _whole(records.slip)[due], _whole(records.took)[due]
    sent = scheduled + slip
    sent[slip < 0] = UNKNOWN
    codes = np.asarray(records.outcome, np.uint16)[due]
    outcomes = list(records.outcomes)
    table = {
        "status": [outcome.status for outcome in outcomes],
        "error": [errors.index(outcome.error) if outcome.error in errors else 0 for outcome in outcomes],
        "version": [versions.index(outcome.version or version) for outcome in outcomes],
        "upstream": [outcome.upstream for outcome in outcomes],
    }
    columns = {name: np.array(values, COLUMNS[name])[codes] for name, values in table.items()}
    # Single precision may put an end before its sending by less than a microsecond.
    end = scheduled + took
    np.maximum(end, sent, out=end)
    end[took < 0] = UNKNOWN
    columns |= {"scheduled_ns": scheduled, "sent_ns": sent, "end_ns": end, "endpoint": np.zeros(len(codes), np.uint8)}
    columns["held_ns"] = held = _held(records, sent, np.where(columns["error"] == 0, end, UNKNOWN))
    for index, wait in records.waits.items():
        held[index] = max(held[index], wait) if columns["error"][index] == 0 else 0
    return columns | {"streams": _streams(records, sent)}


def _held(records: Records, sent: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """Nanoseconds that what was read at each ``end`` may have waited for its client: those of a pause, from the sending on, if it was read in one."""
    held = np.zeros(len(end), np.int64)
    if records.pauses:
        begins, ends = np.asarray(records.pauses, np.int64).reshape(-1, 2).T
        last = np.searchsorted(begins, end) - 1
        late = (last >= 0) & (end >= 0) & (end <= ends[last])
        held[late] = (end - np.maximum(begins[last], sent))[late]
    return held


def _whole(values: "array[float]") -> NDArray[np.int64]:
    exact = np.asarray(values, np.float32).astype(np.float64)
    return np.rint(exact, out=exact).astype(np.int64)


def _streams(records: Records, sent: NDArray[np.int64]) -> Streams:
    streams = Streams.none(len(sent))
    if not records.stream_rows:
        return streams
    place = np.asarray(records.stream_rows, np.uint32).astype(np.intp)
    ended = np.asarray(records.stream_events, np.uint32).astype(np.int32)
    columns = {name: np.array(getattr(streams, name)) for name in STREAM_COLUMNS}
    columns["events"][place] = ended
    for name in ("output_tokens", "prompt_tokens", "reasoning"):
        columns[name][place] = np.asarray(getattr(records, name), np.int32)
    # In the order in which they ended; then by request.
    moments = np.asarray(records.events, np.int64)
    held = _held(records, np.repeat(sent[place], ended), moments)
    asked = Streams(ended, ended, ended, ended, moments, held).of(np.argsort(place, kind="stable"))
    return Streams(**columns, event_ns=asked.event_ns, event_held_ns=asked.event_held_ns)


def _merged(columns: Sequence[Mapping[str, Any]], shares: Sequence[Records]) -> Result:
    meta = Meta(shares[0].started, None, ("",), ("",))
    if len(columns) == 1:
        return Result(**columns[0], meta=meta)
    whole = {name: np.concatenate([part[name] for part in columns]) for name in COLUMNS}
    result = Result(**whole, meta=meta, streams=_joined([part["streams"] for part in columns]))
    return result.of(np.argsort(result.scheduled_ns, kind="stable"))


def _joined(parts: Sequence[Streams]) -> Streams:
    if all(part.blank for part in parts):
        return Streams.none(sum(len(part.events) for part in parts))
    names = (*STREAM_COLUMNS, *EVENT_COLUMNS)
    return Streams(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _warm_up(shares: Sequence[Records], scheduled: NDArray[np.int64]) -> int:
    first = shares[0].plan
    if not isinstance(first, Closed):
        return min(sum(min(records.plan.warm_up, records.due) for records in shares), len(scheduled))
    by_time = int(np.searchsorted(scheduled, round(first.warm_up_seconds * SECOND)))
    return min(max(by_time, sum(records.plan.warm_up for records in shares)), len(scheduled))


def _exhausted(shares: Sequence[Records]) -> str:
    why = next((records.exhausted for records in shares if records.exhausted), "")
    return f"this machine lets no more connections be opened ({why}); allow fewer, or raise its limits" if why else ""


def _shortfall(result: Result) -> str:
    meta, sent = result.meta, result.sent_ns[result.sent_ns >= 0]
    if len(sent) < len(result):
        return f"{len(result) - len(sent)} requests were never sent: {_cause(meta)}"
    achieved, planned = result.achieved_rate, rate_of(result.scheduled_ns)
    lag = int(result.slip[-1] - result.slip[0]) if len(result) else 0
    if achieved is not None and planned is not None and achieved < RATE_KEPT * planned and lag > HICCUP:
        return f"sent {achieved:.4g} requests per second of the planned {planned:.4g}: {_cause(meta)}"
    return f"it used {meta.cpu:.0%} of its core; {_lighter(meta)}" if meta.cpu > CPU_SHARE else ""


def _held_up(result: Result) -> str:
    unseen = int(np.count_nonzero(result.failed(CANCELLED) & (result.end_ns < 0)))
    if not outweighs(unseen, unseen + int(np.count_nonzero(result.failed(TIMEOUT))), len(result)):
        return ""
    return f"it was held up when {unseen} of {len(result)} requests ran out of time, and may have missed their answers: {_cause(result.meta)}"


def _lighter(meta: Meta) -> str:
    return "measure at a planned rate instead" if meta.closed_loop else "lower the rate"


def _lateness(result: Result) -> str:
    slip, held, allowed = result.slip, result.waited[result.sent_ns >= 0], _tolerated(result)
    late = int(np.count_nonzero((held if result.meta.closed_loop else slip + held) > allowed))
    if not many(late, len(slip)):
        return ""
    how = "sent or their answers read" if np.any(held > allowed) else "sent"
    return f"{late} of {len(slip)} requests were {how} more than {allowed / 1e6:.3g} ms late: {_cause(result.meta)}"


def _tolerated(result: Result) -> float:
    """Nanoseconds by which a request may be late."""
    took = (result.end_ns - result.scheduled_ns)[result.counted]
    return max(SLIP_FLOOR, SLIP_SHARE * float(np.median(took)) if len(took) else 0.0)


def _cause(meta: Meta) -> str:
    if not meta.backlog:
        return "lower the rate or give it more CPU"
    busy = f"all {meta.connections} connections were busy and up to {meta.backlog} requests waited for one"
    return f"{busy}; allow more connections, or lower the rate"
