"""Covers: what must be known of both versions before one is promoted, window by window: latencies, the primary beside, users, windows; and that
want of data never promotes, whatever is asked for what is undecided.

Leaves out: what the evidence says once it is known (test_rules.py, test_margins.py, test_averages.py, test_rewards.py).
"""

import math

import pytest

from fairway_steps.assess import assess
from fairway_steps.model import Doubt, Histogram, Metric, Mode, Rules, Slo, Stratum, Unit, Verdict

P95 = Slo(Metric.LATENCY, 0.25, 0.95, min_in_all=82)
ERRORS = Slo(Metric.ERROR_RATE, 0.01, min_in_all=417)
BESIDE = Slo(Metric.ERROR_RATE, 0.5, relative=True)
SLOWER = Slo(Metric.LATENCY, 1.0, 0.95, relative=True)
REWARD = Slo(Metric.REWARD, 0.02, min_requests=100, relative=True, unit=Unit.USER)
BURSTS = Slo(Metric.ERROR_RATE, 0.05, unit=Unit.STRATUM)
EDGES = tuple(round(0.05 * 1.2**k, 9) for k in range(20))
MODES = pytest.mark.parametrize("mode", list(Mode))


def second(version, at, requests, failed=0, timed=None, weight=50, **more):
    """One window; ``timed`` of its requests took 100 ms or so, some of them longer."""
    found = timed if timed is None else histogram(timed)
    failures = {"http-500": failed} if failed else {}
    return Stratum(version, float(at), at + 1.0, weight, requests, failures, found, 0.1 * (timed or 0), **more)


def histogram(timed):
    counts = [0] * (len(EDGES) + 1)
    slow = timed // 10
    counts[4], counts[6] = timed - slow, slow
    return Histogram((*EDGES, math.inf), tuple(counts))


def judged(slo, strata, mode=Mode.GUARD, on_inconclusive=Verdict.HOLD, weight=50):
    return assess(
        [slo],
        strata,
        candidate="v2",
        primary="v1",
        weight=weight,
        is_last=True,
        rules=Rules(mode),
        on_inconclusive=on_inconclusive,
    )


def held(slo, strata, ending, mode=Mode.GUARD, on_inconclusive=Verdict.PROMOTE):
    found = judged(slo, strata, mode, on_inconclusive)
    assert (found.verdict, found.evidence[0].doubt) == (Verdict.HOLD, Doubt.FEW), found.reason
    assert found.reason.endswith(ending)


@MODES
@pytest.mark.parametrize(
    "slo",
    [
        P95,
        Slo(Metric.LATENCY_MEAN, 0.5, timeout=2.0),
        Slo(Metric.LATENCY, 0.25, 0.95, of="first-token", min_in_all=82),
        Slo(Metric.LATENCY, 0.25, 0.95, unit=Unit.STRATUM),
    ],
    ids=["quantile", "mean", "of", "stratum"],
)
@pytest.mark.parametrize("apart", [False, True], ids=["counts", "apart"])
def test_latencies_of_some_windows_cover_no_others_however_many_they_are(slo, apart, mode):
    def release(every):
        for at in range(200):
            timed = 1000 if at % every == 0 else 0
            own = {"latencies": {slo.of: histogram(timed)} if timed else {}} if slo.of else {"timed": timed or None}
            if apart:
                yield second("v2", at, 100)
                if timed:
                    yield second("v2", at, 0, **own)
            else:
                yield second("v2", at, 100, **own)

    held(
        slo,
        release(10),
        "a latency was measured of only 2,000 of 20,000 successful requests of v2 at this weight",
        mode,
    )
    if not (apart and slo.unit is Unit.STRATUM):
        assert judged(slo, release(2), Mode.GUARD).verdict is Verdict.PROMOTE


@pytest.mark.parametrize("apart", [False, True], ids=["counts", "apart"])
@pytest.mark.parametrize("slo", [P95, SLOWER])
def test_more_latencies_than_requests_make_no_failure_rarer(slo, apart):
    strata = []
    for at in range(100):
        for version, failed, timed in (("v1", 0, 100), ("v2", 30, 1500)):
            if apart:
                strata += [second(version, at, 100, failed), second(version, at, 0, timed=timed)]
            else:
                strata.append(second(version, at, 100, failed, timed))
    assert judged(slo, strata).verdict is (Verdict.ROLLBACK if slo is P95 else Verdict.HOLD)


@MODES
def test_as_many_requests_are_needed_as_there_are_latencies_for(mode):
    strata = [second("v2", at, 100, timed=100, weight=10) for at in range(60)] + [second("v2", 60, 20, timed=1000)]
    held(
        Slo(Metric.LATENCY_MEAN, 0.5, timeout=2.0),
        strata,
        "20 requests at this weight are too few, 50 are needed",
        mode,
    )


def test_latencies_of_their_own_belong_to_requests_of_the_same_time_also_where_the_readings_differ():
    def release(shift, long):
        for at in range(200):
            yield second("v2", at, 100 if at % 5 else 500)
        for at in range(0, 200, long):
            n = sum(100 if t % 5 else 500 for t in range(at, min(200, at + long)))
            yield Stratum("v2", at + shift, at + shift + long, 50, 0, {}, histogram(n), 1.0)

    for shift, long in ((0.0, 1), (0.4, 1), (-0.7, 1), (0.0, 10), (3.0, 10)):
        assert judged(P95, release(shift, long)).verdict is Verdict.PROMOTE, (shift, long)
    assert judged(P95, release(200.0, 1)).verdict is Verdict.HOLD


@MODES
@pytest.mark.parametrize("slo", [BESIDE, Slo(Metric.ERROR_RATE, 0.5, relative=True, unit=Unit.STRATUM)])
def test_a_primary_that_is_there_without_a_request_is_not_beside(slo, mode):
    strata = []
    for at in range(200):
        served = at < 60
        strata += [second("v2", at, 100, failed=0 if served else 30), second("v1", at, 900 if served else 0)]
    held(slo, strata, "only 6,000 of 20,000 requests of v2 were measured beside v1 at this weight", mode)


@MODES
def test_a_primary_whose_latencies_are_hardly_known_is_no_measure(mode):
    def release(timed):
        return [
            s for at in range(60) for s in (second("v2", at, 1000, timed=1000), second("v1", at, 1000, timed=timed))
        ]

    assert judged(SLOWER, release(600)).verdict is Verdict.PROMOTE
    ending = "a latency was measured of only 2,950 of 59,000 successful requests of v1 at this weight"
    held(SLOWER, release(50), ending, mode)


@MODES
def test_a_primary_that_is_timed_in_few_windows_is_beside_in_these_alone(mode):
    strata = []
    for at in range(60):
        busy = at < 12
        strata += [second("v2", at, 100, timed=100), second("v1", at, 5000 if busy else 1, timed=5000 if busy else 0)]
    held(SLOWER, strata, "only 1,200 of 6,000 successful requests of v2 were measured beside v1 at this weight", mode)


def test_what_was_known_at_another_weight_covers_nothing_of_this_one():
    before = [second(v, at, 5000, timed=5000, weight=10) for at in range(60) for v in ("v1", "v2")]
    here = [second("v2", at, 100, timed=10) for at in range(60, 120)]
    held(P95, [*before, *here], "only 600 of 6,000 successful requests of v2 at this weight")


@MODES
@pytest.mark.parametrize(
    ("slo", "strata", "ending"),
    [
        (ERRORS, [second("v2", 0, 1)], "1 request at this weight is too few, 50 are needed"),
        (P95, [second("v2", 0, 1, timed=1)], "1 request at this weight is too few, 50 are needed"),
        (Slo(Metric.LATENCY, 0.11, 0.95), [second("v2", 0, 20, timed=20)], "too few, 50 are needed"),
        (
            P95,
            [second("v2", at, 100, timed=40) for at in range(20)],
            "800 of 2,000 successful requests of v2 at this weight",
        ),
        (BESIDE, [second("v2", 0, 100), second("v1", 0, 9)], "9 of v1 beside are too few, 50 are needed"),
    ],
    ids=["errors", "latency", "edges", "half", "primary"],
)
def test_want_of_data_never_promotes(slo, strata, ending, mode):
    held(slo, strata, ending, mode)
    assert judged(slo, strata, mode, Verdict.ROLLBACK).verdict is Verdict.ROLLBACK


def test_fewer_in_all_than_could_prove_it_are_want_of_data_in_mode_prove_too():
    for n, verdict in ((416, Verdict.HOLD), (417, Verdict.PROMOTE)):
        assert judged(ERRORS, [second("v2", 0, n, failed=1)], Mode.PROVE, Verdict.PROMOTE).verdict is verdict
    assert judged(ERRORS, [second("v2", 0, 417, failed=1)], Mode.PROVE).verdict is Verdict.HOLD


def rewarded(version, at, users):
    return second(version, at, users, users=users, reward=users / 2, squares=users / 2)


@MODES
def test_a_reward_asks_as_many_users_of_the_primary_as_of_the_candidate(mode):
    own = [rewarded("v2", at, 50) for at in range(40)]
    whole = [rewarded("v2", 0, 200), rewarded("v1", 0, 1)]
    held(REWARD, whole, "; 1 of v1 beside are too few, 100 are needed", mode)
    held(
        REWARD,
        [*own, *(rewarded("v1", at, 500) for at in range(19))],
        "950 of 2,000 users of v2 were measured beside v1 at this weight",
        mode,
    )
    assert judged(REWARD, [*own, *(rewarded("v1", at, 500) for at in range(40))]).verdict is Verdict.PROMOTE


@MODES
def test_answers_that_were_to_be_compared_and_could_not_be_are_unknown(mode):
    slo = Slo(Metric.DIFFERENCE_RATE, 0.05, min_in_all=82)

    def release(made, attempts):
        return [second("v2", at, 100, weight=0, comparisons=made, attempts=attempts) for at in range(60)]

    ending = "only 120 of 6,000 comparisons that were to be made with answers of v2 could be"
    held(slo, release(2, 100), ending, mode)
    for attempts in (4, 2, 0):  # a source that does not tell, and samples that are small as they are meant to be
        assert judged(slo, release(2, attempts), mode).verdict is Verdict.PROMOTE


def test_windows_of_other_stages_are_no_windows_of_the_last():
    before = [second("v2", at, 100, weight=10) for at in range(120)]
    held(BURSTS, [*before, second("v2", 120, 100)], "1 window at this weight is too few, 10 are needed")
    ten = [second("v2", at, 100) for at in range(120, 130)]
    assert judged(BURSTS, [*before, *ten]).verdict is Verdict.PROMOTE
    assert judged(BURSTS, [*before, *ten[1:]]).verdict is Verdict.HOLD
    few = [second("v2", at, 100) for at in range(60)]
    held(BURSTS, few, "do not prove it kept", Mode.PROVE)
