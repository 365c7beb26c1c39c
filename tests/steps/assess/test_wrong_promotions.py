"""Covers: random releases with holes in what was measured, of either version, in one source or two, some failing a third of their requests: none is
promoted of which less than half is known, window by window, or which fails.

Leaves out: which sentence is said (test_known.py), and sources read at different moments (test_joined.py).
"""

import math
import random

import pytest

from fairway_steps.assess import assess
from fairway_steps.model import Histogram, Metric, Mode, Rules, Slo, Stratum, Unit, Verdict

EDGES = (0.05, 0.1, 0.15, 0.25, 0.5, math.inf)
SLOS = (
    Slo(Metric.ERROR_RATE, 0.01, min_in_all=417),
    Slo(Metric.ERROR_RATE, 0.02, unit=Unit.STRATUM),
    Slo(Metric.ERROR_RATE, 0.5, relative=True),
    Slo(Metric.ERROR_RATE, 0.5, relative=True, unit=Unit.STRATUM),
    Slo(Metric.LATENCY, 0.25, 0.95, min_in_all=82),
    Slo(Metric.LATENCY, 0.25, 0.95, unit=Unit.STRATUM),
    Slo(Metric.LATENCY, 1.0, 0.9, relative=True),
    Slo(Metric.LATENCY_MEAN, 0.3, timeout=2.0),
)
LAST = 50
Told = tuple[int, int, int, int, int]
"""When, at which weight, and how many requests, failures and latencies."""


def drawn(rng, version, windows, last):
    """What a version did; of some windows nothing is known, of some too much."""
    measured, surplus = rng.choice((1.0, 0.6, 0.3, 0.1)), rng.choice((1, 10))
    failing = rng.choice((0.0, 0.3)) if version == "v2" else 0.0
    silent = rng.choice((0.0, 0.7)) if version == "v1" else 0.1
    hidden = rng.random() < 0.3
    for at in range(windows):
        requests = 0 if rng.random() < silent else rng.choice((20, 50, 100, 300))
        known = rng.random() < measured
        failed = 0 if hidden and known else sum(rng.random() < failing for _ in range(requests))
        yield at, LAST if at >= last else 10, requests, failed, (requests - failed) * surplus if known else 0


def strata(version, told, apart):
    for at, weight, requests, failed, timed in told:
        failures = {"http-500": failed} if failed else {}
        latency = (
            Histogram(EDGES, (timed - timed // 2 - timed // 5, timed // 2, timed // 5, 0, 0, 0)) if timed else None
        )
        one = Stratum(version, float(at), at + 1.0, weight, requests, failures)
        if not apart:
            yield Stratum(version, float(at), at + 1.0, weight, requests, failures, latency, 0.1 * timed)
            continue
        yield one
        if latency:
            yield Stratum(version, float(at), at + 1.0, weight, 0, {}, latency, 0.1 * timed)


def known(told, rows):
    """Of how many successful requests at the last weight the latency may be known, and how many there are."""
    here = [(requests - failed, timed) for at, weight, requests, failed, timed in told if weight == LAST and at in rows]
    return sum(min(asked, timed) for asked, timed in here), sum(asked for asked, _ in here)


def wrong(slo, own, beside):
    """What is wrong with promoting it, if anything."""
    here = {at: (requests, failed) for at, weight, requests, failed, _ in own if weight == LAST}
    requests, failed = (sum(each[k] for each in here.values()) for k in (0, 1))
    if requests < slo.min_requests:
        return f"{requests} requests"
    if failed > 0.2 * requests and slo.metric is not Metric.LATENCY_MEAN:
        return f"{failed} of {requests} failed"
    for told in (own, beside) if slo.relative else (own,):
        some, asked = known(told, here)
        if slo.metric.is_time and 2 * some < 0.98 * asked:
            return f"{some} of {asked} known"
    both = {at for at, _, served, _, _ in beside if served}
    if slo.relative and 2 * sum(here[at][0] for at in here if at in both) < 0.98 * requests:
        return "no primary beside"
    return ""


@pytest.mark.parametrize("slo", SLOS, ids=lambda slo: f"{slo.metric}-{slo.unit}{'-beside' if slo.relative else ''}")
def test_no_release_is_promoted_of_which_too_little_is_known_or_that_fails(slo):
    promoted = 0
    for seed in range(60):
        rng = random.Random(seed)
        windows = rng.choice((3, 12, 40, 130))
        last = rng.choice((0, windows // 2, windows - 1, max(0, windows - 12)))
        own, beside = (list(drawn(rng, version, windows, last)) for version in ("v2", "v1"))
        apart = rng.random() < 0.5
        found = assess(
            [slo],
            [*strata("v2", own, apart), *strata("v1", beside, apart)],
            candidate="v2",
            primary="v1",
            weight=LAST,
            is_last=True,
            rules=Rules(rng.choice(list(Mode))),
            on_inconclusive=Verdict.HOLD if slo.relative else rng.choice((Verdict.HOLD, Verdict.PROMOTE)),
        )
        if found.verdict is Verdict.PROMOTE:
            promoted += 1
            assert not wrong(slo, own, beside), (seed, found.reason)
    assert promoted
