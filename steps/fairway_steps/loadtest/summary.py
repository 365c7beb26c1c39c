"""A result in one small JSON object: what fits in an output parameter of Argo and a result of Tekton."""

from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.loadtest.fitting import fitted, shortened
from fairway_steps.loadtest.result import Meta, Result, quantiles
from fairway_steps.loadtest.streaming import Limit, Tokens, goodput, known, moved, over, tokens


def summary(result: Result, limits: Sequence[Limit] = ()) -> dict[str, Any]:
    """The result in at most ``SUMMARY_BYTES`` of compact JSON.

    ``errors`` maps classes to counts and ``over_ms`` each limit in ms to the requests over it, failed ones included. Of the cancelled only
    those count that were ``overdue``: slower than every limit on the response by then. Of each version those that this client alone may
    have ``moved`` over a limit are neither over nor under one. With several
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
        "started": round(result.begun, 1),
    }
    values |= _kind(meta)
    if meta.client_limited:
        values["reason"] = shortened(meta.client_limited, 160)
    rows = known(result, limits)
    if overdue := int((rows & ~result.counted).sum()):
        values["overdue"] = overdue
    if found := result.of(rows & moved(result, limits)).named:
        values["moved"] = found
    values |= _versions(result if rows.all() else result.of(rows), limits)
    if meta.stopped:
        values["stopped"] = True
    if meta.decided:
        values["decided"] = shortened(meta.decided, 120)
    if streamed := tokens(result):
        values |= _tokens(streamed)
    if limits and (good := goodput(result, limits)):
        values |= {"goodput": rounded(good.per_second), "attainment": round(good.attainment, 5)}
    return fitted(values)


def _kind(meta: Meta) -> dict[str, Any]:
    """What tells a run from one of an open loop at one endpoint."""
    endpoints = {"endpoints": len(meta.endpoint_names)} if len(meta.endpoint_names) > 1 else {}
    loop = {"loop": "closed"} if meta.closed_loop else {}
    return endpoints | loop | ({} if meta.co_corrected else {"co_corrected": False})


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
        "tpot_ms": all_rounded(quantiles(found.tpot)),
        "output_tokens": found.output_total,
        "tokens_per_s": rounded(found.per_second),
    }
    if found.counted:
        values["tokens_counted_by_events"] = found.counted
    if found.coalesced:
        values["coalesced"] = found.coalesced
    if found.held:
        values["held"] = found.held
    return values
