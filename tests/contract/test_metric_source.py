"""The contract of a metric source that goes on for ever, over a scripted endpoint and over a real Envoy.

Covered: the first reading, counts since, failures by class, a cursor that another process carries on, nothing counted
twice, an endpoint that goes away and comes back with its counters reset. Left out: a load test's file, which has one reading
(tests/steps/metrics/test_samples.py).
"""

import time
from collections import Counter

import pytest
from pytest_httpserver import HTTPServer

from fairway_steps.metrics.base import MetricSource, Reading
from fairway_steps.metrics.registry import open_source
from fairway_steps.model import Routes
from fakes_routing import Client, Lab, ModelServer, eventually

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


class Real:
    """A real Envoy before two servers."""

    def __init__(self, lab: Lab, versions) -> None:
        self._lab, self._versions, self._client = lab, versions, Client(lab.address)
        lab.start()
        lab.router().apply(Routes(WEIGHTS), versions)
        eventually(lab.router().settled)

    def source(self) -> MetricSource:
        return open_source(f"envoy:{self._lab.folder}", "iris")

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


@pytest.fixture(params=["scripted", pytest.param("envoy", marks=pytest.mark.local)])
def world(request, tmp_path, httpserver):
    if request.param == "scripted":
        yield Scripted(httpserver)
        return
    servers = [ModelServer(name) for name in VERSIONS]
    lab = Lab(tmp_path, servers[0].version)
    real = Real(lab, {server.name: server.version for server in servers})
    try:
        yield real
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


def test_what_happened_before_the_first_reading_is_not_evidence(world):
    world.send(20)
    first = world.source().read(VERSIONS, WEIGHTS, "", time.time())
    assert (first.strata, first.problem) == ((), "")
    assert requests(world.source().read(VERSIONS, WEIGHTS, first.cursor, time.time())) == {}


def test_every_request_is_counted_once_by_whoever_carries_the_cursor_on(world):
    cursor, sent, readings = world.source().read(VERSIONS, WEIGHTS, "", time.time()).cursor, Counter(), []
    moments = []
    for count in (30, 0, 50):
        sent += world.send(count)
        moments.append(time.time())
        readings.append(world.source().read(VERSIONS, WEIGHTS, cursor, moments[-1]))
        cursor = readings[-1].cursor
    assert requests(*readings) == sent
    assert [(s.start, s.end) for s in readings[-1].strata] == [(moments[1], moments[2])] * 2
    assert {s.version: s.weight for s in readings[-1].strata} == WEIGHTS
    assert {kind for reading in readings for s in reading.strata for kind in s.failures} == set()

    def all_timed() -> bool:
        """Envoy brings its histograms up to date a moment after it is asked: now and then one comes a reading later."""
        readings.append(world.source().read(VERSIONS, WEIGHTS, readings[-1].cursor, time.time()))
        timed = sum(s.latency.total for reading in readings for s in reading.strata if s.latency)
        assert timed <= sent.total()
        return timed == sent.total()

    assert any(all_timed() for _ in range(5))


def test_failures_are_told_by_class_and_client_errors_are_none(world):
    cursor = world.source().read(VERSIONS, WEIGHTS, "", time.time()).cursor
    failed = world.send(40, 500)
    world.send(10, 404)
    reading = world.source().read(VERSIONS, WEIGHTS, cursor, time.time())
    assert {s.version: dict(s.failures) for s in reading.strata} == {v: {"http-500": failed[v]} for v in VERSIONS}


def test_an_endpoint_that_goes_away_and_comes_back_anew(world):
    world.send(40)
    cursor = world.source().read(VERSIONS, WEIGHTS, "", time.time()).cursor
    world.away()
    gone = world.source().read(VERSIONS, WEIGHTS, cursor, time.time())
    assert (gone.strata, gone.cursor) == ((), cursor)
    assert gone.problem
    world.restart()
    sent = world.send(10)
    assert requests(world.source().read(VERSIONS, WEIGHTS, cursor, time.time())) == sent
