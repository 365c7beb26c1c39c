"""Several metrics and candidates with one error probability, the verdict that follows, and the traffic split's state.

Checked against the definitions, brute force over all intersections, and a simulation. Left out: the e-values that go in.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps import codec
from fairway_steps.model import Result, Verdict
from fairway_steps.stats.combine import (
    Rollback,
    e_benjamini_hochberg,
    e_holm,
    mixed,
    promotable,
    rollback,
)
from fairway_steps.stats.traffic import SplitVsWeights, log_e_split
from fairway_steps.stats.verdict import Mode, rule

LOG_20 = math.log(20)
logs = st.lists(st.floats(-20, 20), min_size=1, max_size=6)


@given(logs)
def test_the_mean_of_e_values_and_its_bounds(values):
    assert mixed(values) == pytest.approx(math.log(np.mean(np.exp(values))), abs=1e-9)
    assert max(values) - math.log(len(values)) <= mixed(values) + 1e-12  # never weaker than Bonferroni
    assert mixed(values) <= max(values) + 1e-12


@given(st.lists(st.tuples(st.floats(-20, 20), st.floats(0.1, 9)), min_size=1, max_size=6), st.randoms())
def test_the_order_and_the_names_of_metrics_decide_nothing(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    one, other = (mixed([v for v, _ in some], [w for _, w in some]) for some in (pairs, shuffled))
    assert one == pytest.approx(other, abs=1e-12)
    first, second = ([value for value, _ in some] for some in (pairs, shuffled))
    assert sorted(first[i] for i in e_holm(first)) == sorted(second[i] for i in e_holm(second))


def test_a_metric_without_weight_decides_nothing():
    assert mixed([1.0, 50.0], [1, 0]) == mixed([1.0, -50.0], [1, 0]) == 1.0
    assert mixed([math.inf, 0.0]) == math.inf
    assert mixed([math.inf, 0.0], [0, 1]) == 0.0


def test_harm_in_several_metrics_adds_up_and_is_not_forgotten():
    test = rollback(2)
    assert not test.look([2.9, 2.9]).fired
    fired = test.look([3.1, 3.0])
    assert fired.fired
    assert fired.look([-9, -9]).fired
    assert codec.decode(Rollback, codec.encode(fired)) == fired
    assert not test.look([3.5, -9]).fired  # half of e^3.5 is below 20


def test_a_critical_metric_fires_alone_and_alpha_is_split():
    test = rollback(3, critical=[True, False, False])
    assert test.bar == pytest.approx(math.log(40))
    assert test.critical_bar == pytest.approx(math.log(40))
    assert test.look([3.7, -9, -9]).alone == (0,)
    assert test.look([3.7, -9, -9]).fired
    assert not test.look([-9, 3.7, -9]).fired
    both = rollback(3, critical=[True, True, False])
    assert both.critical_bar == pytest.approx(math.log(80))
    assert math.exp(-both.bar) + 2 * math.exp(-both.critical_bar) == pytest.approx(0.05)
    assert rollback(3).critical_bar == math.inf
    assert rollback(3).bar == pytest.approx(LOG_20)


def test_false_rollbacks_of_several_fine_metrics_stay_below_alpha():
    # e-values that are as dependent as can be, and independent ones; both with mean 1 by construction
    rng = np.random.default_rng(2)
    fired = {"same": 0, "independent": 0}
    for _ in range(2000):
        jump = rng.random(4) < 1 / 25
        fired["same"] += rollback(4, critical=[1, 0, 0, 0]).look([math.log(25 * jump[0] + 1e-9)] * 4).fired
        fired["independent"] += rollback(4).look(np.log(25.0 * jump + 1e-9).tolist()).fired
    assert all(count / 2000 <= 0.05 for count in fired.values())


@given(logs, st.sampled_from([0.05, 0.2]))
def test_holms_procedure_is_closed_testing(values, alpha):
    def refuted(i):
        others = [j for j in range(len(values)) if j != i]
        sets = itertools.chain.from_iterable(itertools.combinations(others, k) for k in range(len(others) + 1))
        return all(np.mean(np.exp([values[j] for j in (i, *some)])) >= (1 - 1e-12) / alpha for some in sets)

    assert e_holm(values, alpha) == tuple(i for i in range(len(values)) if refuted(i))


def test_e_bh_by_hand():
    # m = 4, alpha = .05: thresholds 80, 40, 26.7, 20 for the largest, second, ...
    values = [math.log(v) for v in (45, 50, 10, 27)]
    assert e_benjamini_hochberg(values) == (0, 1, 3)
    assert e_benjamini_hochberg([math.log(v) for v in (45, 39, 10, 10)]) == ()
    assert e_benjamini_hochberg([math.log(81), 0, 0, 0]) == (0,)


def test_culprits_are_named():
    assert rollback(3).look([9, 0, 9]).culprits() == (0, 2)
    assert rollback(2).culprits() == ()
    assert rollback(2, critical=[True, False]).look([3.8, -50]).culprits() == (0,)


def test_no_culprit_is_made_of_maxima_that_never_met():
    # At no look do both means reach 20 with the first metric in them, though its maximum and the other's would together.
    test = rollback(2).look([3.2, -50.0]).look([-50.0, 3.2])
    assert test.culprits() == ()
    assert e_holm(test.peaks) == (0, 1)
    assert rollback(2).look([3.8, -50.0]).look([-50.0, -50.0]).culprits() == (0,)  # and what was named stays named


def test_culprits_are_named_wrongly_with_probability_alpha_at_most():
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(1500):
        test, logs = rollback(3, critical=[1, 0, 0]), np.zeros(3)
        for _ in range(15):  # three fair bets that double or lose nearly all; the third truly gains
            win = rng.random(3) < (0.5, 0.5, 0.9)
            logs = logs + np.log(np.where(win, 1.9, 0.1))
            test = test.look(logs.tolist())
        wrong += bool({0, 1} & set(test.culprits()))
    assert wrong / 1500 <= 0.05


def test_promotion_needs_every_metric_and_no_correction():
    assert promotable([3.0, 3.5])
    assert not promotable([3.0, 2.9])
    assert not promotable([])
    assert not promotable([3.0], beta=0.01)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: mixed([]), "there is no metric to decide by"),
        (lambda: mixed([math.nan]), "is not a number"),
        (lambda: mixed([1.0], [1, 2]), "2 weights do not fit 1 metrics"),
        (lambda: mixed([1.0], [-1]), "are not numbers from 0 on"),
        (lambda: mixed([1.0], [0]), "with one above it"),
        (lambda: rollback(2, critical=[True]), "1 marks of what is critical do not fit 2 metrics"),
        (lambda: rollback(1, alpha=0), "is not between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


PASS, FAIL, OPEN, NONE = Result.PASS, Result.FAIL, Result.INCONCLUSIVE, Result.NO_DATA


@pytest.mark.parametrize(
    ("findings", "options", "verdict"),
    [
        ([PASS, FAIL], {}, Verdict.ROLLBACK),
        ([PASS, FAIL], {"at_horizon": False}, Verdict.ROLLBACK),
        ([PASS, PASS], {"harmful": True}, Verdict.ROLLBACK),
        ([NONE], {"harmful": True}, Verdict.ROLLBACK),
        ([PASS, PASS], {"at_horizon": False}, None),
        ([PASS, PASS], {"at_horizon": False, "early": True}, Verdict.ADVANCE),
        ([PASS, OPEN], {"at_horizon": False, "early": True}, None),
        ([PASS, PASS], {}, Verdict.ADVANCE),
        ([PASS, PASS], {"is_last": True}, Verdict.PROMOTE),
        ([PASS, OPEN], {}, Verdict.ADVANCE),
        ([PASS, OPEN], {"mode": Mode.PROVE}, Verdict.HOLD),
        ([PASS, OPEN], {"mode": Mode.PROVE, "on_inconclusive": Verdict.ROLLBACK}, Verdict.ROLLBACK),
        ([PASS, OPEN], {"mode": Mode.PROVE, "on_inconclusive": Verdict.PROMOTE}, Verdict.ADVANCE),
        ([PASS, OPEN], {"mode": Mode.PROVE, "on_inconclusive": Verdict.PROMOTE, "is_last": True}, Verdict.PROMOTE),
        ([PASS, NONE], {}, Verdict.HOLD),
        ([PASS, NONE], {"on_inconclusive": Verdict.PROMOTE}, Verdict.HOLD),
        ([PASS, NONE], {"on_inconclusive": Verdict.ROLLBACK}, Verdict.ROLLBACK),
        ([], {}, Verdict.HOLD),
        ([], {"on_inconclusive": Verdict.PROMOTE}, Verdict.HOLD),
        ([], {"at_horizon": False, "early": True}, None),
    ],
)
def test_the_verdict(findings, options, verdict):
    assert rule(findings, **{"at_horizon": True, "is_last": False} | options) is verdict


@given(
    st.lists(st.sampled_from(list(Result)), max_size=4), st.sampled_from(list(Verdict)), st.booleans(), st.booleans()
)
def test_no_data_never_goes_on_and_harm_never_stays(findings, otherwise, horizon, last):
    for mode in Mode:
        found = rule(findings, mode=mode, at_horizon=horizon, is_last=last, on_inconclusive=otherwise, early=True)
        if FAIL in findings:
            assert found is Verdict.ROLLBACK
        elif NONE in findings or not findings:
            assert found not in (Verdict.ADVANCE, Verdict.PROMOTE)


@given(st.lists(st.lists(st.integers(0, 50), min_size=2, max_size=2), max_size=6))
def test_a_splits_state_is_that_of_its_sums(looks):
    test = SplitVsWeights((0.9, 0.1))
    for look in looks:
        test = codec.decode(SplitVsWeights, codec.encode(test.update(look)))
    total = [sum(column) for column in zip(*looks, strict=True)] or [0, 0]
    assert test.log_e == log_e_split(total, [0.9, 0.1])
    assert test.peak >= max(0, test.log_e)


def test_a_change_of_weights_keeps_the_evidence():
    wrong = SplitVsWeights((0.9, 0.1)).update([500, 500])
    after = wrong.reweighted((0.5, 0.5))
    assert (after.counts, after.log_e, after.peak) == ((), wrong.log_e, wrong.peak)
    assert after.update([500, 500]).log_e < after.log_e
    with pytest.raises(ValueError, match="are not counts of 2 versions"):
        wrong.update([1])
