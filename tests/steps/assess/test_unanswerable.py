"""Covers: questions that what there was could not answer, whatever it said: edges too far from a limit or a margin, values of which too little is
known to be tested, what nothing proves. They hold, whatever is asked for what is undecided; what is only not answered yet does as it is asked.

Leaves out: too few requests, latencies or a primary that are not known (test_known.py).
"""

import math

import pytest

from fairway_steps.assess import assess
from fairway_steps.model import Doubt, Histogram, Metric, Mode, Rules, Slo, Stratum, Unit, Verdict

UNITS = pytest.mark.parametrize("unit", [Unit.REQUEST, Unit.STRATUM])
ANYHOW = pytest.mark.parametrize("otherwise", [Verdict.HOLD, Verdict.PROMOTE])


def windows(counts, edges, *, failed=0, beside=(), number=200, seconds=0.0, **more):
    """The candidate's windows, ``counts`` of its answers between ``edges``; and the primary's, if any."""
    for at in range(number):
        failures = {"http-500": failed} if failed else {}
        latency = Histogram((*edges, math.inf), counts) if edges else None
        yield Stratum("v2", float(at), at + 1.0, 10, sum(counts) + failed, failures, latency, seconds, **more)
        if beside:
            latency = Histogram((*edges, math.inf), beside)
            yield Stratum("v1", float(at), at + 1.0, 90, sum(beside), {}, latency, seconds)


def judged(slo, strata, otherwise=Verdict.PROMOTE, mode=Mode.GUARD):
    found = assess(
        [slo],
        list(strata),
        candidate="v2",
        primary="v1",
        weight=10,
        is_last=True,
        rules=Rules(mode),
        on_inconclusive=otherwise,
    )
    return found.verdict, found.evidence[0].doubt, found.reason


@UNITS
@ANYHOW
def test_a_limit_between_two_edges_that_hide_whether_it_is_kept(unit, otherwise):
    verdict, doubt, reason = judged(
        Slo(Metric.LATENCY, 0.25, 0.95, unit=unit), windows((0, 20, 0), (0.1, 0.5)), otherwise
    )
    assert (verdict, doubt) == (Verdict.HOLD, Doubt.BUCKETS)
    assert reason == (
        "whether p95 of v2 keeps 250 ms cannot be told: that lies between the histogram's edges 100 ms and 500 ms; "
        "the nearest limit it can tell is 100 ms"
    )


@UNITS
def test_a_limit_between_two_edges_that_most_requests_stay_below_is_kept(unit):
    verdict, doubt, _ = judged(Slo(Metric.LATENCY, 0.25, 0.95, unit=unit), windows((200, 0, 0), (0.1, 0.5)))
    assert (verdict, doubt) == (Verdict.PROMOTE, None)


@ANYHOW
def test_a_margin_that_no_edge_of_the_primarys_can_prove_broken(otherwise):
    found = judged(
        Slo(Metric.LATENCY, 0.1, 0.95, relative=True),
        windows((72, 0, 0), (0.1, 0.5), failed=28, beside=(0, 0, 900)),
        otherwise,
    )
    assert found[:2] == (Verdict.HOLD, Doubt.BUCKETS)


@ANYHOW
@pytest.mark.parametrize(
    ("mode", "failed", "where", "what"),
    [
        (Mode.GUARD, 28, "over", "it"),
        (Mode.PROVE, 28, "over", "it"),
        (Mode.PROVE, 0, "not proved within", "it kept"),
    ],
)
def test_a_margin_where_all_of_the_primarys_lie_between_two_edges(mode, failed, where, what, otherwise):
    """However close these are: none of its requests is over the upper one, and all are over the lower one."""
    edges = (0.1, 0.104, 0.5)
    strata = windows((0, 100 - failed, 0, 0), edges, failed=failed, beside=(0, 900, 0, 0))
    verdict, doubt, reason = judged(Slo(Metric.LATENCY, 0.1, 0.95, relative=True), strata, otherwise, mode)
    assert (verdict, doubt) == (Verdict.HOLD, Doubt.BUCKETS)
    assert f"; {where} the 1.1 times that a margin of 10 % allows; " in reason
    assert reason.endswith(f"have too few edges to prove {what}")


def test_a_margin_of_which_the_primarys_quantile_is_hardly_known_yet_is_not_for_want_of_edges():
    strata = windows((90, 7, 2, 1), (0.1, 0.104, 0.108), beside=(90, 7, 2, 1), number=2)
    assert judged(Slo(Metric.LATENCY, 0.1, 0.95, relative=True), strata, Verdict.HOLD, Mode.PROVE)[1] is Doubt.PROOF


@ANYHOW
def test_a_mean_of_values_of_which_no_edge_tells_how_they_scatter(otherwise):
    slow = list(windows((0, 20), (0.1,), number=60, seconds=60.0))
    for limit in (2.99, 3.5):
        verdict, doubt, reason = judged(Slo(Metric.LATENCY_MEAN, limit), slow, otherwise)
        assert (verdict, doubt) == (Verdict.HOLD, Doubt.FEW)
        assert reason.endswith("; 60 windows in all are too few, 100 are needed where no edge bounds the latencies")


@ANYHOW
def test_a_worse_reward_of_users_who_are_all_worth_the_same(otherwise):
    def told(version, weight, users, each):
        for at in range(30):
            yield Stratum(
                version,
                float(at),
                at + 1.0,
                weight,
                users,
                users=users,
                reward=users * each,
                squares=users * each * each,
            )

    slo = Slo(Metric.REWARD, 0.0, min_requests=100, relative=True, unit=Unit.USER)
    verdict, doubt, reason = judged(slo, [*told("v2", 10, 10, 1.0), *told("v1", 90, 90, 2.0)], otherwise)
    assert (verdict, doubt) == (Verdict.HOLD, Doubt.FEW)
    assert "are too little for a test, which takes 100 of each whose rewards differ" in reason


@ANYHOW
@pytest.mark.parametrize(
    ("slo", "says"),
    [
        (Slo(Metric.ERROR_RATE, 0.0), "no number of them would"),
        (Slo(Metric.LATENCY_MEAN, 1.0), "no number of them proves a mean"),
    ],
    ids=["zero", "mean"],
)
def test_what_nothing_proves_in_mode_prove(slo, says, otherwise):
    verdict, doubt, reason = judged(slo, windows((20, 0), (0.1,), seconds=1.0), otherwise, Mode.PROVE)
    assert (verdict, doubt) == (Verdict.HOLD, Doubt.UNPROVABLE)
    assert says in reason


@pytest.mark.parametrize("mode", list(Mode))
@UNITS
def test_what_is_only_not_answered_yet_does_as_it_is_asked(unit, mode):
    slo = Slo(Metric.ERROR_RATE, 0.05, unit=unit)
    strata = list(windows((95,), (), failed=5, number=110))
    hold, doubt, _ = judged(slo, strata, Verdict.HOLD, Mode.PROVE)
    assert (hold, doubt) == (Verdict.HOLD, Doubt.PROOF)
    assert judged(slo, strata, Verdict.PROMOTE, mode)[0] is Verdict.PROMOTE


def test_a_release_is_held_for_what_cannot_be_told_also_where_undecided_ones_go_back():
    assert judged(Slo(Metric.LATENCY, 0.25, 0.95), windows((0, 20, 0), (0.1, 0.5)), Verdict.ROLLBACK)[0] is (
        Verdict.ROLLBACK
    )


def test_unknown_latencies_leave_a_quantile_to_those_that_are_known():
    """One failure in 20 is what a p95 allows; of 15 latencies that are known of 19 it must not be one in 16."""
    for unit, doubt in {Unit.REQUEST: Doubt.OVER, Unit.STRATUM: Doubt.HARM}.items():
        strata = [
            Stratum("v2", float(at), at + 1.0, 10, 20, {"http-500": 1}, Histogram((0.1, 0.25, math.inf), (15, 0, 0)))
            for at in range(200)
        ]
        found = assess([Slo(Metric.LATENCY, 0.25, 0.95, unit=unit)], strata, candidate="v2", weight=10, is_last=True)
        assert found.evidence[0].observed == pytest.approx(0.1)
        assert found.evidence[0].doubt is doubt


def test_a_quantile_by_strata_of_which_little_is_known_says_so_and_not_that_it_is_beyond_measure():
    strata = [
        Stratum("v2", float(at), at + 1.0, 10, 20, {"http-500": 1}, Histogram((0.1, math.inf), (5, 0)))
        for at in range(200)
    ]
    slo = Slo(Metric.LATENCY, 0.25, 0.95, unit=Unit.STRATUM)
    found = assess([slo], strata, candidate="v2", weight=10, is_last=True)
    assert found.reason.endswith(
        "a latency was measured of only 1,000 of 3,800 successful requests of v2 at this weight"
    )
    assert math.isfinite(found.evidence[0].observed)
