"""A result as a table for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from fairway_steps.loadtest.result import QUANTILES, Result, quantiles
from fairway_steps.loadtest.streaming import Limit, over, tokens

NAMES = (*QUANTILES, "max", "mean")


def table(result: Result, told: Mapping[str, Any], limits: Sequence[Limit]) -> str:
    """All of the summary ``told``, and more; each endpoint for itself where there are several."""
    names = result.meta.endpoint_names
    lines = [_head(result, told), "ms        " + "".join(f"{name:>10}" for name in NAMES)]
    if len(names) == 1:
        lines += _rows(result)
    for number, name in enumerate(names if len(names) > 1 else ()):
        part = result.part(number)
        lines += [f"{name}: {_counts(part)}", *_rows(part)]
    lines += [f"over {name}{'' if ':' in name else ' ms'}: {count}" for name, count in over(result, limits).items()]
    lines += _streamed(result)
    if "goodput" in told and told["goodput"] is not None:
        lines.append(f"goodput {told['goodput']:g}/s, {told['attainment']:.2%} of the requests kept every limit")
    lines += [f"answered by {name}: {count}" for name, count in result.versions.items()]
    if told.get("lost"):
        lines.append(f"answered by no version: {told['lost']}")
    if result.meta.decided:
        lines.append(f"ended early: {result.meta.decided}")
    return "\n".join(lines)


def _head(result: Result, told: Mapping[str, Any]) -> str:
    meta = result.meta
    asked = (
        "closed loop, in which stalls stay unseen" if meta.rate is None else f"{told['requested_rate']:g}/s asked for"
    )
    rate = f" at {told['achieved_rate']:g}/s" if told["achieved_rate"] is not None else ""
    return f"{len(result)} requests{rate} ({asked}), {_failures(result)}"


def _counts(part: Result) -> str:
    return f"{len(part)} requests, {_failures(part)}"


def _failures(result: Result) -> str:
    failures = result.failures
    cancelled = failures.pop("cancelled", 0)
    errors = ", ".join(f"{name} {count}" for name, count in failures.items())
    failed = f"{sum(failures.values())} failed ({errors})" if failures else "none failed"
    return failed + (f", {cancelled} cancelled" if cancelled else "")


def _rows(result: Result) -> list[str]:
    rows: dict[str, NDArray[Any]] = {"response": result.response, "service": result.service, "slip": result.slip}
    if found := tokens(result):
        rows |= {"TTFT": found.ttft, "TTFT sent": found.ttft_sent, "ITL": found.itl}
        if found.output_total != found.events:
            rows["ITL/token"] = found.itl_weighted
        rows |= {"TPOT": found.tpot, "TPOT norm": found.normalized_tpot}
    return [
        f"{name:<10}" + "".join(_cell(number) for number in quantiles(values).values()) for name, values in rows.items()
    ]


def _cell(number: float | None) -> str:
    return f"{'-' if number is None else format(number, '.2f'):>10}"


def _streamed(result: Result) -> list[str]:
    found = tokens(result)
    if found is None:
        return []
    rate = f", {found.per_second:.4g} tokens/s" if found.per_second is not None else ""
    each = f" ({found.output_total / found.events:.3g} each)" if found.output_total != found.events else ""
    lines = [f"{found.output_total} output tokens in {found.events} events{each}{rate}"]
    if found.counted:
        lines.append(
            f"{found.counted} answers told no usage: their events were counted (an OpenAI API tells it with stream_options.include_usage)"
        )
    if found.coalesced:
        lines.append(
            f"{found.coalesced} events came in one read with the one before, so their gap of 0 ms is none of the model's"
        )
    if found.held:
        lines.append(
            f"{found.held} events were read late, as this client did not run: the gaps beside them are left out"
        )
    if found.reasoning:
        lines.append(f"{found.reasoning} of the events were reasoning")
    return lines
