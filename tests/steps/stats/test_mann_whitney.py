"""Two series by ranks, with Kayenta's knobs, and its score.

Checked against the short cases of Kayenta's own suites (spinnaker/spinnaker, kayenta-judge and kayenta-mannwhitney), R's documented
examples, NIST's data and scipy. Left out: Kayenta's root finder, whose noise is not a goal; its long series.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairway_steps.stats import mann_whitney
from fairway_steps.stats.mann_whitney import (
    Direction,
    Effect,
    Knobs,
    Label,
    compare_series,
    outliers,
    shift_estimate,
    shift_interval,
)
from fairway_steps.stats.score import Grade, Labelled, score

SUITE = {"tolerance": 0.10, "confidence": 0.95}  # what ClassifierSuite.scala sets
HIGH, LOW = ([20, 22, 21, 25, 30], [1, 2.2, 1.1, 2.5, 3]), ([2, 2, 2, 2, 3], [10, 20.2, 10.1, 20.5, 30])
ZERO, NOISE = [0.0] * 5, [54.9, 54.5, 55.1, 55.6, 57.4]


def judged(candidate, primary, **knobs):
    return compare_series(candidate, primary, Knobs(**SUITE | knobs))


def test_the_shift_of_four_and_four_values():
    # MannWhitneySuite.scala: interval [6, 39] at 98 %, estimate 22.5
    found = compare_series([10, 20, 30, 40], [1, 2, 3, 4])
    assert (found.low, found.high, found.estimate) == (6, 39, 22.5)


def test_hollander_and_wolfes_permeability():
    # R: wilcox.test(x, y, alternative = "g"), ?wilcox.test, data of Hollander & Wolfe (1973), 69f: W = 35, p-value = 0.1272
    x = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    y = [1.15, 0.88, 0.90, 0.74, 1.21]
    test = stats.mannwhitneyu(x, y, alternative="greater", method="exact")
    assert (test.statistic, round(test.pvalue, 4)) == (35, 0.1272)
    found = compare_series(x, y)
    assert found.cles == 35 / 50
    assert found.cliff == pytest.approx(2 * 35 / 50 - 1)
    # R: wilcox.test(x, y, conf.int = TRUE) estimates a shift of 0.305
    assert found.estimate == pytest.approx(0.305, abs=1e-12)


@pytest.mark.parametrize(
    ("series", "knobs", "label", "critical"),
    [
        (HIGH, {"allowed_decrease": 0.8, "allowed_increase": 1.2}, Label.HIGH, False),
        (([10, 12.2, 10.1, 12.5, 23], [20, 22, 21, 25, 30]), {"allowed_decrease": 0.5, "allowed_increase": 1.0}, Label.PASS, False),
        (HIGH, {"critical": True, "critical_decrease": 1, "critical_increase": 1.2}, Label.HIGH, True),
        (LOW, {"critical": True, "critical_decrease": 1.2, "critical_increase": 1}, Label.LOW, True),
        (HIGH, {"critical": True, "allowed_increase": 5, "critical_increase": 13}, Label.HIGH, False),
        (HIGH, {"critical": True, "allowed_increase": 13, "critical_increase": 15}, Label.PASS, False),
        (HIGH, {"critical": True}, Label.HIGH, True),
        (HIGH, {"direction": Direction.DECREASE}, Label.PASS, False),
        (LOW, {"direction": Direction.INCREASE}, Label.PASS, False),
        (LOW, {"direction": Direction.DECREASE}, Label.LOW, False),
        (([1, 1, 1], [1, 1]), {"direction": Direction.DECREASE}, Label.PASS, False),
        (([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]), {}, Label.PASS, False),
        (([0, 1, 1, 1, 1], [1] * 5), {"direction": Direction.DECREASE}, Label.PASS, False),
        (([1, 1, 1, 1, 10], [1] * 5), {}, Label.PASS, False),
        (([10] * 5, [1] * 5), {}, Label.HIGH, False),
        (([10] * 5, ZERO), {}, Label.HIGH, False),
        ((NOISE, ZERO), {"allowed_decrease": 0.8, "allowed_increase": 1.2}, Label.HIGH, False),
        ((ZERO, NOISE), {"allowed_decrease": 0.8, "allowed_increase": 1.2}, Label.LOW, False),
        ((NOISE, ZERO), {"critical": True, "critical_increase": 1.2}, Label.HIGH, True),
        ((ZERO, ZERO), {"allowed_decrease": 0.8, "allowed_increase": 1.2}, Label.PASS, False),
        (([], [1, 2, 3]), {}, Label.NO_DATA, False),
        (([], [1, 2, 3]), {"critical": True}, Label.NO_DATA, True),
        (([], [1, 2, 3]), {"must_have_data": True}, Label.NO_DATA_FAILS, False),
        (([], [1, 2, 3]), {"must_have_data": True, "critical": True}, Label.NO_DATA, True),
        (([], [1, 2, 3]), {"replace_missing": True}, Label.PASS, False),
        ((HIGH[0], [math.nan, *HIGH[1]]), {}, Label.HIGH, False),
        (HIGH, {"effect": Effect.CLES, "allowed_increase": 0.8}, Label.HIGH, False),
    ],
)  # fmt: skip
def test_kayentas_classifier_suite(series, knobs, label, critical):
    found = judged(*series, **knobs)
    assert (found.label, found.critical) == (label, critical)


def test_an_effect_that_cannot_be_told_is_none():
    assert judged(NOISE, ZERO).mean_ratio is None
    assert judged(ZERO, ZERO).mean_ratio == 1.0
    assert judged([10] * 5, [1] * 5).mean_ratio == 10


def test_kayentas_statistics_suite():
    # StatisticSuite.scala: CLES .771 +- .001 of series that are written there; 0 without overlap; .5 of identical ones
    high = [29.17644856, 25.16947646, 25.88467948, 29.4900454, 27.05622757, 26.13307864, 27.2711558, 26.69139944, 29.05412377, 26.39818697,
            26.68312641, 24.99600187, 27.99524816, 22.57278291, 23.72798196, 25.82821505, 28.26624521, 28.02370228, 24.1792213, 26.02914828,
            25.90970275, 31.18337461, 27.44254942, 29.93347686, 26.70848069, 28.12191913, 27.39257837, 30.17636627, 29.60240485, 30.10635388]  # fmt: skip
    base = [24.69397578, 25.37120574, 25.86186148, 26.93804252, 22.72232309, 24.15894084, 24.80842752, 26.07830794, 27.35323988, 23.25110886,
            24.65909111, 23.88299016, 21.34817847, 26.33198082, 23.39498829, 26.6734461, 25.33769589, 23.92348759, 25.29740715, 24.21381887,
            28.1697053, 22.2271772, 27.16612837, 25.16639243, 26.85955896, 27.13421926, 25.43350074, 26.32130314, 23.8854011, 27.86180318]  # fmt: skip
    found = compare_series(high, base)
    assert found.cles == pytest.approx(0.771, abs=0.001)
    assert found.cles == stats.mannwhitneyu(high, base).statistic / 900
    assert found.p == stats.mannwhitneyu(high, base).pvalue
    assert compare_series([1, 2], [8, 9]).cles == 0
    assert compare_series([1, 2, 3], [1, 2, 3]).cles == 0.5


def test_cohens_d_of_kayentas_statistics_suite():
    # StatisticSuite.scala has 3.03821 to within 1e-5
    found = compare_series([5, 5, 5, 10, 10, 10], [1, 1, 1, 2, 2, 2])
    assert found.cohen_d == pytest.approx(3.03821, abs=1e-5)
    assert compare_series([2, 2], [1, 1]).cohen_d is None


def test_kayentas_tie_out_with_r():
    # MannWhitneySuite.scala, "tie out with R version", 95 %: R's root finder gives [-0.5000025, -3.486e-5] there, the differences [-.5, 0].
    # All values are halves, so they are written doubled.
    control = (
        "3 12 10 5 5 4 4 7 6 6 6 4 6 16 8 5 6 5 5 4 5 4 4 5 7 6 3 10 5 11 4 5 7 4 5 8 4 4 4 4 11 9 8 6 6 7 5 6 5 8 12 4 10 12 7 6 109 "
        "6 10 12 7 9 5 4 12 10 5 7 4 6 5 7 7 5 6 9 6 31 10 5 6 8 7 8 8 4 9 5 8 6"
    )
    experiment = (
        "5 5 4 5 7 4 7 3 6 6 5 7 4 5 4 4 10 6 4 3 4 8 6 5 6 4 4 4 5 7 3 3 7 4 5 5 6 7 5 13 5 8 5 6 5 13 5 6 3 4 5 6 15 3 4 8 5 4 5 7 8 "
        "5 6 5 4 7 6 33 6 6 14 9 10 4 7 12 3 6 5 8 6 3 10 6 5 11 6 3 5 12"
    )
    x, y = ([int(word) / 2 for word in words.split()] for words in (experiment, control))
    assert (len(x), len(y)) == (90, 90)
    assert shift_interval(x, y, 0.95) == pytest.approx((-0.5000025, -3.486e-5), abs=1e-4)
    assert shift_interval(x, y, 0.95) == (-0.5, 0)


def test_kayentas_detector_suite():
    assert outliers([21, 23, 24, 25, 50, 29, 23, 21], 1.5) == [False] * 4 + [True] + [False] * 3
    assert outliers([1, 1, 1, 5, -1, -1, -1, -5], 1.5) == [False] * 3 + [True] + [False] * 3 + [True]
    assert outliers([1] * 5 + [20] + [1] * 5, 3, cautious=False)[5]
    assert outliers([], 1.5) == []
    # NIST/SEMATECH e-Handbook 7.1.6: 1441 is the one outlier of its 90 values, with fences 3 quartile distances apart or 1.5
    nist = [30, 171, 184, 201, 212, 250, 265, 270, 272, 289, 305, 306, 322, 322, 336, 346, 351, 370, 390, 404, 409, 411, 436, 437, 439, 441,
            444, 448, 451, 453, 470, 480, 482, 487, 494, 495, 499, 503, 514, 521, 522, 527, 548, 550, 559, 560, 570, 572, 574, 578, 585,
            592, 592, 607, 616, 618, 621, 629, 637, 638, 640, 656, 668, 707, 709, 719, 737, 739, 752, 758, 766, 792, 792, 794, 802, 818,
            830, 832, 843, 858, 860, 869, 918, 925, 953, 991, 1000, 1005, 1068, 1441]  # fmt: skip
    assert [value for value, out in zip(nist, outliers(nist, 1.5), strict=True) if out] == [1441]


def test_nists_percentile_is_rs_type_seven():
    # NIST's twelve gauge readings: the 90th percentile is 95.19568 (StatisticSuite.scala; R: quantile(x, .9))
    x = [95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610, 95.1591, 95.1195, 95.1772, 95.0925, 95.1990, 95.1682]
    assert np.percentile(x, 90) == pytest.approx(95.19568, abs=1e-9)


def test_cautious_fences_spare_what_one_in_a_hundred_reaches():
    mostly_zero = [0.0] * 980 + [5.0] * 20
    assert sum(outliers(mostly_zero, 3)) == 20
    assert sum(outliers(mostly_zero, 3, cautious=True)) == 0
    assert sum(outliers([*mostly_zero, 9.0], 3, cautious=True)) == 1


def test_an_outlier_is_left_out_if_asked():
    steady = [10, 11, 12, 13] * 10
    wild = [*steady, 10_000]
    assert compare_series(wild, steady, Knobs(remove_outliers=True)).mean_ratio == 1.0
    assert compare_series(wild, steady).mean_ratio > 10


@given(st.lists(st.integers(0, 30), min_size=2, max_size=25), st.lists(st.integers(0, 30), min_size=2, max_size=25))
def test_the_estimate_and_its_interval_by_brute_force(x, y):
    differences = sorted(a - b for a in x for b in y)
    assert shift_estimate(x, y) == np.median(differences)
    low, high = shift_interval(x, y, 0.9)
    assert low in differences
    assert high in differences
    assert low <= shift_estimate(x, y) <= high
    wider = shift_interval(x, y, 0.999)
    assert wider[0] <= low
    assert wider[1] >= high


def test_the_ranks_of_the_interval_by_hand():
    # 10 and 10 values: 50 - 1.95996 sqrt(100 * 21 / 12) - 1/2 = 23.57, so the 23rd difference and the 78th
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=10), rng.normal(size=10)
    ordered = np.sort(np.subtract.outer(x, y).ravel())
    assert shift_interval(x, y, 0.95) == (ordered[22], ordered[77])
    # ties take from the deviation: sqrt(100 / 12 * (21 - 1980 / 380)), so the 27th: of 25 at -1 and 50 at 0
    half = [0] * 5 + [1] * 5
    assert shift_interval(half, half, 0.95) == (0, 0)


def test_the_interval_is_the_set_of_shifts_that_the_test_does_not_refute():
    rng = np.random.default_rng(3)
    x, y = rng.normal(0, 1, 40), rng.normal(0.3, 1, 50)
    low, high = shift_interval(x, y, 0.95)
    for shift, inside in ((low + 1e-9, True), (high - 1e-9, True), (low - 0.02, False), (high + 0.02, False)):
        p = stats.mannwhitneyu(x - shift, y, method="asymptotic").pvalue
        assert (p > 0.05 - 0.002) == inside


@given(
    st.lists(st.floats(0.01, 100), min_size=2, max_size=30),
    st.lists(st.floats(0.01, 100), min_size=2, max_size=30),
    st.sampled_from([1024.0, 0.25]),
)
def test_units_change_nothing(x, y, unit):
    one, other = judged(x, y), judged([unit * v for v in x], [unit * v for v in y])
    assert (other.label, other.p, other.cles) == (one.label, one.p, one.cles)
    assert (other.low, other.high, other.estimate) == (unit * one.low, unit * one.high, unit * one.estimate)


@pytest.mark.parametrize("digits", [1, 3, 9])
def test_too_many_pairs_to_sort_give_the_same(monkeypatch, digits):
    rng = np.random.default_rng(4)
    x, y = np.round(rng.normal(0, 1, 300), digits), np.round(rng.normal(0.1, 1, 280), digits)
    wanted = (shift_estimate(x, y), *shift_interval(x, y, 0.98))
    monkeypatch.setattr(mann_whitney, "ALL_PAIRS", 10)
    assert (shift_estimate(x, y), *shift_interval(x, y, 0.98)) == pytest.approx(wanted, abs=1e-12)


def test_doubts_are_told():
    slow_wave = np.sin(np.arange(200) / 30)
    found = compare_series(slow_wave + 1, slow_wave)
    assert found.effective < 20
    assert "worth" in found.warnings[0]
    assert "are few" in compare_series([1, 2, 3], [2, 3, 4]).warnings[0]
    noise = np.random.default_rng(1).normal(size=200)
    assert compare_series(noise, noise[::-1] + 0.01).warnings == ()
    mostly_zero = compare_series([0] * 60 + [1] * 40, [0] * 90 + [1] * 10)
    assert "touches 0" in mostly_zero.warnings[-1]


def test_what_cannot_be_is_refused():
    for call, said in (
        (lambda: compare_series([math.inf], [1]), "a value of a series is infinite"),
        (lambda: compare_series(["x"], [1]), "a value of a series is not a number"),
        (lambda: compare_series([1], [1], Knobs(confidence=1)), "a confidence of 1 is not between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=said):
            call()


# ScorerSuite.scala


def metric(label, group="", **more):
    return Labelled(f"{label}-{group}", label, (group,), **more)


@pytest.mark.parametrize(
    ("metrics", "weights", "wanted"),
    [
        ([metric(Label.PASS)], {}, 100),
        ([metric(Label.HIGH)], {}, 0),
        ([metric(Label.PASS), metric(Label.HIGH)], {}, 50),
        ([metric(Label.PASS), metric(Label.HIGH), metric(Label.LOW)], {}, 33.33),
        ([metric(Label.PASS, "1"), metric(Label.PASS, "1"), metric(Label.HIGH, "2")], {"1": 75, "2": 25}, 75),
        ([metric(Label.PASS, "1"), metric(Label.HIGH, "1"), metric(Label.HIGH, "2")], {"1": 50, "2": 50}, 25),
        ([metric(Label.PASS, "1"), metric(Label.HIGH, "2"), metric(Label.PASS, "3")], {"1": 50}, 75),
        ([metric(Label.NO_DATA)], {}, 0),
        ([metric(Label.PASS), metric(Label.HIGH, critical=True)], {}, 0),
        ([metric(Label.PASS), metric(Label.NO_DATA, critical=True), metric(Label.PASS)], {}, 0),
        ([metric(Label.LOW), metric(Label.PASS, critical=True)], {}, 50),
        ([metric(Label.PASS), metric(Label.HIGH, muted=True)], {}, 100),
        ([metric(Label.PASS), metric(Label.NO_DATA_FAILS)], {}, 50),
        ([metric(Label.PASS), metric(Label.NO_DATA)], {}, 0),
        ([metric(Label.PASS, "1"), metric(Label.PASS, "1"), metric(Label.NO_DATA, "2")], {"1": 50, "2": 50}, 100),
        ([], {}, 0),
    ],
)
def test_kayentas_scorer_suite(metrics, weights, wanted):
    assert score(metrics, weights).score == pytest.approx(wanted)


def test_a_score_has_a_grade_and_a_reason():
    assert score([metric(Label.PASS)]).grade is Grade.PASS
    assert score([metric(Label.PASS)] * 4 + [metric(Label.HIGH)]).grade is Grade.MARGINAL
    assert score([metric(Label.HIGH)]).grade is Grade.FAIL
    assert score([metric(Label.HIGH, "a", critical=True)]).reason == "high-a is critical and is high"
    assert score([metric(Label.NO_DATA)]).reason == "1 of 1 metrics have no data"
    assert score([metric(Label.PASS, "a"), metric(Label.HIGH, "b")]).groups == {"a": 100, "b": 0}
    with pytest.raises(ValueError, match="come to more than 100"):
        score([], {"a": 60, "b": 60})
    with pytest.raises(ValueError, match="do not rise"):
        score([], passing=50, marginal=75)
