"""Counts to evidence to a verdict: what is a rollback, what goes on, what is held, and what each sentence says.

Left out: the e-process itself (stats/test_rate.py) and when one looks (test_judge.py).
"""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.assess import assess, decide, weigh
from fairway_steps.model import DEFAULT_RULES, Histogram, Metric, Mode, Result, Rules, Slo, Stratum, Verdict
from fairway_steps.stats.latency import quantile, tail
from fakes_assess import EDGES, stratum

ERRORS = Slo(Metric.ERROR_RATE, 0.01)
P95 = Slo(Metric.LATENCY, 0.25, 0.95)
MEAN = Slo(Metric.LATENCY_MEAN, 0.1)


def judged(slos, *strata, **options):
    return assess(slos, strata, candidate="v2", **options)


def result(slo, *strata, **options):
    (evidence,) = weigh([slo], strata, candidate="v2", **options).evidence
    return evidence


# Differences from the primary's answers


DIFFERENCES = Slo(Metric.DIFFERENCE_RATE, 0.05)


def compared(number, differing=0, **fields):
    kinds = {"label": differing - differing // 3, "drift": differing // 3}
    more = {"comparisons": number, "differences": {kind: n for kind, n in kinds.items() if n}}
    return replace(stratum(1000, **{"weight": 0, **fields}), **more)


def test_a_candidate_that_answers_otherwise_too_often_is_rolled_back_and_it_is_said_how():
    assessment = judged([DIFFERENCES], compared(400, 48), primary="v1", over=False)
    assert assessment.verdict is Verdict.ROLLBACK
    assert assessment.reason == (
        "v2 differs from v1 in 12 % of comparisons (95 % interval 7.3–18 %), over the limit of 5 %: label 32, drift 16; "  # noqa: RUF001
        "seen after 400 comparisons"
    )


def test_it_is_judged_by_the_same_evidence_as_an_error_rate():
    errors = Slo(Metric.ERROR_RATE, 0.05)
    for number, bad in ((50, 0), (400, 19), (400, 21), (400, 60), (3000, 100)):
        rate, differing = result(errors, stratum(number, bad)), result(DIFFERENCES, compared(number, bad))
        assert replace(differing, slo=errors, sentence="") == replace(rate, sentence="")


def test_what_was_compared_while_requests_were_mirrored_holds_in_later_stages():
    mirrored = compared(100, 2)
    later = stratum(500, weight=10, start=1.0)
    assessment = judged([DIFFERENCES, ERRORS], mirrored, later, weight=10)
    assert assessment.verdict is Verdict.ADVANCE
    assert assessment.evidence[0].missing == 0
    harmful = compared(400, 60)
    assert judged([DIFFERENCES], harmful, later, weight=10).verdict is Verdict.ROLLBACK
    prove = Rules(Mode.PROVE)
    told = result(DIFFERENCES, compared(2000), later, weight=10, is_last=True, rules=prove)
    assert told.result is Result.PASS
    assert told.sentence.endswith("proved by 2,000 comparisons")


def test_too_few_comparisons_and_none_are_held():
    few = judged([DIFFERENCES], compared(20), weight=0)
    assert few.verdict is Verdict.HOLD
    assert "20 comparisons are too few, 50 are needed" in few.reason
    assert few.evidence[0].missing == 30
    none = judged([DIFFERENCES], stratum(1000, weight=0), weight=0)
    assert none.verdict is Verdict.HOLD
    assert none.reason == "no answer of v2 was compared, so difference-rate is not known"
    wrong = judged([DIFFERENCES], compared(10, 12), weight=0)
    assert wrong.verdict is Verdict.HOLD
    assert "12 comparisons of 10 differed" in wrong.reason


# Error rate


def test_a_proven_breach_is_a_rollback_at_any_look_and_says_what_a_person_would():
    assessment = judged([ERRORS], stratum(2150, 41), over=False)
    assert assessment.verdict is Verdict.ROLLBACK
    assert assessment.reason == (
        "v2 fails 1.9 % of requests (95 % interval 1.1–3 %), over the limit of 1 %; seen after 2,150 requests"  # noqa: RUF001
    )
    (evidence,) = assessment.evidence
    assert (evidence.result, evidence.requests, evidence.exceeded) == (Result.FAIL, 2150, 41)
    assert assessment.log_e == evidence.log_e
    assert evidence.observed == pytest.approx(41 / 2150)
    assert evidence.low < evidence.observed < evidence.high
    assert evidence.log_e >= math.log(20)


def test_no_verdict_before_the_horizon_without_proof():
    assert judged([ERRORS], stratum(500, 1), over=False) is None
    assert judged([ERRORS], stratum(500, 10), over=False) is None
    assert judged([ERRORS], over=False) is None


def test_at_the_horizon_a_kept_limit_goes_on():
    advance = judged([ERRORS], stratum(500, 1))
    assert advance.verdict is Verdict.ADVANCE
    assert advance.reason == "v2 keeps its SLOs: error-rate 0.2 % (limit 1 %)"
    assert "within the limit of 1 %; seen after 500 requests" in advance.evidence[0].sentence
    assert judged([ERRORS], stratum(500, 1), is_last=True).verdict is Verdict.PROMOTE


def test_exactly_at_the_limit_is_within_it():
    assert judged([ERRORS], stratum(100, 1)).verdict is Verdict.ADVANCE
    assert judged([replace(P95, quantile=0.9)], stratum(100, slow=10)).verdict is Verdict.ADVANCE


INCONCLUSIVE = [
    (Verdict.HOLD, Verdict.HOLD),
    (Verdict.ROLLBACK, Verdict.ROLLBACK),
    (Verdict.PROMOTE, Verdict.ADVANCE),
]


def test_guard_goes_on_over_the_limit_for_want_of_evidence_of_harm_and_says_so():
    for on_inconclusive, _ in INCONCLUSIVE:
        assessment = judged([ERRORS], stratum(100, 2), on_inconclusive=on_inconclusive)
        assert assessment.verdict is Verdict.ADVANCE
        assert assessment.reason.startswith("nothing proves that v2 breaks its SLOs: v2 fails 2 % of requests (")
        assert "over the limit of 1 %; 100 requests do not prove it" in assessment.reason
        assert assessment.evidence[0].result is Result.INCONCLUSIVE


@pytest.mark.parametrize(("on_inconclusive", "verdict"), INCONCLUSIVE)
@pytest.mark.parametrize(("counts", "mode"), [((100, 2), Mode.PROVE), ((300, 8), Mode.GUARD)], ids=["prove", "half"])
def test_over_the_limit_without_proof_is_what_on_inconclusive_says(on_inconclusive, verdict, counts, mode):
    assessment = judged([ERRORS], stratum(*counts), on_inconclusive=on_inconclusive, rules=Rules(mode))
    assert assessment.verdict is verdict
    assert "over the limit of 1 %; " in assessment.reason
    assert "requests do not prove it" in assessment.reason


def test_too_few_requests_at_this_weight_decide_nothing_whatever_came_before():
    assessment = judged([ERRORS], stratum(1000, weight=10), stratum(20, weight=25), weight=25)
    assert assessment.verdict is Verdict.HOLD
    assert "20 requests at this weight are too few, 50 are needed" in assessment.reason
    assert assessment.evidence[0].missing == 30
    assert judged([ERRORS], stratum(1000, weight=10), stratum(50, weight=25), weight=25).verdict is Verdict.ADVANCE


def test_harm_done_at_an_earlier_weight_is_not_forgotten():
    early = stratum(500, 9, weight=10)
    assert judged([ERRORS], early, over=False) is None
    assert judged([ERRORS], stratum(500, 6, weight=25), over=False) is None
    both = judged([ERRORS], early, stratum(500, 12, weight=25, start=1.0), weight=25, over=False)
    assert both.verdict is Verdict.ROLLBACK


def test_the_primary_s_failures_are_not_the_candidate_s():
    assert judged([ERRORS], stratum(1000, 500, version="v1"), stratum(500)).verdict is Verdict.ADVANCE


def test_two_slos_share_alpha():
    # 11 of 400: proof enough alone (e = 27), not with another SLO at its side
    alone, shared = result(ERRORS, stratum(400, 11)), judged([ERRORS, P95], stratum(400, 11), over=False)
    assert math.log(20) <= alone.log_e < math.log(40)
    assert alone.result is Result.FAIL
    assert shared is None
    assert judged([ERRORS, MEAN], stratum(400, 11), over=False) is None


def test_a_limit_of_zero_is_broken_by_one_error():
    never = replace(ERRORS, limit=0.0)
    assert judged([never], stratum(5, 1), over=False).verdict is Verdict.ROLLBACK
    assert judged([never], stratum(500)).verdict is Verdict.ADVANCE


# Missing and impossible data


@pytest.mark.parametrize("on_inconclusive", [Verdict.HOLD, Verdict.PROMOTE])
@pytest.mark.parametrize(
    "strata",
    [
        [],
        [stratum(0)],
        [stratum(500, version="v1")],
        [replace(stratum(500), requests=-1)],
        [replace(stratum(500), requests=math.nan)],
        [replace(stratum(500), failures={"x": -2})],
        [replace(stratum(500), failures={"x": math.nan})],
        [replace(stratum(500), failures={"x": 501})],
        [replace(stratum(500), seconds=math.nan)],
        [replace(stratum(500), seconds=-1.0)],
        [replace(stratum(500), latency=Histogram((0.1, math.inf), (501, -1)))],
        [replace(stratum(500), latency=Histogram((0.1, 0.2), (250, 250)))],
        [replace(stratum(500), latency=Histogram((0.2, 0.1, math.inf), (500, 0, 0)))],
        [replace(stratum(500), latency=Histogram((0.1, math.inf), (500,)))],
    ],
)
def test_missing_or_impossible_data_is_held_and_never_a_pass(strata, on_inconclusive):
    for slo in (ERRORS, P95, MEAN):
        assessment = judged([slo], *strata, on_inconclusive=on_inconclusive)
        assert assessment.verdict is Verdict.HOLD
        assert assessment.evidence[0].result is Result.NO_DATA
        assert assessment.evidence[0].missing == 50
        assert "v2" in assessment.reason
    assert judged([ERRORS], *strata, on_inconclusive=Verdict.ROLLBACK).verdict is Verdict.ROLLBACK


def test_a_stage_without_a_request_has_no_data_whatever_came_before():
    assessment = judged([ERRORS], stratum(1000, weight=10), weight=25, on_inconclusive=Verdict.PROMOTE)
    assert assessment.verdict is Verdict.HOLD
    assert "no request at this weight was measured" in assessment.reason


def test_latencies_that_were_not_measured_hold():
    silent = replace(stratum(500), latency=None, seconds=0.0)
    assert judged([P95], silent, on_inconclusive=Verdict.PROMOTE).verdict is Verdict.HOLD
    assert "no latency of v2 was measured, so p95 is not known" in judged([P95], silent).reason
    assert judged([MEAN], silent).verdict is Verdict.HOLD
    assert judged([ERRORS], silent).verdict is Verdict.ADVANCE


def test_no_slo_and_a_source_away_never_promote():
    assert judged([], stratum(500), on_inconclusive=Verdict.PROMOTE).verdict is Verdict.HOLD
    evidence = weigh([ERRORS], [stratum(500)], candidate="v2")
    away = decide(evidence, candidate="v2", over=True, is_last=True, on_inconclusive=Verdict.PROMOTE, problem="away")
    assert away.verdict is Verdict.HOLD
    assert away.reason == "no evidence: away"


def test_proof_of_harm_outweighs_a_source_that_is_away():
    evidence = weigh([ERRORS], [stratum(500, 100)], candidate="v2")
    assert decide(evidence, candidate="v2", over=True, is_last=False, problem="away").verdict is Verdict.ROLLBACK


# Latency quantiles


def test_a_quantile_s_breach_is_judged_by_the_requests_over_the_limit():
    assessment = judged([P95], stratum(1200, slow=120), over=False)
    assert assessment.verdict is Verdict.ROLLBACK
    assert assessment.reason == (
        "p95 of v2 is 375 ms, over the limit of 250 ms: 10 % of requests took longer "
        "(95 % interval 7.3–13 %), 5 % may; seen after 1,200 requests"  # noqa: RUF001
    )
    assert assessment.evidence[0].exceeded == 120


def test_a_quantile_that_keeps_its_limit_passes():
    assessment = judged([P95], stratum(1200, slow=40))
    assert assessment.verdict is Verdict.ADVANCE
    assert assessment.evidence[0].observed <= 0.25
    assert "p95 of v2 is 9.8" in assessment.evidence[0].sentence


def test_failed_requests_are_slower_than_any_limit():
    quick_failures = judged([P95], stratum(600, 120), over=False)
    assert quick_failures.verdict is Verdict.ROLLBACK
    assert (
        "p95 of v2 is beyond measure, over the limit of 250 ms: 20 % of requests failed or took longer"
        in quick_failures.reason
    )
    outside = replace(stratum(480), requests=600, failures={"connect": 120})
    assert judged([P95], outside, over=False).verdict is Verdict.ROLLBACK


def test_failures_that_may_or_may_not_be_the_slow_ones_count_the_cautious_way():
    # 30 slow and 30 failed of 1000: 3 to 6 % over the limit, 5 % may be: neither proof nor a pass.
    evidence = result(P95, stratum(1000, 30, slow=30))
    assert evidence.result is Result.INCONCLUSIVE
    assert evidence.exceeded == 30
    assert result(P95, stratum(1000, 10, slow=30)).result is Result.PASS


def test_a_histogram_that_lags_behind_is_read_the_cautious_way():
    # 1,000 requests were counted, the latency of 600 of them: a pass is judged by the 600, a failure by the 1,000.
    lagging = replace(stratum(600, slow=24), requests=1000)
    evidence = result(P95, lagging)
    assert evidence.requests == 600
    assert evidence.result is Result.PASS
    assert result(P95, replace(stratum(600, slow=60), requests=2000)).log_e < 0


def test_between_two_edges_only_what_both_agree_on_is_said():
    between = Slo(Metric.LATENCY, 0.3, 0.95)
    assert judged([between], stratum(1000, slow=30)).verdict is Verdict.ADVANCE
    over_both = judged([between], stratum(1000, slow=150, edge=0.5), over=False)
    assert over_both.verdict is Verdict.ROLLBACK
    untold = judged([between], stratum(1000, slow=150, edge=0.25))
    assert untold.verdict is Verdict.HOLD
    assert untold.reason == (
        "whether p95 of v2 keeps 300 ms cannot be told: that lies between the histogram's edges 250 ms and 500 ms; "
        "the nearest limit it can tell is 250 ms"
    )
    assert judged([between], stratum(1000, slow=150, edge=0.25), over=False) is None


@pytest.mark.parametrize(("limit", "nearest"), [(0.374, 0.25), (0.376, 0.5), (0.004, 0.01), (0.9, 1.0)])
def test_the_nearest_limit_that_could_be_told_is_nearest_by_distance(limit, nearest):
    assert tail([stratum(1).latency], limit).nearest == nearest
    assert tail([Histogram((math.inf,), (1,))], limit).nearest == math.inf


def test_beyond_the_last_edge_a_limit_can_pass_but_not_fail():
    beyond = Slo(Metric.LATENCY, 5.0, 0.95)
    assert judged([beyond], stratum(1000, slow=10, edge=1.0)).verdict is Verdict.ADVANCE
    untold = judged([beyond], stratum(1000, slow=500, edge=1.0))
    assert untold.verdict is Verdict.HOLD
    assert untold.reason == (
        "whether p95 of v2 keeps 5 s cannot be told: that lies beyond the histogram's last edge, 1 s; the nearest limit it can tell is 1 s"
    )


def test_milliseconds_that_do_not_quite_meet_an_edge_do():
    assert tail([stratum(10).latency], 0.1 + 1e-13).exact
    assert tail([stratum(10).latency], 0.1 + 1e-13).least == 0


def test_histograms_with_other_edges_are_each_read_by_their_own():
    other = stratum(100, slow=7, edges=(0.1, 0.25, 0.3, math.inf))
    found = tail([stratum(100, slow=5).latency, other.latency], 0.25)
    assert (found.least, found.most, found.total, found.exact) == (12, 12, 200, True)
    coarse = tail(
        [stratum(100, slow=5).latency, stratum(100, slow=7, edges=(0.2, 0.4, math.inf), edge=0.2).latency], 0.25
    )
    assert (coarse.least, coarse.most, coarse.exact) == (5, 12, False)


@given(st.lists(st.floats(1e-3, 2.0), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_shown_quantile_lies_in_the_bucket_of_the_true_one(samples, q):
    counts = [sum(low < x <= high for x in samples) for low, high in zip((0.0, *EDGES), EDGES, strict=False)]
    histogram = Histogram(EDGES, tuple(counts))
    true = sorted(samples)[max(0, math.ceil(q * len(samples) - 1e-6) - 1)]
    edge = min(edge for edge in EDGES if true <= edge)
    below = max((e for e in EDGES if e < edge), default=0.0)
    assert quantile([histogram], q) == math.inf if math.isinf(edge) else below <= quantile([histogram], q) <= edge


@given(st.integers(50, 2000), st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.9, 0.95, 0.99]))
def test_what_is_shown_and_what_is_judged_agree(requests, slow, errors, q):
    slow, errors = min(slow, requests), min(errors, requests)
    evidence = result(Slo(Metric.LATENCY, 0.25, q), stratum(requests, errors, slow=slow))
    if evidence.result is Result.PASS:
        assert evidence.observed <= 0.25 * (1 + 1e-6)
    if evidence.result is Result.FAIL:
        assert evidence.observed > 0.25


# Mean


# Several


def test_every_slo_must_be_met_and_every_broken_one_is_named():
    assert judged([ERRORS, P95, MEAN], stratum(500, 1)).verdict is Verdict.ADVANCE
    both = judged([ERRORS, P95], stratum(500, 100, slow=200), over=False)
    assert "v2 fails 20 %" in both.reason
    assert "p95 of v2" in both.reason
    one = judged([ERRORS, P95], stratum(500, slow=30), rules=Rules(Mode.PROVE))
    assert one.verdict is Verdict.HOLD
    assert [item.result for item in one.evidence] == [Result.PASS, Result.INCONCLUSIVE]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 30), st.integers(0, 30)), max_size=8), st.randoms())
def test_how_the_counts_are_cut_into_strata_and_ordered_changes_nothing(parts, rng):
    strata = [stratum(n, min(n, e), slow=min(n, s), start=float(i)) for i, (n, e, s) in enumerate(parts)]
    whole = stratum(
        sum(s.requests for s in strata), sum(s.errors for s in strata), slow=sum(s.latency.counts[4] for s in strata)
    )
    shuffled = strata[:]
    rng.shuffle(shuffled)
    first, second, third = (weigh([ERRORS, P95], s, candidate="v2") for s in (strata, shuffled, [whole]))
    assert first == second
    # Harm that was proved half way stays proved, so the whole may not show it any more; never the other way round.
    assert first == third or (first.harm and not third.harm) or (first.harm and third.harm)


def test_good_candidates_are_rarely_rolled_back_and_bad_ones_always():
    rng = random.Random(3)

    def rolled_back(rate):
        strata = []
        for look in range(30):
            errors = sum(rng.random() < rate for _ in range(100))
            strata.append(Stratum("v2", look, look + 1, 10, 100, {"http-500": errors}))
            found = assess([ERRORS], strata, candidate="v2", over=False, rules=replace(DEFAULT_RULES, early_end=False))
            if found:
                return found.verdict is Verdict.ROLLBACK
        return False

    assert sum(rolled_back(0.008) for _ in range(60)) <= 3
    assert sum(rolled_back(0.03) for _ in range(60)) == 60


@pytest.mark.parametrize("surely", [0, 8, 12, 40, 200])
def test_more_surely_slow_requests_never_turn_a_hold_into_a_promotion(surely):
    """A limit of 200 ms between edges at 100 and 250: a fifth of the requests may be over it or not."""
    slo = Slo(Metric.LATENCY, 0.2, 0.95)
    hidden = 0 if surely == 200 else 50
    histogram = Histogram((0.1, 0.25, math.inf), (200 - surely - hidden, hidden, surely))
    strata = [Stratum("v2", 0.0, 10.0, 10, 200, {}, histogram, 20.0)]
    found = assess([slo], strata, candidate="v2", over=True, is_last=True)
    assert found.verdict in (Verdict.HOLD, Verdict.ROLLBACK)
