"""Covers: margins against the primary that serves beside: harm and health in errors and in latencies, drift and ramps that cancel, windows
that are open or hold one version alone, coarse histograms, missing and impossible counts, units.

Leaves out: the test of odds ratios itself (stats/test_comparison.py), and limits (test_assess.py).
"""

import math
import random
import re
from bisect import bisect_left
from dataclasses import replace

import pytest

from fairway_steps.assess import assess, weigh
from fairway_steps.model import DEFAULT_RULES, Doubt, Histogram, Metric, Mode, Result, Rules, Slo, Stratum, Verdict
from fairway_steps.stats.comparison import RateVsPrimary

FINE = (*(round(0.001 * 1.05**k, 9) for k in range(180)), math.inf)
COARSE = (0.01, 0.1, 1.0, math.inf)
ERRORS = Slo(Metric.ERROR_RATE, 0.5, relative=True)
P95 = Slo(Metric.LATENCY, 0.1, 0.95, relative=True)


def stratum(rng, version, at, weight, requests, errors=0.0, slow=1.0, edges=FINE):
    counts, failed = [0] * len(edges), 0
    for _ in range(requests):
        if rng.random() < errors:
            failed += 1
        else:
            counts[bisect_left(edges, slow * rng.lognormvariate(math.log(0.02), 0.5))] += 1
    failures = {"http-500": failed} if failed else {}
    return Stratum(
        version, float(at), at + 1.0, weight, requests, failures, Histogram(edges, tuple(counts)), 0.02 * requests
    )


def traffic(seed, seconds=40, *, own=(0.01, 1.0), beside=(0.01, 1.0), requests=(50, 100), edges=FINE, drift=0.0):
    """Both versions for so many seconds: (error rate, slowness); ``drift`` makes both fail more and more."""
    rng = random.Random(seed)
    strata = []
    for at in range(seconds):
        more = drift * at / seconds
        strata.append(stratum(rng, "v1", at, 90, requests[1], beside[0] + more, beside[1], edges))
        strata.append(stratum(rng, "v2", at, 10, requests[0], own[0] + more, own[1], edges))
    return strata


def judged(slos, strata, **options):
    return assess(slos, strata, candidate="v2", primary="v1", **options)


def evidence(slo, strata, **options):
    (found,) = weigh([slo], strata, candidate="v2", primary="v1", **options).evidence
    return found


def test_a_candidate_that_fails_more_is_found_and_the_sentence_compares_it():
    found = judged([ERRORS], traffic(1, own=(0.06, 1.0)), over=False)
    assert found.verdict is Verdict.ROLLBACK
    (item,) = found.evidence
    assert f"v2 fails {100 * item.observed:.2g} % of requests and v1 " in found.reason
    assert "at the same time, " in found.reason
    assert " times the odds (95 % interval " in found.reason
    assert "over the 1.5 times that a margin of 50 % allows; seen after" in found.reason
    assert item.observed > item.reference
    assert item.low > 1
    assert item.log_e >= math.log(20)


def test_the_e_value_of_one_stage_is_that_of_the_test_of_odds_with_a_part_kept_back_for_later_stages():
    strata = traffic(4, seconds=12, own=(0.015, 1.0))
    pairs = list(zip(strata[1::2], strata[::2], strict=True))
    state = RateVsPrimary(worse_than=1.5, margin=1.5).update(
        [c.errors for c, _ in pairs],
        [c.requests for c, _ in pairs],
        [p.errors for _, p in pairs],
        [p.requests for _, p in pairs],
    )
    found = evidence(ERRORS, strata)
    assert found.log_e == pytest.approx(math.log(0.8 * math.exp(state.now.violated) + 0.2), abs=1e-12)
    assert found.log_e_met == pytest.approx(state.now.met, abs=1e-12)


def test_a_slower_candidate_is_found_and_the_sentence_compares_it():
    found = judged([P95], traffic(1, own=(0.0, 1.5), beside=(0.0, 1.0)), over=False)
    assert found.verdict is Verdict.ROLLBACK
    assert found.reason.startswith("p95 of v2 is ")
    assert " and of v1 " in found.reason
    assert "as long; over the 1.1 times that a margin of 10 % allows; seen after" in found.reason


def test_failed_requests_are_slower_than_any():
    assert judged([P95], traffic(2, own=(0.2, 1.0), beside=(0.0, 1.0)), over=False).verdict is Verdict.ROLLBACK


@pytest.mark.parametrize("slo", [ERRORS, P95])
def test_candidates_that_are_alike_are_rarely_rolled_back(slo):
    found = [judged([slo], traffic(seed, 30, requests=(20, 60)), over=False) for seed in range(40)]
    assert sum(item is not None for item in found) <= 3


def test_a_little_slower_within_the_margin_is_no_harm():
    wide = replace(P95, limit=0.5)
    for seed in range(4):
        found = judged([wide], traffic(seed, own=(0.0, 1.3), beside=(0.0, 1.0)))
        assert found.verdict is Verdict.ADVANCE
        assert found.evidence[0].observed > 1.2 * found.evidence[0].reference


def test_drift_and_a_ramp_cancel():
    """Both fail more and more while the candidate gets more and more of the traffic: pooled, it would look three times as bad."""
    rng, strata = random.Random(5), []
    for at in range(80):
        weight, rate = (5, 10, 25, 50)[at // 20], 0.004 + 0.016 * at / 80
        strata.append(stratum(rng, "v1", at, 100 - weight, 5 * (100 - weight), rate))
        strata.append(stratum(rng, "v2", at, weight, 5 * weight, rate))
    found = judged([ERRORS], strata, over=True, weight=50)
    assert found.verdict is Verdict.ADVANCE
    item = found.evidence[0]
    assert item.low < 1 < item.high


def test_health_is_proved_where_it_is_asked_for_and_held_where_it_is_not_there():
    prove = Rules(Mode.PROVE, early_end=False)
    wide = replace(ERRORS, limit=2.0)
    options = {"over": True, "is_last": True, "rules": prove}
    enough = judged([wide], traffic(3, 60, own=(0.03, 1.0), beside=(0.03, 1.0), requests=(100, 100)), **options)
    assert enough.verdict is Verdict.PROMOTE
    assert "within the 3 times that a margin of 200 % allows; proved by 5,900 requests" in enough.evidence[0].sentence
    few = judged([wide], traffic(3, 1, own=(0.03, 1.0), beside=(0.03, 1.0), requests=(60, 60)), **options)
    assert few.verdict is Verdict.HOLD
    assert "not proved within the 3 times" in few.reason
    assert few.evidence[0].missing > 0


def test_latencies_as_long_are_proved_within_a_wide_margin():
    found = evidence(replace(P95, limit=0.5), traffic(3, 60, own=(0.0, 1.0), beside=(0.0, 1.0), requests=(60, 60)))
    assert found.log_e_met >= math.log(20)
    assert found.result is Result.PASS


@pytest.mark.parametrize("metric", [ERRORS, P95])
def test_without_the_primary_there_is_no_comparison_and_never_a_pass(metric):
    alone = [s for s in traffic(1) if s.version == "v2"]
    for on_inconclusive in (Verdict.HOLD, Verdict.PROMOTE):
        found = judged([metric], alone, on_inconclusive=on_inconclusive)
        assert found.verdict is Verdict.HOLD
        assert found.evidence[0].result is Result.NO_DATA
        assert "no request to v1 was measured beside v2, so how " in found.reason


def test_windows_with_one_version_alone_compare_nothing():
    both = traffic(1, 20)
    shifted = [
        replace(s, start=s.start + 100, end=s.end + 100) for s in traffic(9, 20, own=(0.5, 1.0)) if s.version == "v2"
    ]
    assert evidence(ERRORS, both).log_e == evidence(ERRORS, [*both, *shifted]).log_e


def test_what_settles_is_no_evidence():
    strata = traffic(1, own=(0.06, 1.0))
    assert judged([ERRORS], [replace(s, settling=True) for s in strata], over=False) is None
    assert judged([ERRORS], [replace(s, settling=True) for s in strata]).verdict is Verdict.HOLD


def test_an_open_window_is_not_compared_until_it_is_closed():
    strata = traffic(1, 31)
    open_ = [Stratum(v, 31.0, 32.0, w, 50, {"http-500": x}) for v, w, x in (("v1", 90, 0), ("v2", 10, 50))]
    later = [Stratum(v, 32.0, 34.0, w, 50) for v, w in (("v1", 90), ("v2", 10))]
    assert evidence(ERRORS, [*strata, *open_]).log_e == evidence(ERRORS, strata).log_e
    assert evidence(ERRORS, [*strata, *open_, *later]).log_e > evidence(ERRORS, strata).log_e


def apart(strata, behind=0.0):
    """The same, their latencies as a source of its own tells them."""
    for one in strata:
        yield replace(one, latency=None, seconds=0.0)
        span = {"start": one.start + behind, "end": one.end + behind}
        yield replace(one, **span, requests=0, failures={}, seconds=0.0)


@pytest.mark.parametrize("behind", [0.0, 0.3])
def test_latencies_of_a_source_of_their_own_count_no_request_twice(behind):
    strata = traffic(3, own=(0.06, 1.0), beside=(0.03, 1.0))
    once, twice = evidence(ERRORS, strata), evidence(ERRORS, list(apart(strata, behind)))
    assert replace(once, log_e=0.0) == replace(twice, log_e=0.0)
    assert twice.requests == 50 * 39  # the last window is open


def test_an_open_window_that_latencies_alone_follow_is_still_open():
    strata = traffic(1, 31)
    open_ = [Stratum(v, 31.0, 32.0, w, 50, {"http-500": x}) for v, w, x in (("v1", 90, 0), ("v2", 10, 50))]
    timed = [
        Stratum(v, 31.5, 32.5, w, 0, latency=Histogram(FINE, (1,) * len(FINE))) for v, w in (("v1", 90), ("v2", 10))
    ]
    later = [Stratum(v, 32.0, 34.0, w, 50) for v, w in (("v1", 90), ("v2", 10))]
    assert evidence(ERRORS, [*strata, *open_, *timed]).log_e == evidence(ERRORS, strata).log_e
    assert evidence(ERRORS, [*strata, *open_, *timed, *later]).log_e > evidence(ERRORS, strata).log_e


def test_an_open_window_of_latencies_that_nothing_follows_keeps_no_counts_back():
    strata = traffic(1, 50, own=(0.3, 1.0))
    early = [one for one in apart(strata[:80]) if not one.failures]
    found = judged(
        [ERRORS], [*(replace(s, failures={}) for s in early), *(replace(s, latency=None) for s in strata[80:])]
    )
    assert found.verdict is Verdict.ROLLBACK


def test_a_primary_whose_counts_cannot_be_is_no_evidence():
    strata = [replace(s, failures={"x": s.requests + 1}) if s.version == "v1" else s for s in traffic(1)]
    found = judged([ERRORS], strata, on_inconclusive=Verdict.PROMOTE)
    assert found.verdict is Verdict.HOLD
    assert found.reason.startswith("the counts of v1 cannot be: 101 requests of 100 failed")


def test_latencies_that_one_side_lacks_are_not_compared():
    strata = [replace(s, latency=None) if s.version == "v1" else s for s in traffic(1)]
    found = judged([P95], strata, on_inconclusive=Verdict.PROMOTE)
    assert found.verdict is Verdict.HOLD
    assert "no latency of v1 was measured" in found.reason


@pytest.mark.parametrize("rules", [DEFAULT_RULES, Rules(Mode.PROVE)], ids=["guard", "prove"])
@pytest.mark.parametrize(("own", "beside"), [(0.49, 0.26), (0.26, 0.26)], ids=["nearly-twice", "alike"])
def test_what_happens_between_two_edges_is_never_passed_and_the_missing_edges_are_named(rules, own, beside):
    def p95(value):
        return 0.0, value / 0.02 / math.exp(1.645 * 0.5)

    for seed in range(10):
        strata = traffic(seed, own=p95(own), beside=p95(beside), edges=(0.1, 0.25, 0.55, 1.0, math.inf))
        found = judged([P95], strata, is_last=True, rules=rules)
        assert found.verdict is Verdict.HOLD
        assert found.evidence[0].doubt is Doubt.BUCKETS
    assert found.reason == (
        "whether p95 of v2 is within the 1.1 times that a margin of 10 % allows cannot be told: the histogram says only that it lies "
        "between 250 ms and 550 ms and that of v1 between 250 ms and 550 ms; edges at most 5 % apart are missing between 250 ms and 550 ms"
    )
    assert judged([P95], strata, is_last=True, on_inconclusive=Verdict.ROLLBACK).verdict is Verdict.ROLLBACK


@pytest.mark.parametrize("own", [(0.07, 1.0), (0.07, 30.0), (0.999, 200.0)], ids=["alike", "slow", "failing"])
def test_where_the_primary_fails_more_than_the_quantile_leaves_nothing_is_within_it(own):
    found = judged([P95], traffic(1, own=own, beside=(0.07, 1.0)), is_last=True, on_inconclusive=Verdict.PROMOTE)
    assert found.evidence[0].doubt is Doubt.BUCKETS
    assert found.reason == (
        "whether p95 of v2 is within the 1.1 times that a margin of 10 % allows cannot be told: more than 5 % of requests to v1 failed, so "
        "its p95 is no latency; compare a lower quantile, or set a limit"
    )


def test_a_candidate_that_has_a_quantile_where_the_primary_fails_too_much_for_one_is_within():
    found = judged([P95], traffic(1, own=(0.01, 1.0), beside=(0.07, 1.0)), is_last=True)
    assert found.verdict is Verdict.PROMOTE


def test_harm_that_even_coarse_edges_show_is_found():
    edges = (0.01, 0.046, 0.1, 1.0, math.inf)
    found = judged([P95], traffic(2, own=(0.0, 3.0), beside=(0.0, 1.0), edges=edges), over=False)
    assert found.verdict is Verdict.ROLLBACK


def test_a_heavier_far_tail_is_not_the_quantile_s():
    """A tenth faster at p95, though 3 % of its answers take a second: the SLO is on p95 alone."""
    rolled_back = 0
    for seed in range(20):
        rng, strata = random.Random(seed), []
        for at in range(40):
            strata.append(stratum(rng, "v1", at, 50, 100))
            own = stratum(rng, "v2", at, 50, 100, slow=0.72)
            slow = sum(rng.random() < 0.03 for _ in range(100))
            counts = list(own.latency.counts)
            for _ in range(slow):
                counts[rng.choices(range(len(counts)), counts)[0]] -= 1
            counts[bisect_left(FINE, 1.0)] += slow
            strata.append(replace(own, latency=Histogram(FINE, tuple(counts))))
        found = judged([P95], strata)
        assert found.evidence[0].observed < found.evidence[0].reference
        rolled_back += found.verdict is Verdict.ROLLBACK
    assert rolled_back <= 1


def test_a_failure_s_sentence_never_says_that_the_margin_is_kept():
    for seed in range(30):
        found = judged([P95], traffic(seed, own=(0.0, 1.3), beside=(0.0, 1.0), requests=(50, 50)), over=False)
        if found is None:
            continue
        (item,) = found.evidence
        told = re.search(r"([0-9.]+) times as long; over the 1.1 times", item.sentence)
        assert told is None or float(told[1]) >= 1.1
        assert told or re.match(r"[0-9.]+ % of requests to v2 failed or took longer than .* ms, and ", item.sentence)


def test_the_primary_counts_as_the_candidate_does_window_by_window():
    """Both slow down threefold while the ramp gives the candidate most of its requests at the end: alike, and told as alike."""
    rng, strata = random.Random(3), []
    for at in range(40):
        late = at >= 20
        strata.append(stratum(rng, "v1", at, 50, 60 if late else 200, slow=3.0 if late else 1.0))
        strata.append(stratum(rng, "v2", at, 50, 200 if late else 60, slow=3.0 if late else 1.0))
    (item,) = judged([P95], strata).evidence
    assert item.observed == pytest.approx(item.reference, rel=0.1)


def test_milliseconds_or_seconds_change_nothing():
    strata = traffic(6, own=(0.0, 1.2), beside=(0.0, 1.0))

    def scaled(s):
        return replace(s, latency=Histogram(tuple(1000 * e for e in s.latency.edges), s.latency.counts))

    assert evidence(P95, strata).log_e == evidence(P95, [scaled(s) for s in strata]).log_e


def test_an_slo_without_evidence_of_harm_does_not_hide_that_of_another():
    strata = traffic(1, own=(0.06, 1.0))
    slos = [ERRORS, replace(P95, limit=3.0), Slo(Metric.LATENCY, 5.0, 0.9), Slo(Metric.ERROR_RATE, 0.2)]
    found = judged(slos, strata, over=False, rules=DEFAULT_RULES)
    assert found.verdict is Verdict.ROLLBACK
    assert found.evidence[0].result is Result.FAIL


def plain(version, at, requests, *, failed=0, bucket=100, timed=None):
    """All answers in one bucket."""
    fine = requests - failed if timed is None else timed
    counts = [fine if place == bucket else 0 for place in range(len(FINE))]
    failures = {"http-500": failed} if failed else {}
    return Stratum(
        version,
        float(at),
        at + 1.0,
        90 if version == "v1" else 10,
        requests,
        failures,
        Histogram(FINE, tuple(counts)),
        0.1,
    )


def promoted(slo, strata, mode=Mode.GUARD):
    found = judged([slo], strata, over=True, is_last=True, rules=Rules(mode=mode))
    assert found is not None
    return found.verdict is Verdict.PROMOTE


@pytest.mark.parametrize("quantile", [0.95, 0.99])
def test_a_slower_candidate_is_not_promoted_where_no_edge_can_prove_it(quantile):
    """The primary lies in one bucket: no edge has a share of its requests above it."""
    slo = replace(P95, quantile=quantile)
    both = [(plain("v1", at, 900), plain("v2", at, 100)) for at in range(40)]
    slow = [(plain("v1", at, 900), plain("v2", at, 100, bucket=147)) for at in range(40)]
    assert promoted(slo, [one for pair in both for one in pair])
    assert not promoted(slo, [one for pair in slow for one in pair])


def test_a_primary_that_hardly_served_is_no_measure():
    strata = [plain("v2", at, 30, failed=9) for at in range(40)]
    assert not promoted(ERRORS, [plain("v1", 0, 1), *strata, *(plain("v1", at, 0) for at in range(1, 40))])


def test_failures_where_the_primary_was_not_measured_are_not_overlooked():
    beside = [one for at in range(3) for one in (plain("v1", at, 900), plain("v2", at, 100))]
    assert promoted(ERRORS, beside)
    assert not promoted(ERRORS, [*beside, *(plain("v2", at, 100, failed=100) for at in range(3, 60))])


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("slo", [P95, Slo(Metric.LATENCY, 0.5, 0.95)])
def test_requests_whose_latency_nobody_knows_are_not_taken_for_fast(slo, mode):
    known = [one for at in range(40) for one in (plain("v1", at, 900), plain("v2", at, 300))]
    hidden = [one for at in range(40) for one in (plain("v1", at, 900), plain("v2", at, 300, timed=60))]
    assert promoted(slo, known, Mode.GUARD)
    assert not promoted(slo, hidden, mode)


def test_versions_that_never_served_in_the_same_window_are_compared_with_nothing():
    edges, none = (0.1, 0.2, math.inf), (0, 0, 0)
    strata = []
    for at, sizes in enumerate(((100, 0), (0, 100))):
        for name, n in zip(("v1", "v2"), sizes, strict=True):
            found = Histogram(edges, (n, 0, 0) if n else none)
            strata.append(Stratum(name, float(at), at + 1.0, 50, n, {}, found, 0.05 * n))
    for slo in (Slo(Metric.ERROR_RATE, 0.5, relative=True), Slo(Metric.LATENCY, 0.1, 0.9, relative=True)):
        found = assess([slo], strata, candidate="v2", primary="v1", weight=50, is_last=True)
        assert found.verdict is Verdict.HOLD
        assert found.evidence[0].result is Result.NO_DATA
        assert "no request to v1 was measured beside v2" in found.reason
