"""Covers: rewards as SLOs of a release: harm, health, a person's doubts, too few users, the direction, what cannot be compared, and several SLOs.

Leaves out: the statistics (stats/test_gain.py), and where rewards are read (metrics/).
"""

import random
from dataclasses import replace

import pytest

from fairway_steps.assess import assess, weigh
from fairway_steps.model import Direction, Doubt, Metric, Mode, Result, Rules, Slo, Stratum, Unit, Verdict

REWARD = Slo(Metric.REWARD, 0.02, min_requests=100, relative=True, unit=Unit.USER)
ERRORS = Slo(Metric.ERROR_RATE, 0.01)


def window(rng, version, at, weight, users, worth):
    hits = sum(rng.random() < worth for _ in range(users))
    return Stratum(version, float(at), at + 1.0, weight, users, users=users, reward=float(hits), squares=float(hits))


def traffic(seed, own, beside=0.3, seconds=40, users=40, weight=20):
    rng = random.Random(seed)
    return [
        window(rng, name, at, share, users, worth)
        for at in range(seconds)
        for name, share, worth in (("v1", 100 - weight, beside), ("v2", weight, own))
    ]


def judged(slos, strata, **options):
    return assess(slos, strata, candidate="v2", primary="v1", **options)


def evidence(slo, strata, **options):
    (found,) = weigh([slo], strata, candidate="v2", primary="v1", **options).evidence
    return found


def test_a_loss_is_a_rollback_at_any_look_and_the_sentence_tells_it():
    found = judged([REWARD], traffic(1, 0.15), over=False)
    assert found.verdict is Verdict.ROLLBACK
    assert found.reason.startswith("the mean reward of a user of v2 is 0.1")
    assert "at the same time, 0.1" in found.reason
    assert "less (95 % interval 0." in found.reason
    assert "; beyond the margin of 2 % under v1's; seen after " in found.reason
    assert judged([replace(REWARD, direction=Direction.LOWER)], traffic(1, 0.6), over=False).verdict is Verdict.ROLLBACK
    assert judged([replace(REWARD, direction=Direction.LOWER)], traffic(1, 0.15)).verdict is Verdict.ADVANCE


def test_a_gain_is_proved():
    told = evidence(REWARD, traffic(2, 0.45), is_last=True, rules=Rules(Mode.PROVE))
    assert (told.result, told.doubt) == (Result.PASS, None)
    assert told.sentence.endswith("within the margin of 2 % under v1's; proved by 1,560 users of v2 at this weight")
    assert (told.requests, told.observed > told.reference) == (1560, True)


def test_what_is_alike_goes_on_in_guard_and_is_not_proved_in_prove():
    assert judged([REWARD], traffic(3, 0.3), is_last=True).verdict is Verdict.PROMOTE
    held = judged([REWARD], traffic(3, 0.3), is_last=True, rules=Rules(Mode.PROVE))
    assert held.verdict is Verdict.HOLD
    assert held.evidence[0].doubt is Doubt.PROOF
    assert held.evidence[0].missing > 0


def test_too_few_users_and_none_are_held():
    few = judged([REWARD], traffic(4, 0.3, seconds=2))
    assert few.verdict is Verdict.HOLD
    assert "80 users at this weight are too few, 100 are needed" in few.reason
    assert few.evidence[0].missing == 20
    silent = [replace(stratum, users=0, reward=0.0, squares=0.0) for stratum in traffic(4, 0.3)]
    none = judged([REWARD], silent, on_inconclusive=Verdict.PROMOTE)
    assert none.verdict is Verdict.HOLD
    assert none.reason == "no user's reward of v2 was told beside v1's"


def test_what_looks_worse_and_cannot_be_tested_is_for_a_person():
    same = [replace(s, reward=float(s.users) * (1 if s.version == "v1" else 0), squares=0.0) for s in traffic(5, 0.3)]
    found = judged([REWARD], same)
    assert (found.verdict, found.evidence[0].doubt) == (Verdict.HOLD, Doubt.FEW)


@pytest.mark.parametrize("which", ["all zero", "five users"])
def test_what_looks_no_worse_and_cannot_be_tested_is_for_a_person_too(which):
    """A query that selects nothing but zeros, or a min-requests of fewer users than a test takes."""
    slo = replace(REWARD, limit=0.0, min_requests=5)
    if which == "all zero":
        strata = [replace(s, reward=0.0, squares=0.0) for s in traffic(5, 0.3)]
    else:
        strata = [window(random.Random(1), name, 0, 50, 5, 0.5) for name in ("v1", "v2")]
    found = judged([slo], strata, is_last=True, on_inconclusive=Verdict.PROMOTE)
    assert (found.verdict, found.evidence[0].doubt) == (Verdict.HOLD, Doubt.FEW)
    assert "are too little for a test, which takes 100 of each whose rewards differ" in found.reason


def test_a_share_of_a_mean_below_zero_is_not_told():
    losses = [replace(stratum, reward=-stratum.reward) for stratum in traffic(6, 0.3)]
    found = judged([REWARD], losses)
    assert found.verdict is Verdict.HOLD
    assert "of which no margin is a share" in found.reason
    assert judged([replace(REWARD, limit=0.0)], losses).verdict is Verdict.ADVANCE


def test_identical_versions_are_rarely_condemned_and_other_slos_count_beside():
    condemned = sum(
        judged([REWARD, ERRORS], traffic(seed, 0.3), over=False, rules=Rules(early_end=False)) is not None
        for seed in range(100, 160)
    )
    assert condemned <= 3
    broken = [replace(s, failures={"http-500": 8}) if s.version == "v2" else s for s in traffic(7, 0.3)]
    found = judged([REWARD, ERRORS], broken)
    assert found.verdict is Verdict.ROLLBACK
    assert found.reason.startswith("v2 fails 20 % of requests")


@pytest.mark.parametrize("weight", [None, 20])
def test_an_impossible_primary_is_no_data(weight):
    strata = [replace(s, requests=-1) if s.version == "v1" else s for s in traffic(8, 0.1)]
    assert evidence(REWARD, strata, weight=weight).result is Result.NO_DATA
