"""The contract of a metric source that goes on for ever: a scripted endpoint and a real Envoy, each scraped by ourselves and by
a real Prometheus, whose names and whose PromQL are used, and as JSON over HTTP.

Covered: the first reading, counts since, failures by class, a cursor that another process carries on, nothing counted
twice, an endpoint that goes away and comes back with its counters reset. Left out: a load test's file, which has one reading
(tests/steps/metrics/test_samples.py).
"""

import json
import time
import urllib.request
from collections import Counter

import pytest
from pytest_httpserver import HTTPServer

from fairway_steps.metrics.base import MetricSource, Reading
from fairway_steps.metrics.registry import open_source
from fairway_steps.model import Routes
from fakes_routing import Client, Lab, ModelServer, eventually
from prometheus_server import Slots

VERSIONS, WEIGHTS = ["v1", "v2"], {"v1": 50, "v2": 50}


class Scripted:
    """Counters that a test moves, at a real HTTP endpoint."""

    def __init__(self, server: HTTPServer) -> None:
        self._server, self._started = server, 1000.0
        self._uri = f"scrape:{server.url_for('/metrics')}#requests=r&label=v&codes=r&code=c&histogram=h"
        self.restart()

    def source(self) -> MetricSource:
        return open_source(self._uri, "iris")

    def send(self, count: int, status: int = 200) -> Counter[str]:
        answered = Counter(v1=count // 2, v2=count - count // 2)
        for version, n in answered.items():
            self._counts[version, status] += n
        self._show()
        return answered

    def seen(self) -> None:
        """Whatever was sent is there to be read."""

    def away(self) -> None:
        self._server.clear()

    def restart(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter({(version, 200): 0 for version in VERSIONS})
        self._show()

    def _show(self) -> None:
        lines = [f'r{{v="{version}",c="{status}"}} {n}' for (version, status), n in self._counts.items()]
        for version in VERSIONS:
            total = sum(n for (name, _), n in self._counts.items() if name == version)
            lines += [f'h_bucket{{v="{version}",le="{edge}"}} {total}' for edge in ("30", "+Inf")]
        self._server.clear()
        self._server.expect_request("/metrics").respond_with_data("\n".join(lines))


class Database(Scripted):
    """The same counts as JSON, by version; they outlive a restart."""

    def source(self) -> MetricSource:
        described = {"source": "rest", "url": self._server.url_for("/count/$version")}
        paths = {"requests": ".n", "failures": ".failed", "latency": ".times"}
        return open_source(json.dumps({**described, "paths": paths}), "iris")

    def restart(self) -> None:
        self._counts = getattr(self, "_counts", Counter())
        self._show()

    def _show(self) -> None:
        self._server.clear()
        for version in VERSIONS:
            mine = {status: n for (name, status), n in self._counts.items() if name == version}
            n, failed = sum(mine.values()), sum(n for status, n in mine.items() if status >= 500)
            told = {"n": n, "failed": failed, "times": {"30": n, "+Inf": n}}
            self._server.expect_request(f"/count/{version}").respond_with_json(told)


class Real:
    """A real Envoy before two servers."""

    def __init__(self, lab: Lab, versions) -> None:
        self._lab, self._versions, self._client = lab, versions, Client(lab.address)
        lab.start()
        lab.router().apply(Routes(WEIGHTS), versions)
        eventually(lab.router().settled)

    def source(self) -> MetricSource:
        return open_source(f"envoy:{self._lab.folder}", "iris")

    def seen(self) -> None:
        """Whatever was sent is there to be read."""

    def send(self, count: int, status: int = 200) -> Counter[str]:
        answers = [self._client.ask(x_status=str(status)) for _ in range(count)]
        assert {answer.status for answer in answers} <= {status}
        return Counter({"v1": 0, "v2": 0}) + Counter(answer.body for answer in answers)

    def away(self) -> None:
        self._lab.stop()

    def restart(self) -> None:
        self._lab.start()
        self.close()
        self._client = Client(self._lab.address)

    def close(self) -> None:
        self._client.close()


class Scraped:
    """Another world, seen through a real Prometheus that scrapes it."""

    def __init__(self, inner: Scripted | Real, slots: Slots, described: str, metrics: str) -> None:
        self._inner, self._slots, self._described = inner, slots, described
        self._url = slots.server.url
        self._slot = slots.fill(lambda: urllib.request.urlopen(metrics, timeout=5).read().decode())
        self.seen()

    def source(self) -> MetricSource:
        return open_source(self._described.format(url=self._url, slot=self._slot), "iris")

    def send(self, count: int, status: int = 200) -> Counter[str]:
        return self._inner.send(count, status)

    def seen(self) -> None:
        self._slots.seen(self._slot)

    def away(self) -> None:
        self._url = "http://127.0.0.1:1"

    def restart(self) -> None:
        self._inner.away()
        self._inner.restart()
        self._url = self._slots.server.url
        self.seen()


NAMES = "prometheus:{url}#requests=r&label=v&codes=r&code=c&histogram=h&where.slot={slot}"
PROMQL = """
source: prometheus
url: {url}
queries:
  requests: r{{v="$version", slot="{slot}"}}
  failures: r{{v="$version", slot="{slot}", c=~"5.."}}
  latency: h_bucket{{v="$version", slot="{slot}"}}
aggregate: sum
"""
VALUES = """
source: prometheus
url: {url}
scrape-interval: 0.2s
queries:
  requests: r{{v="$version", slot="{slot}"}} * 1
  failures: r{{v=~"$version", slot="{slot}", c=~"5.."}} * 1
  latency: h_bucket{{v="$version", slot="{slot}"}} * 1
aggregate: sum
"""
THROUGH = {"prometheus-names": NAMES, "prometheus-promql": PROMQL, "prometheus-values": VALUES}


KINDS = [
    "scripted",
    "rest",
    *THROUGH,
    *(pytest.param(kind, marks=pytest.mark.local) for kind in ("envoy", "prometheus-envoy")),
]


@pytest.fixture(params=KINDS)
def world(request, tmp_path, httpserver):
    kind = request.param
    if kind == "rest":
        yield Database(httpserver)
        return
    if kind in ("scripted", *THROUGH):
        scripted = Scripted(httpserver)
        through = THROUGH.get(kind)
        metrics = httpserver.url_for("/metrics")
        yield Scraped(scripted, request.getfixturevalue("slots"), through, metrics) if through else scripted
        return
    servers = [ModelServer(name) for name in VERSIONS]
    lab = Lab(tmp_path, servers[0].version)
    real = Real(lab, {server.name: server.version for server in servers})
    try:
        if kind == "envoy":
            yield real
        else:
            described, metrics = "prometheus:{url}#preset=envoy&where.slot={slot}", f"{lab.admin}/stats/prometheus"
            yield Scraped(real, request.getfixturevalue("slots"), described, metrics)
    finally:
        real.close()
        lab.stop()
        for server in servers:
            server.close()


def requests(*readings: Reading) -> Counter[str]:
    assert [reading.problem for reading in readings if reading.problem] == []
    counts: Counter[str] = Counter()
    for reading in readings:
        for stratum in reading.strata:
            counts[stratum.version] += stratum.requests
    return +counts


def begin(world) -> Reading:
    world.seen()
    return world.source().read(VERSIONS, WEIGHTS, "", time.time())


def look(world, cursor: str) -> Reading:
    """What is read once all that was sent has been seen: a source may close its strata at its own pace."""
    world.seen()
    readings: list[Reading] = []

    def closed() -> bool:
        readings.append(world.source().read(VERSIONS, WEIGHTS, cursor, time.time()))
        return bool(readings[-1].strata or readings[-1].problem)

    eventually(closed)
    return readings[-1]


def test_what_happened_before_the_first_reading_is_not_evidence(world):
    world.send(20)
    first = begin(world)
    assert (first.strata, first.problem) == ((), "")
    assert requests(look(world, first.cursor)) == {}


def test_every_request_is_counted_once_by_whoever_carries_the_cursor_on(world):
    cursor, sent, readings = begin(world).cursor, Counter(), []
    for count in (30, 0, 50):
        sent += world.send(count)
        readings.append(look(world, cursor))
        cursor = readings[-1].cursor
    assert requests(*readings) == sent
    windows = [{(s.start, s.end) for s in reading.strata} for reading in readings]
    ends = [end for ((_, end),) in windows]
    assert [start for ((start, _),) in windows[1:]] == ends[:-1]
    assert ends[-1] <= time.time()
    assert {s.version: s.weight for s in readings[-1].strata} == WEIGHTS
    assert {kind for reading in readings for s in reading.strata for kind in s.failures} == set()

    def all_timed() -> bool:
        """Envoy brings its histograms up to date a moment after it is asked: now and then one comes a reading later."""
        readings.append(look(world, readings[-1].cursor))
        timed = sum(s.latency.total for reading in readings for s in reading.strata if s.latency)
        assert timed <= sent.total()
        return timed == sent.total()

    eventually(all_timed)


def test_failures_are_told_by_class_and_client_errors_are_none(world):
    cursor = begin(world).cursor
    failed = world.send(40, 500)
    world.send(10, 404)
    reading = look(world, cursor)
    assert {s.version: list(s.failures.values()) for s in reading.strata} == {v: [failed[v]] for v in VERSIONS}
    assert {kind for s in reading.strata for kind in s.failures} <= {"http-500", "failed"}


def test_an_endpoint_that_goes_away_and_comes_back_anew(world):
    world.send(40)
    cursor = begin(world).cursor
    world.away()
    gone = world.source().read(VERSIONS, WEIGHTS, cursor, time.time())
    assert (gone.strata, gone.cursor) == ((), cursor)
    assert gone.problem
    world.restart()
    sent = world.send(10)
    assert requests(look(world, cursor)) == sent
