"""Covers: failures and slow requests in windows without the primary, which nothing compares: a doubt for a person where they would be half a proof
of harm, also where most of a release has the primary beside; none where the candidate does there as well as elsewhere.

Leaves out: how much of the primary must be beside (test_known.py).
"""

import math
import random

import pytest

from fairway_steps.assess import assess
from fairway_steps.model import Doubt, Metric, Mode, Rules, Slo, Stratum, Unit, Verdict
from fakes_assess import stratum

RATE = Slo(Metric.ERROR_RATE, 0.5, relative=True)
BURSTS = Slo(Metric.ERROR_RATE, 0.5, relative=True, unit=Unit.STRATUM)
TAIL = Slo(Metric.LATENCY, 1.0, 0.95, relative=True)
EDGES = (*(round(0.1 * 1.2**k, 9) for k in range(20)), math.inf)


def told_by(requests, failed, **about):
    return stratum(requests, failed, weight=50, edges=EDGES, **{"edge": EDGES[4], **about})


def judged(slo, strata, mode=Mode.GUARD):
    return assess([slo], strata, candidate="v2", primary="v1", weight=50, is_last=True, rules=Rules(mode))


def release(without, bad, *, told=True, windows=230, usual=1, slow=4):
    """Each window of both versions with ``usual`` failures, but ``without`` the primary in some, where the candidate has ``bad`` of 50."""
    for at in range(windows):
        lone = without(at)
        failed = bad if lone else usual
        yield told_by(50, failed, slow=min(slow, 50 - failed), start=float(at))
        if not lone:
            yield told_by(50, usual, slow=slow, version="v1", start=float(at))
        elif told:
            yield Stratum("v1", float(at), at + 1.0, 50, 0)


LATE, ODD, FEW = (lambda at: at >= 127), (lambda at: bool(at % 2)), (lambda at: at >= 200)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("slo", [RATE, BURSTS, TAIL], ids=["rate", "bursts", "tail"])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(("without", "bad"), [(LATE, 50), (ODD, 25), (LATE, 10), (FEW, 50)])
def test_failures_where_no_primary_is_beside_are_for_a_person(slo, told, without, bad, mode):
    found = judged(slo, release(without, bad, told=told), mode)
    assert found.verdict is Verdict.HOLD
    assert found.evidence[0].doubt is Doubt.HARM
    assert "of v2 broke it where no v1 was beside" in found.reason


@pytest.mark.parametrize("slo", [RATE, BURSTS, TAIL], ids=["rate", "bursts", "tail"])
@pytest.mark.parametrize("without", [LATE, ODD, FEW])
def test_a_candidate_that_does_there_as_well_as_elsewhere_is_promoted(slo, without):
    assert judged(slo, release(without, 1)).verdict is Verdict.PROMOTE


@pytest.mark.parametrize("slo", [RATE, BURSTS], ids=["rate", "bursts"])
def test_chance_alone_seldom_makes_a_doubt(slo):
    held = 0
    for seed in range(40):
        rng, strata = random.Random(seed), []
        for at in range(200):
            failed = [sum(rng.random() < 0.02 for _ in range(50)) for _ in range(2)]
            strata.append(told_by(50, failed[0], start=float(at)))
            if rng.random() < 0.65:
                strata.append(told_by(50, failed[1], version="v1", start=float(at)))
        held += judged(slo, strata).verdict is not Verdict.PROMOTE
    assert held <= 2


def test_slow_requests_where_no_primary_is_beside_are_for_a_person():
    strata = [
        one if one.version == "v1" or not LATE(one.start) else told_by(50, 1, slow=20, start=one.start, edge=EDGES[15])
        for one in release(LATE, 1)
    ]
    found = judged(TAIL, strata)
    assert found.verdict is Verdict.HOLD
    assert found.evidence[0].doubt is Doubt.HARM
