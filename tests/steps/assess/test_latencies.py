"""Covers: further latencies of a source, such as the time to the first token, as SLOs of one document: each is judged by its own histogram, within a
release as a source reads it, joins its windows and resets.

Leaves out: how a histogram is judged (test_assess.py, test_margins.py), and presets (metrics/test_presets.py).
"""

import math
from dataclasses import replace

import pytest

from fairway_steps.assess import assess, weigh
from fairway_steps.metrics.base import Counters, decode_counters, difference, encode_counters
from fairway_steps.model import Histogram, Metric, Mode, Result, Rules, Slo, Stratum, Verdict
from fairway_steps.windows import merge

TTFT = Slo(Metric.LATENCY, 0.3, 0.95, of="time-to-first-token")
TPOT = Slo(Metric.LATENCY, 0.05, 0.95, of="time-per-output-token")
WHOLE = Slo(Metric.LATENCY, 2.0, 0.95)
BOTH = {
    "time-to-first-token": Histogram((0.1, 0.3, math.inf), (60, 38, 2)),
    "time-per-output-token": Histogram((0.05, math.inf), (99, 1)),
}


def stratum(at=0, version="v2", **latencies):
    named = {name.replace("_", "-"): histogram for name, histogram in latencies.items()}
    return Stratum(
        version, float(at), at + 1.0, 10, 100, latency=Histogram((2.0, math.inf), (99, 1)), latencies=BOTH | named
    )


def judged(slos, strata, **options):
    return assess(slos, strata, candidate="v2", primary="v1", **options)


def test_each_is_judged_by_its_own_histogram():
    found = judged([TTFT, TPOT, WHOLE], [stratum(at) for at in range(10)])
    assert found.verdict is Verdict.ADVANCE
    assert found.reason == (
        "v2 is proved to keep its SLOs: p95 time-to-first-token 284 ms (limit 300 ms), p95 time-per-output-token 48 ms (limit 50 ms), "
        "p95 1.919 s (limit 2 s)"
    )
    slow = [stratum(at, time_per_output_token=Histogram((0.05, math.inf), (60, 40))) for at in range(10)]
    broken = judged([TTFT, TPOT, WHOLE], slow)
    assert broken.verdict is Verdict.ROLLBACK
    assert [item.result for item in broken.evidence] == [Result.PASS, Result.FAIL, Result.PASS]
    assert broken.reason.startswith("p95 time-per-output-token of v2 is beyond measure, over the limit of 50 ms: 40 %")


def test_a_margin_on_one_compares_that_with_the_primarys():
    margin = replace(TTFT, limit=0.1, relative=True)
    edges = tuple(round(0.05 * 1.04**k, 9) for k in range(80))
    at = {"v1": 30, "v2": 30}

    def histogram(version):
        counts = [0] * 81
        counts[at[version]], counts[at[version] + 5], counts[at[version] + 8] = 90, 7, 3
        return Histogram((*edges, math.inf), tuple(counts))

    def strata():
        return [stratum(k, v, time_to_first_token=histogram(v)) for k in range(40) for v in ("v1", "v2")]

    assert judged([margin], strata()).verdict is Verdict.ADVANCE
    at["v2"] = 45
    assert judged([margin], strata(), over=False).verdict is Verdict.ROLLBACK


def test_one_that_is_missing_or_cannot_be_is_no_data():
    lacking = [replace(stratum(at), latencies={}) for at in range(10)]
    (told,) = weigh([TTFT], lacking, candidate="v2").evidence
    assert (told.result, told.sentence) == (
        Result.NO_DATA,
        "no latency of v2 was measured, so p95 time-to-first-token is not known",
    )
    wrong = [stratum(time_to_first_token=Histogram((0.3, 0.1, math.inf), (1, 1, 1)))]
    (told,) = weigh([TTFT], wrong, candidate="v2").evidence
    assert "the edges of a histogram do not rise to infinity" in told.sentence


def test_readings_and_windows_keep_them_apart():
    before = Counters(10, latencies={"a": {1.0: 4, math.inf: 5}, "b": {math.inf: 7}})
    after = Counters(20, latencies={"a": {1.0: 9, math.inf: 11}, "b": {math.inf: 3}})
    assert decode_counters(encode_counters(after)) == after
    once = difference("v2", 10, before, after, 0.0, 1.0)
    assert once.latencies == {"a": Histogram((1.0, math.inf), (5, 1)), "b": Histogram((math.inf,), (3,))}
    twice = merge(once, replace(once, start=1.0, end=2.0, latencies={"a": once.latencies["a"]}))
    assert twice.latencies == {"a": Histogram((1.0, math.inf), (10, 2)), "b": Histogram((math.inf,), (3,))}


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("of", ["", "time-to-first-token"])
def test_one_that_is_known_of_few_of_the_requests_that_succeeded_says_nothing_of_the_others(of, mode):
    def judge(known, weight=50, failed=0):
        fast = Histogram((0.1, 0.25, math.inf), (known, 0, 0))
        own = {"latencies": {of: fast}, "latency": Histogram(fast.edges, (100, 0, 0))} if of else {"latency": fast}
        some = [
            Stratum("v2", float(at), at + 1.0, 50, 100, {"http-500": failed} if failed else {}, **own)
            for at in range(20)
        ]
        whole = Histogram(fast.edges, (1000, 0, 0))
        before = [
            Stratum("v2", at - 9.0, at - 8.0, 10, 1000, {}, whole, latencies={of: whole} if of else {})
            for at in range(9)
        ]
        slo = Slo(Metric.LATENCY, 0.25, 0.9, of=of)
        return judged([slo], [*before, *some], weight=weight, is_last=True, rules=Rules(mode))

    assert judge(50).verdict is Verdict.PROMOTE
    assert judge(49, failed=2).verdict is Verdict.PROMOTE
    held = judge(49)
    assert held.verdict is Verdict.HOLD
    assert held.reason.endswith(
        "; a latency was measured of only 980 of 2,000 successful requests of v2 at this weight"
    )
