"""Each preset on pages, written by upstream's names, on which something is wrong: every time one clear sentence, and never a count.

Left out: the pages as they should be (test_presets.py), series that went stale, which only a Prometheus knows (test_prometheus.py).
"""

import re
from dataclasses import replace

import pytest

from fairway_steps.assess import assess
from fairway_steps.errors import UsageError
from fairway_steps.metrics.edges import Level
from fairway_steps.metrics.names import within
from fairway_steps.metrics.preflight import findings
from fairway_steps.metrics.presets import chosen
from fairway_steps.metrics.scrape import ScrapeSource
from fairway_steps.model import Metric, Result, Slo, Version

VERSIONS = {name: Version(name, f"deployment/shop/iris-{name}") for name in ("v1", "v2")}
BOTH = {"v1": 90, "v2": 10}
POD = 'namespace="shop",pod="iris-{v}-7c9f8d5b6c-x2x4z"'


def rows(name, labels, edges, counts):
    buckets = [f'{name}_bucket{{{labels},le="{edge}"}} {count}' for edge, count in zip(edges, counts, strict=True)]
    return [*buckets, f"{name}_sum{{{labels}}} 1", f"{name}_count{{{labels}}} {counts[-1]}"]


def envoy(v, n):
    labels = f'envoy_cluster_name="iris/{v}"'
    return [
        f"envoy_cluster_upstream_rq_completed{{{labels}}} {n}",
        f'envoy_cluster_upstream_rq{{{labels},envoy_response_code="200"}} {n}',
        *rows("envoy_cluster_upstream_rq_time", labels, ("250", "500", "+Inf"), (n // 2, n, n)),
    ]


def istio(v, n):
    labels = (
        f'reporter="source",destination_workload="iris-{v}",destination_workload_namespace="shop",response_code="200"'
    )
    name = "istio_request_duration_milliseconds"
    return [f"istio_requests_total{{{labels}}} {n}", *rows(name, labels, ("250", "500", "+Inf"), (n // 2, n, n))]


def knative(v, n):
    labels = f'{POD.format(v=v)},http_response_status_code="200"'
    return rows("kn_serving_invocation_duration_seconds", labels, ("0.25", "0.5", "+Inf"), (n // 2, n, n))


def knative_before(v, n):
    labels = f'namespace_name="shop",revision_name="iris-{v}",response_code="200",response_code_class="2xx"'
    name = "revision_app_request_latencies"
    return [f"revision_app_request_count{{{labels}}} {n}", *rows(name, labels, ("250", "500", "+Inf"), (n // 2, n, n))]


def triton(v, n):
    labels = f'model="m",version="1",{POD.format(v=v)}'
    return [
        f"nv_inference_request_success{{{labels}}} {n}",
        f'nv_inference_request_failure{{{labels},reason="BACKEND"}} 0',
        f"nv_inference_request_duration_us{{{labels}}} {n * 100_000}",
    ]


PAGES = {"envoy": envoy, "istio": istio, "knative": knative, "knative-1.18": knative_before, "triton": triton}
TIMED = [name for name in PAGES if name != "triton"]


class Server:
    def __init__(self, httpserver, preset):
        self._server, self.page = httpserver, PAGES[preset]
        names = within(chosen(preset), VERSIONS.values())
        self.source = ScrapeSource(
            httpserver.url_for("/metrics"), "iris", replace(names, lags=False, uptime=""), known=VERSIONS
        )

    def show(self, *lines):
        self._server.clear()
        self._server.expect_request("/metrics").respond_with_data("\n".join(lines) + "\n")

    def read(self, cursor="", now=100.0):
        return self.source.read(list(VERSIONS), BOTH, cursor, now)

    def refused(self, *slos):
        shown = self.source.inspect(list(VERSIONS), 100.0)
        told = findings(shown, slos, expected=list(VERSIONS), weights=BOTH)
        return [one.sentence for one in told if one.level is Level.REFUSED]


@pytest.fixture(params=PAGES)
def server(request, httpserver):
    return Server(httpserver, request.param)


def test_a_version_that_is_absent(server):
    server.show(*server.page("v1", 500))
    (said,) = server.refused()
    assert "has no series of v2" in said
    assert server.read().problem.endswith("has no metrics of v2")


def test_the_wrong_version(server):
    """What is there is another's, whose name begins alike."""
    server.show(*server.page("v1", 500), *server.page("v22", 500))
    (said,) = server.refused()
    assert re.search(r"has no series of v2; its label \w+ says .*v22", said)
    assert server.read().problem.endswith("has no metrics of v2")


@pytest.mark.parametrize(
    ("value", "says"),
    [("NaN", "is nan"), ("+Inf", "is inf"), ("-3", "is -3, which is no count"), ("1.5", "is 1.5, which")],
)
def test_what_is_no_count(server, value, says):
    first, *rest = server.page("v2", 500)
    server.show(*server.page("v1", 500), f"{first.rpartition(' ')[0]} {value}", *rest)
    assert says in server.read().problem
    with pytest.raises(UsageError, match=re.escape(says)):
        server.refused()


def test_a_series_that_is_there_twice(server):
    server.show(*server.page("v1", 500), *server.page("v2", 500), server.page("v2", 400)[0])
    assert "of v2 is there twice, with the same labels" in server.read().problem


def test_counters_that_fall_by_less_than_a_restart_explains(server):
    server.show(*server.page("v1", 500), *server.page("v2", 500))
    first = server.read()
    server.show(*server.page("v1", 600), *server.page("v2", 400))
    second = server.read(first.cursor, 110.0)
    assert (second.strata, second.cursor) == ((), first.cursor)
    assert "the requests of v2" in second.problem
    assert "went down by less than a restart explains" in second.problem


@pytest.mark.parametrize("preset", TIMED)
def test_buckets_that_are_not_cumulative(httpserver, preset):
    server = Server(httpserver, preset)
    lines = [re.sub(r'(le="\+Inf"\}) 500', r"\1 400", line) for line in server.page("v2", 500)]
    server.show(*server.page("v1", 500), *lines)
    assert "is not a cumulative histogram" in server.read().problem


@pytest.mark.parametrize("preset", TIMED)
def test_a_limit_in_milliseconds_that_was_meant_in_seconds(httpserver, preset):
    server = Server(httpserver, preset)
    server.show(*server.page("v1", 500), *server.page("v2", 500))
    (said,) = server.refused(Slo(Metric.LATENCY, 250.0, 0.95))
    assert "lies beyond the last edge" in said
    assert server.refused(Slo(Metric.LATENCY, 0.25, 0.95)) == []


def test_failures_of_which_no_time_is_told_do_not_make_a_mean_shorter(httpserver):
    """Half of the requests fail, the others take 100 ms each."""
    server, names = Server(httpserver, "triton"), [*VERSIONS]
    server.show(*server.page("v1", 500), *server.page("v2", 500))
    first = server.read()
    failing = [re.sub(r'(reason="BACKEND"\}) 0', r"\1 100", line) for line in server.page("v2", 600)]
    server.show(*server.page("v1", 500), *failing)
    strata = [one for one in server.read(first.cursor, 110.0).strata if one.version == names[1]]
    told = assess([Slo(Metric.LATENCY_MEAN, 0.08)], strata, candidate="v2").evidence[0]
    assert (told.observed, told.result) == (pytest.approx(0.1), Result.INCONCLUSIVE)


def test_a_quantile_of_what_tells_a_mean_alone(httpserver):
    server = Server(httpserver, "triton")
    server.show(*server.page("v1", 500), *server.page("v2", 500))
    (said,) = server.refused(Slo(Metric.LATENCY, 0.25, 0.95))
    assert "tells the mean latency and no quantile" in said
