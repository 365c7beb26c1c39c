"""Two series of one figure, compared once by ranks: the profile that Kayenta users know.

For figures without counts behind them (utilisation, cost, drift scores). Hodges and Lehmann's estimate of the shift is the median of all
differences between a value of the candidate and one of the primary; its confidence interval, two of those differences, is the set of shifts
that the Mann-Whitney test does not refute (Hollander, Wolfe and Chicken, "Nonparametric statistical methods", 4.2-4.3), here
exactly and not by a root finder, so it scales with the unit. The knobs, labels and rules are those of Kayenta's judge (its
``MannWhitneyClassifier``, ``NetflixACAJudge`` and ``IQRDetector``). **One look only**: repeated looks make it cry wolf. Values of one series
are taken as independent, as Kayenta does, which utilisations a second apart are not: see ``Comparison.warnings`` and ``Knobs.deflate``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fairway_steps.stats.counts import Array

Series = Sequence[float] | NDArray[np.float64]

FEW = 50
FEW_EFFECTIVE = 20
ALL_PAIRS = 4_000_000
"""So many differences are sorted; of more, the two that are needed are found by bisection."""

STARK = 0.01


class Label(StrEnum):
    """What a comparison says; a missing required series is a failure of its own kind."""

    PASS = "pass"
    HIGH = "high"
    LOW = "low"
    NO_DATA = "no-data"
    NO_DATA_FAILS = "no-data-fails"


class Direction(StrEnum):
    """Which way a change is a fault."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


class Effect(StrEnum):
    """How large a change is: the ratio of means, or the share of pairs in which the candidate is higher."""

    MEAN_RATIO = "mean-ratio"
    CLES = "cles"


@dataclass(frozen=True, slots=True)
class Knobs:
    """Kayenta's settings, with its defaults.

    A change counts if its interval lies beyond ``tolerance`` times the estimate, and the effect beyond ``allowed_decrease`` or
    ``allowed_increase``; a ``critical`` metric fails the whole release if the effect lies beyond the ``critical_`` ones, too. An
    effect that cannot be told (a mean of zero) is let through. None: 1 for the ratio of means, 0.5 for CLES.
    ``deflate`` is ours: values count as so many independent ones as their correlation leaves (``Comparison.effective``).
    """

    direction: Direction = Direction.EITHER
    confidence: float = 0.98
    tolerance: float = 0.25
    effect: Effect = Effect.MEAN_RATIO
    allowed_increase: float | None = None
    allowed_decrease: float | None = None
    critical_increase: float | None = None
    critical_decrease: float | None = None
    critical: bool = False
    must_have_data: bool = False
    replace_missing: bool = False
    remove_outliers: bool = False
    outlier_factor: float = 3.0
    deflate: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """``estimate`` of the shift (candidate minus primary) and its interval, in the series' unit; NaN never, None where it cannot be told.

    ``cohen_d`` is the difference of the means over their pooled standard deviation.
    ``p`` is that of the two-sided Mann-Whitney test, ``cles`` the share of pairs with the candidate higher (Vargha and Delaney's A),
    ``cliff`` the same from -1 to 1. ``effective`` counts the values of the shorter series as if they were independent.
    """

    label: Label
    critical: bool = False
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    mean_ratio: float | None = None
    cles: float | None = None
    cliff: float | None = None
    cohen_d: float | None = None
    effective: float = 0.0
    warnings: tuple[str, ...] = ()


DEFAULTS = Knobs()


def compare_series(candidate: Series, primary: Series, knobs: Knobs = DEFAULTS) -> Comparison:
    """The candidate's series against the primary's, at one look. NaN is a missing value. ValueError for infinities and bad knobs."""
    if not 0 < knobs.confidence < 1 or not knobs.tolerance >= 0:
        raise ValueError(
            f"a confidence of {knobs.confidence:g} is not between 0 and 1, or a tolerance of {knobs.tolerance:g} negative"
        )
    x, y = (_cleaned(series, knobs) for series in (candidate, primary))
    if not (x.size and y.size):
        if knobs.replace_missing:
            return Comparison(Label.PASS)
        required = knobs.must_have_data and not knobs.critical
        return Comparison(Label.NO_DATA_FAILS if required else Label.NO_DATA, critical=knobs.critical)
    warnings, effective = _doubts(x, y)
    if np.array_equal(np.sort(x), np.sort(y)) or np.unique(np.concatenate((x, y))).size == 1:
        return Comparison(
            Label.PASS, False, 0.0, 0.0, 0.0, 1.0, 1.0, 0.5, 0.0, 0.0, effective=effective, warnings=warnings
        )
    worth = min(_effective(x) / x.size, _effective(y) / y.size) if knobs.deflate else 1.0
    low, high = shift_interval(x, y, knobs.confidence, worth)
    estimate, cles, ratio = shift_estimate(x, y), _cles(x, y), _mean_ratio(x, y)
    from scipy import stats as tests  # noqa: PLC0415 - seconds to import, in which nobody would look at a candidate

    p = float(tests.mannwhitneyu(x, y, alternative="two-sided").pvalue)
    if p < STARK and low <= 0 <= high:
        warnings = (*warnings, f"the ranks differ (p = {p:.2g}), but the interval of the shift touches 0: ties hide it")
    label = _label(low, high, estimate, cles if knobs.effect is Effect.CLES else ratio, knobs)
    critical = knobs.critical and label is not Label.PASS and _grave(label, cles, ratio, knobs)
    return Comparison(
        label, critical, estimate, low, high, p, ratio, cles, 2 * cles - 1, _cohen_d(x, y), effective, warnings
    )


def shift_estimate(candidate: Series, primary: Series) -> float:
    """The median of all differences, candidate minus primary."""
    x, y = np.asarray(candidate, dtype=np.float64), np.asarray(primary, dtype=np.float64)
    pairs = x.size * y.size
    middle = (pairs + 1) // 2
    first, second = _differences(x, y, [middle, pairs + 1 - middle])
    return (first + second) / 2


def shift_interval(candidate: Series, primary: Series, confidence: float, worth: float = 1.0) -> tuple[float, float]:
    """Shifts that the two-sided test, by its normal approximation with ties and continuity, does not refute.

    ``worth``: how many independent values one of them stands for; the variance of the ranks' sum grows as it falls. With too few values for the confidence asked for: from the smallest to the largest difference.
    """
    x, y = np.asarray(candidate, dtype=np.float64), np.asarray(primary, dtype=np.float64)
    m, n = x.size, y.size
    _, ties = np.unique(np.concatenate((x, y)), return_counts=True)
    total = m + n
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / (total * (total - 1))
    deviation = math.sqrt(m * n / 12 * max(0.0, total + 1 - tied) / worth)
    z = float(special.ndtri(1 - (1 - confidence) / 2))
    rank = max(1, math.floor(m * n / 2 - z * deviation - 0.5))
    low, high = _differences(x, y, [rank, m * n - rank + 1])
    return low, high


def outliers(values: Series, factor: float, *, cautious: bool = False) -> list[bool]:
    """Which values lie beyond the quartiles by ``factor`` times their distance (Tukey's fences).

    ``cautious`` widens the fences to the 1st and the 99th percentile. Percentiles are R's type 7.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        return []
    quarter, three, first, last = np.percentile(array, [25, 75, 1, 99])
    low, high = quarter - factor * (three - quarter), three + factor * (three - quarter)
    if cautious:
        low, high = min(low, first), max(high, last)
    found: list[bool] = ((array < low) | (array > high)).tolist()
    return found


def _label(low: float, high: float, estimate: float, effect: float | None, knobs: Knobs) -> Label:
    beyond = knobs.tolerance * abs(estimate)
    up = _or_default(knobs.allowed_increase, knobs)
    down = _or_default(knobs.allowed_decrease, knobs)
    if knobs.direction is not Direction.DECREASE and low > beyond and (effect is None or effect >= up):
        return Label.HIGH
    if knobs.direction is not Direction.INCREASE and high < -beyond and (effect is None or effect <= down):
        return Label.LOW
    return Label.PASS


def _grave(label: Label, cles: float, ratio: float | None, knobs: Knobs) -> bool:
    effect = cles if knobs.effect is Effect.CLES else ratio
    if effect is None:
        return True
    if label is Label.HIGH:
        return effect >= _or_default(knobs.critical_increase, knobs)
    return effect <= _or_default(knobs.critical_decrease, knobs)


def _or_default(threshold: float | None, knobs: Knobs) -> float:
    if threshold is not None:
        return threshold
    return 0.5 if knobs.effect is Effect.CLES else 1.0


def _cleaned(series: Series, knobs: Knobs) -> Array:
    try:
        array = np.asarray([math.nan if value is None else value for value in series], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("a value of a series is not a number") from error
    if np.isinf(array).any():
        raise ValueError("a value of a series is infinite")
    array = np.where(np.isnan(array), 0.0, array) if knobs.replace_missing else array[~np.isnan(array)]
    if knobs.remove_outliers:
        array = array[~np.array(outliers(array, knobs.outlier_factor, cautious=True), dtype=bool)]
    cleaned: Array = array
    return cleaned


def _mean_ratio(x: Array, y: Array) -> float | None:
    """None where a mean is zero: then there is no ratio to speak of."""
    return None if x.mean() == 0 or y.mean() == 0 else float(x.mean() / y.mean())


def _cohen_d(x: Array, y: Array) -> float | None:
    """None without any variance, or with fewer than two values on both sides together."""
    if x.size + y.size < 3:
        return None
    pooled = (((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum()) / (x.size + y.size - 2)
    return float((x.mean() - y.mean()) / math.sqrt(pooled)) if pooled > 0 else None


def _cles(x: Array, y: Array) -> float:
    from scipy import stats as tests  # noqa: PLC0415 - likewise

    ranks = tests.rankdata(np.concatenate((x, y)))
    m, n = x.size, y.size
    return float((2 * ranks[:m].sum() - m * (m + 1)) / (2 * m * n))


def _doubts(x: Array, y: Array) -> tuple[tuple[str, ...], float]:
    """Why a careful reader would not trust the comparison much, and the effective number of the shorter series."""
    effective = min(_effective(x), _effective(y))
    shorter = min(x.size, y.size)
    found = []
    if shorter < FEW:
        found.append(f"{shorter} values are few: below {FEW} the interval is rough")
    if effective < FEW_EFFECTIVE <= shorter:
        found.append(f"{shorter} values that follow one another so closely are worth {effective:.0f} independent ones")
    return tuple(found), effective


def _effective(values: Array) -> float:
    """How many independent values a series is worth, by its correlation from one to the next."""
    away = values - values.mean()
    power = float(away @ away)
    if values.size < 3 or power == 0:
        return float(values.size)
    lag = min(max(float(away[1:] @ away[:-1]) / power, 0.0), 0.99)
    return values.size * (1 - lag) / (1 + lag)


def _differences(x: Array, y: Array, ranks: Sequence[int]) -> list[float]:
    """The differences x - y of these ranks, from 1."""
    if x.size * y.size <= ALL_PAIRS:
        ordered = np.partition(np.subtract.outer(x, y).ravel(), [rank - 1 for rank in ranks])
        return [float(ordered[rank - 1]) for rank in ranks]
    x, y = np.sort(x), np.sort(y)
    return [_by_bisection(x, y, rank) for rank in ranks]


def _by_bisection(x: Array, y: Array, rank: int) -> float:
    """The difference of one rank among too many: halve its range to within rounding, then sort the few that lie there."""
    rounding = 1e-12 * max(abs(x[0]), abs(x[-1]), abs(y[0]), abs(y[-1]))
    low, high = float(x[0] - y[-1]) - rounding, float(x[-1] - y[0]) + rounding
    while high - low > 4 * rounding:
        middle = low + (high - low) / 2
        low, high = (low, middle) if _upto(x, y, middle) >= rank else (middle, high)
    low, high = low - 2 * rounding, high + 2 * rounding
    start, stop = np.searchsorted(y, x - high, side="left"), np.searchsorted(y, x - low, side="left")
    near = np.unique(
        np.concatenate([value - np.unique(y[i:j]) for value, i, j in zip(x, start, stop, strict=True) if j > i])
    )
    # Ties weigh by how often they occur, which is counted just above each of the few values that are left.
    for value in near.tolist():
        if _upto(x, y, value + rounding / 4) >= rank:
            return float(value)
    return float(near[-1])


def _upto(x: Array, y: Array, shift: float) -> int:
    """How many differences are at most ``shift``."""
    return int((y.size - np.searchsorted(y, x - shift, side="left")).sum())
