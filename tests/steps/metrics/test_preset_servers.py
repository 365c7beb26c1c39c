"""Presets on what servers' own metric code exposes, with the labels that a scrape in a cluster adds.

OpenTelemetry: its SDK, its conventions' own instruments and its exporter, run here. vLLM: an exposition that the ``PrometheusStatLogger`` of
vLLM 0.32.0 made of one request that stopped and one that failed, without an engine behind it; shortened to what the preset reads.
Leaves out: the servers themselves, a Prometheus between (test_prometheus.py), and the other presets (test_presets.py).
"""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics as conventions
from prometheus_client import CollectorRegistry, generate_latest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from fairway_steps.metrics.names import within
from fairway_steps.metrics.presets import chosen
from fairway_steps.metrics.scrape import ScrapeSource
from fairway_steps.model import Histogram, Stratum, Version

VERSIONS = {name: Version(name, f"deployment/shop/iris-{name}") for name in ("v1", "v2")}
BOTH = {"v1": 90, "v2": 10}
TTFT, TPOT = "time-to-first-token", "time-per-output-token"
EDGES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Those that the conventions advise for durations."""


class Pods:
    """A pod of each version in the namespace ``shop``, and a stranger of the same name in another one, on one page."""

    def __init__(self, httpserver: HTTPServer, preset: str) -> None:
        self.texts: dict[str, Callable[[], str]] = dict.fromkeys(("v1", "v2", "stranger"), str)
        httpserver.expect_request("/metrics").respond_with_handler(lambda _: Response(self._page()))
        names = within(chosen(preset, latencies=(TTFT, TPOT)), VERSIONS.values())
        self.source = ScrapeSource(httpserver.url_for("/metrics"), "iris", names, known=VERSIONS)
        self.cursor, self._now = "", 100.0

    def look(self) -> dict[str, Stratum]:
        """What was counted since the look before."""
        self._now += 10
        reading = self.source.read([*VERSIONS], BOTH, self.cursor, self._now)
        assert reading.problem == ""
        self.cursor = reading.cursor
        return {stratum.version: stratum for stratum in reading.strata}

    def _page(self) -> str:
        rows = []
        for name, text in self.texts.items():
            space, version = ("other", "v2") if name == "stranger" else ("shop", name)
            labels = f'namespace="{space}",pod="iris-{version}-7c9f8d5b6c-x2x4z",'
            rows += [
                re.sub(r"^([a-zA-Z_:][\w:]*)\{", rf"\1{{{labels}", row) for row in text().splitlines() if row[:1] != "#"
            ]
        return "\n".join(rows) + "\n"


def counted(histogram: Histogram) -> dict[float, int]:
    return {edge: count for edge, count in zip(histogram.edges, histogram.counts, strict=True) if count}


class Instrumented:
    """A server that OpenTelemetry's conventions are kept by, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        view = View(instrument_name="gen_ai.*", aggregation=ExplicitBucketHistogramAggregation(EDGES))
        reader = PrometheusMetricReader(registry=self.registry)
        meter = MeterProvider(metric_readers=[reader], views=[view]).get_meter("server")
        self.duration = conventions.create_gen_ai_server_request_duration(meter)
        self.first = conventions.create_gen_ai_server_time_to_first_token(meter)
        self.each = conventions.create_gen_ai_server_time_per_output_token(meter)

    def answer(self, seconds: float, error: str = "") -> None:
        about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "server.address": "h", "server.port": 80}
        self.duration.record(seconds, about | ({"error.type": error} if error else {}))
        self.first.record(seconds / 10, about)
        self.each.record(seconds / 100, about)

    def text(self) -> str:
        return generate_latest(self.registry).decode()


def test_opentelemetry_s_own_instruments_are_read_by_its_preset(httpserver):
    pods = Pods(httpserver, "otel-genai")
    servers = {name: Instrumented() for name in pods.texts}
    for name, server in servers.items():
        pods.texts[name] = server.text
        server.answer(0.1)
    pods.look()
    for seconds in (0.3, 0.3, 3.0):
        servers["v2"].answer(seconds)
        servers["stranger"].answer(seconds)
    servers["v2"].answer(0.5, "timeout")
    seen = pods.look()
    v2 = seen["v2"]
    assert (seen["v1"].requests, v2.requests, v2.failures) == (0, 4, {"error-timeout": 1})
    assert counted(v2.latency) == {0.32: 2, 0.64: 1, 5.12: 1}
    assert v2.latency.edges == (*EDGES, math.inf)
    assert (v2.latencies[TTFT].total, v2.latencies[TPOT].total) == (4, 4)
    assert v2.seconds == pytest.approx(4.1)


def times(text: str, factor: int) -> str:
    """An exposition with all its values so many times as large."""
    return re.sub(r" (\S+)$", lambda value: f" {float(value[1]) * factor}", text, flags=re.MULTILINE)


def test_what_vllm_s_own_metric_code_exposes_is_read_by_its_preset(httpserver):
    pods = Pods(httpserver, "vllm")
    text = (Path(__file__).parent / "fixtures/vllm-0.32.0.txt").read_text()
    pods.texts.update({name: lambda: times(text, 1) for name in pods.texts})
    pods.look()
    pods.texts.update({"v2": lambda: times(text, 8), "stranger": lambda: times(text, 100)})
    seen = pods.look()
    v2 = seen["v2"]
    assert (seen["v1"].requests, v2.requests, v2.failures) == (0, 14, {"finished-error": 7})
    assert counted(v2.latency) == {0.3: 7, 0.5: 7}
    assert (counted(v2.latencies[TTFT]), counted(v2.latencies[TPOT])) == ({0.1: 14}, {0.01: 14})
