"""Covers: what a plan expects of each stage, what it says of each SLO, what can never be decided, stages it proposes, and that a release
with the proposed stages does decide.

Leaves out: the numbers of requests themselves (stats/test_plan.py), and the words (cli/test_plan.py).
"""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.assess import assess, weigh
from fairway_steps.model import (
    DEFAULT_RULES,
    Direction,
    Histogram,
    Knobs,
    Metric,
    Mode,
    Rules,
    Slo,
    Stage,
    Stratum,
    Unit,
)
from fairway_steps.needs import Traffic
from fairway_steps.planning import plan
from fairway_steps.stats.rate import requests_to_prove
from fairway_steps.undecidable import undecidable
from fairway_steps.windows import added

ERRORS = Slo(Metric.ERROR_RATE, 0.01)
P95 = Slo(Metric.LATENCY, 0.25, 0.95)
STAGES = (Stage(10, 60.0), Stage(50, 60.0))
PROVE = Rules(Mode.PROVE)


def test_what_each_stage_brings():
    made = plan([ERRORS], STAGES, Traffic(20.0))
    assert made.requests == (120, 600)
    assert made.problems == ()


def test_when_an_slo_will_have_been_decided():
    (need,) = plan([P95], STAGES, Traffic(20.0)).needs
    assert 120 < need.find < 720
    assert need.found_at == pytest.approx(60 + (need.find - 120) / 10)
    (slow,) = plan([P95], STAGES, Traffic(1.0)).needs
    assert slow.find == need.find
    assert slow.found_at is None


def test_several_slos_share_alpha_so_each_takes_longer():
    alone = plan([ERRORS], STAGES, Traffic(20.0)).needs[0]
    beside, heavy = (plan([replace(ERRORS, weight=w), P95], STAGES, Traffic(20.0)).needs[0] for w in (1.0, 9.0))
    assert alone.find < heavy.find < beside.find
    assert alone.prove == beside.prove


def test_a_stage_too_small_for_the_minimum_sample_is_told_beforehand():
    (said,) = undecidable([ERRORS], STAGES, 5.0, patience=[10.0, 10.0])
    assert said == (
        "error-rate (limit 1 %) can never be decided: stage 1 brings 35 requests of the candidate, its patience included, "
        "and min-requests is 50"
    )
    assert undecidable([ERRORS], STAGES, 5.0, patience=[60.0, 10.0]) == ()


def test_a_release_too_short_for_its_minimum_sample_in_all_is_told_beforehand():
    strict = Slo(Metric.ERROR_RATE, 0.001, min_in_all=4188)
    (said,) = undecidable([strict], STAGES, 20.0, patience=[60.0, 60.0])
    assert said == (
        "error-rate (limit 0.1 %) can never be decided: the release brings 1,320 requests of the candidate, the last patience included, "
        "and fewer than 4,188 could not prove it kept; a min-requests of its own asks for less"
    )
    assert undecidable([strict], STAGES, 80.0, patience=[60.0, 60.0]) == ()
    made = plan([strict], STAGES, Traffic(20.0, harmful=50.0))
    assert plan([strict], made.proposed, Traffic(20.0, harmful=50.0)).problems == ()


def test_a_margin_that_the_primary_s_traffic_can_never_tell_is_told_beforehand():
    tail, errors = Slo(Metric.LATENCY, 0.1, 0.99, relative=True), Slo(Metric.ERROR_RATE, 0.5, relative=True)
    (said,) = undecidable([tail, errors], (Stage(50, 60.0),), 20.0, patience=[0.0])
    assert said == (
        "p99 (limit 10 % over the primary) can never be decided: the release brings 600 requests of the primary beside, and it takes "
        "1,000 until its p99 is known"
    )
    (few, scarce) = undecidable([tail, errors], (Stage(99, 60.0),), 20.0, patience=[0.0])
    assert "brings 12 requests of the primary beside, and it takes 1,000 until its p99 is known" in few
    assert "brings 12 requests of the primary beside, and it takes 50 until a margin can be judged" in scarce
    assert undecidable([tail, errors], (Stage(50, 120.0),), 20.0, patience=[0.0]) == ()


@given(st.sampled_from([0.9, 0.95, 0.99]), st.integers(50, 1500))
def test_a_latency_margin_said_to_be_undecidable_is(quantile, requests):
    """Whatever the candidate does: here all of its requests take for ever, after all that the primary brings."""
    slo = Slo(Metric.LATENCY, 0.1, quantile, relative=True)
    said = undecidable([slo], (Stage(50, 1.0),), 2.0 * requests, patience=[0.0])
    fine, slow = (Histogram((0.1, 0.2, 9.0, math.inf), counts) for counts in ((0, requests, 0, 0), (0, 0, 0, requests)))
    strata = [Stratum("v1", 0.0, 1.0, 50, requests, {}, fine), Stratum("v2", 0.0, 1.0, 50, requests, {}, fine)]
    strata += [
        Stratum("v2", 1.0, 2.0, 50, requests, {}, slow),
        Stratum("v1", 1.0, 2.0, 50, 1, {}, Histogram(fine.edges, (0, 1, 0, 0))),
    ]
    log_e = weigh([slo], strata, candidate="v2", primary="v1").evidence[0].log_e
    assert not said or log_e < math.log(20)


def test_rates_by_windows_that_are_too_few_even_at_the_worst_are_told_beforehand():
    strict = Slo(Metric.ERROR_RATE, 1e-5, unit=Unit.STRATUM, min_requests=1)
    assert undecidable([strict], (Stage(10, 90.0), Stage(50, 90.0)), 20.0, patience=[0.0, 0.0]) == ()
    (said,) = undecidable([strict], (Stage(50, 5.0),), 20.0, patience=[0.0])
    assert said.endswith(
        "found broken by strata: about 4 windows of time, at a look each 1 s, are too few, even if every request breaks it"
    )
    bursts = replace(strict, limit=0.01)
    (said,) = undecidable([bursts], STAGES, 20.0, rules=PROVE, patience=[0.0, 0.0])
    assert "can never be proved kept by strata" in said


def test_rates_by_windows_that_are_too_few_to_be_judged_are_told_beforehand_and_the_proposed_stages_bring_them():
    bursts, short = Slo(Metric.ERROR_RATE, 0.02, unit=Unit.STRATUM), (Stage(10, 40.0), Stage(50, 40.0))
    for slo in (bursts, Slo(Metric.LATENCY_MEAN, 0.1, unit=Unit.STRATUM)):
        (said,) = undecidable([slo], short, 20.0, patience=[0.0, 0.0])
        assert said.endswith(
            "can never be decided by strata: about 70 windows of time, at a look each 1 s, are too few, 100 are needed unless fewer prove it kept"
        )
        assert undecidable([slo], short, 20.0, patience=[0.0, 90.0]) == ()
        assert plan([slo], plan([slo], short, Traffic(20.0)).proposed, Traffic(20.0)).problems == ()
    assert undecidable([replace(bursts, limit=0.2)], short, 20.0, patience=[0.0, 0.0]) == ()
    last = (Stage(10, 400.0), Stage(50, 6.0))
    (said,) = undecidable([bursts], last, 20.0, patience=[0.0, 3.0])
    assert said.endswith(
        "stage 2 brings 8 windows of time at a look each 1 s, its patience included, and 10 are needed"
    )
    assert undecidable([bursts], last, 20.0, patience=[0.0, 5.0]) == ()


@pytest.mark.parametrize("relative", [False, True], ids=["limit", "margin"])
@pytest.mark.parametrize("interval", [0.5, 1.0, 15.0])
def test_a_plan_asks_of_the_windows_what_the_assessment_asks(interval, relative):
    """Of a perfect version, whose releases are held for want of windows, or not at all: at every length near where that changes."""
    slo = Slo(Metric.ERROR_RATE, 0.01, unit=Unit.STRATUM, relative=relative, min_requests=1)
    said = {}
    for readings in range(60, 90, 5):
        stages = (Stage(10, readings * interval), Stage(50, readings * interval))
        problems = undecidable([slo], stages, 2000.0, patience=[0.0, 0.0], interval=interval)
        strata, at = (), 0.0
        for stage in stages:
            for look in range(int(stage.duration / interval)):
                shares, settling = {"v2": stage.weight, "v1": 100 - stage.weight}, look < DEFAULT_RULES.burn_in
                fresh = [Stratum(v, at, at + interval, w, 50, settling=settling) for v, w in shares.items()]
                strata = added(strata, fresh)
                at += interval
        found = assess([slo], strata, candidate="v2", primary="v1", weight=50, is_last=True)
        assert ("windows" in found.reason) == bool(problems), (readings, problems, found.reason)
        said[readings] = bool(problems)
    assert set(said.values()) == {True, False}


def test_a_limit_that_nothing_proves_says_so_and_not_that_more_requests_would():
    zero = replace(ERRORS, limit=0.0, min_in_all=4188)
    (said,) = undecidable([zero], STAGES, 20.0, patience=[0.0, 0.0])
    assert said == (
        "error-rate (limit 0 %) can never be decided: the release brings 720 requests of the candidate, the last patience included, and a limit "
        "of 0, which nothing proves, takes 4,188, as many as one of 0.1 %; a min-requests of its own asks for less"
    )
    (said,) = undecidable([zero], STAGES, 2000.0, rules=PROVE, patience=[0.0, 0.0])
    assert (
        said
        == "error-rate (limit 0 %) can never be proved kept: no number of requests proves that nothing ever breaks it"
    )


def test_each_stage_must_bring_as_many_of_the_primary_as_of_the_candidate():
    slo = Slo(Metric.ERROR_RATE, 0.5, relative=True)
    (said,) = undecidable([slo], (Stage(10, 60.0), Stage(96, 60.0)), 20.0, patience=[0.0, 0.0])
    assert said.endswith(
        "stage 2 brings 48 requests of the primary beside, its patience included, and it takes 50 until a margin can be judged"
    )
    assert undecidable([slo], (Stage(10, 60.0), Stage(96, 60.0)), 20.0, patience=[0.0, 3.0]) == ()
    stages = (Stage(10, 60.0), Stage(99, 60.0))
    assert plan([slo], plan([slo], stages, Traffic(20.0)).proposed, Traffic(20.0)).problems == ()


def test_a_mean_that_no_answer_proves_beside_its_timeout_is_told_beforehand():
    slo = Slo(Metric.LATENCY_MEAN, 0.1, timeout=60.0)
    (said,) = undecidable([slo], STAGES, 20.0, rules=PROVE, patience=[0.0, 0.0])
    assert said.startswith(
        "latency-mean (limit 100 ms) can never be proved kept: 600 requests in the last stage are too few beside a timeout of 60 s"
    )
    assert undecidable([replace(slo, timeout=1.0)], STAGES, 20.0, rules=PROVE, patience=[0.0, 0.0]) == ()


def test_differences_are_counted_in_the_mirrored_stage_alone_and_no_one_knows_how_many():
    differences, stages = Slo(Metric.DIFFERENCE_RATE, 0.05), (Stage(0, 60.0, mirror=50), Stage(1, 10.0))
    (need,) = plan([differences], stages, Traffic(20.0)).needs
    assert (need.find, need.prove, need.problem) == (None, None, "")
    (said,) = undecidable([differences], stages, 1.0, patience=[10.0, 10.0])
    assert "stage 1 brings 35 comparisons of the candidate" in said


def test_a_proof_that_no_outcome_can_bring_is_told_beforehand():
    strict = Slo(Metric.ERROR_RATE, 0.001)
    (said,) = undecidable([strict], STAGES, 20.0, rules=PROVE, patience=[0.0, 0.0])
    assert said == (
        "error-rate (limit 0.1 %) can never be proved kept: that takes 4,188 requests of the candidate at the last weight "
        "without a single breach, and the last stage brings 600 requests, its patience included"
    )
    assert undecidable([strict], STAGES, 20.0, patience=[0.0, 0.0]) == ()


def test_a_limit_that_even_failing_always_does_not_break_is_told_beforehand():
    loose = Slo(Metric.ERROR_RATE, 0.9, min_requests=1)
    (said,) = undecidable([loose], (Stage(10, 10.0),), 10.0, patience=[0.0])
    assert "can never be found broken: 10 requests of the candidate are too few, even if each breaks it" in said


@given(st.sampled_from([0.005, 0.01, 0.05]), st.integers(1, 400), st.booleans())
def test_what_is_said_to_be_possible_is(limit, seconds, prove):
    """A release without one breach is decided exactly if nothing is said against it."""
    rules = PROVE if prove else DEFAULT_RULES
    slo, stages = Slo(Metric.ERROR_RATE, limit, min_requests=1), (Stage(50, float(seconds)),)
    said = undecidable([slo], stages, 10.0, rules=rules, patience=[0.0])
    n = 5 * seconds
    assert bool(said) == (prove and n < requests_to_prove(limit))


@pytest.mark.parametrize("rules", [DEFAULT_RULES, PROVE])
def test_the_proposed_stages_are_long_enough_and_not_much_longer(rules):
    made = plan([ERRORS, P95], STAGES, Traffic(20.0), rules=rules)
    again = plan([ERRORS, P95], made.proposed, Traffic(20.0), rules=rules)
    assert [stage.weight for stage in made.proposed] == [10, 50]
    assert all(need.found_at is not None for need in again.needs)
    assert rules is DEFAULT_RULES or all(need.proved_at is not None for need in again.needs)
    assert sum(again.requests) < 1.3 * max(need.find for need in again.needs)
    assert again.proposed == made.proposed


def test_each_stage_proposed_brings_the_minimum_sample():
    made = plan([replace(P95, min_requests=2000)], STAGES, Traffic(20.0))
    again = plan([replace(P95, min_requests=2000)], made.proposed, Traffic(20.0))
    assert min(again.requests) >= 2000


def test_margins_and_means_have_a_plan_too():
    slos = [
        Slo(Metric.ERROR_RATE, 0.5, relative=True),
        Slo(Metric.LATENCY, 0.1, 0.95, relative=True),
        Slo(Metric.LATENCY_MEAN, 0.1),
    ]
    errors, tail, mean = plan(slos, STAGES, Traffic(50.0)).needs
    assert errors.find is not None
    assert errors.prove > errors.find
    assert tail.find is not None
    assert (mean.find, mean.prove, mean.problem) == (None, None, "")
    wider = plan([replace(slos[1], limit=0.5)], STAGES, Traffic(50.0)).needs[0]
    assert wider.prove < tail.prove


def test_a_release_as_planned_finds_the_harm_as_often_as_promised():
    """Nine of ten releases of a version that fails twice as often as allowed: 60 simulated ones of the length proposed."""
    made = plan([ERRORS], STAGES, Traffic(20.0))
    rng, found = random.Random(8), 0
    for _ in range(60):
        strata, at = [], 0.0
        for stage in made.proposed:
            for _ in range(int(stage.duration // 5)):
                n = 5 * 20 * stage.weight // 100
                errors = sum(rng.random() < 0.02 for _ in range(n))
                strata.append(Stratum("v2", at, at + 5, stage.weight, n, {"x": errors}))
                at += 5
        found += weigh([ERRORS], strata, candidate="v2").harm
    assert found >= 48


REWARD = Slo(Metric.REWARD, 0.1, min_requests=100, relative=True, unit=Unit.USER)
GPU = Slo(Metric.SERIES, 0.0, relative=True, of="gpu", direction=Direction.LOWER, knobs=Knobs(allowed_increase=1.1))
KNOWN = Traffic(50.0, users=20.0, reward_variation=0.5, series_variation=0.2)


def test_rewards_are_planned_by_users_and_by_how_much_they_scatter():
    (need,) = plan([REWARD], STAGES, KNOWN).needs
    assert need.find == need.find // 1 > 120
    assert need.brought == 120 + 600
    assert need.found_at == pytest.approx(60 + (need.find - 120) / 10)
    (wild,) = plan([REWARD], STAGES, replace(KNOWN, reward_variation=1.0)).needs
    assert wild.find == pytest.approx(4 * need.find, rel=0.1)
    assert wild.found_at is None
    (costs,) = plan([replace(REWARD, direction=Direction.LOWER)], STAGES, KNOWN).needs
    assert costs.find > need.find
    (any_loss,) = plan([replace(REWARD, limit=0.0)], STAGES, KNOWN).needs
    assert (any_loss.find is not None, any_loss.prove) == (True, None)


def test_what_nobody_told_of_rewards_and_series_is_not_made_up():
    reward, gpu = plan([REWARD, GPU], STAGES, Traffic(50.0)).needs
    assert (reward.find, reward.prove, reward.problem) == (None, None, "")
    assert (gpu.find, gpu.prove, gpu.problem) == (None, None, "")
    (untimed,) = plan([REWARD], STAGES, Traffic(50.0, reward_variation=0.5)).needs
    assert (untimed.find is not None, untimed.found_at, untimed.problem) == (True, None, "")


def test_too_few_users_are_told_beforehand():
    made = plan([REWARD], STAGES, replace(KNOWN, users=1.0), patience=[60.0, 60.0])
    (said,) = made.problems
    assert said.startswith(
        "reward (limit 10 % under the primary) can never be decided: stage 1 brings 12 users of the candidate"
    )
    (said,) = plan([replace(REWARD, min_requests=1)], STAGES, replace(KNOWN, users=1.0)).problems
    assert "takes 100 users of each version, and the release brings 36 of the candidate" in said


def test_a_series_is_planned_by_its_values_in_one_stage():
    stages = (Stage(10, 30.0), Stage(50, 300.0))
    (need,) = plan([GPU], stages, KNOWN).needs
    assert (need.find, need.prove, need.brought) == (50, None, 299)
    assert need.found_at == 330
    (wild,) = plan([GPU], stages, replace(KNOWN, series_variation=2.0)).needs
    assert wild.find > wild.brought
    assert wild.found_at is None
    (rare,) = plan([GPU], stages, replace(KNOWN, look=10.0)).needs
    assert rare.problem == (
        "gpu (limit like the primary) can never be decided: stage 1 brings 3 values of the candidate, its patience included, and "
        "min-requests is 50"
    )


def test_a_change_of_ranks_that_is_allowed_is_counted_in_the_series_own_spread():
    by_ranks = replace(GPU, knobs=Knobs(effect="cles", allowed_increase=0.7))
    (calm, wild) = (plan([by_ranks], STAGES, replace(KNOWN, series_variation=v)).needs[0].find for v in (0.1, 1.0))
    assert calm == wild


@pytest.mark.parametrize("rules", [DEFAULT_RULES, PROVE])
def test_the_stages_proposed_are_long_enough_for_users_and_values(rules):
    traffic = replace(KNOWN, series_variation=0.5)
    slos = [REWARD, GPU] if rules is DEFAULT_RULES else [REWARD]
    made = plan(slos, STAGES, traffic, rules=rules)
    again = plan(slos, made.proposed, traffic, rules=rules)
    assert all(need.found_at is not None for need in again.needs)
    assert rules is DEFAULT_RULES or again.needs[0].proved_at is not None
    assert again.problems == ()
    assert again.proposed == made.proposed


@pytest.mark.parametrize("rules", [DEFAULT_RULES, PROVE])
def test_a_split_is_planned_for_each_candidate_with_its_own_share_and_risk(rules):
    """As one candidate that has a third of what it and the primary have, at half of the risks."""
    traffic = Traffic(40.0, users=20.0, reward_variation=2.0)
    split = plan([ERRORS, REWARD], [Stage(60, 90.0, weights={"v2": 30, "v3": 30})], traffic, rules=rules)
    errors, reward = split.needs
    assert (split.requests, errors.brought, reward.brought) == ((1080,), 1080, 540)
    halved = replace(rules, alpha=rules.alpha / 2, beta=rules.beta / 2)
    alone = plan([ERRORS, REWARD], [Stage(30, 90.0)], traffic, rules=halved).needs
    assert (errors.find, errors.prove) == (alone[0].find, alone[0].prove)
    assert (reward.find, reward.prove) > (alone[1].find, alone[1].prove), "of the primary there are less, too"
    assert split.proposed[0].duration >= reward.find / (20.0 * 0.3)


def test_what_no_candidate_of_a_split_can_be_proved_at_its_own_risk_is_told_beforehand():
    stages = (Stage(60, 50.0, weights={"v2": 30, "v3": 30}),)
    assert undecidable([ERRORS], (Stage(30, 50.0),), 30.0, rules=PROVE, patience=[0.0]) == ()
    (said,) = undecidable([ERRORS], stages, 30.0, rules=PROVE, patience=[0.0])
    assert "can never be proved kept" in said
