"""Covers: latencies of a source of their own beside the requests they tell of: judged as if one source told both, failures included, also where the two
are read at other moments or not as often; each look says what it said when it was the last.

Leaves out: how much must be known (test_known.py).
"""

import math
import random
from dataclasses import replace

import pytest

from fairway_steps.assess import assess, trail, weigh
from fairway_steps.assess.joined import GRACE, joined
from fairway_steps.model import Histogram, Metric, Mode, Rules, Slo, Stratum, Unit, Verdict

STRATA = Slo(Metric.LATENCY, 0.25, 0.95, unit=Unit.STRATUM)
MARGIN = Slo(Metric.LATENCY, 0.5, 0.9, relative=True)
EDGES = (*(round(0.1 * 1.1**k, 9) for k in range(20)), math.inf)


def release(seconds=150, failing=0.0, slow=0.02, seed=1):
    """Of both versions, with requests, failures and latencies in one."""
    rng = random.Random(seed)
    for at in range(seconds):
        for version, weight in (("v1", 50), ("v2", 50)):
            failed = sum(rng.random() < failing for _ in range(100)) if version == "v2" else 0
            late = sum(rng.random() < slow for _ in range(100 - failed))
            counts = [0] * len(EDGES)
            for _ in range(100 - failed - late):
                counts[rng.choice((2, 3, 3, 3, 3, 3, 3, 4, 5, 6))] += 1
            counts[14] = late
            errors = {"http-500": failed} if failed else {}
            yield Stratum(version, float(at), at + 1.0, weight, 100, errors, Histogram(EDGES, tuple(counts)), 10.0)


def apart(strata, behind=0.0, every=1):
    """The same from two sources, of which the second is read so much later, and once for so many of the first."""
    strata = list(strata)
    waiting: dict[str, list[Stratum]] = {}
    for one in strata:
        yield replace(one, latency=None, seconds=0.0)
        some = waiting.setdefault(one.version, [])
        some.append(one)
        if len(some) == every:
            counts = tuple(map(sum, zip(*(each.latency.counts for each in some), strict=True)))
            latency = Histogram(EDGES, counts)
            start, end = some[0].start + behind, some[-1].end + behind
            yield Stratum(one.version, start, end, one.weight, 0, {}, latency, sum(each.seconds for each in some))
            some.clear()


def judged(slo, strata, mode=Mode.GUARD, **options):
    options = {"is_last": True, "rules": Rules(mode), **options}
    return assess([slo], strata, candidate="v2", primary="v1", weight=50, **options)


@pytest.mark.parametrize("slo", [STRATA, MARGIN])
def test_two_sources_read_at_the_same_moments_are_judged_as_one(slo):
    for failing in (0.0, 0.04):
        once, twice = (
            weigh([slo], strata, candidate="v2", primary="v1", weight=50, is_last=True)
            for strata in (release(30, failing), apart(release(30, failing)))
        )
        assert once.evidence[0].log_e != 0
        assert twice.evidence[0] == once.evidence[0]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("slo", [STRATA, MARGIN])
@pytest.mark.parametrize(("behind", "every"), [(0.0, 1), (0.4, 1), (-0.6, 1), (0.0, 5), (2.3, 5)])
def test_failures_count_beside_latencies_of_another_source(slo, behind, every, mode):
    bad, good = (list(apart(release(250 * every, failing), behind, every)) for failing in (0.3, 0.0))
    assert judged(slo, bad, mode).verdict is Verdict.ROLLBACK
    assert judged(slo, bad, mode, over=False).verdict is Verdict.ROLLBACK
    assert judged(slo, good, Mode.GUARD).verdict is Verdict.PROMOTE
    if every == 1:
        assert judged(slo, good, Mode.PROVE).verdict is Verdict.PROMOTE


def test_a_version_that_fails_where_no_latency_is_told_is_rolled_back():
    """As one is that fails all it is asked: its server times nothing."""
    good = [one for one in apart(release(60)) if one.version == "v2"]
    dead = [Stratum("v2", at, at + 1.0, 50, 100, {"http-503": 100}) for at in range(60, 120)]
    assert judged(STRATA, [*good, *dead]).verdict is Verdict.ROLLBACK
    assert judged(STRATA, [*release(60), *dead]).verdict is Verdict.ROLLBACK


def test_each_look_says_what_it_said_when_it_was_the_last():
    slos = [STRATA, MARGIN]
    for behind, every in ((0.0, 1), (0.4, 1), (0.6, 1), (0.5, 2)):
        strata = sorted(apart(release(40, 0.02), behind, every), key=lambda one: (one.end, one.start))
        whole = trail(slos, strata, candidate="v2", primary="v1")
        for seen in (5.0, 5.4, 12.0, 29.6, 30.0):
            found = trail(slos, [one for one in strata if one.end <= seen], candidate="v2", primary="v1")
            said, later = ({point.at: point.log_es for point in points} for points in (found, whole))
            assert said == {at: later[at] for at in said}, (behind, every, seen)
            assert len(said) > 4


def test_requests_wait_for_latencies_of_their_time_and_no_longer_than_some_windows():
    counts = [(Stratum("v2", at, at + 1.0, 50, 10), 2 * at) for at in range(6)]
    latency = Histogram((1.0, math.inf), (10, 0))
    told = [(Stratum("v2", at + 0.4, at + 1.4, 50, 0, {}, latency, 1.0), 2 * at + 1) for at in range(3)]
    found = joined([[*counts, *told]], 99)
    assert [window.strata["v2"].latency for window, _ in found] == [latency] * 3 + [None]
    assert [look for _, look in found] == [2, 4, 6, 6 + 2 * GRACE]


def two_sources(failing=lambda at: 1, missing=(), readings=40, shift=8.0, requests=(300, 300)):
    """Of both versions every 15 s; the latencies are told later, of the primary not at all at some moments."""
    for at in range(readings):
        for version, served in zip(("v1", "v2"), requests, strict=True):
            failed = failing(at) if version == "v2" else min(1, served // 300)
            one = Stratum(version, 15.0 * at, 15.0 * at + 15, 50, served, {"http-500": failed} if failed else {})
            slow, slower = served // 10, served // 25
            fast = served - failed - slow - slower
            timed = Histogram(EDGES, (0, 0, fast, 0, 0, slow, slower, *[0] * (len(EDGES) - 7)))
            yield one
            if version == "v2" or at not in missing:
                yield replace(one, start=one.start + shift, end=one.end + shift, requests=0, failures={}, latency=timed)


RATE = Slo(Metric.ERROR_RATE, 0.5, relative=True)


@pytest.mark.parametrize("slo", [RATE, replace(MARGIN, limit=2.0, quantile=0.95)])
@pytest.mark.parametrize("missing", [(), (3,), (0, 7, 8, 30)])
@pytest.mark.parametrize("shift", [0.0, 0.4, 8.0, 14.6])
def test_a_reading_of_latencies_that_is_missing_breaks_nothing(slo, missing, shift):
    assert judged(slo, two_sources(missing=missing, shift=shift)).verdict is Verdict.PROMOTE
    bad = two_sources(lambda at: 30 if at >= 10 else 1, missing, shift=shift)
    assert judged(slo, bad).verdict is Verdict.ROLLBACK


def test_latencies_of_the_candidate_alone_leave_its_counts_beside_the_primarys():
    assert judged(RATE, two_sources(missing=range(40))).verdict is Verdict.PROMOTE


@pytest.mark.parametrize("few", [1, 2])
def test_a_primary_with_a_request_a_reading_is_compared_as_well_by_two_sources(few):
    slo = replace(RATE, min_requests=20)
    assert judged(slo, two_sources(lambda at: 0, requests=(few, 300))).verdict is Verdict.PROMOTE


@pytest.mark.parametrize("names", [("v1", "v2"), ("v2", "v1")])
def test_what_belongs_to_no_requests_is_beside_its_like_whatever_the_names(names):
    """The latencies are told under weights of which the requests are not, so neither goes to the other."""
    latency = Histogram(EDGES, (5, *[0] * (len(EDGES) - 1)))
    counts = [Stratum(name, 0.0, 1.0, 50, 60) for name in names]
    times = [Stratum(name, 0.0, 1.0, 10, 0, latency=latency) for name in names]
    told = [[(stratum, 0) for stratum in some] for some in zip(counts, times, strict=True)]
    found = [{name: stratum.requests for name, stratum in window.strata.items()} for window, _ in joined(told, 1)]
    assert sorted(found, key=str) == [dict.fromkeys(names, 0), dict.fromkeys(names, 60)]
