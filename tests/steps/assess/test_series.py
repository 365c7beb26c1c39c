"""Covers: series as SLOs of a release: one look at a stage's end, the direction, the knobs, doubts, missing values, windows that are joined.

Leaves out: the comparison by ranks (stats/test_mann_whitney.py).
"""

import random
from dataclasses import replace

import pytest

from fairway_steps.assess import assess, trail
from fairway_steps.model import Direction, Doubt, Knobs, Metric, Result, Slo, Stratum, Verdict
from fairway_steps.windows import added

GPU = Slo(Metric.SERIES, 0.0, relative=True, of="gpu", direction=Direction.LOWER, knobs=Knobs())
ERRORS = Slo(Metric.ERROR_RATE, 0.01)


def traffic(seed, own, beside=0.5, seconds=60, weight=20, start=0):
    rng = random.Random(seed)
    return [
        Stratum(name, float(at), at + 1.0, share, 50, series={"gpu": (rng.gauss(mean, 0.05),)})
        for at in range(start, start + seconds)
        for name, share, mean in (("v1", 100 - weight, beside), ("v2", weight, own))
    ]


def judged(slos, strata, **options):
    return assess(slos, strata, candidate="v2", primary="v1", **options)


def test_a_series_is_compared_at_the_end_of_the_stage_alone():
    strata = traffic(1, 0.7)
    assert judged([GPU], strata, over=False) is None
    assert judged([GPU, ERRORS], strata, over=False) is None
    found = judged([GPU, ERRORS], strata)
    assert found.verdict is Verdict.ROLLBACK
    assert found.reason.startswith("gpu of v2 differs by 0.19 from that of v1 (98 % interval 0.17 to 0.22)")
    assert "times its mean; higher, by more than is allowed; one look at 59 values beside 59" in found.reason
    assert found.log_e == judged([ERRORS], strata).log_e, "it shares no evidence"
    assert len(trail([GPU], strata, candidate="v2", primary="v1")) == 60


def test_the_better_direction_and_no_change_go_on_and_no_stage_ends_early_by_it():
    assert judged([GPU], traffic(2, 0.5), is_last=True).verdict is Verdict.PROMOTE
    assert judged([GPU], traffic(2, 0.3)).verdict is Verdict.ADVANCE
    assert judged([replace(GPU, direction=Direction.HIGHER)], traffic(2, 0.3)).verdict is Verdict.ROLLBACK
    assert judged([replace(GPU, direction=None)], traffic(2, 0.3)).verdict is Verdict.ROLLBACK
    proved = [replace(stratum, requests=500) for stratum in traffic(2, 0.5)]
    assert judged([ERRORS], proved, over=False).verdict is Verdict.ADVANCE
    assert judged([ERRORS, GPU], proved, over=False) is None


def test_what_is_allowed_and_what_is_critical():
    allowed = replace(GPU, knobs=Knobs(allowed_increase=1.5))
    assert judged([allowed], traffic(3, 0.7)).verdict is Verdict.ADVANCE
    doubted = replace(GPU, knobs=Knobs(critical_increase=1.5))
    held = judged([doubted], traffic(3, 0.7))
    assert (held.verdict, held.evidence[0].doubt) == (Verdict.HOLD, Doubt.HARM)
    assert judged([doubted], traffic(3, 0.9)).verdict is Verdict.ROLLBACK


def test_only_the_stage_s_own_values_count():
    earlier = traffic(4, 0.9, weight=10)
    assert judged([GPU], [*earlier, *traffic(5, 0.5, start=60)], weight=20).verdict is Verdict.ADVANCE


def test_missing_values_are_held():
    few = judged([GPU], traffic(6, 0.9, seconds=20))
    assert few.verdict is Verdict.HOLD
    assert "one look at 20 values beside 20 are too few, 50 of each are needed" in few.reason
    lacking = [replace(s, series={}) if s.version == "v1" else s for s in traffic(6, 0.5)]
    none = judged([GPU], lacking, on_inconclusive=Verdict.PROMOTE)
    assert (none.verdict, none.evidence[0].result) == (Verdict.HOLD, Result.NO_DATA)
    assert none.reason == "no value of gpu of v1 was read at this weight"


def test_windows_that_are_joined_keep_every_value():
    strata: tuple[Stratum, ...] = ()
    for at in range(300):
        strata = added(strata, [s for s in traffic(7, 0.7, seconds=300) if s.start == at])
    assert len(strata) < 600
    kept = [value for s in strata if s.version == "v2" for value in s.series["gpu"]]
    assert len(kept) == 300
    # the last window is still open
    assert "one look at 299 values beside 299" in judged([GPU], strata).reason


@pytest.mark.parametrize(("renewed", "most"), [(1, 3), (5, 3), (15, 3), (60, 0)])
def test_a_gauge_that_is_read_more_often_than_it_is_renewed_is_no_evidence_many_times_over(renewed, most):
    def gauge(seed):
        rng, strata = random.Random(seed), []
        for at in range(300):
            if at % renewed == 0:
                own, beside = rng.gauss(0.5, 0.05), rng.gauss(0.5, 0.05)
            strata += [
                Stratum(name, float(at), at + 1.0, 50, 50, series={"gpu": (value,)})
                for name, value in (("v2", own), ("v1", beside))
            ]
        return judged([GPU], strata)

    found = [gauge(seed) for seed in range(60)]
    assert sum(each.verdict is Verdict.ROLLBACK for each in found) <= most, (
        "2 % by its confidence, of identical versions"
    )
    if renewed == 60:
        assert {(each.verdict, each.evidence[0].doubt) for each in found} == {(Verdict.HOLD, Doubt.FEW)}
        assert "values that follow one another so closely are worth 3 independent ones" in found[0].evidence[0].sentence
