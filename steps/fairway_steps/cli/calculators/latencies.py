"""Calculators on latencies, from raw samples or from the cumulative buckets of a histogram."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field

from fairway_steps.cli.calculators.base import OUTCOME, Method, Sample, Sequential, logs, outcome, verdict_of
from fairway_steps.model import Histogram
from fairway_steps.stats.comparison import MARGIN as ODDS
from fairway_steps.stats.evidence import EValues
from fairway_steps.stats.latency import tail
from fairway_steps.stats.quantile import MARGIN, compare_quantiles, quantile_interval, quantile_of
from fairway_steps.stats.slowness import exceedances, latency_vs_limit, latency_vs_primary, over

Samples = Annotated[
    list[Sample] | None, Field(description="Raw latencies in any one unit; null is a failed request, slower than all.")
]
Buckets = dict[str, int] | None
BUCKETS = 'Or counts at or below each edge, as Prometheus has them: {"0.1": 90, "0.25": 98, "+Inf": 100}.'
FAILED = "Failed requests that the buckets do not hold; they count as slower than all."


class QuantileLimitInput(Sequential):
    """A quantile against a limit."""

    limit: float = Field(gt=0, description="What the quantile may be at most, in the unit of the latencies.")
    quantile: float = Field(description="The quantile, between 0 and 1: 0.99 is the 99th percentile.")
    samples: Samples = None
    buckets: Buckets = Field(None, description=BUCKETS)
    failed: int = Field(0, ge=0, description=FAILED)


def histogram_of(buckets: Mapping[str, int]) -> Histogram:
    """A histogram from cumulative counts by edge. Raises ValueError where they are none."""
    try:
        pairs = sorted((float(edge.removeprefix("+")), count) for edge, count in buckets.items())
    except ValueError as error:
        raise ValueError(f"an edge of a bucket is not a number: {error}") from error
    if not pairs or not math.isinf(pairs[-1][0]):
        raise ValueError("the buckets do not end in +Inf, so not every request is counted")
    if any(math.isnan(edge) for edge, _ in pairs) or pairs[0][1] < 0:
        raise ValueError("an edge or a count of a bucket is negative or not a number")
    for (edge, count), (further, more) in pairwise(pairs):
        if edge == further:
            raise ValueError(f"the edge {edge:g} of the buckets is given twice")
        if more < count:
            raise ValueError(
                f"buckets are not cumulative: {more} at or below {further:g}, but {count} at or below {edge:g}"
            )
    counts = [count for _, count in pairs]
    own = [counts[0], *(more - count for count, more in pairwise(counts))]
    return Histogram(tuple(edge for edge, _ in pairs), tuple(own))


def _quantile_limit(given: QuantileLimitInput) -> Mapping[str, Any]:
    if (given.samples is None) == (given.buckets is None):
        raise ValueError("give either samples or buckets")
    test = latency_vs_limit(given.limit, given.quantile)
    observed: float | None
    edges, interval = None, None
    if given.samples is not None:
        samples = [*given.samples, *[math.inf] * given.failed]
        (slower,) = over(samples, [given.limit])
        test = test.update(slower, len(samples), slower, len(samples))
        observed = quantile_of(samples, given.quantile) if samples else None
        interval = quantile_interval(samples, given.quantile, given.alpha)
    else:
        found = tail([histogram_of(given.buckets or {})], given.limit)
        total = found.total + given.failed
        test = test.update(found.least + given.failed, total, found.most + given.failed, total)
        observed, edges = None, {"below": found.below, "above": found.above, "nearest": found.nearest}
    return {
        **outcome(test, given),
        "requests": test.n,
        "slower": {"least": test.least.errors, "most": test.most.errors},
        "allowed": test.least.limit,
        "share_interval": test.interval(given.alpha),
        "quantile": observed,
        "quantile_interval": interval,
        "edges": edges,
        "exact": test.exact,
    }


QUANTILE_LIMIT = Method(
    about='"The 0.99 quantile is at most L" says that at most 1 % of the requests take longer than L: a rate, judged as `rate-vs-limit` does. A limit between two edges of a histogram is bounded by both.',
    input=QuantileLimitInput,
    output={
        **OUTCOME,
        "slower": "Of `requests`, how many surely (least) and perhaps (most) took longer than the limit; `allowed` is the share that may.",
        "share_interval": "Shares of slower requests not excluded at any look.",
        "quantile, quantile_interval": "The quantile of the samples and what it may be at any look; null for buckets.",
        "edges": "The edges around the limit, and the nearest limit that could be judged exactly; null for samples.",
        "exact": "Whether least and most agree.",
    },
    example='{"limit": 0.25, "quantile": 0.95, "buckets": {"0.1": 700, "0.25": 980, "+Inf": 1000}}',
    computed=_quantile_limit,
)


class QuantileCompareInput(Sequential):
    """Two versions' latencies."""

    quantile: float = Field(0.99, description="The quantile to compare, for samples; between 0 and 1.")
    margin: float = Field(
        MARGIN, description="How much slower is fine, for samples: 0.1 is 10 %; at edges odds of 1.5 are."
    )
    candidate: Samples = None
    primary: Samples = None
    candidate_buckets: Buckets = Field(None, description=BUCKETS)
    primary_buckets: Buckets = Field(None, description="Likewise for the primary.")
    candidate_failed: int = Field(0, ge=0, description=FAILED)
    primary_failed: int = Field(0, ge=0, description="Likewise for the primary.")
    edges: list[float] = Field(
        [],
        description="Where to compare the tails, fixed beforehand; without them samples are compared at the quantile alone.",
    )


def _quantile_compare(given: QuantileCompareInput) -> Mapping[str, Any]:
    raw = given.candidate is not None and given.primary is not None
    counted = given.candidate_buckets is not None and given.primary_buckets is not None
    if raw == counted:
        raise ValueError("give either candidate and primary, or candidate_buckets and primary_buckets")
    answer: dict[str, Any] = {"quantile": None, "tails": None}
    verdicts = EValues()
    if raw:
        own = [*(given.candidate or []), *[math.inf] * given.candidate_failed]
        other = [*(given.primary or []), *[math.inf] * given.primary_failed]
        if own and other:
            verdicts = compare_quantiles(own, other, given.quantile, given.margin)
            answer["quantile"] = {
                **logs(verdicts, verdicts),
                "candidate": quantile_of(own, given.quantile),
                "candidate_interval": quantile_interval(own, given.quantile, given.alpha),
                "primary": quantile_of(other, given.quantile),
                "primary_interval": quantile_interval(other, given.quantile, given.alpha),
            }
        slow, slow_primary = over(own, given.edges), over(other, given.edges)
        sizes = len(own), len(other)
    else:
        first, second = histogram_of(given.candidate_buckets or {}), histogram_of(given.primary_buckets or {})
        if not given.edges:
            raise ValueError("give the edges at which to compare buckets")
        if unused := [name for name in ("quantile", "margin") if name in given.model_fields_set]:
            raise ValueError(
                f"{' and '.join(unused)} {'is' if len(unused) == 1 else 'are'} of samples: at the edges of buckets odds are "
                f"compared, up to {ODDS:g} is fine; leave out {'it' if len(unused) == 1 else 'them'}"
            )
        slow = exceedances(first, given.edges, given.candidate_failed)
        slow_primary = exceedances(second, given.edges, given.primary_failed)
        sizes = first.total + given.candidate_failed, second.total + given.primary_failed
    if given.edges:
        test = latency_vs_primary(given.edges).update(slow, sizes[0], slow_primary, sizes[1])
        verdicts = test.now
        answer["tails"] = {
            **logs(test.now, test.peak),
            "edges": [
                {"edge": edge, "slower": t.errors, "primary_slower": t.errors_primary, "odds_ratio": t.odds_ratio}
                | {"interval": t.interval(given.alpha), "log_e_violated": t.now.violated, "log_e_met": t.now.met}
                for edge, t in zip(test.edges, test.tests, strict=True)
            ],
        }
    verdict = verdict_of(verdicts, verdicts, given, *sizes)
    return {"verdict": verdict, "requests": sizes[0], "primary_requests": sizes[1], **answer}


QUANTILE_COMPARE = Method(
    about="With `edges`: the requests above each edge, candidate against primary, as `rate-vs-primary` does, and the mean of the e-values (the sharper test). Without: one quantile against the other's, from raw samples (Howard and Ramdas 2022).",
    input=QuantileCompareInput,
    output={
        "verdict": "fail (it is slower), pass (it is proved not to be, by more than the margin), inconclusive or no-data; by the tails where edges are given.",
        "quantile": "For samples: logarithms of the e-values, p-values, both quantiles and what they may be at any look.",
        "tails": "With edges: logarithms of the e-values, p-values, and for each edge the odds ratio of slower requests with its interval.",
        "requests, primary_requests": "What was seen in all.",
    },
    example='{"edges": [0.1], "candidate_buckets": {"0.1": 850, "+Inf": 1000}, "primary_buckets": {"0.1": 9000, "+Inf": 10000}}',
    computed=_quantile_compare,
)
