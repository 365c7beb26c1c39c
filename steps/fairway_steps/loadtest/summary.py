"""A result in one small JSON object: what fits in an output parameter of Argo and a result of Tekton."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.loadtest.result import Result, quantiles

SUMMARY_BYTES = 1000


def summary(result: Result, limits: Sequence[float] = ()) -> dict[str, Any]:
    """The result in at most ``SUMMARY_BYTES`` of compact JSON.

    ``errors`` maps classes to counts and ``over_ms`` each limit in ms to the requests over it, failed ones included.
    ``versions`` and ``lost`` are there if answers say where they are from. Rare classes and versions are added up as ``other``,
    and the highest limits left out, where room is short.
    """
    meta = result.meta
    values: dict[str, Any] = {
        "requests": len(result),
        "requested_rate": _rounded(meta.rate),
        "achieved_rate": _rounded(result.achieved_rate),
        "client_limited": bool(meta.client_limited),
        "errors": result.failures,
        "response_ms": _all_rounded(quantiles(result.response)),
        "service_ms": _all_rounded(quantiles(result.service)),
        "slip_ms": _all_rounded(quantiles(result.slip)),
        "over_ms": {f"{limit * 1000:g}": result.over(limit) for limit in limits},
        "warm_up": meta.warm_up,
    }
    if meta.client_limited:
        values["reason"] = meta.client_limited
    if (lost := result.lost) is not None:
        values |= {"versions": result.versions, "lost": lost}
    if meta.stopped:
        values["stopped"] = True
    while len(to_json(values)) > SUMMARY_BYTES:
        parts = [name for name in ("errors", "versions", "over_ms") if len(values.get(name, {})) > 1]
        if not parts:
            break
        longest = max(parts, key=lambda name: len(to_json(values[name])))
        values[longest] = _merged(values[longest]) if longest != "over_ms" else dict([*values[longest].items()][:-1])
    return values


def to_json(values: Mapping[str, Any]) -> str:
    """Compact and in ASCII: the length is the number of bytes."""
    return json.dumps(values, separators=(",", ":"))


def _all_rounded(numbers: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: _rounded(number) for name, number in numbers.items()}


def _rounded(number: float | None) -> float | None:
    """Five significant digits, and no more than a thousandth."""
    return None if number is None else round(float(f"{number:.5g}"), 3)


def _merged(counts: Mapping[str, int]) -> dict[str, int]:
    """The rarest of the counts added to ``other``."""
    rest = {name: count for name, count in counts.items() if name != "other"}
    rarest = min(rest, key=lambda name: rest[name])
    return {name: count for name, count in rest.items() if name != rarest} | {
        "other": counts.get("other", 0) + rest[rarest]
    }
