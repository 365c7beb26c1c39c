"""Covers: what the rules make of evidence: several SLOs as one e-process, weights and critical ones, harm that begins late, health proved and
the early end, modes, when a bad version is found and how often a good one is condemned, and that looks are the same bits in any company.

Leaves out: what single SLOs say (test_assess.py, test_margins.py).
"""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.assess import assess, trail, weigh
from fairway_steps.model import DEFAULT_RULES, LATE, Metric, Mode, Result, Rules, Slo, Stratum, Unit, Verdict
from fairway_steps.stats.late import mixed
from fairway_steps.stats.rate import log_e_violated
from fakes_assess import stratum

ERRORS = Slo(Metric.ERROR_RATE, 0.01)
P95 = Slo(Metric.LATENCY, 0.25, 0.95)
P99 = Slo(Metric.LATENCY, 0.5, 0.99)
PROVE = Rules(Mode.PROVE)


def judged(slos, *strata, **options):
    return assess(slos, strata, candidate="v2", **options)


# Together


def test_slos_prove_together_what_none_proves_alone():
    strata = [stratum(400, 9, slow=32)]
    alone = [assess([slo], strata, candidate="v2", over=False) for slo in (ERRORS, P95)]
    weighed = weigh([ERRORS, P95], strata, candidate="v2")
    assert weighed.log_e == pytest.approx(math.log(sum(math.exp(item.log_e) for item in weighed.evidence) / 2))
    assert [bool(found) for found in alone] == [item.log_e >= math.log(20) for item in weighed.evidence]


def test_harm_that_only_the_sum_shows_is_a_rollback_that_names_its_parts():
    # e = 26 and 26: neither is 40, which it would have to be alone beside another; their mean is over 20.
    strata = [stratum(400, 11)]
    found = judged([ERRORS, replace(ERRORS, min_requests=60)], *strata, over=False)
    assert found.verdict is Verdict.ROLLBACK
    first, second = (item.log_e for item in found.evidence)
    assert math.log(20) <= first == second < math.log(40)
    assert found.log_e == pytest.approx(first)


def test_weights_shift_the_evidence_between_slos():
    strata = [stratum(400, 11)]
    light, heavy = (weigh([replace(ERRORS, weight=weight), P95], strata, candidate="v2") for weight in (0.1, 99.0))
    assert not light.harm
    assert heavy.harm


def test_a_critical_slo_also_counts_alone_at_half_of_alpha():
    beside = [replace(P95, quantile=q) for q in (0.5, 0.7, 0.8, 0.85, 0.9)]
    strata = [stratum(400, 12)]
    assert not weigh([ERRORS, *beside], strata, candidate="v2").harm
    critical = weigh([replace(ERRORS, critical=True), *beside], strata, candidate="v2")
    assert critical.harm
    assert critical.evidence[0].result is Result.FAIL
    assert math.log(40) <= critical.evidence[0].log_e < math.log(6 * 20)


@given(st.integers(0, 60), st.integers(0, 100))
def test_how_irrelevant_slos_are_named_or_ordered_changes_nothing(errors, slow):
    strata = [stratum(600, errors, slow=slow)]
    first = weigh([ERRORS, P95, P99], strata, candidate="v2")
    second = weigh([P99, ERRORS, P95], strata, candidate="v2")
    assert first.harm == second.harm
    assert first.log_e == pytest.approx(second.log_e, abs=1e-12)
    assert sorted(item.sentence for item in first.evidence) == sorted(item.sentence for item in second.evidence)


@given(st.integers(0, 400), st.integers(1, 400))
def test_one_failure_more_is_never_less_evidence_of_harm(errors, n):
    errors = min(errors, n - 1)
    fewer, more = (weigh([ERRORS], [stratum(n, e)], candidate="v2").log_e for e in (errors, errors + 1))
    assert more >= fewer - 1e-12


SEVERAL = (
    ERRORS,
    P95,
    Slo(Metric.LATENCY_MEAN, 0.1),
    Slo(Metric.ERROR_RATE, 0.01, unit=Unit.STRATUM),
    Slo(Metric.ERROR_RATE, 0.5, relative=True),
    Slo(Metric.LATENCY, 0.5, 0.9, relative=True),
    Slo(Metric.ERROR_RATE, 0.5, relative=True, unit=Unit.STRATUM),
)


def test_each_look_tells_the_same_bits_whatever_was_looked_at_before_and_comes_after():
    rng, strata = random.Random(3), []
    for at in range(160):
        for version, share in (("v1", 90), ("v2", 10 if at < 90 else 30)):
            errors, slow = rng.randrange(5) // 4, rng.randrange(4)
            each = stratum(rng.randrange(20, 90), errors, slow=slow, version=version, start=2.0 * at, weight=share)
            strata.append(each)
    rng.shuffle(strata)
    whole = trail(SEVERAL, strata, candidate="v2", primary="v1")
    assert len(whole) == 160
    assert all(any(point.log_es[k] != 0 for point in whole) for k in range(len(SEVERAL))), "each SLO has evidence"
    for seen in (1, 7, 89, 90, 91, 130, 159):
        found = trail(SEVERAL, [each for each in strata if each.start < 2 * seen], candidate="v2", primary="v1")
        if seen > 90:
            assert found == whole[:seen]
        else:  # what is kept back for later stages is split once more, which may round differently
            for now, then in zip(found, whole, strict=False):
                assert now.log_es == pytest.approx(then.log_es, abs=1e-12)


# Late harm


def test_the_evidence_is_a_mixture_that_sums_to_one():
    assert mixed([np.zeros(2)]) == pytest.approx([0.0, 0.0])
    assert mixed([np.zeros(3), np.zeros(2), np.zeros(0)]) == pytest.approx([0.0, 0.0, 0.0])
    assert mixed([np.array([math.inf])]) == [math.inf]
    assert mixed([np.array([-50.0, 3.0])])[1] == pytest.approx(math.log((1 - LATE) * math.exp(3) + LATE))


def test_harm_that_only_a_higher_weight_brings_is_not_outweighed_by_what_went_well():
    good = [replace(stratum(500, 1), start=float(t), end=t + 1.0) for t in range(20)]
    bad = [replace(stratum(100, 5, weight=50), start=float(t), end=t + 1.0) for t in range(20, 26)]
    whole = log_e_violated(20 + 30, 10_600, 0.01)
    assert whole < 0, "counted together, the limit is kept"
    found = judged([ERRORS], *good, *bad, over=False, weight=50)
    assert found.verdict is Verdict.ROLLBACK


def test_harm_once_proved_stays_proved():
    early = [replace(stratum(100, 12), start=0.0, end=1.0)]
    later = [replace(stratum(500, 0), start=float(t), end=t + 1.0) for t in range(1, 30)]
    before, after = (judged([ERRORS], *strata, over=False) for strata in (early, [*early, *later]))
    assert before.verdict is Verdict.ROLLBACK
    assert after == before


def test_the_trail_shows_every_window_until_the_proof():
    strata = [replace(stratum(50, 3), start=float(t), end=t + 1.0) for t in range(30)]
    points = trail([ERRORS, Slo(Metric.LATENCY_MEAN, 1.0)], strata, candidate="v2")
    assert points[-1].log_e >= math.log(20) > points[-2].log_e
    assert [point.at for point in points] == [t + 1.0 for t in range(len(points))]
    errors, mean = points[-1].log_es
    assert points[-1].log_e == pytest.approx(math.log((math.exp(errors) + math.exp(mean)) / 2))


# Health


def test_a_stage_ends_early_once_its_own_evidence_proves_every_slo_kept():
    assert judged([ERRORS], stratum(416), over=False) is None
    found = judged([ERRORS], stratum(417), over=False)
    assert found.verdict is Verdict.ADVANCE
    assert found.reason == "v2 is proved to keep its SLOs: error-rate 0 % (limit 1 %)"
    assert judged([ERRORS], stratum(417), over=False, is_last=True).verdict is Verdict.PROMOTE
    assert judged([ERRORS, P99], stratum(417), over=False).verdict is Verdict.ADVANCE
    assert (
        judged([ERRORS, Slo(Metric.LATENCY_MEAN, 1.0, timeout=9.0)], stratum(2000), over=False).verdict
        is Verdict.ADVANCE
    )
    assert judged([ERRORS, Slo(Metric.LATENCY_MEAN, 0.0051, timeout=9.0)], stratum(2000), over=False) is None


def test_a_proof_of_an_earlier_stage_does_not_end_a_later_one():
    strata = (stratum(5000), replace(stratum(60, weight=25), start=1.0, end=2.0))
    assert judged([ERRORS], *strata, weight=25, over=False) is None
    assert judged([ERRORS], *strata, weight=25, over=True).verdict is Verdict.ADVANCE


def test_no_early_end_where_it_is_not_wanted_or_the_minimum_sample_is_missing():
    assert judged([ERRORS], stratum(2000), over=False, rules=replace(DEFAULT_RULES, early_end=False)) is None
    assert judged([replace(ERRORS, min_requests=3000)], stratum(2000), over=False) is None
    assert judged([ERRORS], stratum(2000), over=False, problem="away") is None


STRICT = Slo(Metric.ERROR_RATE, 0.001, min_in_all=4188)


def test_a_release_is_not_promoted_by_fewer_requests_in_all_than_could_prove_it_well():
    strata = (stratum(1000), replace(stratum(2000, weight=50), start=1.0, end=2.0))
    assert judged([STRICT], *strata, weight=50).verdict is Verdict.ADVANCE
    found = judged([STRICT], *strata, weight=50, is_last=True)
    assert found.verdict is Verdict.HOLD
    assert found.reason.endswith("with a limit of 0.1 %; 3,000 requests in all are too few, 4,188 are needed")
    assert (found.evidence[0].result, found.evidence[0].missing) == (Result.INCONCLUSIVE, 1188)
    more = replace(stratum(1188, weight=50), start=2.0, end=3.0)
    assert judged([STRICT], *strata, more, weight=50, is_last=True).verdict is Verdict.PROMOTE


def test_a_margin_on_latency_asks_for_as_many_in_all_too():
    slo = Slo(Metric.LATENCY, 0.1, 0.99, relative=True, min_in_all=417)
    pair = [replace(stratum(300, version=name), weight=50) for name in ("v1", "v2")]
    found = assess([slo], pair, candidate="v2", primary="v1", weight=50, is_last=True)
    assert found.verdict is Verdict.HOLD
    assert "300 requests in all are too few, 417 are needed" in found.reason


def test_a_version_that_breaks_a_strict_limit_twentyfold_is_hardly_ever_promoted_for_want_of_requests():
    """Limit 0.1 %, really 2 %, 50 requests: more than a third of such releases see no failure at all."""
    rng, promoted = random.Random(3), 0
    for _ in range(200):
        errors = sum(rng.random() < 0.02 for _ in range(50))
        promoted += judged([STRICT], stratum(50, errors), is_last=True).verdict is Verdict.PROMOTE
    assert promoted == 0


def test_mode_prove_promotes_on_proof_alone_and_says_what_is_missing():
    few = judged([ERRORS], stratum(300), rules=PROVE, is_last=True)
    assert few.verdict is Verdict.HOLD
    assert few.reason == (
        "v2 fails 0 % of requests (95 % interval 0–1.5 %), within the limit of 1 %; "  # noqa: RUF001
        "300 requests at this weight do not prove that it is kept, about 117 more would"
    )
    assert few.evidence[0].missing == 117
    assert judged([ERRORS], stratum(417), rules=PROVE, is_last=True).verdict is Verdict.PROMOTE
    assert judged([ERRORS], stratum(300), rules=PROVE, is_last=False).verdict is Verdict.ADVANCE
    assert judged([ERRORS], stratum(300), is_last=True).verdict is Verdict.PROMOTE


@pytest.mark.parametrize("slo", [ERRORS, Slo(Metric.ERROR_RATE, 0.5, relative=True)], ids=["limit", "margin"])
def test_health_at_lower_weights_proves_nothing_of_the_last(slo):
    def ended(requests, errors):
        counts = [(5, 2000, 2), (10, 2000, 2), (25, 2000, 2), (50, requests, errors), (50, 0, 0)]
        own = [stratum(n, bad, weight=weight, start=at) for at, (weight, n, bad) in enumerate(counts)]
        beside = [
            stratum(n, n // 100, weight=100 - weight, start=at, version="v1")
            for at, (weight, n, _) in enumerate(counts)
        ]
        return judged([slo], *own, *beside, primary="v1", weight=50, rules=PROVE, is_last=True)

    assert ended(400, 1).verdict is Verdict.HOLD
    assert ended(400, 8).verdict is not Verdict.PROMOTE
    assert ended(40_000, 40).verdict is Verdict.PROMOTE


def test_a_success_rate_is_an_error_rate_told_the_other_way():
    least = Slo(Metric.SUCCESS_RATE, 0.99)
    broken = judged([least], stratum(2150, 41), over=False)
    assert broken.reason == (
        "v2 answers 98 % of requests (95 % interval 97–99 %), under the limit of 99 %; seen after 2,150 requests"  # noqa: RUF001
    )
    for errors in (0, 3, 30):
        mine, other = (weigh([slo], [stratum(800, errors)], candidate="v2") for slo in (least, ERRORS))
        assert mine.log_e == pytest.approx(other.log_e, abs=1e-9)
        assert mine.evidence[0].result is other.evidence[0].result


# How soon, and how often wrongly


def requests_until_rollback(rate, limit, rng, most=400):
    """With a look after every request, as one each second is at a few requests a second."""
    errors = 0
    for n in range(1, most + 1):
        errors += rng.random() < rate
        if assess(
            [Slo(Metric.ERROR_RATE, limit)], [Stratum("v2", 0.0, 1.0, 10, n, {"x": errors})], candidate="v2", over=False
        ):
            return n
    return most


def test_a_version_that_fails_a_fifth_of_its_requests_is_found_after_a_median_of_19():
    """Exactly, by the distribution of the number of errors among the releases not yet decided."""
    alive, found, median = {0: 1.0}, 0.0, 0
    for n in range(1, 200):
        following: dict[int, float] = {}
        for errors, chance in alive.items():
            for more, part in ((0, 0.8), (1, 0.2)):
                following[errors + more] = following.get(errors + more, 0.0) + chance * part
        alive = {}
        for errors, chance in following.items():
            weighed = weigh([ERRORS], [stratum(n, errors)], candidate="v2")
            if weighed.harm:
                found += chance
            else:
                alive[errors] = chance
        if found >= 0.5:
            median = n
            break
    assert median <= 19


def test_a_version_just_within_its_limit_is_condemned_at_most_one_time_in_twenty():
    """Exactly, over 2,000 requests with a look after each, at the very edge: the worst there is."""
    bar, p, alive, condemned = math.log(20), 0.01, {0: 1.0}, 0.0
    for n in range(1, 2001):
        following: dict[int, float] = {}
        for errors, chance in alive.items():
            following[errors] = following.get(errors, 0.0) + chance * (1 - p)
            following[errors + 1] = following.get(errors + 1, 0.0) + chance * p
        alive = {}
        for errors, chance in following.items():
            if chance < 1e-15:
                continue
            if mixed([np.array([log_e_violated(errors, n, p)])])[0] >= bar:
                condemned += chance
            else:
                alive[errors] = chance
    assert 0.005 < condemned <= 0.05


def test_of_looks_at_several_slos_and_stages_few_condemn_a_good_version():
    rng, condemned = random.Random(11), 0
    for _ in range(60):
        strata = []
        for at in range(30):
            n = 60
            errors, slow = (sum(rng.random() < p for _ in range(n)) for p in (0.009, 0.045))
            strata.append(
                replace(stratum(n, errors, slow=slow), start=float(at), end=at + 1.0, weight=(10, 25, 50)[at // 10])
            )
        condemned += weigh([ERRORS, P95], strata, candidate="v2").harm
    assert condemned <= 3
