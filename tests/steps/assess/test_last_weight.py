"""Covers: harm that only the last weight brings, for each kind of SLO: however much went well before, a stage that would not be promoted if it
stood alone is not promoted after it, and the sentence tells the stage's own value. What is over its limit by chance goes on, and says so.

Leaves out: proof of harm that begins late (test_margins.py, test_averages.py), and how little traffic is too little (test_assess.py).
"""

import math
from bisect import bisect_left

import pytest

from fairway_steps.assess import assess
from fairway_steps.assess.rest import Open, Scene
from fairway_steps.assess.weigh import trial_of
from fairway_steps.model import Doubt, Histogram, Metric, Result, Slo, Stratum, Unit, Verdict

EDGES = (0.095, 0.1, 0.25, 1.0, math.inf)
ERRORS = Slo(Metric.ERROR_RATE, 0.01)
KINDS = {
    "error rate": ERRORS,
    "success rate": Slo(Metric.SUCCESS_RATE, 0.99),
    "latency": Slo(Metric.LATENCY, 0.25, 0.95),
    "mean latency": Slo(Metric.LATENCY_MEAN, 0.12),
    "rate by windows": Slo(Metric.ERROR_RATE, 0.01, unit=Unit.STRATUM),
    "rate beside": Slo(Metric.ERROR_RATE, 0.5, relative=True),
    "latency beside": Slo(Metric.LATENCY, 0.1, 0.95, relative=True),
    "reward": Slo(Metric.REWARD, 0.02, relative=True, unit=Unit.USER),
}
EARLY, LAST, HERE, CLOSED = 10, 50, 100, 98


def window(version, at, weight, requests, bad):
    """Of the requests ``bad`` failed, so many more were slow, and the users of so many were worth nothing."""
    fast = requests - 2 * bad
    latency = Histogram(EDGES, (0, fast, 0, bad, 0))
    worth = (requests - bad) / 2
    return Stratum(
        version,
        at,
        at + 1,
        weight,
        requests,
        {"http-500": bad} if bad else {},
        latency,
        0.1 * fast + 0.9 * bad,
        users=requests,
        reward=worth,
        squares=worth,
    )


def stage(weight, requests, bad, start=0.0):
    """A hundred windows of both versions, in which the candidate has so many requests each, and ``bad`` in all."""
    for k in range(HERE):
        more = min(k + 1, CLOSED) * bad // CLOSED - min(k, CLOSED) * bad // CLOSED
        yield window("v2", start + k, weight, requests, more)
        yield window("v1", start + k, 100 - weight, 60, k % 2)


def judged(slo, strata, **options):
    return assess([slo], list(strata), candidate="v2", primary="v1", weight=LAST, is_last=True, **options)


def after_good_ones(bad, requests=10):
    return [*stage(EARLY, 300, 0), *stage(LAST, requests, bad, start=1000.0)]


@pytest.mark.parametrize("slo", KINDS.values(), ids=KINDS)
def test_what_was_well_before_lets_no_stage_pass_that_would_not_pass_alone(slo):
    def is_held(bad):
        (found,) = judged(slo, stage(LAST, 10, bad)).evidence
        return found.result is not Result.PASS and found.doubt is not Doubt.OVER

    held = bisect_left(range(200), True, key=is_held)
    assert judged(slo, stage(LAST, 10, held)).evidence[0].doubt is Doubt.HARM, (
        "it is neither good nor proved to be harmful"
    )
    found = judged(slo, after_good_ones(held))
    assert found.verdict is Verdict.HOLD, found.reason
    assert found.reason.startswith("at this weight ")
    assert judged(slo, after_good_ones(0)).verdict is Verdict.PROMOTE


def test_the_sentence_and_the_value_are_the_stage_s_own():
    found = judged(ERRORS, after_good_ones(20))
    assert found.reason == (
        "at this weight v2 fails 2 % of requests (95 % interval 0.91–3.7 %), over the limit of 1 %; "  # noqa: RUF001
        "1,000 requests do not prove it"
    )
    assert (found.verdict, found.evidence[0].observed) == (Verdict.HOLD, 0.02)
    proved = judged(ERRORS, after_good_ones(40))
    assert proved.verdict is Verdict.ROLLBACK
    assert proved.reason.startswith("at this weight v2 fails "), proved.reason
    assert proved.evidence[0].observed > ERRORS.limit


def test_what_chance_explains_goes_on_in_guard_and_is_said():
    found = judged(ERRORS, after_good_ones(12))
    assert found.verdict is Verdict.PROMOTE
    assert found.reason.startswith("nothing proves that v2 breaks its SLOs: at this weight v2 fails 1.2 % of requests")
    assert found.evidence[0].doubt is Doubt.OVER


@pytest.mark.parametrize(("bad", "verdict"), [(0, Verdict.PROMOTE), (1, Verdict.PROMOTE), (2, Verdict.HOLD)])
def test_what_chance_hardly_explains_is_for_a_person_though_few_requests_make_no_e_value_grow(bad, verdict):
    """One failure of 60 is seen of one version in 17 that keep a limit of 0.1 %, two of one in 600."""
    few = [Stratum("v2", 1e3 + k, 1e3 + k + 1, LAST, 1, {"http-500": 1} if k < bad else {}) for k in range(60)]
    found = judged(Slo(Metric.ERROR_RATE, 0.001), [*stage(EARLY, 300, 0), *few])
    assert found.verdict is verdict
    assert found.reason.startswith("at this weight v2 fails 3.3 % of requests") == (bad == 2), found.reason


def test_a_stage_in_the_middle_is_asked_the_same():
    found = assess([ERRORS], after_good_ones(20), candidate="v2", weight=LAST)
    assert found.verdict is Verdict.HOLD


@pytest.mark.parametrize("slo", KINDS.values(), ids=KINDS)
def test_half_a_proof_is_for_a_person_though_the_value_of_all_is_within(slo):
    scene, open_ = Scene.of(stage(LAST, 10, 8), "v2", "v1", None), Open(True, False, 3.0, 1.5)
    trial = trial_of(slo, scene)
    told = trial.evidence(1.6, harmful=False, open_=open_)
    assert (told.result, told.doubt) == (Result.INCONCLUSIVE, Doubt.HARM), told.sentence
    assert trial.evidence(1.4, harmful=False, open_=open_).result is Result.PASS
