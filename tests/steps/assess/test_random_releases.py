"""Random releases under random SLOs: names, the order of what is told and other versions' counts decide nothing, what is missing never
passes, and no candidate gains by being worse.

Left out: what the verdicts are (test_rules.py and its neighbours), several candidates (test_contest.py), live stages (test_judge.py).
"""

import json
import math
import random
import re
from dataclasses import dataclass, replace

import pytest

from fairway_steps.assess import assess
from fairway_steps.codec import decode, encode
from fairway_steps.model import Assessment, Histogram, Metric, Mode, Result, Rules, Slo, Stratum, Unit, Verdict
from fairway_steps.windows import added

EDGES = (0.05, 0.1, 0.105, 0.11, 0.115, 0.12, 0.25, 0.5, math.inf)
SLOS = (
    Slo(Metric.ERROR_RATE, 0.02),
    Slo(Metric.ERROR_RATE, 0.0),
    Slo(Metric.SUCCESS_RATE, 0.95, unit=Unit.STRATUM),
    Slo(Metric.ERROR_RATE, 0.1, relative=True),
    Slo(Metric.ERROR_RATE, 0.5, relative=True, unit=Unit.STRATUM),
    Slo(Metric.LATENCY, 0.12, 0.95),
    Slo(Metric.LATENCY, 0.113, 0.5),
    Slo(Metric.LATENCY, 0.12, 0.9, unit=Unit.STRATUM),
    Slo(Metric.LATENCY, 0.1, 0.95, relative=True),
    Slo(Metric.LATENCY, 0.1, 0.9, of="token"),
    Slo(Metric.LATENCY, 0.2, 0.9, relative=True, of="token"),
    Slo(Metric.LATENCY_MEAN, 0.1),
    Slo(Metric.LATENCY_MEAN, 0.1, unit=Unit.STRATUM, timeout=2.0),
    Slo(Metric.DIFFERENCE_RATE, 0.05),
    Slo(Metric.REWARD, 0.05, relative=True, unit=Unit.USER),
    Slo(Metric.SERIES, 0.0, relative=True, of="cpu"),
)
GOOD = (Verdict.ADVANCE, Verdict.PROMOTE)


@dataclass
class Release:
    """One made of a seed: what it is judged by, and what two versions did, of which any reading may be missing."""

    seed: int

    def __post_init__(self) -> None:
        rng = self.rng = random.Random(self.seed)
        self.slos = [
            replace(
                slo, min_requests=rng.choice((1, 5, 50)), weight=rng.choice((1.0, 5.0)), critical=rng.random() < 0.25
            )
            for slo in rng.sample(SLOS, rng.choice((1, 1, 2, 4)))
        ]
        self.weights = rng.choice(((10, 50), (0, 10, 50), (10, 50, 10), (20,)))
        self.options = {
            "weight": self.weights[-1],
            "over": rng.random() < 0.8,
            "is_last": rng.random() < 0.5,
            "rules": Rules(rng.choice(list(Mode)), early_end=rng.random() < 0.7),
        }
        self.strata = self._strata()

    def judged(self, strata=None, *, slos=None, candidate="v2", primary="v1", **options) -> Assessment | None:
        strata = self.strata if strata is None else strata
        return assess(slos or self.slos, strata, candidate=candidate, primary=primary, **self.options | options)

    def _strata(self) -> tuple[Stratum, ...]:
        rng, strata, at = self.rng, (), 0.0
        missing, untimed, late = rng.choice((0, 0.05, 0.3)), rng.choice((0, 0, 0.1, 0.6)), rng.choice((0, 0, 0.4, 3.0))
        failing = {name: rng.choice((0, 0, 0.01, 0.05, 0.3)) for name in ("v1", "v2")}
        is_closed, scale = rng.random() < 0.7, rng.choice((1, 1, 1, 1000))
        for weight in self.weights:
            for reading in range(rng.choice((1, 5, 20, 50))):
                fresh = []
                for name, share in (("v1", 100 - weight), ("v2", weight)):
                    if rng.random() >= missing:
                        told = self._stratum(name, at, share, failing[name], untimed, scale)
                        fresh += apart(replace(told, settling=reading == 0), late)
                strata = added(strata, fresh) if is_closed else (*strata, *fresh)
                at += 1.0
        return strata

    def _stratum(self, name: str, at: float, weight: int, failing: float, untimed: float, scale: int) -> Stratum:
        rng = self.rng
        requests, users = rng.choice((0, 1, 5, 20, 60)), rng.choice((0, 3, 20))
        failed = sum(rng.random() < failing for _ in range(requests))
        worth, compared = sum(rng.random() < 0.2 for _ in range(users)), rng.randrange(requests + 1)
        latency, token = (self._latencies((requests - failed), scale) for _ in range(2))
        is_timed = rng.random() >= untimed
        return Stratum(
            name,
            at,
            at + 1.0,
            weight,
            requests * scale,
            {"http-500": failed * scale} if failed else {},
            latency if is_timed else None,
            0.08 * latency.total if is_timed else 0.0,
            comparisons=compared * scale if name == "v2" and weight == 0 else 0,
            users=users * scale,
            reward=float(worth * scale),
            squares=float(worth * scale),
            series={"cpu": tuple(rng.gauss(1, 0.1) for _ in range(rng.randrange(3)))},
            latencies={"token": token} if is_timed else {},
        )

    def _latencies(self, number: int, scale: int) -> Histogram:
        counts = [0] * len(EDGES)
        for _ in range(number):
            counts[self.rng.randrange(2) + (self.rng.randrange(7) if self.rng.random() < 0.1 else 0)] += scale
        return Histogram(EDGES, tuple(counts))


def apart(told: Stratum, late: float) -> list[Stratum]:
    """The same of two sources, of which that of the latencies is ``late``; 0: of one."""
    if not late:
        return [told]
    counts = replace(told, latency=None, seconds=0.0, latencies={})
    times = Stratum(told.version, told.start + late, told.end + late, told.weight, 0, settling=told.settling)
    times = replace(times, latency=told.latency, seconds=told.seconds, latencies=told.latencies)
    return [counts, times] if any(some.total for some in (told.latency, *told.latencies.values()) if some) else [counts]


def figures(found: Assessment | None):
    """All that it says but the words."""
    return found and (found.verdict, found.log_e, [replace(item, sentence="") for item in found.evidence])


@pytest.fixture(params=range(30))
def release(request) -> Release:
    return Release(request.param)


def test_the_names_of_versions_decide_nothing(release):
    for primary, candidate in (("v2", "v1"), ("z", "a")):
        names = {"v1": primary, "v2": candidate}
        named = [replace(stratum, version=names[stratum.version]) for stratum in release.strata]
        found = release.judged(named, primary=primary, candidate=candidate)
        assert figures(found) == figures(release.judged())


def test_the_order_of_what_is_told_and_its_way_through_a_file_decide_nothing(release):
    shuffled = release.rng.sample(release.strata, len(release.strata))
    kept = [decode(Stratum, json.loads(json.dumps(encode(stratum)))) for stratum in shuffled]
    assert release.judged(kept) == release.judged()


def test_the_counts_of_another_version_decide_nothing(release):
    other = [replace(stratum, version="v9", weight=0) for stratum in release.strata if release.rng.random() < 0.7]
    assert release.judged([*release.strata, *other]) == release.judged()


def test_the_order_of_slos_decides_nothing(release):
    turned, found = release.judged(slos=release.slos[::-1]), release.judged()
    assert (turned and turned.verdict) == (found and found.verdict)


def test_what_is_said_has_a_number_wherever_one_belongs(release):
    found = release.judged()
    for said in [found.reason, *(item.sentence for item in found.evidence)] if found else ():
        assert said
        assert not re.search(r"\b(nan|None|inf)\b", said)


def unmeasured(slo: Slo, stratum: Stratum) -> Stratum:
    """Without what an SLO asks for."""
    if slo.metric is Metric.REWARD:
        return replace(stratum, users=0, reward=0.0, squares=0.0)
    if slo.metric is Metric.SERIES:
        return replace(stratum, series={})
    if slo.metric is Metric.DIFFERENCE_RATE:
        return replace(stratum, comparisons=0, differences={})
    if slo.of:
        return replace(stratum, latencies={})
    if slo.metric.is_time:
        return replace(stratum, latency=None, seconds=0.0)
    return replace(stratum, requests=0, failures={}, latency=None, latencies={}, seconds=0.0)


def test_what_is_missing_never_passes(release):
    for index, slo in enumerate(release.slos):
        for version in ("v1", "v2") if slo.relative else ("v2",):
            told = [unmeasured(slo, each) if each.version == version else each for each in release.strata]
            found = release.judged(told, over=True)
            assert found.evidence[index].result is not Result.PASS
            assert found.verdict not in GOOD


def test_without_the_candidate_at_the_last_weight_nothing_passes(release):
    gone = [each for each in release.strata if each.version != "v2" or each.weight != release.weights[-1]]
    asked = [slo for slo in release.slos if slo.metric is not Metric.DIFFERENCE_RATE]  # which holds at every weight
    if asked:
        assert release.judged(gone, slos=asked, over=True).verdict not in GOOD


def worse(stratum: Stratum, rng: random.Random) -> Stratum:
    """Some of its successful requests fail, or take longer than all."""
    spare = stratum.requests - stratum.errors
    if rng.random() < 0.5 and spare:
        return replace(stratum, failures={"http-500": stratum.errors + rng.randint(1, spare)})
    if not stratum.latency or not stratum.latency.total:
        return stratum
    counts = [rng.randint(0, count) for count in stratum.latency.counts]
    counts[-1] += stratum.latency.total - sum(counts)
    return replace(stratum, latency=replace(stratum.latency, counts=tuple(counts)), seconds=9.0 * stratum.latency.total)


def test_no_candidate_gains_by_failing_more_or_taking_longer(release):
    rank = {Verdict.ROLLBACK: 0, Verdict.HOLD: 1, Verdict.ADVANCE: 2, Verdict.PROMOTE: 2}
    own = [place for place, stratum in enumerate(release.strata) if stratum.version == "v2"]
    for slo in release.slos:
        alone = {"slos": [replace(slo, min_requests=1)], "over": True}
        told, before = list(release.strata), rank[release.judged(**alone).verdict]
        for place in release.rng.sample(own, len(own))[:4]:
            told[place] = worse(told[place], release.rng)
            after = rank[release.judged(told, **alone).verdict]
            assert after <= before
            before = after
