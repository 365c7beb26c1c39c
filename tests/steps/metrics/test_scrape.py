"""A scraped source: what its metrics are taken to mean, and everything that is no evidence.

Served by a real HTTP server. Left out: the text format (test_exposition.py), Envoy itself
(tests/contract/test_metric_source.py).
"""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.base import capped
from fairway_steps.metrics.names import Failing, MetricNames
from fairway_steps.metrics.presets import ENVOY
from fairway_steps.metrics.scrape import ScrapeSource
from fairway_steps.model import Stratum

PLAIN = MetricNames(
    requests=("requests_total",), label="version", failing=(Failing("status"),), histogram="latency_seconds"
)
BOTH = {"v1": 90, "v2": 10}


def envoy(v1: str = "iris/v1", v2: str = "iris/v2", *, requests=0, codes=(), uptime=100.0, more="") -> str:
    lines = [f"envoy_server_uptime{{}} {uptime}"]
    lines += [f'envoy_cluster_upstream_rq_completed{{envoy_cluster_name="{v1}"}} 1000']
    lines += [f'envoy_cluster_upstream_rq_completed{{envoy_cluster_name="{v2}"}} {requests}']
    lines += [
        f'envoy_cluster_upstream_rq{{envoy_response_code="{code}",envoy_cluster_name="{v2}"}} {n}' for code, n in codes
    ]
    return "\n".join([*lines, more]) + "\n"


@pytest.fixture
def says(httpserver: HTTPServer):
    """Set what the endpoint says from now on."""

    def say(text: str, status: int = 200) -> None:
        httpserver.clear()
        httpserver.expect_request("/metrics").respond_with_data(text, status=status)

    return say


@pytest.fixture
def url(httpserver: HTTPServer) -> str:
    return httpserver.url_for("/metrics")


@pytest.fixture
def source(url) -> ScrapeSource:
    return ScrapeSource(url, "iris", ENVOY)


def test_the_first_reading_has_a_cursor_and_no_strata(source, says):
    says(envoy(requests=50))
    reading = source.read(["v1", "v2"], BOTH, "", 10.0)
    assert (reading.strata, reading.problem, reading.complete) == ((), "", False)
    assert json.loads(reading.cursor)["counters"]["v2"]["requests"] == 50


def test_counts_since_the_cursor_with_codes_and_classes(source, says):
    says(envoy(requests=50, codes=[("200", 45), ("500", 5)]))
    cursor = source.read(["v1", "v2"], BOTH, "", 10.0).cursor
    more = "\n".join(
        f'envoy_cluster_{name}{{envoy_cluster_name="iris/v2"}} {count}'
        for name, count in (
            ("upstream_rq_pending_failure_eject", 3),
            ("upstream_cx_destroy_remote_with_active_rq", 2),
            ("upstream_rq_rx_reset", 1),
            ("upstream_cx_protocol_error", 1),
        )
    )
    says(envoy(requests=150, codes=[("200", 90), ("404", 20), ("429", 10), ("500", 10), ("503", 4)], more=more))
    v1, v2 = source.read(["v1", "v2"], BOTH, cursor, 15.0).strata
    assert (v1.version, v1.weight, v1.requests, v1.failures) == ("v1", 90, 0, {})
    assert (v2.version, v2.weight, v2.start, v2.end, v2.requests) == ("v2", 10, 10.0, 15.0, 100)
    assert v2.failures == {"http-500": 5, "http-503": 4, "connect": 3, "reset": 3, "protocol": 1}


def test_milliseconds_become_seconds_on_the_very_edges_of_the_limits(source, says):
    def histogram(*counts: int, total: float) -> str:
        edges = ("25", "100", "+Inf")
        name = "envoy_cluster_upstream_rq_time"
        lines = [
            f'{name}_bucket{{envoy_cluster_name="iris/v2",le="{e}"}} {n}' for e, n in zip(edges, counts, strict=True)
        ]
        return "\n".join([*lines, f'{name}_sum{{envoy_cluster_name="iris/v2"}} {total}'])

    says(envoy(requests=4, more=histogram(1, 2, 4, total=1000.5)))
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    says(envoy(requests=10, more=histogram(4, 7, 10, total=1500.0)))
    (v2,) = [s for s in source.read(["v1", "v2"], BOTH, cursor, 1.0).strata if s.version == "v2"]
    assert v2.latency is not None
    assert (v2.latency.edges, v2.latency.counts) == ((0.025, 0.1, math.inf), (3, 2, 1))
    assert v2.seconds == pytest.approx(0.4995)


def test_the_names_of_versions_may_hold_dots_and_mirrored_requests_count(source, says):
    more = 'envoy_cluster_upstream_rq_completed{envoy_cluster_name="iris/v2_1@mirror"} 7'
    says(envoy(v2="iris/v2_1", requests=1, more=more))
    cursor = source.read(["v2.1"], {"v2.1": 1}, "", 0.0).cursor
    says(envoy(v2="iris/v2_1", requests=4, more=more.replace(" 7", " 9")))
    assert [s.requests for s in source.read(["v2.1"], {"v2.1": 1}, cursor, 1.0).strata] == [5]


def test_a_version_without_a_request_yet_is_a_true_zero(source, says):
    says(envoy())
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    known = 'envoy_cluster_membership_total{envoy_cluster_name="iris/v2"} 1'
    says("\n".join([*[line for line in envoy().splitlines() if "v2" not in line], known]))
    reading = source.read(["v1", "v2"], BOTH, cursor, 1.0)
    assert reading.problem == ""
    assert [(s.version, s.requests) for s in reading.strata] == [("v1", 0), ("v2", 0)]


def test_a_version_with_a_share_that_is_not_known_is_a_problem_and_the_cursor_stays(source, says):
    says(envoy())
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    says(envoy(v2="iris/other"))
    reading = source.read(["v1", "v2"], BOTH, cursor, 1.0)
    assert (reading.strata, reading.cursor) == ((), cursor)
    assert "has no metrics of v2" in reading.problem


def test_a_version_without_a_share_may_be_absent_and_begins_at_nothing(source, says):
    says(envoy(v2="iris/other"))
    cursor = source.read(["v1", "v2"], {"v1": 100}, "", 0.0).cursor
    says(envoy(requests=3))
    assert [(s.version, s.requests) for s in source.read(["v1", "v2"], BOTH, cursor, 1.0).strata] == [
        ("v1", 0),
        ("v2", 3),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<html>login</html>",
        "",
        envoy(requests="NaN"),
        envoy(requests="+Inf"),
        envoy(requests=-1),
        envoy(requests=1.5),
        envoy(uptime="NaN"),
        envoy(more='envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="iris/v2",le="10"} 3'),
        envoy(more='envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="iris/v2"} 3'),
        envoy(more='envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="iris/v2"} NaN'),
    ],
)
def test_what_cannot_be_understood_is_a_problem_and_never_a_zero(source, says, text):
    says(envoy())
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    says(text)
    for given_cursor in ("", cursor):
        reading = source.read(["v1", "v2"], BOTH, given_cursor, 1.0)
        assert reading.strata == ()
        assert reading.problem
        assert reading.cursor == given_cursor


def test_an_endpoint_that_went_away_is_a_problem_one_that_never_was_is_transient(source, says, unused_port):
    says(envoy())
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    gone = ScrapeSource(f"http://127.0.0.1:{unused_port}/metrics", "iris", ENVOY)
    assert "cannot be reached" in gone.read(["v1", "v2"], BOTH, cursor, 1.0).problem
    with pytest.raises(TransientError, match="cannot be reached"):
        gone.read(["v1", "v2"], BOTH, "", 1.0)
    says("overloaded", 503)
    assert "answers 503" in source.read(["v1", "v2"], BOTH, cursor, 1.0).problem


def test_no_count_is_lost_over_a_time_away(source, says):
    says(envoy(requests=10))
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    says("nonsense!")
    cursor = source.read(["v1", "v2"], BOTH, cursor, 1.0).cursor
    says(envoy(requests=30))
    _, v2 = source.read(["v1", "v2"], BOTH, cursor, 2.0).strata
    assert (v2.start, v2.end, v2.requests) == (0.0, 2.0, 20)


def test_a_restart_is_seen_though_the_counters_have_outgrown_the_old_ones(source, says):
    says(envoy(requests=10, uptime=500))
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    says(envoy(requests=40, uptime=4))
    assert [s.requests for s in source.read(["v1", "v2"], BOTH, cursor, 60.0).strata] == [1000, 40]


def test_a_restart_is_seen_when_the_new_process_is_older_than_the_old_one_was(source, says):
    says(envoy(requests=10, uptime=5))
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    says(envoy(requests=40, uptime=30))
    assert [s.requests for s in source.read(["v1", "v2"], BOTH, cursor, 60.0).strata] == [1000, 40]


def test_an_uptime_that_lags_behind_is_no_restart(source, says):
    says(envoy(requests=10, uptime=5))
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    says(envoy(requests=40, uptime=5))
    assert [s.requests for s in source.read(["v1", "v2"], BOTH, cursor, 5.0).strata] == [0, 30]


@pytest.mark.parametrize("first", [0, 1])
def test_replicas_that_answer_in_turn_at_one_address_are_no_evidence(url, says, first):
    """They started 100 s apart, and each has counted since; whichever answers first is the one that is believed."""
    source, found = ScrapeSource(url, "iris", PLAIN), []

    def reading(at: int, cursor: str):
        which = (at + first) % 2
        started, count = ((0, 50_000), (100, 9_000))[which]
        says(f'process_start_time_seconds {started}\nrequests_total{{version="v2",status="200"}} {count + 10 * at}\n')
        return source.read(["v2"], {"v2": 10}, cursor, 1000.0 + at)

    cursor = reading(0, "").cursor
    for at in range(1, 7):
        told = reading(at, cursor)
        found += [stratum.requests for stratum in told.strata]
        assert bool(told.problem) is bool(at % 2)
        assert not told.problem or "another process answers at http://" in told.problem
        cursor = told.cursor
    assert found == [20, 20, 20]


def test_a_process_that_takes_the_place_of_another_is_believed_once_it_answers_again(url, says):
    """It was ready, and had counted, before the other one left."""
    source = ScrapeSource(url, "iris", PLAIN)

    def reading(at: int, cursor: str, started: int, count: int):
        says(f'process_start_time_seconds {started}\nrequests_total{{version="v2",status="200"}} {count}\n')
        return source.read(["v2"], {"v2": 10}, cursor, 1000.0 + at)

    cursor = reading(0, "", 0, 50_000).cursor
    first = reading(1, cursor, 970, 20)
    assert "another process answers" in first.problem
    assert first.strata == ()
    second = reading(2, first.cursor, 970, 35)
    assert [(one.start, one.end, one.requests) for one in second.strata] == [(1001.0, 1002.0, 15)]
    assert [one.requests for one in reading(3, second.cursor, 970, 36).strata] == [1]


def test_an_uptime_that_rises_by_more_than_the_time_between_is_another_process(source, says):
    says(envoy(requests=10, uptime=100))
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    says(envoy(requests=40, uptime=108))
    assert not source.read(["v1", "v2"], BOTH, cursor, 1.0).problem, "its gauge may have lagged behind"
    says(envoy(requests=40, uptime=120))
    assert "another process answers" in source.read(["v1", "v2"], BOTH, cursor, 1.0).problem


def test_any_server_with_a_version_label(url, says):
    source = ScrapeSource(url, "iris", PLAIN)

    def text(ok: int, failed: int, started: int = 50) -> str:
        return (
            f'process_start_time_seconds {started}\nrequests_total{{version="v2",status="200"}} {ok}\n'
            f'requests_total{{version="v2",status="500"}} {failed}\nrequests_total{{version="v3",status="500"}} 9\n'
        )

    says(text(10, 1))
    cursor = source.read(["v2"], {"v2": 10}, "", 100.0).cursor
    says(text(30, 4))
    reading = source.read(["v2"], {"v2": 10}, cursor, 110.0)
    assert [(s.requests, s.failures) for s in reading.strata] == [(23, {"http-500": 3})]
    says(text(40, 5, started=115))
    reading = source.read(["v2"], {"v2": 10}, reading.cursor, 120.0)
    assert [(s.requests, s.failures) for s in reading.strata] == [(45, {"http-500": 5})]


@pytest.mark.parametrize("cursor", ["nonsense", "{}", "[]", '{"at": 1, "uptime": 2, "counters": {"v1": 3}}'])
def test_a_cursor_of_another_source_is_refused(source, says, cursor):
    says(envoy())
    with pytest.raises(UsageError, match="cursor"):
        source.read(["v1"], {"v1": 100}, cursor, 1.0)


FAILURES = st.dictionaries(st.sampled_from(["http-503", "http-500", "connect", "reset"]), st.integers(1, 50))


@given(st.integers(0, 60), FAILURES)
def test_there_is_at_most_one_failure_a_request_and_none_is_taken_without_need(requests, failures):
    found = capped(Stratum("v", 0.0, 1.0, 1, requests, failures))
    assert found.errors == min(requests, sum(failures.values()))
    assert all(found.failures[kind] <= failures[kind] for kind in found.failures)
    if sum(failures.values()) - failures.get("http-503", 0) >= requests:
        assert "http-503" not in found.failures


def test_a_request_that_failed_at_every_attempt_is_one_failure(source, says):
    says(envoy())
    cursor = source.read(["v1", "v2"], BOTH, "", 0.0).cursor
    tried = 'envoy_cluster_upstream_rq_pending_failure_eject{envoy_cluster_name="iris/v2"} 6'
    says(envoy(requests=2, codes=[("503", 2)], more=tried))
    assert [s.failures for s in source.read(["v1", "v2"], BOTH, cursor, 1.0).strata] == [{}, {"connect": 2}]


def test_requests_that_went_down_by_too_little_for_a_restart_are_no_evidence(url, says):
    """As of replicas behind one address. What a new process counts is, however much that is."""
    source = ScrapeSource(url, "iris", PLAIN)

    def reading(requests: int, cursor: str, at: float, started: str = ""):
        says(f'{started}requests_total{{version="v2",status="200"}} {requests}\n')
        return source.read(["v2"], {"v2": 10}, cursor, at)

    cursor = reading(1000, "", 100.0).cursor
    fell = reading(900, cursor, 101.0)
    assert (fell.strata, fell.cursor) == ((), cursor)
    assert "the requests of v2" in fell.problem
    assert "went down by less than a restart explains" in fell.problem
    assert [s.requests for s in reading(20, cursor, 101.0).strata] == [20]
    assert [s.requests for s in reading(1010, cursor, 102.0).strata] == [10]
    cursor = reading(1000, "", 100.0, "process_start_time_seconds 50\n").cursor
    assert [s.requests for s in reading(900, cursor, 110.0, "process_start_time_seconds 105\n").strata] == [900]


def test_a_series_that_is_there_twice_is_no_evidence_and_one_that_is_not_there_is_not_shown(url, says):
    source, line = ScrapeSource(url, "iris", PLAIN), 'requests_total{version="v2",status="200"} 5\n'
    says(line + line)
    assert "requests_total of v2 is there twice, with the same labels" in source.read(["v2"], BOTH, "", 1.0).problem
    says(f'{line}latency_seconds_bucket{{version="v3",le="+Inf"}} 5\n')
    (shown,) = source.inspect(["v2", "v3"], 1.0)
    assert {seen.version: seen.series for seen in shown.seen} == {"v2": 1, "v3": 0}
