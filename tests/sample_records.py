"""Records of whole releases, as a real one would leave them: about 40 s, one stratum a second, made from one seed.

``promoted``, ``failing`` (rolled back for errors), ``slow`` (rolled back for latency), ``held`` (too few requests),
``never_ready`` (rolled back before any traffic), ``broken`` and ``running``.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from fairway_steps.model import (
    Assessment,
    Evidence,
    Histogram,
    Metric,
    Outcome,
    Result,
    Slo,
    Stage,
    Stratum,
    Verdict,
    Version,
)
from fairway_steps.record import Record, StageResult, WeightChange

START = 1_795_424_652.0  # 2026-11-23 09:04:12 UTC
EDGES = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, math.inf)
ERRORS = Slo(Metric.ERROR_RATE, 0.01)
TAIL = Slo(Metric.LATENCY, 0.05, 0.95)
STAGES = (Stage(10, 10), Stage(25, 10), Stage(50, 10))
V1, V2 = Version("v1", "http://127.0.0.1:8001"), Version("v2", "http://127.0.0.1:8002")

Latency = Callable[[random.Random], float]


def usual(rng: random.Random) -> float:
    return rng.lognormvariate(math.log(0.008), 0.45)


def quick(rng: random.Random) -> float:
    return rng.lognormvariate(math.log(0.006), 0.4)


def sluggish(rng: random.Random) -> float:
    return rng.lognormvariate(math.log(0.045), 0.5)


def promoted() -> Record:
    return _release(3, candidate_latency=quick)


def failing() -> Record:
    return _release(1, failing_share=0.2)


def slow() -> Record:
    return _release(1, candidate_latency=sluggish)


def held() -> Record:
    record = _release(1, rate=12)
    return replace(record, outcome=Outcome.HELD, reason="the evidence stayed too thin for a verdict in stage 1").noted(
        START + 21, "notify", "notice to slack undelivered: the receiver did not answer within 10 s", failed=True
    )


def never_ready() -> Record:
    reason = "v2 did not become ready within 20 s: connection refused at http://127.0.0.1:8002"
    record = replace(_release(0), baseline={}, counted={"requests": 812, "lost": 0, "version:v1": 812})
    record = record.noted(START + 20.3, "wait-for-ready", reason, failed=True)
    return record.ended(START + 20.9, Outcome.ROLLED_BACK, reason)


def broken() -> Record:
    reason = "the route could not be put back to v1: the proxy does not serve the stored route after 10 s"
    record = replace(_release(2), outcome=None, finished=None, timeline=_release(2).timeline[:-1])
    record = record.noted(START + 27, "begin", "taken over from fairway-1 by fairway-2")
    return record.noted(START + 38, "ensure-safe", reason, failed=True).ended(START + 38, Outcome.BROKEN, reason)


def running() -> Record:
    record = _release(2)
    return replace(
        record,
        outcome=None,
        finished=None,
        reason="",
        stage=1,
        timeline=record.timeline[:2],
        results=record.results[:1],
    )


def all_records() -> dict[str, Record]:
    makers = (promoted, failing, slow, held, never_ready, broken, running)
    return {maker.__name__.replace("_", "-"): maker() for maker in makers}


def _release(
    passed: int,
    *,
    candidate_latency: Latency = usual,
    failing_share: float = 0.0,
    rate: float = 120.0,
) -> Record:
    """A release that enters ``passed`` stages and is promoted if these are all of them and they pass."""
    rng = random.Random(20261123)
    at, strata, timeline, results = START + 1.6, [], [], []
    for index, stage in enumerate(STAGES[:passed]):
        weights = {"v1": 100 - stage.weight, "v2": stage.weight}
        timeline.append(_change(rng, at, index, weights, f"stage {index + 1}"))
        began, at = at, at + 0.7
        own = []
        for _ in range(int(stage.duration)):
            share = stage.weight / 100
            own.append(_stratum(rng, "v1", at, stage.weight, rate * (1 - share), usual, 0.0))
            own.append(_stratum(rng, "v2", at, stage.weight, rate * share, candidate_latency, failing_share))
            at += 1.0
        strata += own
        results.append(_result(index, stage, own, at, at - began - 0.7, last=index == len(STAGES) - 1))
        at += 0.4
    last = results[-1].assessment if results else None
    good = last is not None and last.verdict is Verdict.PROMOTE
    if timeline:
        end = {"v2": 100} if good else {"v1": 100}
        timeline.append(_change(rng, at, -1, end, "promoted" if good else "rolled back"))
    by_version = {v: sum(s.requests for s in strata if s.version == v) for v in ("v1", "v2")}
    ready = Record(
        release_id="iris-20261123-090412-1",
        service="iris",
        route="envoy:/var/lib/fairway/iris",
        primary=V1,
        candidate=V2,
        stages=STAGES,
        slos=(ERRORS, TAIL),
        holder="fairway-1",
        token=1,
        lease_until=START + 90,
        lease_for=60,
        created=START,
        original="",
        stage=passed - 1,
        timeline=tuple(timeline),
        results=tuple(results),
        strata=tuple(strata),
        baseline={"requests": 40, "lost": 0, "version:v1": 40},
        counted={
            "requests": sum(by_version.values()) + 340,
            "lost": 0,
            "version:v1": by_version["v1"] + 280,
            "version:v2": by_version["v2"] + 60,
        },
    )
    if last is None:
        return ready
    reason = "v2 met every SLO in all stages" if good else last.reason
    return ready.ended(at + 0.8, Outcome.PROMOTED if good else Outcome.ROLLED_BACK, reason)


def _change(rng: random.Random, at: float, stage: int, weights: dict[str, int], why: str) -> WeightChange:
    share = weights.get("v2", 0) / 100
    hits = sum(rng.random() < share for _ in range(60))
    measured = {"v1": 1 - hits / 60, "v2": hits / 60}
    return WeightChange(at, stage, weights, measured, 60, 0.12 + rng.random() / 20, why)


def _stratum(
    rng: random.Random, version: str, start: float, weight: int, rate: float, latency: Latency, failing_share: float
) -> Stratum:
    requests = max(0, round(rng.gauss(rate, math.sqrt(rate))))
    took = [latency(rng) for _ in range(requests)]
    counts = [0] * len(EDGES)
    for value in took:
        counts[next(i for i, edge in enumerate(EDGES) if value <= edge)] += 1
    failed = sum(rng.random() < failing_share for _ in range(requests))
    failures = {"http-500": failed} if failed else {}
    return Stratum(version, start, start + 1, weight, requests, failures, Histogram(EDGES, tuple(counts)), sum(took))


def _result(
    index: int, stage: Stage, strata: Sequence[Stratum], at: float, waited: float, *, last: bool
) -> StageResult:
    samples = {name: sum(s.requests for s in strata if s.version == name) for name in ("v1", "v2")}
    own = [s for s in strata if s.version == "v2"]
    errors = sum(s.errors for s in own)
    over = sum(sum(s.latency.counts[EDGES.index(TAIL.limit) + 1 :]) for s in own if s.latency)
    quantile = sorted(
        edge for s in own if s.latency for edge, n in zip(EDGES, s.latency.counts, strict=True) for _ in range(n)
    )
    observed = quantile[int(0.95 * len(quantile))] if quantile else None
    found = (
        _evidence(ERRORS, samples["v2"], errors, errors / samples["v2"], "requests to v2 failed"),
        _evidence(TAIL, samples["v2"], over, observed, "requests to v2 took longer than 50 ms"),
    )
    failed = [e for e in found if e.result is Result.FAIL]
    if failed:
        verdict, reason = Verdict.ROLLBACK, f"v2 breaks its SLO: {failed[0].sentence}"
    elif all(e.result is Result.PASS for e in found):
        verdict, reason = (Verdict.PROMOTE if last else Verdict.ADVANCE), "v2 meets every SLO"
    else:
        verdict, reason = Verdict.HOLD, "the evidence on v2 is still too thin"
    total = sum(samples.values())
    return StageResult(
        at,
        index,
        stage.weight,
        Assessment(verdict, reason, found),
        {k: n / total for k, n in samples.items()},
        samples,
        waited,
    )


def _evidence(slo: Slo, requests: int, exceeded: int, observed: float | None, what: str) -> Evidence:
    allowed = slo.limit if slo.quantile is None else 1 - slo.quantile
    rate = exceeded / requests
    margin = 2.6 * math.sqrt(max(rate * (1 - rate), 0.25 / requests) / requests)
    low, high = max(0.0, rate - margin), min(1.0, rate + margin)
    gain = exceeded * math.log(max(rate, 1e-9) / allowed) + (requests - exceeded) * math.log(
        (1 - min(rate, 0.999)) / (1 - allowed)
    )
    if requests < slo.min_requests:
        result, missing = Result.INCONCLUSIVE, slo.min_requests - requests
    else:
        result, missing = (Result.FAIL if rate > allowed else Result.PASS), 0
    words = f"{exceeded} of {requests} {what}" + (f"; {missing} more requests are needed" if missing else "")
    sign = 1 if rate > allowed else -1
    return Evidence(slo, result, words, requests, exceeded, observed, low, high, sign * gain, missing)
