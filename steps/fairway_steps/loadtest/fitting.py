"""A summary that fits an output parameter of Argo and a result of Tekton: what is cut, and in which order. No third party."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.loadtest.client import CANCELLED

SUMMARY_BYTES = 1000
SPARED = ("tpot_ms", "itl_ms", "ttft_ms", "reason", "decided", "slip_ms", "service_ms", "response_ms")
"""What is cut, in this order, where room is short: quantiles to the three that are ``KEPT``, sentences to their ``BEGINNING``."""
KEPT = ("p50", "p99", "max")
BEGINNING = 60
GIVEN_UP = ("slip_ms", "itl_ms", "tpot_ms", "service_ms", "ttft_ms")
"""What goes next, in this order: no count among it, for these are the evidence."""


def fitted(values: dict[str, Any]) -> dict[str, Any]:
    """The same in at most ``SUMMARY_BYTES``: quantiles and sentences cut, rare classes and versions added up as ``other``, the last limits left out."""
    for shorten in (_cut, _add_up, _leave_out):
        shorten(values)
    return values


def limit_name(seconds: float, metric: str = "response") -> str:
    """The key of a limit: milliseconds, so exactly that no two limits share one, and the metric unless it is the response."""
    milliseconds = f"{seconds * 1000:.12g}"
    return milliseconds if metric == "response" else f"{metric}:{milliseconds}"


def to_json(values: Mapping[str, Any]) -> str:
    """Compact and in ASCII: the length is the number of bytes."""
    return json.dumps(values, separators=(",", ":"))


def shortened(text: str, size: int) -> str:
    """The beginning of a sentence that takes ``size`` bytes as JSON, where other letters than ASCII's take six or twelve."""
    while len(json.dumps(text)) > size:
        text = text[: -max(1, (len(json.dumps(text)) - size) // 12)]
    return text


def _cut(values: dict[str, Any]) -> None:
    for name in SPARED:
        if not _too_long(values):
            return
        if isinstance(value := values.get(name), str):
            values[name] = shortened(value, BEGINNING)
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
        name, _ = values[longest].popitem()
        if longest == "by_version":
            values["left_out"] = values.get("left_out", 0) + 1
            values.get("moved", {}).pop(name, None)
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
