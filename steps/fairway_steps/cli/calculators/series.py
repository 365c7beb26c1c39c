"""Calculators with Kayenta's knobs: two series by ranks, and one score for several of them."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from fairway_steps.cli.calculators.base import Input, Method
from fairway_steps.codec import encode
from fairway_steps.stats.mann_whitney import Direction, Effect, Knobs, Label, compare_series
from fairway_steps.stats.score import Labelled, score

Series = list[float | None]


class MannWhitneyInput(Input):
    """Two series and the knobs."""

    candidate: Series = Field(description="The candidate's values; null is a missing one.")
    primary: Series = Field(description="The primary's values; null is a missing one.")
    direction: Literal["increase", "decrease", "either"] = Field("either", description="Which way a change is a fault.")
    confidence: float = Field(0.98, description="Of the interval of the shift.")
    tolerance: float = Field(
        0.25, description="A change counts if the interval lies beyond this share of the estimate."
    )
    effect: Literal["mean-ratio", "cles"] = Field("mean-ratio", description="How the size of a change is measured.")
    allowed_increase: float | None = Field(None, description="The effect from which an increase counts.")
    allowed_decrease: float | None = Field(None, description="The effect down from which a decrease counts.")
    critical_increase: float | None = Field(None, description="The effect from which an increase is critical.")
    critical_decrease: float | None = Field(None, description="The effect down from which a decrease is critical.")
    critical: bool = Field(False, description="Whether a fault here fails everything.")
    must_have_data: bool = Field(False, description="Whether a missing series is a failure.")
    replace_missing: bool = Field(False, description="Read a missing value as 0 instead of leaving it out.")
    remove_outliers: bool = Field(False, description="Leave out values beyond the fences.")
    outlier_factor: float = Field(
        3.0, gt=0, description="How far the fences stand from the quartiles, in their distances."
    )
    deflate: bool = Field(
        False,
        description="Count values that follow one another closely as the fewer independent ones they are worth, as a release does.",
    )


def _mann_whitney(given: MannWhitneyInput) -> Mapping[str, Any]:
    knobs = given.model_dump(exclude={"candidate", "primary", "direction", "effect"})
    found = compare_series(
        [value if value is not None else float("nan") for value in given.candidate],
        [value if value is not None else float("nan") for value in given.primary],
        Knobs(direction=Direction(given.direction), effect=Effect(given.effect), **knobs),
    )
    answer: Mapping[str, Any] = encode(found)
    return answer


MANN_WHITNEY = Method(
    about="The shift between two series by Hodges and Lehmann, with Kayenta's labels and defaults. For figures without counts; for ONE look: repeated looks make it cry wolf.",
    input=MannWhitneyInput,
    output={
        "label, critical": "pass, high, low, no-data or no-data-fails; whether it fails everything.",
        "estimate, low, high": "The shift (candidate minus primary) and its interval, in the unit of the series.",
        "p": "Of the two-sided Mann-Whitney test.",
        "mean_ratio, cles, cliff, cohen_d": "Effect sizes: ratio of means, share of pairs with the candidate higher, the same from -1 to 1, and Cohen's d.",
        "effective, warnings": "How many independent values the shorter series is worth, and what speaks against trusting the result.",
    },
    example='{"candidate": [10, 20, 30, 40], "primary": [1, 2, 3, 4]}',
    computed=_mann_whitney,
)


class ScoredMetric(Input):
    """One metric of a score."""

    name: str = Field(description="The metric.")
    label: Literal["pass", "high", "low", "no-data", "no-data-fails"] = Field(description="As `mann-whitney` tells it.")
    groups: list[str] = Field([""], description="The groups it belongs to.")
    critical: bool = Field(False, description="Whether it fails everything unless it passes.")
    muted: bool = Field(False, description="Whether it is left out.")


class ScoreInput(Input):
    """Metrics and weights."""

    metrics: list[ScoredMetric] = Field(description="The metrics.")
    weights: dict[str, float] = Field({}, description="Percent of each group; the others share the rest.")
    passing: float = Field(95.0, description="The score from which all is well.")
    marginal: float = Field(75.0, description="The score from which it is not yet a failure.")


def _score(given: ScoreInput) -> Mapping[str, Any]:
    metrics = [Labelled(m.name, Label(m.label), tuple(m.groups), m.critical, m.muted) for m in given.metrics]
    answer: Mapping[str, Any] = encode(score(metrics, given.weights, passing=given.passing, marginal=given.marginal))
    return answer


SCORE = Method(
    about="Kayenta's formula: the share of metrics that pass in each group, weighted. To be shown, not to decide by.",
    input=ScoreInput,
    output={
        "score, grade": "From 0 to 100; pass, marginal or fail.",
        "groups": "The score of each group with data.",
        "reason": "Why the score was set to 0, if it was.",
    },
    example='{"metrics": [{"name": "cpu", "label": "pass"}, {"name": "memory", "label": "high"}]}',
    computed=_score,
)
