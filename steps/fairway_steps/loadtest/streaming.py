"""What streamed answers tell of a generating model, as a client sees it.

Of a request with events at t_1 … t_m that is due at t_0, sent at t_s, ends at t_e, and gives n output tokens:

- *TTFT*, time to first token: t_1 - t_0; ``ttft_sent`` is t_1 - t_s, what tools without a schedule report;
- *ITL*, inter-token latency: t_i - t_(i-1) of all requests together; ``itl_weighted`` spreads each gap over the tokens an event
  carries on average, where n is known: an event may carry several (speculative decoding, a busy server);
- *TPOT*, time per output token: (t_m - t_1)/(n - 1), one value a request (vLLM's and inference-perf's definition);
- ``normalized_tpot``: (t_e - t_0)/n;
- output tokens per second: Σn / (last end - first due moment);
- *goodput*: requests that kept every limit per second of that time; *attainment*: their share of all requests that were due,
  failed ones included (inference-perf divides by the successful ones).

Where the server tells no usage, n is the number of events, and that is said. A request without a token has no TTFT: it is
missing, not 0. Events that were read together cannot be told apart in time: the gaps of 0 between them are counted as *coalesced*.
Events that a client read late because it did not run are *held*: the gaps beside them are nobody's, nor is a TTFT or TPOT that such a one begins or ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairway_steps.loadtest.fitting import limit_name
from fairway_steps.loadtest.result import Result

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``seconds`` of ``metric``: ``response``, ``ttft``, ``ttft_sent``, ``tpot`` or ``normalized_tpot``."""

    seconds: float
    metric: str = "response"

    @property
    def name(self) -> str:
        """The key of a summary."""
        return limit_name(self.seconds, self.metric)


MOST_AT_ONCE = 1000
"""Tokens of one event that a gap is spread over at most: a server may tell any number."""
METRICS = ("response", "ttft", "ttft_sent", "tpot", "normalized_tpot")


@dataclass(frozen=True, slots=True)
class Tokens:
    """One value a request of the successful ones that streamed; nanoseconds, NaN where there is none. ``itl`` is of all gaps that are known."""

    ttft: Values
    ttft_sent: Values
    tpot: Values
    normalized_tpot: Values
    itl: Values
    itl_weighted: Values
    output: NDArray[np.int64]
    prompt: NDArray[np.int64]
    events: int
    coalesced: int
    held: int
    reasoning: int
    counted: int
    """How many of the requests had their tokens counted by events, for want of usage."""
    per_second: float | None

    @property
    def output_total(self) -> int:
        return int(self.output.sum())


def tokens(result: Result) -> Tokens | None:
    """The measures of a result's streams; None if nothing was streamed."""
    streamed = result.ok & (result.streams.events > 0)
    if not streamed.any():
        return None
    chosen = result.of(streamed)
    events = chosen.streams.events.astype(np.int64)
    ends = np.cumsum(events)
    moments = chosen.streams.event_ns
    held = chosen.streams.event_held_ns > 0
    first = np.where(held[ends - events], np.nan, moments[ends - events])
    last = np.where(held[ends - 1], np.nan, moments[ends - 1])
    told = chosen.streams.output_tokens.astype(np.int64)
    output = np.where(told > 0, told, events)
    gaps = np.diff(moments)
    within = np.ones(len(moments), bool)
    within[ends - 1] = False
    within[:-1] &= ~(held[:-1] | held[1:])
    itl = gaps[within[:-1]].astype(np.float64)
    per_event = np.repeat(output / events, events)[within]
    with np.errstate(divide="ignore", invalid="ignore"):
        tpot = np.where(output > 1, (last - first) / (output - 1), np.nan)
    span = int(chosen.end_ns.max() - result.scheduled_ns.min())
    return Tokens(
        ttft=first - chosen.scheduled_ns,
        ttft_sent=first - chosen.sent_ns,
        tpot=tpot,
        normalized_tpot=(chosen.end_ns - chosen.scheduled_ns) / output,
        itl=itl,
        itl_weighted=np.repeat(
            itl / np.maximum(per_event, 1), np.clip(np.rint(per_event), 1, MOST_AT_ONCE).astype(np.int64)
        ),
        output=output,
        prompt=chosen.streams.prompt_tokens.astype(np.int64),
        events=int(events.sum()),
        coalesced=int(np.count_nonzero(itl == 0)),
        held=int(np.count_nonzero(held)),
        reasoning=int(chosen.streams.reasoning.sum()),
        counted=int(np.count_nonzero(told <= 0)),
        per_second=float(output.sum() * 1e9 / span) if span > 0 else None,
    )


def exceeded(result: Result, limit: Limit) -> NDArray[np.bool_]:
    """Which requests broke a limit. Failed ones broke every one; so did a success that has no token to measure by."""
    if limit.metric == "response":
        return result.exceeded(limit.seconds)
    broke = ~result.ok & result.counted
    streamed = result.ok & (result.streams.events > 0)
    broke |= result.ok & ~streamed
    broke[streamed] = (
        _span(result.of(streamed), limit.metric)[1] > limit.seconds * 1e9
    )  # NaN, a single token's TPOT, breaks none
    return broke


def unsure(result: Result, limit: Limit) -> NDArray[np.bool_]:
    """Which requests may have broken a limit by this client's doing alone: what it added may be the whole of what they took too long."""
    rows = result.ok & (result.streams.events > 0) if limit.metric != "response" else result.ok | ~result.counted
    found = np.zeros(len(result), bool)
    least, most = _span(result.of(rows), limit.metric)
    edge = limit.seconds * 1e9
    found[rows] = (least <= edge) & (most > edge)
    return found


def moved(result: Result, limits: Sequence[Limit]) -> NDArray[np.bool_]:
    """The requests of which one of the ``limits`` on the response is ``unsure``: what they took is as good as not measured."""
    found = np.zeros(len(result), bool)
    for limit in limits:
        if limit.metric == "response":
            found |= unsure(result, limit)
    return found


def _span(rows: Result, metric: str) -> tuple[Values, Values]:
    """What each took at least, without the share that may be the client's, and at most."""
    late = (rows.sent_ns - rows.scheduled_ns).astype(np.float64)
    end, held = (rows.end_ns - rows.scheduled_ns).astype(np.float64), rows.held_ns
    if metric == "response":
        return end - late - held, end
    streams, ends = rows.streams, np.cumsum(rows.streams.events)
    places = ends - rows.streams.events
    first, last = streams.event_ns[places] - rows.scheduled_ns, streams.event_ns[ends - 1] - rows.scheduled_ns
    before, after = streams.event_held_ns[places], streams.event_held_ns[ends - 1]
    told = np.where(streams.output_tokens > 0, streams.output_tokens, streams.events).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.where(told > 1, told - 1, np.nan)
    return {
        "ttft": (first - late - before, first.astype(np.float64)),
        "ttft_sent": (first - late - before, first - late),
        "tpot": ((last - after - first) / gaps, (last - first + before) / gaps),
        "normalized_tpot": ((end - late - held) / told, end / told),
    }[metric]


def known(result: Result, limits: Sequence[Limit]) -> NDArray[np.bool_]:
    """The requests that counts over the ``limits`` are of: all but those that we cancelled.

    Unless these had taken longer than every limit on the response by then: that they are slow is known.
    """
    responses = [limit.seconds for limit in limits if limit.metric == "response"]
    return result.counted | result.exceeded(max(responses)) if responses else result.counted


def over(result: Result, limits: Sequence[Limit]) -> Mapping[str, int]:
    """How many of the ``known`` requests broke each limit, by its name, but for those that this client may have moved over it."""
    return {name: int(np.count_nonzero(rows)) for name, rows in broken(result, limits).items()}


def broken(result: Result, limits: Sequence[Limit]) -> Mapping[str, NDArray[np.bool_]]:
    """Which they are."""
    rows, out = known(result, limits), moved(result, limits)
    return {
        limit.name: exceeded(result, limit) & rows & ~(out if limit.metric == "response" else unsure(result, limit))
        for limit in limits
    }


@dataclass(frozen=True, slots=True)
class Goodput:
    """``kept`` of ``due`` (and ``known``) requests kept every limit; ``per_second`` of them did."""

    kept: int
    due: int
    per_second: float | None

    @property
    def attainment(self) -> float:
        return self.kept / self.due


def goodput(result: Result, limits: Sequence[Limit]) -> Goodput | None:
    """None without limits or requests."""
    if not limits or not len(result):
        return None
    broke = np.zeros(len(result), bool)
    for limit in limits:
        broke |= exceeded(result, limit)
    rows = known(result, limits)
    kept, due = int(np.count_nonzero(~broke & rows)), int(np.count_nonzero(rows))
    span = int(result.end_ns.max() - result.scheduled_ns.min())
    return Goodput(kept, due, kept * 1e9 / span if span > 0 else None) if due else None
