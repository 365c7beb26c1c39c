"""``fairway begin``: what its look at the metrics says before a release starts, in the log and in the record.

The source and the route are fakes. Left out: beginning itself (test_begin.py), what is found of sources (metrics/test_preflight.py).
"""

import math
from dataclasses import replace

import pytest

import fairway_steps.cli.begin as cli
from fairway_steps.cli import _run, first_look
from fairway_steps.clock import FakeClock
from fairway_steps.metrics.base import Reading
from fairway_steps.metrics.preflight import Inspection, Seen
from fairway_steps.model import Routes
from fairway_steps.record import FileStore
from fakes_routing import FakeRouter, Stored

EDGES = (0.1, 0.25, 0.5, math.inf)


class Source:
    """A source that counted ``requests`` of the primary in the last five minutes."""

    def __init__(self, requests):
        self.requests = requests

    def inspect(self, versions, now):
        primary, candidate = versions
        seen = Seen(primary, 3, self.requests, 300.0, EDGES, frozenset({"a"}), "a")
        return [Inspection("prom", (seen, Seen(candidate, 0)), label="v")]

    def read(self, versions, weights, cursor, now):
        return Reading((), "here")


@pytest.fixture
def begun(monkeypatch, tmp_path):
    def run(requests, slos, stages="10@60s,50@60s", *more):
        for module in (cli, first_look):
            monkeypatch.setattr(module, "CLOCK", FakeClock(1_700_000_000.0))
        monkeypatch.setattr(first_look, "source", lambda *_, **__: Source(requests))
        monkeypatch.setattr(cli, "router", lambda *_: FakeRouter(Stored(Routes({"v1": 100}))))
        monkeypatch.setattr(cli, "evidence", lambda *_: "prometheus:http://127.0.0.1:9")
        store = FileStore(tmp_path / "record.json")
        code = _run(
            ["begin", "--service=iris", "--route=envoy:route", "--primary=v1=http://h:1", "--candidate=v2=http://h:2",
             f"--stages={stages}", f"--slos={slos}", f"--record=file:{tmp_path / 'record.json'}", *more]
        )  # fmt: skip
        return code, store.load()

    return run


@pytest.mark.parametrize("interval", [0.0, 15.0])
def test_windows_of_time_are_no_more_than_the_scrapes_of_the_source(begun, monkeypatch, capsys, interval):
    often = Source.inspect
    monkeypatch.setattr(Source, "inspect", lambda *given: [replace(one, interval=interval) for one in often(*given)])
    begun(30_000, "[{metric: error-rate, limit: 1%, unit: stratum}]", "50@5m")
    assert ("at a look each 15 s, are too few" in capsys.readouterr().err) == (interval > 0)


@pytest.mark.parametrize(("limit", "mean"), [("100ms", True), ("100ms", False), ("100ms, timeout: 1s", True)])
def test_a_mean_that_no_edge_bounds_is_judged_by_windows_and_that_is_said(begun, monkeypatch, capsys, limit, mean):
    often = Source.inspect
    blunt = {"interval": 15.0, "mean": mean}
    monkeypatch.setattr(Source, "inspect", lambda *given: [replace(one, **blunt) for one in often(*given)])
    begun(30_000, f"[{{metric: latency-mean, limit: {limit}}}]", "50@5m")
    said = "latency-mean (limit 100 ms) can never be decided by strata: about 35 windows"
    assert (said in capsys.readouterr().err) == (mean and "timeout" not in limit)


def test_what_the_measured_traffic_can_never_decide_is_said_before_the_release_starts(begun, capsys):
    code, record = begun(300, "[{metric: error-rate, limit: 1%}]")
    said = (
        "error-rate (limit 1 %) can never be decided: stage 1 brings 12 requests of the candidate, its patience included, "
        "and min-requests is 50"
    )
    assert code == 0
    assert f"at 1 requests/s: {said}" in capsys.readouterr().err
    assert [event.message for event in record.events] == [said]


@pytest.mark.parametrize(("requests", "at"), [(0, ""), (300, "at 1 requests/s: ")])
@pytest.mark.parametrize(("stages", "brought"), [("10@60s,50@60s", 8), ("10@10m,50@10m", None)])
def test_a_series_that_cannot_have_its_values_is_told_whatever_the_traffic(
    begun, monkeypatch, capsys, requests, at, stages, brought
):
    shown = Source.inspect
    seen = {"series": ("gpu",), "interval": 15.0}
    monkeypatch.setattr(Source, "inspect", lambda *given: [replace(one, **seen) for one in shown(*given)])
    _, record = begun(requests, "[{metric: series, of: gpu, method: mann-whitney}]", stages)
    said = f"gpu (limit like the primary) can never be decided: stage 1 brings {brought} values of the candidate, its patience included"
    assert (f"{at}{said}, and min-requests is 50" in capsys.readouterr().err) == bool(brought)
    assert [event.message.partition(", and")[0] for event in record.events] == [said] * bool(brought)


@pytest.mark.parametrize("late", [30.0, 90.0])
def test_a_source_that_tells_later_than_a_stage_waits_is_told(begun, monkeypatch, capsys, late):
    monkeypatch.setattr(Source, "read", lambda *given: Reading((), "here", until=1_700_000_000.0 - late))
    begun(30_000, "[{metric: error-rate, limit: 1%}]")
    said = "the metrics are told 90 s late, so a stage is held whose patience is shorter"
    assert (said in capsys.readouterr().err) == (late > 60)


def test_enough_traffic_is_nothing_to_speak_of(begun, capsys):
    code, record = begun(30_000, "[{metric: error-rate, limit: 1%}]")
    assert code == 0
    assert "can never" not in capsys.readouterr().err
    assert record.events == ()


def test_traffic_that_is_not_known_is_no_reason_to_warn(begun, capsys):
    code, _ = begun(0, "[{metric: error-rate, limit: 1%}]")
    assert code == 0
    assert "can never" not in capsys.readouterr().err


def test_a_margin_that_the_buckets_cannot_carry_is_refused(begun, capsys):
    code, record = begun(30_000, "[{metric: latency, quantile: p95, margin: 10%}]")
    assert code == 1
    assert "too far apart for a margin of 10 % on p95" in capsys.readouterr().err
    assert record is None


def test_an_approval_that_no_step_can_ask_for_is_refused_before_anything_is_touched(begun, capsys):
    code, record = begun(30_000, "[{metric: error-rate, limit: 1%}]", "10@60s", "--approval=before-promotion")
    assert (code, record) == (2, None)
    assert "approval is before-promotion, but this workflow asks nobody" in capsys.readouterr().err
