"""A result in one small JSON object: what fits in an output parameter of Argo and a result of Tekton."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.loadtest.result import CANCELLED, Result, quantiles
from fairway_steps.loadtest.streaming import Limit, Tokens, goodput, known, over, tokens

SUMMARY_BYTES = 1000
SPARED = ("tpot_ms", "itl_ms", "ttft_ms", "reason", "decided", "slip_ms", "service_ms", "response_ms")
"""What is cut, in this order, where room is short: quantiles to the three that are ``KEPT``, sentences to their ``BEGINNING``."""
KEPT = ("p50", "p99", "max")
BEGINNING = 60
GIVEN_UP = ("slip_ms", "itl_ms", "tpot_ms", "service_ms", "ttft_ms")
"""What goes next, in this order: no count among it, for these are the evidence."""


def summary(result: Result, limits: Sequence[Limit] = ()) -> dict[str, Any]:
    """The result in at most ``SUMMARY_BYTES`` of compact JSON.

    ``errors`` maps classes to counts and ``over_ms`` each limit in ms to the requests over it, failed ones included. Of the cancelled only
    those count that were ``overdue``: slower than every limit on the response by then. With several
    versions ``by_version`` has of each its requests, failures and the counts over the limits, in the same order: what an
    assessment needs. ``versions`` and ``lost`` are there if answers say where they are from; what concerns tokens, if
    answers were streamed. Where room is short, quantiles and sentences are cut, rare classes and versions added up as ``other``, and at last
    the highest limits left out, or versions of ``by_version``: as many as ``left_out`` says.
    """
    meta = result.meta
    values: dict[str, Any] = {
        "requests": len(result),
        "requested_rate": rounded(meta.rate),
        "achieved_rate": rounded(result.achieved_rate),
        "client_limited": bool(meta.client_limited),
        "errors": result.failures,
        "response_ms": all_rounded(quantiles(result.response)),
        "service_ms": all_rounded(quantiles(result.service)),
        "slip_ms": all_rounded(quantiles(result.slip)),
        "over_ms": dict(over(result, limits)),
        "warm_up": meta.warm_up,
        "started": round(meta.started, 1),
    }
    if meta.closed_loop:
        values["loop"] = "closed"
    if not meta.co_corrected:
        values["co_corrected"] = False
    if meta.client_limited:
        values["reason"] = _shortened(meta.client_limited, 160)
    rows = known(result, limits)
    if overdue := int((rows & ~result.counted).sum()):
        values["overdue"] = overdue
    values |= _versions(result if rows.all() else result.of(rows), limits)
    if meta.stopped:
        values["stopped"] = True
    if meta.decided:
        values["decided"] = _shortened(meta.decided, 120)
    if found := tokens(result):
        values |= _tokens(found)
    if limits and (good := goodput(result, limits)):
        values |= {"goodput": rounded(good.per_second), "attainment": round(good.attainment, 5)}
    return _fitted(values)


def to_json(values: Mapping[str, Any]) -> str:
    """Compact and in ASCII: the length is the number of bytes."""
    return json.dumps(values, separators=(",", ":"))


def all_rounded(numbers: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: rounded(number) for name, number in numbers.items()}


def rounded(number: float | None) -> float | None:
    """Five significant digits, and no more than a thousandth."""
    return None if number is None else round(float(f"{number:.5g}"), 3)


def _versions(result: Result, limits: Sequence[Limit]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (lost := result.lost) is not None:
        found |= {"versions": result.versions, "lost": lost}
    names = [name for name in result.meta.version_names if name]
    if len(names) > 1:
        parts = {name: result.of(result.version == result.meta.version_names.index(name)) for name in names}
        found["by_version"] = {
            name: [len(part), int((~part.ok & part.counted).sum()), *over(part, limits).values()]
            for name, part in parts.items()
            if len(part)
        }
    return found


def _tokens(found: Tokens) -> dict[str, Any]:
    values: dict[str, Any] = {
        "ttft_ms": all_rounded(quantiles(found.ttft)),
        "itl_ms": all_rounded(quantiles(found.itl)),
        "tpot_ms": all_rounded(quantiles(found.tpot[found.tpot == found.tpot])),
        "output_tokens": found.output_total,
        "tokens_per_s": rounded(found.per_second),
    }
    if found.counted:
        values["tokens_counted_by_events"] = found.counted
    if found.coalesced:
        values["coalesced"] = found.coalesced
    return values


def _fitted(values: dict[str, Any]) -> dict[str, Any]:
    for shorten in (_cut, _add_up, _leave_out):
        shorten(values)
    return values


def _cut(values: dict[str, Any]) -> None:
    for name in SPARED:
        if not _too_long(values):
            return
        if isinstance(value := values.get(name), str):
            values[name] = _shortened(value, BEGINNING)
        elif value:
            values[name] = {key: number for key, number in value.items() if key in KEPT}
    for name in GIVEN_UP:
        if _too_long(values):
            values.pop(name, None)


def _add_up(values: dict[str, Any]) -> None:
    while _too_long(values) and (parts := [name for name in ("errors", "versions") if _rarest(values.get(name, {}))]):
        counts = values[_longest(values, parts)]
        counts["other"] = counts.get("other", 0) + counts.pop(_rarest(counts))


def _leave_out(values: dict[str, Any]) -> None:
    names = ("over_ms", "by_version")
    while _too_long(values) and (parts := [name for name in names if len(values.get(name, {})) > 1]):
        longest = _longest(values, parts)
        values[longest].popitem()
        if longest == "by_version":
            values["left_out"] = values.get("left_out", 0) + 1
        for row in values.get("by_version", {}).values() if longest == "over_ms" else ():
            row.pop()


def _too_long(values: Mapping[str, Any]) -> bool:
    return len(to_json(values)) > SUMMARY_BYTES


def _longest(values: Mapping[str, Any], names: Sequence[str]) -> str:
    return max(names, key=lambda name: len(to_json(values[name])))


def _rarest(counts: Mapping[str, int]) -> str:
    """What of several to add to ``other`` next, if any; not what was cancelled, for that is no failure."""
    rest = [name for name in counts if name not in ("other", CANCELLED)] if len(counts) > 1 else []
    return min(rest, key=lambda name: counts[name], default="")


def _shortened(text: str, size: int) -> str:
    """The beginning of a sentence that takes ``size`` bytes as JSON, where other letters than ASCII's take six or twelve."""
    while len(json.dumps(text)) > size:
        text = text[: -max(1, (len(json.dumps(text)) - size) // 12)]
    return text
