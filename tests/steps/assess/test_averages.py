"""Covers: mean latencies and rates by windows of time (``unit: stratum``): what proves harm and health, how often a good version is
condemned, bursts, sources that tell no spread, sentences.

Leaves out: the mean's own test (stats/test_bets.py).
"""

import math
import random
from bisect import bisect_left
from dataclasses import replace

import pytest

from fairway_steps.assess import assess, weigh
from fairway_steps.model import Doubt, Histogram, Metric, Mode, Result, Rules, Slo, Stratum, Unit, Verdict
from fakes_assess import stratum

MEAN = Slo(Metric.LATENCY_MEAN, 0.1)
BOUNDED = replace(MEAN, timeout=5.0)
EDGES = (*(round(0.001 * 1.25**k, 9) for k in range(40)), math.inf)
BURSTS = Slo(Metric.ERROR_RATE, 0.02, unit=Unit.STRATUM)


def judged(slos, strata, **options):
    return assess(slos, strata, candidate="v2", primary="v1", **options)


def timed(rng, at, mean, requests=50, version="v2", edges=EDGES):
    counts, total = [0] * len(edges), 0.0
    for _ in range(requests):
        latency = rng.lognormvariate(math.log(mean) - 0.125, 0.5)
        counts[bisect_left(edges, latency)] += 1
        total += latency
    return Stratum(version, float(at), at + 1.0, 50, requests, {}, Histogram(edges, tuple(counts)), total)


def latencies(seed, mean, seconds=30, **about):
    rng = random.Random(seed)
    return [timed(rng, at, mean, **about) for at in range(seconds)]


def test_a_mean_over_its_limit_is_found_at_once_and_told_with_its_interval():
    found = judged([MEAN], latencies(1, 0.15), over=False)
    assert found.verdict is Verdict.ROLLBACK
    assert found.reason.startswith("the mean latency of v2 is 1")
    assert " ms (95 % interval from 1" in found.reason
    assert "over the limit of 100 ms; seen after " in found.reason
    assert found.evidence[0].log_e >= math.log(20)


def test_a_mean_just_at_its_limit_is_condemned_at_most_one_time_in_twenty():
    rolled_back = sum(judged([MEAN], latencies(seed, 0.1), over=False) is not None for seed in range(60))
    assert rolled_back <= 3


def test_a_mean_counts_among_the_other_slos_within_alpha():
    strata = latencies(2, 0.1)
    alone = weigh([MEAN], strata, candidate="v2")
    beside = weigh([MEAN, Slo(Metric.ERROR_RATE, 0.01)], strata, candidate="v2")
    mean, errors = (item.log_e for item in beside.evidence)
    assert mean == alone.evidence[0].log_e
    assert beside.log_e == pytest.approx(math.log((math.exp(mean) + math.exp(errors)) / 2))


def test_a_mean_below_its_limit_is_proved_kept_where_a_timeout_bounds_latencies():
    found = judged([BOUNDED], latencies(3, 0.05), weight=50, is_last=True, rules=Rules(Mode.PROVE))
    assert found.verdict is Verdict.PROMOTE
    assert "within the limit of 100 ms; proved by 1,500 requests at this weight" in found.evidence[0].sentence
    few = judged([BOUNDED], latencies(3, 0.05, seconds=1), weight=50, is_last=True, rules=Rules(Mode.PROVE))
    assert few.verdict is Verdict.HOLD


def test_without_a_timeout_no_number_of_requests_proves_a_mean():
    found = judged([MEAN], latencies(3, 0.05, seconds=300), weight=50, is_last=True, rules=Rules(Mode.PROVE))
    assert found.verdict is Verdict.HOLD
    assert "so no number of them proves a mean; a timeout would" in found.reason
    assert judged([MEAN], latencies(3, 0.05), over=False) is None  # nor does a stage end early by it
    assert judged([MEAN], latencies(3, 0.05)).verdict is Verdict.ADVANCE


def test_a_request_that_took_longer_than_the_timeout_takes_the_proof_away():
    strata = latencies(3, 0.05)
    slow = Histogram((*EDGES[:-1], 5.0, 60.0, math.inf), (*strata[0].latency.counts[:-1], 0, 1, 0))
    strata.append(Stratum("v2", 30.0, 31.0, 50, slow.total, {}, slow, 20.0 + strata[0].seconds))
    found = judged([replace(BOUNDED, limit=0.15)], strata, weight=50, is_last=True, rules=Rules(Mode.PROVE))
    assert found.verdict is Verdict.HOLD


def test_rare_answers_that_take_very_long_do_not_get_a_bad_mean_promoted():
    """Of a thousand answers one takes 200 s, all others 10 ms: 210 ms on average. Most releases see none of them."""
    promoted = 0
    for seed in range(30):
        rng, strata = random.Random(seed), []
        for at in range(20):
            late = sum(rng.random() < 0.001 for _ in range(50))
            counts = (50 - late, 0, late, 0)
            edges = (0.01, 100.0, 200.0, math.inf)
            total = 0.01 * (50 - late) + 200 * late
            strata.append(Stratum("v2", float(at), at + 1.0, 50, 50, {}, Histogram(edges, counts), total))
        slo = replace(MEAN, timeout=250.0)
        found = judged([slo], strata, weight=50, is_last=True, rules=Rules(Mode.PROVE))
        promoted += found.verdict is Verdict.PROMOTE
    assert promoted <= 2


def test_a_source_without_buckets_is_judged_by_its_windows_and_for_a_person_before_there_are_enough():
    def blunt(mean, seconds):
        return [replace(s, latency=Histogram((math.inf,), (s.requests,))) for s in latencies(4, mean, seconds=seconds)]

    few = judged([MEAN], blunt(0.15, 30))
    assert few.verdict is Verdict.HOLD
    assert few.evidence[0].doubt is Doubt.FEW
    assert "too little known of their spread for a proof, 100 windows would" in few.reason
    assert judged([MEAN], blunt(0.05, 30)).verdict is Verdict.ADVANCE
    assert judged([MEAN], blunt(0.25, 140), over=False).verdict is Verdict.ROLLBACK
    # Nor is it promoted, or let go on, where it only looks well: few windows tell nothing of a mean that nothing bounds.
    for windows, is_last, least in ((9, False, "9 windows at this weight"), (99, True, "99 windows in all")):
        held = judged([MEAN], blunt(0.05, windows), weight=50, is_last=is_last, on_inconclusive=Verdict.PROMOTE)
        assert (held.verdict, held.evidence[0].doubt, held.evidence[0].missing) == (Verdict.HOLD, Doubt.FEW, 1)
        assert f"; {least} are too few, {windows + 1} are needed where no edge bounds the latencies" in held.reason
        assert judged([MEAN], blunt(0.05, windows + 1), weight=50, is_last=is_last).verdict is not Verdict.HOLD
    assert judged([BOUNDED], blunt(0.05, 9), weight=50, is_last=True).verdict is Verdict.PROMOTE, (
        "the timeout bounds them"
    )


def test_a_mean_of_requests_takes_a_hundred_of_them():
    few = judged([MEAN], latencies(4, 0.05, seconds=1, requests=99), weight=50, is_last=True)
    assert (few.verdict, few.evidence[0].doubt) == (Verdict.HOLD, Doubt.FEW)
    assert few.reason.endswith("; 99 requests in all are too few, 100 are needed")
    assert (
        judged([MEAN], latencies(4, 0.05, seconds=1, requests=100), weight=50, is_last=True).verdict is Verdict.PROMOTE
    )


@pytest.mark.parametrize(("requests", "passed"), [(100, 100), (450, 96), (1500, 18), (4300, 0)])
def test_how_often_a_mean_that_few_very_slow_requests_break_is_promoted_is_as_the_docs_say(requests, passed):
    rng, promoted = random.Random(5), 0
    for _ in range(100):
        strata = []
        for at in range(60):
            number = requests // 60 + (at < requests % 60)
            late = sum(rng.random() < 0.01 for _ in range(number))
            seen = Histogram((0.1, 30.0, math.inf), (number - late, late, 0))
            strata.append(Stratum("v2", float(at), at + 1.0, 50, number, {}, seen, 0.05 * number + 20 * late))
        promoted += judged([MEAN], strata, weight=50, is_last=True).verdict is Verdict.PROMOTE
    assert promoted == passed


def test_a_mean_without_latencies_or_requests_is_no_data():
    for strata in ([], [Stratum("v2", 0.0, 1.0, 50, 200)]):
        found = judged([MEAN], strata, on_inconclusive=Verdict.PROMOTE)
        assert found.verdict is Verdict.HOLD
        assert found.evidence[0].result is Result.NO_DATA
        assert "no latency of v2 was measured, or not their sum, so latency-mean is not known" in found.reason


def test_milliseconds_or_seconds_change_nothing():
    def scaled(s):
        return replace(
            s, latency=Histogram(tuple(1024 * e for e in s.latency.edges), s.latency.counts), seconds=1024 * s.seconds
        )

    strata = latencies(5, 0.11)
    first = weigh([MEAN], strata, candidate="v2").log_e
    assert weigh([replace(MEAN, limit=102.4)], [scaled(s) for s in strata], candidate="v2").log_e == pytest.approx(
        first
    )


# Bursts


def bursts(seed, rate, seconds=150, requests=100, version="v2"):
    """On average ``rate`` of the requests fail: a third of them in one window of every fifty/3."""
    rng, strata = random.Random(seed), []
    for at in range(seconds):
        bad = rng.random() < rate * 3
        failed = round(requests / 3) if bad else 0
        strata.append(replace(stratum(requests, failed, version=version, start=float(at)), weight=50))
    return strata


def test_errors_that_come_in_bursts_condemn_by_the_request_and_not_by_the_stratum():
    """The version keeps its limit exactly, on average; a request is no witness of its own where a window fails together."""
    by = {
        unit: sum(
            judged([replace(BURSTS, unit=unit)], bursts(seed, 0.02), over=False) is not None for seed in range(40)
        )
        for unit in Unit
    }
    assert by[Unit.REQUEST] >= 20
    assert by[Unit.STRATUM] <= 3


@pytest.mark.parametrize("limit", [0.0, 1e-5, 0.01, 0.02, 0.05])
def test_a_version_that_fails_every_request_of_every_window_is_rolled_back_though_they_have_no_spread(limit):
    strata = [replace(stratum(100, 100, version="v2", start=float(at)), weight=50) for at in range(60)]
    found = judged([replace(BURSTS, limit=limit)], strata, over=False, is_last=True)
    assert found.verdict is Verdict.ROLLBACK


def test_windows_without_one_failure_prove_a_limit_kept():
    strata = [replace(stratum(100, 0, version="v2", start=float(at)), weight=50) for at in range(400)]
    found = judged([BURSTS], strata, weight=50, is_last=True, rules=Rules(Mode.PROVE))
    assert found.verdict is Verdict.PROMOTE
    few = judged([BURSTS], strata[:100], weight=50, is_last=True, rules=Rules(Mode.PROVE))
    assert few.verdict is Verdict.HOLD


def test_a_rate_by_strata_is_found_over_its_limit_and_told_so():
    found = judged([BURSTS], bursts(1, 0.1, seconds=400), over=False)
    assert found.verdict is Verdict.ROLLBACK
    assert "of requests in a window on average (95 % interval " in found.reason
    assert "over the limit of 2 %; seen after " in found.reason
    assert " windows" in found.reason


def test_a_success_rate_by_strata_is_the_same_told_the_other_way():
    least = Slo(Metric.SUCCESS_RATE, 0.98, unit=Unit.STRATUM)
    strata = bursts(1, 0.1, seconds=400)
    mine, other = (weigh([slo], strata, candidate="v2") for slo in (least, BURSTS))
    assert mine.log_e == pytest.approx(other.log_e)
    assert mine.evidence[0].observed == pytest.approx(1 - other.evidence[0].observed)


def test_a_margin_by_strata_compares_windows_and_common_bursts_cancel():
    margin = Slo(Metric.ERROR_RATE, 0.5, relative=True, unit=Unit.STRATUM)
    own = bursts(7, 0.05, seconds=300)
    beside = [replace(s, version="v1") for s in own]
    assert judged([margin], [*own, *beside], over=False, rules=Rules(early_end=False)) is None
    worse = [*bursts(8, 0.2, seconds=300), *bursts(9, 0.02, seconds=300, version="v1")]
    found = judged([margin], worse, over=False)
    assert found.verdict is Verdict.ROLLBACK
    assert "over what a margin of 50 % allows" in found.reason


def thin(seed, rate, version, windows=120):
    """Few requests in each of many windows, which fail one by one."""
    rng = random.Random(f"{seed} {version}")
    for at in range(windows):
        failed = sum(rng.random() < rate for _ in range(20))
        yield stratum(20, failed, version=version, start=at)


@pytest.mark.parametrize(("rate", "held"), [(0.05, (8, 8)), (0.015, (0, 1)), (0.01, (0, 0))])
def test_windows_with_several_times_the_primary_s_failures_are_for_a_person_and_no_more_than_that(rate, held):
    """So few windows prove nothing of two shares, each of which may be anything; the margin allows 1.5 %."""
    slo, found = Slo(Metric.ERROR_RATE, 0.5, unit=Unit.STRATUM, relative=True), []
    for seed in range(8):
        told = judged([slo], [*thin(seed, rate, "v2"), *thin(seed, 0.01, "v1")], is_last=True)
        found.append(told.verdict)
        assert told.verdict is not Verdict.HOLD or told.evidence[0].doubt is Doubt.HARM
    assert Verdict.ROLLBACK not in found
    assert held[0] <= found.count(Verdict.HOLD) <= held[1]


def test_a_latency_limit_by_strata_reads_the_edges_as_a_limit_does():
    slo = Slo(Metric.LATENCY, 0.25, 0.95, unit=Unit.STRATUM)
    rng = random.Random(2)
    strata = [replace(stratum(100, slow=rng.choice((5, 20)), start=float(at)), weight=50) for at in range(150)]
    found = judged([slo], strata, over=False)
    assert found.verdict is Verdict.ROLLBACK
    assert "failed or took longer than 250 ms in a window on average" in found.reason
    fast = [replace(stratum(100, start=float(at)), weight=50) for at in range(150)]
    kept = judged([slo], fast, weight=50, is_last=True)
    assert kept.reason.endswith("p95 9.5 ms (limit 250 ms)")
    assert kept.evidence[0].sentence.startswith("0 % of requests to v2 failed or took longer than 250 ms")
    assert "over the 5 % that p95 allows" in found.reason


def test_a_version_that_fails_half_of_one_window_in_five_is_not_promoted_for_want_of_windows():
    """Of five windows the plan says that they can tell nothing; four in five such releases saw one that failed, or none."""
    rng, promoted = random.Random(5), 0
    for _ in range(100):
        failed = [500 if rng.random() < 0.2 else 0 for _ in range(5)]
        strata = [replace(stratum(1000, errors, start=float(at)), weight=50) for at, errors in enumerate(failed)]
        promoted += judged([BURSTS], strata, weight=50, is_last=True).verdict is Verdict.PROMOTE
    assert promoted == 0


@pytest.mark.parametrize(
    "slo", [BURSTS, replace(MEAN, unit=Unit.STRATUM), Slo(Metric.LATENCY, 0.25, 0.95, unit=Unit.STRATUM)]
)
def test_where_a_window_is_the_witness_a_release_takes_a_hundred_of_them(slo):
    strata = [replace(stratum(1000, start=float(at)), weight=50) for at in range(100)]
    found = judged([slo], strata[1:], weight=50, is_last=True)
    assert found.verdict is Verdict.HOLD
    assert found.reason.endswith("; 99 windows in all are too few, 100 are needed")
    assert found.evidence[0].missing == 1
    assert judged([slo], strata[1:], weight=50).verdict is Verdict.ADVANCE
    assert judged([slo], strata, weight=50, is_last=True).verdict is Verdict.PROMOTE


def test_fewer_windows_are_enough_where_they_prove_health():
    strata = [replace(stratum(1000, start=float(at)), weight=50) for at in range(60)]
    assert judged([replace(BURSTS, limit=0.2)], strata, weight=50, is_last=True).verdict is Verdict.PROMOTE


def mostly_untimed(windows=120, known=100, each=1):
    """Of 1,000 requests in each window the latencies of ``known`` were measured, and none in windows but the ``each``-th."""
    edges = (0.01, 0.1, math.inf)
    counts = [(known, 0, 0) if at % each == 0 else (0, 0, 0) for at in range(windows)]
    return [
        Stratum("v2", float(at), at + 1.0, 50, 1000, {}, Histogram(edges, some), 0.005 * some[0])
        for at, some in enumerate(counts)
    ]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    "slo",
    [
        replace(MEAN, timeout=1.0),
        replace(MEAN, timeout=1.0, unit=Unit.STRATUM),
        Slo(Metric.LATENCY, 0.1, 0.9, unit=Unit.STRATUM),
    ],
)
def test_a_latency_that_is_known_of_few_requests_is_not_taken_for_that_of_all(slo, mode):
    def judge(strata):
        return judged([slo], strata, weight=50, is_last=True, rules=Rules(mode))

    assert judge(mostly_untimed(known=500)).verdict is Verdict.PROMOTE
    held = judge(mostly_untimed(known=499))
    assert held.verdict is Verdict.HOLD
    assert "a latency was measured of only 59,880 of 120,000 successful requests of v2 at this weight" in held.reason


def test_windows_without_a_latency_are_not_taken_for_like_those_with_one():
    slo = Slo(Metric.LATENCY, 0.1, 0.9, unit=Unit.STRATUM)
    large = [replace(s, requests=10) if not any(s.latency.counts) else s for s in mostly_untimed(300, 1000, each=3)]
    found = judged([slo], large, weight=50, is_last=True)
    assert found.verdict is Verdict.HOLD
    assert "a latency was measured of only 100 of 300 windows of v2 at this weight" in found.reason


def test_a_margin_by_strata_asks_for_the_primary_beside_half_of_the_requests():
    margin = Slo(Metric.ERROR_RATE, 0.5, relative=True, unit=Unit.STRATUM)
    own = bursts(7, 0.05, seconds=300)
    beside = [replace(s, version="v1") for s in own]
    assert judged([margin], [*own, *beside], weight=50, is_last=True).verdict is Verdict.PROMOTE
    found = judged([margin], [*own, *beside[:140]], weight=50, is_last=True)
    assert found.verdict is Verdict.HOLD
    assert "only 14,000 of 30,000 requests of v2 were measured beside v1" in found.reason


def test_latencies_without_their_sum_tell_no_mean():
    strata = [replace(each, seconds=0.0) for each in latencies(5, 0.9)]
    found = judged([BOUNDED], strata)
    assert found.verdict is Verdict.HOLD
    assert found.reason.startswith("no latency of v2 was measured, or not their sum, so latency-mean is not known")
    half = judged(
        [BOUNDED],
        latencies(6, 0.01, seconds=20) + [replace(each, start=each.start + 30, end=each.end + 30) for each in strata],
    )
    assert half.verdict is not Verdict.ADVANCE, "of more than half of the requests nothing is known"
    only = judged([replace(BOUNDED, unit=Unit.STRATUM)], strata)
    assert (only.verdict, only.evidence[0].result) == (Verdict.HOLD, Result.NO_DATA)
