"""Calculators on counts: a rate against a limit, against the primary's, and a traffic split against its weights."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from fairway_steps.cli.calculators.base import OUTCOME, Alpha, Input, Method, Sequential, outcome, resumed
from fairway_steps.codec import encode
from fairway_steps.model import Result
from fairway_steps.stats.comparison import MARGIN, WORSE_THAN, RateVsPrimary
from fairway_steps.stats.evidence import ALPHA, anytime_p, bar
from fairway_steps.stats.rate import RateVsLimit, requests_to_prove
from fairway_steps.stats.traffic import CONCENTRATION, SplitVsWeights

State = Annotated[
    dict[str, Any] | None, Field(description="The `state` of an earlier output: the strata given go on from it.")
]


class Counted(Input):
    """One stratum."""

    errors: int = Field(description="Failed requests in the stratum.")
    requests: int = Field(description="All requests in it.")


class RateVsLimitInput(Sequential):
    """A rate against a limit."""

    limit: float = Field(description="The share of requests that may fail, from 0 to below 1.")
    errors: int | None = Field(None, description="Failed requests, where there is one stratum.")
    requests: int | None = Field(None, description="All requests, where there is one stratum.")
    strata: list[Counted] = Field([], description="Or one entry a look, in the order of time.")
    state: State = None


def _rate_vs_limit(given: RateVsLimitInput) -> Mapping[str, Any]:
    strata = list(given.strata)
    if (given.errors is None) != (given.requests is None) or (given.errors is not None and strata):
        raise ValueError("give either errors and requests, or strata")
    if given.errors is not None and given.requests is not None:
        strata = [Counted(errors=given.errors, requests=given.requests)]
    start = resumed(RateVsLimit, given.state) if given.state is not None else RateVsLimit(given.limit)
    if start.limit != given.limit:
        raise ValueError(f"the state is on a limit of {start.limit:g}, not {given.limit:g}")
    test = start.update([s.errors for s in strata], [s.requests for s in strata])
    met = test.now.met >= bar(given.beta)
    needed = requests_to_prove(given.limit, test.errors, given.beta) if given.limit else None
    return {
        **outcome(test, given),
        "errors": test.errors,
        "requests": test.n,
        "rate": test.errors / test.n if test.n else None,
        "interval": test.interval(given.alpha),
        "requests_missing": None if needed is None else 0 if met else max(0, needed - test.n),
        "state": encode(test),
    }


RATE_VS_LIMIT = Method(
    about="A beta-binomial mixture e-process (Howard, Ramdas, McAuliffe and Sekhon 2021, proposition 7), with a prior whose mean is the limit.",
    input=RateVsLimitInput,
    output={
        **OUTCOME,
        "rate, errors, requests": "What was seen in all.",
        "interval": "Rates not excluded at any look, at 1 - alpha.",
        "requests_missing": "Further requests without a failure that would prove the limit kept; null for a limit of 0, which nothing proves.",
        "state": "All that later strata need to go on from here.",
    },
    example='{"limit": 0.01, "errors": 20, "requests": 1000}',
    computed=_rate_vs_limit,
)


class Pair(Counted):
    """One stratum of both versions."""

    primary_errors: int = Field(description="The primary's failed requests.")
    primary_requests: int = Field(description="All of the primary's requests.")


class RateVsPrimaryInput(Sequential):
    """A rate against the primary's."""

    strata: list[Pair] = Field(description="One entry an interval at one weight, in the order of time.")
    worse_than: float = Field(WORSE_THAN, description="The odds ratio up to which the candidate is fine, from 1 to 10.")
    margin: float = Field(MARGIN, description="The odds ratio below which it is proved to be fine, from 1 to 10.")
    state: State = None


def _rate_vs_primary(given: RateVsPrimaryInput) -> Mapping[str, Any]:
    fresh = RateVsPrimary(given.worse_than, given.margin)
    start = resumed(RateVsPrimary, given.state) if given.state is not None else fresh
    if (start.worse_than, start.margin) != (given.worse_than, given.margin):
        raise ValueError(f"the state is on odds ratios of {start.worse_than:g} and {start.margin:g}")
    columns = zip(*((s.errors, s.requests, s.primary_errors, s.primary_requests) for s in given.strata), strict=True)
    test = start.update(*map(list, columns)) if given.strata else start
    return {
        **outcome(test, given, test.n_primary),
        "errors": test.errors,
        "requests": test.n,
        "primary_errors": test.errors_primary,
        "primary_requests": test.n_primary,
        "odds_ratio": test.odds_ratio,
        "interval": test.interval(given.alpha),
        "state": encode(test),
    }


RATE_VS_PRIMARY = Method(
    about="A mixture of conditional likelihood ratios of Fisher's noncentral hypergeometric distribution, stratum by stratum: what drifts for both versions alike cancels.",
    input=RateVsPrimaryInput,
    output={
        **OUTCOME,
        "errors, requests, primary_errors, primary_requests": "What was seen in all.",
        "odds_ratio": "The common odds ratio of Mantel and Haenszel; null as long as nothing failed.",
        "interval": "Odds ratios not excluded at any look, at 1 - alpha; 0 or inf where one end is open.",
        "state": "All that later strata need to go on from here.",
    },
    example='{"strata": [{"errors": 9, "requests": 300, "primary_errors": 40, "primary_requests": 3000}]}',
    computed=_rate_vs_primary,
)


class SplitInput(Input):
    """A split against weights."""

    weights: dict[str, float] = Field(description="What each version should get, in percent or in any one unit.")
    counts: dict[str, int] | None = Field(None, description="Requests that each got; without one it got none.")
    looks: list[dict[str, int]] = Field([], description="Or one such object a look, in the order of time.")
    concentration: float = Field(CONCENTRATION, gt=0, description="How close to the weights a wrong split is thought.")
    alpha: Alpha = ALPHA


def _split(given: SplitInput) -> Mapping[str, Any]:
    if (given.counts is None) == (not given.looks):
        raise ValueError("give either counts or looks")
    looks = given.looks or [given.counts or {}]
    names, total = list(given.weights), sum(given.weights.values())
    if strange := [name for look in looks for name in look if name not in given.weights]:
        raise ValueError(f"{strange[0]} has no weight")
    if not names or not total > 0 or min(given.weights.values()) < 0:
        raise ValueError("weights are not numbers from 0 on, with one above it")
    test = SplitVsWeights(tuple(weight / total for weight in given.weights.values()), concentration=given.concentration)
    for look in looks:
        test = test.update([look.get(name, 0) for name in names])
    requests = sum(test.counts)
    found = "alarm" if test.peak >= bar(given.alpha) else "inconclusive"
    return {
        "verdict": found if requests else Result.NO_DATA.value,
        "log_e": test.log_e,
        "p": anytime_p(test.peak),
        "requests": requests,
        "expected": {name: share * requests for name, share in zip(names, test.shares, strict=True)},
        "observed": dict(zip(names, test.counts, strict=True)),
    }


SPLIT = Method(
    about="A Dirichlet-multinomial e-process (Lindon and Malek 2022). An alarm says that weights are not in effect or users do not stick: no fault of a version.",
    input=SplitInput,
    output={
        "verdict": "alarm, inconclusive, or no-data.",
        "log_e": "Natural logarithm of the e-value against the weights.",
        "p": "P-value that holds at any look.",
        "requests, expected, observed": "All requests; by version, what the weights ask and what was counted.",
    },
    example='{"weights": {"v1": 90, "v2": 10}, "counts": {"v1": 9500, "v2": 500}}',
    computed=_split,
)
