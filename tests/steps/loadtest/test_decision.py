"""Whether counts end a run early, held against what an assessment then makes of them, and what latencies are judged by. Left out: the e-processes themselves (stats/test_light.py)."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.assess import assess
from fairway_steps.cli.load_limits import judged_by, limits_of
from fairway_steps.loadtest.decision import Bound, Decision
from fairway_steps.loadtest.streaming import Limit
from fairway_steps.loadtest.tally import Count
from fairway_steps.model import Histogram, Metric, Mode, Rules, Slo, Stratum, Verdict

BOUNDS = [Bound("errors of 1%", 0.01, least=50), Bound("p95 of 100ms", 0.05, 0, least=50)]


@pytest.mark.parametrize(
    ("count", "why"),
    [
        (Count(0, 0, []), ""),
        (Count(40, 0, [0]), ""),
        (Count(416, 0, [0]), ""),  # 417 prove 1 %, by assessment.md
        (Count(417, 0, [0]), "every limit is kept, proved by 417 requests"),
        (Count(30, 30, [30]), "errors of 1% is broken: 30 of 30 requests"),
        (Count(300, 0, [60]), "p95 of 100ms is broken: 60 of 300 requests"),
        (Count(300, 0, [60], [40]), ""),  # of these the client may have moved forty
        (Count(417, 0, [30], [30]), ""),
    ],
)
def test_a_run_ends_when_all_is_proved_or_one_is_broken(count: Count, why: str):
    assert Decision(BOUNDS).made(count) == why
    assert Decision().made(count) == ""


def test_the_rules_of_the_slos_are_kept():
    kept, careful = Count(417, 0, [0]), Rules(beta=0.01)
    assert Decision(BOUNDS, careful).made(kept) == ""
    assert Decision(BOUNDS, careful).made(Count(700, 0, [0])) != ""
    assert Decision(BOUNDS, Rules(early_end=False)).made(kept) == ""
    assert Decision(BOUNDS, Rules(early_end=False)).made(Count(30, 30, [30])) != ""
    broken = least(Decision(BOUNDS))
    assert Decision(BOUNDS, Rules(alpha=0.001)).made(broken) == ""
    assert Decision(BOUNDS, stage=3).made(broken) == ""


def least(decision: Decision) -> Count:
    """The first of ever more failures among 100 requests that is proof."""
    return next(count for failed in range(100) if decision.made(count := Count(100, failed, [failed])))


SLOS = [Slo(Metric.ERROR_RATE, 0.01), Slo(Metric.LATENCY, 0.1, quantile=0.95)]


def stratum(count: Count, start: float, weight: int) -> Stratum:
    slow = count.over[0] - count.failed
    latency = Histogram((0.1, math.inf), (count.requests - count.over[0], slow))
    return Stratum("v2", start, start + 1, weight, count.requests, {"http-500": count.failed}, latency)


@given(
    st.sampled_from([0.0, 0.005, 0.015, 0.03, 0.2, 1.0]),
    st.sampled_from([0.0, 0.01, 0.04, 0.08, 0.3]),
    st.sampled_from([Rules(), Rules(mode=Mode.PROVE, alpha=0.01, beta=0.001), Rules(mode=Mode.PROVE, beta=0.2)]),
    st.tuples(st.booleans(), st.booleans()),
    st.sampled_from([0.2, 1.0, 5.0]),
    st.integers(0, 3),
)
def test_what_ends_a_run_decides_its_assessment(
    failing: float, slow: float, rules: Rules, critical: tuple[bool, bool], weight: float, stage: int
):
    """At the first count that decides, after stages in which all was well: harm is rolled back, health goes on."""
    slos = [replace(SLOS[0], critical=critical[0], weight=weight), replace(SLOS[1], critical=critical[1])]
    bounds = [
        Bound(str(slo), slo.allowed, place, 50, slo.weight, slo.critical)
        for slo, place in zip(slos, (None, 0), strict=True)
    ]
    decision = Decision(bounds, rules, stage)
    before = [stratum(Count(2000, 0, [0]), float(k), k + 1) for k in range(stage)]
    for requests in range(1, 4000, 7):
        failed = math.ceil(failing * requests)
        count = Count(requests, failed, [min(requests, failed + math.ceil(slow * requests))])
        if why := decision.made(count):
            strata = [*before, stratum(count, float(stage), stage + 1)]
            found = assess(slos, strata, candidate="v2", weight=stage + 1, is_last=True, rules=rules, over=False)
            assert found is not None, why
            assert found.verdict is (Verdict.ROLLBACK if "broken" in why else Verdict.PROMOTE), why
            return


@pytest.mark.parametrize("stage", [0, 2])
def test_a_decision_is_not_put_off_for_long(stage: int):
    """A tenth of the requests fail where 1 % may: proof within 150 of them, though later stages ask for more."""
    assert Decision(BOUNDS, stage=stage).made(Count(150, 15, [15]))


def test_sending_late_matters_unless_limits_or_rates_are_all_that_is_judged():
    rate, latency, mean = SLOS[0], SLOS[1], Slo(Metric.LATENCY_MEAN, 0.1)
    for limits, slos, known in (
        ("", [], False),
        ("", [rate], True),
        ("", [rate, mean], False),
        ("ttft:1s", [], False),
        ("1s", [], True),
        ("", [latency], True),
        ("", [latency, mean], False),
        ("1s", [latency, replace(latency, relative=True)], False),
        ("1s", [latency, replace(latency, of="time-to-first-token")], False),
    ):
        assert judged_by(slos, limits_of(limits, slos)) is known


def test_latencies_other_than_the_responses_are_no_limits_on_these():
    slos = [
        SLOS[1],
        replace(SLOS[1], limit=0.05, of="time-to-first-token"),
        replace(SLOS[1], limit=0.02, relative=True),
    ]
    assert limits_of(None, slos) == [Limit(SLOS[1].limit)]
