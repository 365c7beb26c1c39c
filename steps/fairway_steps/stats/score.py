"""One number from 0 to 100 for several comparisons, as Kayenta tells it: to be shown, not to decide by.

Each group's score is the share of its metrics that pass, the whole is the mean of the groups by their weights; groups without a weight
share what is left of 100. A failed critical metric, or half of the metrics without data, makes it 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fairway_steps.stats.mann_whitney import Label

TOO_MANY_WITHOUT_DATA = 0.5


class Grade(StrEnum):
    """What a score comes to."""

    PASS = "pass"
    MARGINAL = "marginal"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One metric's comparison: its groups, its label, and whether it fails everything (``critical``) or counts at all."""

    name: str
    label: Label
    groups: tuple[str, ...] = ("",)
    critical: bool = False
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """From 0 to 100, in hundredths; ``reason`` says why a score was set to 0."""

    score: float
    grade: Grade
    groups: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def score(
    metrics: Sequence[Labelled],
    weights: Mapping[str, float] | None = None,
    *,
    passing: float = 95.0,
    marginal: float = 75.0,
) -> Score:
    """The score of all ``metrics`` that are not muted. ``weights`` are percents by group. ValueError for what cannot be."""
    weights = weights or {}
    if any(not weight >= 0 for weight in weights.values()) or sum(weights.values()) > 100 * (1 + 1e-9):
        raise ValueError(f"weights {dict(weights)} are negative or come to more than 100")
    if not 0 <= marginal <= passing <= 100:
        raise ValueError(f"marginal at {marginal:g} and pass at {passing:g} do not rise between 0 and 100")
    counted = [metric for metric in metrics if not metric.muted]
    groups: dict[str, list[Label]] = {}
    for metric in counted:
        for name in metric.groups:
            groups.setdefault(name, []).append(metric.label)
    scores = {name: _share(labels) for name, labels in groups.items()}
    shown = {name: value for name, value in scores.items() if value is not None}
    if reason := _spoilt(counted):
        return Score(0.0, _grade(0.0, passing, marginal), shown, reason)
    free = [name for name in scores if name not in weights]
    rest = (100 - sum(weights.values())) / len(free) if free else 0.0
    total = sum((100.0 if value is None else value) * weights.get(name, rest) / 100 for name, value in scores.items())
    return Score(round(total, 2), _grade(round(total, 2), passing, marginal), shown)


def _share(labels: Sequence[Label]) -> float | None:
    """Percent of a group's metrics that pass; None without data, which counts as a pass."""
    told = [label for label in labels if label is not Label.NO_DATA]
    return 100 * told.count(Label.PASS) / len(told) if told else None


def _spoilt(metrics: Sequence[Labelled]) -> str:
    if not metrics:
        return "there is no metric"
    if failed := [metric for metric in metrics if metric.critical and metric.label is not Label.PASS]:
        return f"{failed[0].name} is critical and is {failed[0].label}"
    without = sum(metric.label is Label.NO_DATA for metric in metrics)
    if without >= TOO_MANY_WITHOUT_DATA * len(metrics):
        return f"{without} of {len(metrics)} metrics have no data"
    return ""


def _grade(value: float, passing: float, marginal: float) -> Grade:
    if value >= passing:
        return Grade.PASS
    return Grade.MARGINAL if value >= marginal else Grade.FAIL
