"""Each preset on the text that its server exposes, as upstream documents it, with the labels that a scrape in a cluster adds.

The texts are written by the documentation that each preset names (series, labels, units), not taken from a running server: that the
servers still expose them so is what this leaves out (for some test_preset_servers.py asks). Counting itself is in test_counting.py and test_scrape.py.
"""

import math
from dataclasses import replace

import pytest

from fairway_steps.collector.compare import Kind
from fairway_steps.collector.counts import Counts
from fairway_steps.errors import UsageError
from fairway_steps.metrics.edges import Level
from fairway_steps.metrics.exposition import parse
from fairway_steps.metrics.names import within
from fairway_steps.metrics.names import workload as name_of
from fairway_steps.metrics.preflight import Inspection, Seen, findings
from fairway_steps.metrics.presets import chosen
from fairway_steps.metrics.scrape import ScrapeSource
from fairway_steps.metrics.tally import tally
from fairway_steps.model import Metric, Slo, Version

VERSIONS = {name: Version(name, f"deployment/shop/iris-{name}") for name in ("v1", "v2")}
POD = 'namespace="shop",pod="iris-{v}-7c9f8d5b6c-x2x4z"'


def histogram(name, labels, *counts):
    """Cumulative counts by edge, the last one at +Inf, with a sum and a count."""
    rows = [f'{name}_bucket{{{labels},le="{edge}"}} {count}' for edge, count in counts]
    return [*rows, f"{name}_sum{{{labels}}} {counts[-1][1] * 0.1}", f"{name}_count{{{labels}}} {counts[-1][1]}"]


def vllm(v, ok, bad):
    labels = f'engine="0",model_name="m",{POD.format(v=v)}'
    done = [
        f'vllm:request_success_total{{{labels},finished_reason="{why}"}}'
        for why in ("stop", "length", "abort", "error")
    ]
    counts = (ok - 2, 1, 1, bad)
    return [
        *(f"{series} {n}.0" for series, n in zip(done, counts, strict=True)),
        *histogram("vllm:e2e_request_latency_seconds", labels, ("0.3", ok // 2), ("0.5", ok), ("+Inf", ok + bad)),
        *histogram("vllm:time_to_first_token_seconds", labels, ("0.04", ok), ("+Inf", ok + bad)),
    ]


def istio(v, ok, bad):
    where = f'destination_workload="iris-{v}",destination_workload_namespace="shop",request_protocol="http"'
    rows = []
    for reporter in ("source", "destination"):
        for code, n in (("200", ok), ("503", bad)):
            labels = f'reporter="{reporter}",{where},response_code="{code}",response_flags="-"'
            rows.append(f"istio_requests_total{{{labels}}} {n}")
            rows += histogram("istio_request_duration_milliseconds", labels, ("300", n // 2), ("500", n), ("+Inf", n))
    return rows


def triton(v, ok, bad):
    labels = f'model="m",version="1",{POD.format(v=v)}'
    return [
        f"nv_inference_request_success{{{labels}}} {ok}",
        f'nv_inference_request_failure{{{labels},reason="BACKEND"}} {bad}',
        f"nv_inference_request_duration_us{{{labels}}} {ok * 100_000}",
    ]


def otel_genai(v, ok, bad):
    labels = f'gen_ai_operation_name="chat",gen_ai_request_model="m",{POD.format(v=v)}'
    name = "gen_ai_server_request_duration_seconds"
    return [
        *histogram(name, labels, ("0.32", ok // 2), ("0.64", ok), ("+Inf", ok)),
        *histogram(name, f'{labels},error_type="500"', ("0.32", 0), ("0.64", bad), ("+Inf", bad)),
    ]


def knative(v, ok, bad):
    labels = f'kn_revision_name="iris-{v}",{POD.format(v=v)}'
    name = "kn_serving_invocation_duration_seconds"
    return [
        *histogram(name, f'{labels},http_response_status_code="200"', ("0.25", ok // 2), ("0.5", ok), ("+Inf", ok)),
        *histogram(name, f'{labels},http_response_status_code="500"', ("0.25", 0), ("0.5", bad), ("+Inf", bad)),
    ]


PRESETS = {"vllm": vllm, "istio": istio, "triton": triton, "otel-genai": otel_genai, "knative": knative}


@pytest.mark.parametrize("preset", PRESETS)
def test_requests_failures_and_latencies_are_those_of_each_version(httpserver, preset):
    expose = PRESETS[preset]
    source = ScrapeSource(
        httpserver.url_for("/metrics"), "iris", within(chosen(preset), VERSIONS.values()), known=VERSIONS
    )

    def read(counts, cursor, now):
        rows = [row for v, (ok, bad) in counts.items() for row in expose(v, ok, bad)]
        httpserver.clear()
        httpserver.expect_request("/metrics").respond_with_data("\n".join(rows) + "\n")
        found = source.read(["v1", "v2"], {"v1": 90, "v2": 10}, cursor, now)
        assert found.problem == ""
        return found

    first = read({"v1": (500, 10), "v2": (100, 5)}, "", 100.0)
    second = read({"v1": (1400, 12), "v2": (200, 15)}, first.cursor, 110.0)
    seen = {s.version: s for s in second.strata}
    assert {v: (s.requests, s.errors) for v, s in seen.items()} == {"v1": (902, 2), "v2": (110, 10)}
    latency = seen["v2"].latency
    assert latency.total == (100 if preset == "triton" else 110)
    if preset == "triton":  # it tells the mean alone: microseconds of those that succeeded
        assert latency.edges == (math.inf,)
        assert seen["v2"].seconds == pytest.approx(10.0), "100 ms each: failures must not make the mean shorter"
    else:
        assert latency.edges[-2] in (0.5, 0.64), "in seconds, whatever the server's unit"
        assert latency.edges[-1] == math.inf


RUNS_AS = [
    ("deployment/shop/iris-v2", "iris-v2", "7c9f8d5b6c-x2x4z"),
    ("inferenceservice/shop/iris-v2", "iris-v2-predictor", "7c9f8d5b6c-x2x4z"),
    ("inferenceservice/shop/iris-v2", "iris-v2-predictor-00003-deployment", "7c9f8d5b6c-x2x4z"),
    ("revision/shop/iris-00002", "iris-00002-deployment", "7c9f8d5b6c-x2x4z"),
    ("revision/shop/iris-predictor-00002", "iris-predictor-00002-deployment", "7c9f8d5b6c-x2x4z"),
    ("llminferenceservice/shop/llama-v2", "llama-v2-kserve", "7c9f8d5b6c-x2x4z"),
    ("llminferenceservice/shop/llama-v2", "llama-v2-kserve-mn", "0"),
]
"""The workload, and the end of its pods' names, that the controllers of Kubernetes, KServe and Knative make of a version."""


@pytest.mark.parametrize(("uri", "workload", "pod"), RUNS_AS)
@pytest.mark.parametrize("preset", ["istio", "kserve", "vllm", "triton", "otel-genai", "knative"])
def test_each_kind_of_version_is_found_by_what_its_controller_makes_of_it(preset, uri, workload, pod):
    names = chosen(preset)
    asked = names.ask("iris", "v2", name_of(Version("v2", uri)))

    def found(workload, end):
        return asked.matches({names.label: workload if preset == "istio" else f"{workload}-{end}"})

    assert found(workload, pod)
    # Those of other versions, and pods of the same that answer no request of a user.
    others = [(f"x{workload}", pod), (f"{workload}x", pod), (workload.replace("2", "1"), pod)]
    others += [("llama-v2-kserve-prefill", pod), ("llama-v2-kserve-router-scheduler", pod)]
    assert [other for other in others if other[0] != workload and found(*other)] == []


def test_vllm_as_kserve_s_monitor_renames_it_is_read_of_the_pods_that_answer(httpserver):
    versions = {name: Version(name, f"llminferenceservice/shop/llama-{name}") for name in ("v1", "v2")}
    rows = [
        f"kserve_{row}".replace("engine=", f'llm_isvc_name="llama-{name}",llm_isvc_component="{part}",engine=')
        for name, part, ok in (("v1", "workload", 90), ("v2", "workload-leader", 10), ("v2", "workload-prefill", 10))
        for row in vllm(name, ok, 2)
    ]
    httpserver.expect_request("/metrics").respond_with_data("\n".join(rows) + "\n")
    names = within(chosen("kserve-vllm", latencies=["time-to-first-token"]), versions.values())
    source = ScrapeSource(httpserver.url_for("/metrics"), "llama", names, known=versions)
    (shown,) = source.inspect(["v1", "v2"], 1.0)
    assert {seen.version: seen.requests for seen in shown.seen} == {"v1": 92, "v2": 12}
    assert shown.seen[1].latencies == {"time-to-first-token": {0.04: 10, math.inf: 12}}
    assert (shown.failures, names.started) == (True, "kserve_process_start_time_seconds")
    assert all(name.startswith("kserve_") for name in names.counters)


def test_another_latency_of_the_same_server_is_taken_by_name(httpserver):
    names = within(chosen("vllm", "time-to-first-token"), VERSIONS.values())
    rows = [row for v in VERSIONS for row in vllm(v, 100, 0)]
    httpserver.expect_request("/metrics").respond_with_data("\n".join(rows) + "\n")
    (shown,) = ScrapeSource(httpserver.url_for("/metrics"), "iris", names, known=VERSIONS).inspect(["v1", "v2"], 1.0)
    assert shown.histogram == "vllm:time_to_first_token_seconds"
    assert {seen.edges for seen in shown.seen} == {(0.04, math.inf)}


def test_a_collector_s_own_exposition_is_read_by_its_preset(httpserver):
    counts = Counts("v1", "v2", 50.0)
    source = ScrapeSource(httpserver.url_for("/metrics"), "iris", chosen("collector"))

    def read(cursor, now):
        httpserver.clear()
        httpserver.expect_request("/metrics").respond_with_data(counts.exposition())
        return source.read(["v1", "v2"], {"v1": 100}, cursor, now)

    first = read("", 100.0)
    assert first.problem == ""
    for status, error in ((200, ""), (200, ""), (503, ""), (404, ""), (0, "timeout")):
        counts.answered("v2", status, error, 0.25)
    counts.answered("v1", 200, "", 0.1)
    for kind in (None, Kind.LABEL, Kind.LABEL, Kind.DRIFT):
        counts.compared(kind)
    counts.incomparable("primary-failed")
    counts.not_compared["rate"] += 9
    seen = {s.version: s for s in read(first.cursor, 101.0).strata}
    v2 = seen["v2"]
    assert (v2.requests, v2.failures) == (5, {"http-503": 1, "timeout": 1})
    assert (v2.comparisons, v2.differences, v2.attempts) == (4, {"label": 2, "drift": 1}, 5)
    assert (v2.latency.total, v2.latency.edges[-2], v2.seconds) == (5, 60.0, 1.25)
    assert (seen["v1"].requests, seen["v1"].comparisons) == (1, 0)
    (shown,) = source.inspect(["v1", "v2"], 102.0)
    assert shown.compares


def test_a_collector_that_was_restarted_is_read_from_zero(httpserver):
    source = ScrapeSource(httpserver.url_for("/metrics"), "iris", chosen("collector"))
    cursor, strata = "", ()
    for now, started, comparisons in ((100.0, 50.0, 40), (110.0, 105.0, 30)):
        counts = Counts("v1", "v2", started)
        for _ in range(comparisons):
            counts.compared(Kind.DRIFT)
        httpserver.clear()
        httpserver.expect_request("/metrics").respond_with_data(counts.exposition())
        reading = source.read(["v2"], {"v2": 1}, cursor, now)
        cursor, strata = reading.cursor, reading.strata
    assert [(s.comparisons, s.differences) for s in strata] == [(30, {"drift": 30})]


def test_several_latencies_of_one_preset_are_read_together():
    further = ("time-to-first-token", "time-per-output-token")
    names = chosen("vllm", latencies=further)
    text = """\
vllm:request_success_total{pod="p",finished_reason="stop"} 9
vllm:e2e_request_latency_seconds_bucket{pod="p",le="1"} 8
vllm:e2e_request_latency_seconds_bucket{pod="p",le="+Inf"} 9
vllm:time_to_first_token_seconds_bucket{pod="p",le="0.25"} 7
vllm:time_to_first_token_seconds_bucket{pod="p",le="+Inf"} 9
vllm:request_time_per_output_token_seconds_bucket{pod="p",le="0.05"} 6
vllm:request_time_per_output_token_seconds_bucket{pod="p",le="+Inf"} 9
vllm:request_queue_time_seconds_bucket{pod="p",le="+Inf"} 9
"""
    counted = tally(names, list(parse(text)))
    assert counted.latency == {1.0: 8, math.inf: 9}
    assert counted.latencies == {further[0]: {0.25: 7, math.inf: 9}, further[1]: {0.05: 6, math.inf: 9}}
    assert {f"vllm:{name}_seconds_bucket" for name in ("time_to_first_token", "e2e_request_latency")} < set(
        names.counters
    )
    with pytest.raises(UsageError, match=r"the preset vllm has no latency 'time-to-first-tokn'; did you mean"):
        chosen("vllm", latencies=["time-to-first-tokn"])
    slo = Slo(Metric.LATENCY, 0.25, 0.95, of=further[0])
    seen = Seen("v1", 1, 9, edges=(1.0, math.inf), under=(8, 9), latencies=counted.latencies)
    told = {f.sentence: f.level for f in findings([Inspection("x", (seen,))], [slo], expected=["v1"], weights={})}
    assert any(
        "250 ms" in text and "p95 time-to-first-token" in text for text, level in told.items() if level is Level.OK
    )
    bare = findings([Inspection("x", (replace(seen, latencies={}),))], [slo], expected=["v1"], weights={})
    assert "x has no time-to-first-token of v1, so p95 time-to-first-token cannot be judged" in [
        f.sentence for f in bare
    ]
