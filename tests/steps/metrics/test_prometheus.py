"""Evidence from a real Prometheus: restarts, processes that come and go, what keeps counts from being evidence, its inspection.

The server scrapes what a test puts into a slot of its. Left out: the contract of all sources (tests/contract/test_metric_source.py),
the arithmetic of counts (test_counting.py), answers that no Prometheus gives (test_promapi.py).
"""

import json
import math
import subprocess
import time
import urllib.request
from dataclasses import replace
from itertools import pairwise

import pytest

from fairway_steps.errors import DomainError, TransientError, UsageError
from fairway_steps.metrics import prometheus as module
from fairway_steps.metrics.counting import Series
from fairway_steps.metrics.preflight import Level, findings
from fairway_steps.metrics.prometheus_cursor import decode
from fairway_steps.metrics.registry import Around, open_source
from fairway_steps.model import Metric, Slo
from fairway_steps.routing.process import find_envoy
from fakes_routing import Client, ModelServer, eventually, free_ports
from prometheus_server import Slots

VERSIONS, BOTH = ["v1", "v2"], {"v1": 90, "v2": 10}


class App:
    """What a version shows of itself, in a slot of its own or in another's."""

    def __init__(self, slots: Slots, version: str, beside: "App | None" = None) -> None:
        self._slots, self._version = slots, version
        self.lines: dict[str, float | str] = {}
        self._all = beside._all if beside else []
        self._all.append(self)
        self.slot = beside.slot if beside else slots.fill(self._text)

    def _text(self) -> str:
        return "".join(f"{name} {value}\n" for app in self._all for name, value in app.lines.items())

    def show(self, **values: float) -> "App":
        """``ok`` and ``bad`` requests of the version, and when its process ``started``."""
        names = {"ok": f'req{{v="{self._version}",code="200"}}', "bad": f'req{{v="{self._version}",code="500"}}'}
        names["started"] = "process_start_time_seconds"
        self.lines |= {names[name]: value for name, value in values.items()}
        return self

    def seen(self) -> None:
        self._slots.seen(self.slot)


@pytest.fixture
def apps(slots):
    """Both versions, in one process."""
    first = App(slots, "v1").show(ok=100, bad=0)
    second = App(slots, "v2", beside=first).show(ok=100, bad=0)
    second.seen()
    yield {"v1": first, "v2": second}
    first.lines.clear()
    second.lines.clear()


def source(slots, apps, **more: str):
    where = "|".join({app.slot for app in apps.values()})
    options = {"requests": "req", "code": "code", "label": "v", "where.slot": f"=~{where}", **more}
    fragment = "&".join(f"{name}={value}" for name, value in options.items())
    return open_source(f"prometheus:{slots.server.url}#{fragment}", "iris")


def begin(opened) -> str:
    reading = opened.read(VERSIONS, BOTH, "", time.time())
    assert reading.problem == ""
    return reading.cursor


def look(opened, cursor: str, apps=(), weights=BOTH):
    """The next closed strata by version, or the problem, after all apps were scraped anew."""
    for app in apps:
        app.seen()
    found = []

    def closed() -> bool:
        found.append(opened.read(VERSIONS, weights, cursor, time.time()))
        return bool(found[-1].strata or found[-1].problem)

    eventually(closed, 180)
    return found[-1]


def counts(reading) -> dict[str, tuple[int, int]]:
    assert reading.problem == ""
    return {stratum.version: (stratum.requests, stratum.errors) for stratum in reading.strata}


def test_absent_failures_with_requests_present_are_none(slots, apps):
    for app in apps.values():
        app.lines = {name: value for name, value in app.lines.items() if "500" not in name}
    opened = source(slots, apps)
    cursor = begin(opened)
    apps["v2"].show(ok=130)
    assert counts(look(opened, cursor, apps.values())) == {"v1": (0, 0), "v2": (30, 0)}


def test_failures_that_come_into_being_later_all_count(slots, apps):
    apps["v2"].lines = {'req{v="v2",code="200"}': 100}
    apps["v2"].seen()
    opened = source(slots, apps)
    cursor = begin(opened)
    apps["v2"].show(ok=130, bad=7)
    assert counts(look(opened, cursor, apps.values()))["v2"] == (37, 7)


def test_a_restart_is_counted_from_zero_whole(slots, apps):
    opened = source(slots, apps)
    cursor = begin(opened)
    apps["v2"].show(ok=20, bad=3)
    assert counts(look(opened, cursor, apps.values())) == {"v1": (0, 0), "v2": (23, 3)}


def test_another_process_of_a_version_counts_from_its_beginning(slots, apps):
    more = App(slots, "v2")
    opened = source(slots, {**apps, "more": more})
    cursor = begin(opened)
    more.show(ok=40, bad=1, started=time.time())
    more.seen()
    reading = look(opened, cursor, [*apps.values(), more])
    more.lines.clear()
    assert counts(reading)["v2"] == (41, 1)


def test_a_process_that_had_counted_before_and_is_scraped_only_now_counts_from_now_on(slots, apps, monkeypatch):
    old = App(slots, "v2").show(ok=5000, started=time.time() - 9999)
    opened = source(slots, {**apps, "old": old})
    hidden, query = [True], opened.api.query

    def late(promql, at, **more):
        """The server finds the process a while after the evidence has begun."""
        answer = query(promql, at, **more)
        if hidden[0]:
            return replace(answer, series=[s for s in answer.series if s.labels.get("slot") != old.slot])
        found[0] = found[0] or at
        return replace(answer, series=[_from(s, found[0], old.slot) for s in answer.series])

    found = [0.0]
    monkeypatch.setattr(opened.api, "query", late)
    cursor = begin(opened)
    hidden[0] = False
    old.seen()
    reading = look(opened, cursor, apps.values())
    old.show(ok=5003)
    total = counts(reading)["v2"][0] + counts(look(opened, reading.cursor, [*apps.values(), old]))["v2"][0]
    assert total == 3


def _from(series: Series, moment: float, slot: str) -> Series:
    """Only the samples of the last second before ``moment``, and later ones."""
    if series.labels.get("slot") != slot:
        return series
    return replace(series, samples=tuple(s for s in series.samples if s[0] > moment - 1) or series.samples[-1:])


def test_a_stratum_is_closed_when_all_processes_were_seen_anew(slots, apps, monkeypatch):
    opened = source(slots, apps)
    cursor = begin(opened)
    state = decode(cursor)
    apps["v1"].show(ok=150)
    apps["v2"].show(ok=160)
    newest = max(target.at for target in state.targets.values())
    early = opened.read(VERSIONS, BOTH, cursor, min(target.at for target in state.targets.values()))
    assert (early.strata, early.cursor, early.until) == ((), cursor, newest)
    reading = look(opened, cursor, apps.values())
    assert {reading.until} == {stratum.end for stratum in reading.strata}
    assert early.every > 0, "counts of the last scrape, which may be as old as the time between two"
    assert counts(reading) == {"v1": (50, 0), "v2": (60, 0)}
    assert all(stratum.start == newest < stratum.end <= time.time() for stratum in reading.strata)


@pytest.mark.parametrize(("value", "says"), [("NaN", "is nan"), ("2.5", "no count"), ("-1", "no count")])
def test_what_is_no_count_is_a_problem_and_the_cursor_stays(slots, apps, value, says):
    opened = source(slots, apps)
    cursor = begin(opened)
    apps["v2"].lines['req{v="v2",code="503"}'] = value
    reading = look(opened, cursor, apps.values())
    assert (reading.strata, reading.cursor) == ((), cursor)
    assert says in reading.problem


def test_what_is_no_count_refuses_a_release_before_it_begins(slots, apps):
    apps["v2"].lines['req{v="v2",code="503"}'] = "NaN"
    for _ in range(2):
        apps["v2"].seen()
    with pytest.raises(UsageError, match="req is nan"):
        source(slots, apps).inspect(VERSIONS, time.time())


@pytest.mark.parametrize(("wrong", "says"), [({"0.5": 40}, "not a cumulative histogram"), ({"+Inf": "NaN"}, "is nan")])
def test_a_bucket_that_is_wrong_and_never_grows_refuses_a_release_before_it_begins(slots, apps, wrong, says):
    """Its increments, all zero, would pass; another process beside it, whose buckets are right, must not hide it."""
    other = App(slots, "v2")
    for app, counts in ((apps["v1"], {}), (apps["v2"], wrong), (other, {})):
        buckets = {"0.1": 100, "0.5": 100, "+Inf": 100} | counts
        app.lines |= {f'h_bucket{{v="{app._version}",le="{edge}"}}': count for edge, count in buckets.items()}
        app.show(ok=100)
    opened = source(slots, {**apps, "v2 too": other}, histogram="h")
    for app in (*apps.values(), other) * 2:
        app.seen()
    with pytest.raises(UsageError, match=says) as refused:
        opened.inspect(VERSIONS, time.time())
    assert refused.value.mend == "narrow it down by where:, label: and value:, or write queries: of your own"


def test_a_version_that_does_not_show_is_a_problem_if_it_has_traffic(slots):
    apps = {"v1": App(slots, "v1").show(ok=100)}
    apps["v1"].seen()
    opened = source(slots, apps)
    assert "has no requests of v2" in opened.read(VERSIONS, BOTH, "", time.time()).problem
    cursor = opened.read(VERSIONS, {"v1": 100}, "", time.time()).cursor
    assert "has no requests of v2" in look(opened, cursor, [apps["v1"]]).problem
    assert counts(look(opened, cursor, [apps["v1"]], {"v1": 100})) == {"v1": (0, 0)}


def test_stale_samples_are_no_evidence(slots, apps, monkeypatch):
    opened = source(slots, apps)
    cursor = begin(opened)
    monkeypatch.setattr(module, "LEAST_AGE", 0.0)
    apps["v2"].lines.clear()
    apps["v2"].lines["other"] = 1
    found = []

    def stale() -> bool:
        found.append(opened.read(VERSIONS, BOTH, cursor, time.time()))
        return "the last sample of v2 is" in found[-1].problem

    eventually(stale, 180)
    assert found[-1].cursor == cursor


def test_a_process_that_cannot_be_scraped_makes_its_version_partly_unseen(slots, apps, monkeypatch):
    other = App(slots, "v2").show(ok=10)
    other.seen()
    opened = source(slots, {**apps, "other": other})
    cursor = begin(opened)
    monkeypatch.setattr(module, "LEAST_AGE", 1.0)
    other.lines.clear()  # its address answers 404 from now on
    found = []

    def told() -> bool:
        found.append(opened.read(VERSIONS, BOTH, cursor, time.time()).problem)
        return "so a part of v2 is not seen" in found[-1]

    eventually(told, 180)


def test_a_counter_that_goes_down_without_a_restart_is_a_problem(slots, apps):
    apps["v2"].show(ok=1000, started=time.time() - 500)
    apps["v2"].seen()
    opened = source(slots, apps)
    cursor = begin(opened)
    apps["v2"].show(ok=900)
    assert "went down by less than a restart explains" in look(opened, cursor, apps.values()).problem
    apps["v2"].show(started=time.time())
    assert counts(look(opened, cursor, apps.values()))["v2"] == (900, 0)


def test_a_histogram_that_is_not_cumulative_is_a_problem(slots, apps):
    for edge, value in (("0.1", 5), ("+Inf", 5)):
        for version, app in apps.items():
            app.lines[f'h_bucket{{v="{version}",le="{edge}"}}'] = value
    apps["v1"].seen()
    opened = source(slots, apps, histogram="h")
    cursor = begin(opened)
    apps["v2"].lines['h_bucket{v="v2",le="0.1"}'] = 9
    assert "h is not a cumulative histogram" in look(opened, cursor, apps.values()).problem


def test_a_long_time_away_is_read_in_pieces_and_nothing_is_lost(slots, apps, monkeypatch):
    opened = source(slots, apps)
    cursor = begin(opened)
    monkeypatch.setattr(module, "LONGEST_WINDOW", 0.5)
    for ok in (110, 4, 9):
        apps["v2"].show(ok=ok)
        apps["v2"].seen()
    apps["v1"].seen()
    reading = look(opened, cursor, apps.values())
    strata = [stratum for stratum in reading.strata if stratum.version == "v2"]
    assert sum(stratum.requests for stratum in strata) == 10 + 4 + 5
    assert len(strata) > 1
    assert all(before.end == after.start for before, after in pairwise(strata))


PROMQL = """
source: prometheus
url: {url}
queries: {{requests: '{requests}'}}
"""
VALUES = f"{PROMQL}scrape-interval: 5s\n"


def test_two_series_where_one_is_expected_are_a_problem(slots, apps):
    where = "|".join({app.slot for app in apps.values()})
    text = PROMQL.format(url=slots.server.url, requests=f'req{{v="$version",slot=~"{where}"}}')
    problem = open_source(text, "iris").read(VERSIONS, BOTH, "", time.time()).problem
    assert "gives 2 series where one is expected; write `aggregate: sum`" in problem
    assert begin(open_source(f"{text}aggregate: sum\n", "iris"))


def test_queries_for_rewards_and_series(slots, apps):
    for version, app in apps.items():
        app.lines |= {f'users{{v="{version}"}}': 10, f'won{{v="{version}"}}': 4, f'gpu{{v="{version}",n="0"}}': 0.5}
        app.lines |= {f'won_squared{{v="{version}"}}': 8}
    own = f'v="$version",slot=~"{"|".join({app.slot for app in apps.values()})}"'
    queries = {
        "requests": f'req{{{own},code="200"}} * 1',
        "users": f"users{{{own}}}",
        "reward": f"won{{{own}}}",
        "reward-squares": f"won_squared{{{own}}}",
        "series": {"gpu": f"avg(gpu{{{own}}})", "each": f"gpu{{{own}}}"},
    }
    described = {"source": "prometheus", "url": slots.server.url, "queries": queries}
    opened = open_source(json.dumps(described), "iris")
    for app in apps.values():
        app.seen()
    cursor = begin(opened)
    apps["v2"].show(ok=120)
    apps["v2"].lines |= {'users{v="v2"}': 15, 'won{v="v2"}': 6.5, 'won_squared{v="v2"}': 14, 'gpu{v="v2",n="0"}': 0.75}
    apps["v2"].seen()
    reading = look(opened, cursor, apps.values())
    (v2,) = [stratum for stratum in reading.strata if stratum.version == "v2"]
    assert (v2.requests, v2.users, v2.reward, v2.squares) == (20, 5, 2.5, 6.0)
    assert v2.series == {"gpu": (0.75,), "each": (0.75,)}
    shown = opened.inspect(VERSIONS, time.time())
    assert (shown[0].rewards, shown[0].series) == (True, ("gpu", "each"))
    apps["v2"].lines |= {'gpu{v="v2",n="1"}': 0.9}
    apps["v2"].show(ok=140)
    apps["v2"].seen()
    problem = look(opened, reading.cursor, apps.values()).problem
    assert "the query for the each of v2 gives 2 series where one is expected; write avg(" in problem


def test_queries_for_further_latencies_are_asked_for_those_that_slos_are_about(slots, apps):
    """TTFT and TPOT beside the request's own latency, each of its own histogram, all in milliseconds."""

    def show(**counts: int) -> None:
        for name, fast in counts.items():
            for version, app in apps.items():
                app.lines |= {f'{name}_bucket{{v="{version}",le="{le}"}}': fast + (le != "40") for le in ("40", "+Inf")}

    show(whole=10, ttft=20, tpot=30)
    own = f'v="$version",slot=~"{"|".join({app.slot for app in apps.values()})}"'
    queries = {
        "requests": f'req{{{own},code="200"}} * 1',
        "latency": f"whole_bucket{{{own}}}",
        "latencies": {"latency": f"ttft_bucket{{{own}}}", "tpot": f"tpot_bucket{{{own}}}", "unasked": f"no{{{own}}}"},
    }
    described = json.dumps({"source": "prometheus", "url": slots.server.url, "unit": "ms", "queries": queries})
    opened = open_source(described, "iris", Around(latencies=("latency", "tpot")))
    for app in apps.values():
        app.seen()
    cursor = begin(opened)
    apps["v2"].show(ok=120)
    show(whole=11, ttft=22, tpot=33)
    reading = look(opened, cursor, apps.values())
    (v2,) = [stratum for stratum in reading.strata if stratum.version == "v2"]
    assert v2.latency is not None
    assert (v2.latency.edges, v2.latency.counts) == ((0.04, math.inf), (1, 0))
    assert {name: found.counts for name, found in v2.latencies.items()} == {"latency": (2, 0), "tpot": (3, 0)}
    (shown,) = opened.inspect(VERSIONS, time.time())
    told = findings([shown], [Slo(Metric.LATENCY, 0.04, 0.9, of="tpot")], expected=VERSIONS, weights=BOTH)
    assert any("40 ms" in one.sentence and one.level is Level.OK for one in told)


def test_a_query_that_the_server_refuses_is_told_in_its_words(slots):
    opened = open_source(VALUES.format(url=slots.server.url, requests='rate(req{v="$version"})'), "iris")
    with pytest.raises(UsageError, match=r"expected type range vector.*; mend the query"):
        opened.read(VERSIONS, BOTH, "", time.time())


def test_a_server_that_was_never_there_is_transient_and_one_that_went_away_a_problem(slots, apps, unused_port):
    cursor = begin(source(slots, apps))
    gone = open_source(f"prometheus:http://127.0.0.1:{unused_port}#requests=req&label=v", "iris")
    assert "cannot be reached" in gone.read(VERSIONS, BOTH, cursor, time.time()).problem
    with pytest.raises(TransientError, match="cannot be reached"):
        gone.read(VERSIONS, BOTH, "", time.time())


@pytest.mark.parametrize("cursor", ["nonsense", "{}", "[]", '{"format": 2}', '{"at": 1, "uptime": 2, "counters": {}}'])
def test_a_cursor_of_another_source_is_refused(slots, apps, cursor):
    with pytest.raises(UsageError, match="cursor"):
        source(slots, apps).read(VERSIONS, BOTH, cursor, time.time())


def test_it_shows_what_it_has_before_a_release(slots, apps):
    for version, app in apps.items():
        app.lines |= {f'h_bucket{{v="{version}",le="{edge}"}}': 100 for edge in ("0.1", "0.5", "+Inf")}
    opened = source(slots, apps, histogram="h")
    for app in apps.values():
        app.seen()
    (shown,) = opened.inspect(["v1", "v9"], time.time())
    assert [(s.version, s.series > 0) for s in shown.seen] == [("v1", True), ("v9", False)]
    assert shown.others == ("v1", "v2")
    assert shown.seen[0].edges == (0.1, 0.5, float("inf"))
    slos = [Slo(Metric.LATENCY, 0.3, 0.95)]
    assert 0 < shown.interval < 10
    told = {f.sentence: f.level for f in findings([shown], slos, expected=["v1", "v9"], weights={})}
    assert [level for text, level in told.items() if "no series of v9; its label v says v1, v2" in text] == [
        Level.REFUSED
    ]
    assert [level for text, level in told.items() if "between the edges 100 ms and 500 ms" in text] == [Level.WARNING]


def test_a_query_that_selects_the_same_series_for_both_is_found_out(slots, apps):
    where = "|".join({app.slot for app in apps.values()})
    text = (
        VALUES.format(url=slots.server.url, requests=f'req{{slot=~"{where}",v!="$version-none"}} * 1')
        + "aggregate: sum\n"
    )
    shown = open_source(text, "iris").inspect(VERSIONS, time.time())
    assert shown[0].interval == 5
    assert any("same series for v1 and v2" in f.sentence for f in findings(shown, [], expected=VERSIONS, weights={}))


def test_endpoints_that_cannot_be_asked_for_are_a_problem_and_the_cursor_stays(slots, apps):
    def away(version: str) -> list[str]:
        raise DomainError(f"the Service of {version} is gone")

    def opened(addresses):
        return open_source(f"prometheus:{slots.server.url}#preset=envoy-gateway", "iris", Around(addresses=addresses))

    cursor = opened(lambda version: ["10.0.0.1:80"]).read(VERSIONS, {}, "", time.time()).cursor
    reading = opened(away).read(VERSIONS, BOTH, cursor, time.time())
    assert (reading.strata, reading.cursor, reading.problem) == ((), cursor, "the Service of v1 is gone")
    with pytest.raises(DomainError, match="is gone"):
        opened(away).read(VERSIONS, BOTH, "", time.time())


ENVOY = """
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  listeners:
  - name: gateway
    address: {{socket_address: {{address: 127.0.0.1, port_value: {listen}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: httproute/default/iris/rule/0}}}}]}}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: httproute/default/iris/rule/0
    track_cluster_stats: {{per_endpoint_stats: true}}
    load_assignment:
      cluster_name: httproute/default/iris/rule/0
      endpoints: [{{lb_endpoints: [{endpoints}]}}]
"""


@pytest.mark.local
def test_versions_behind_one_cluster_of_a_gateway_are_told_apart_by_address(slots, tmp_path):
    """As Envoy Gateway makes it: both backends of a rule are one cluster, with statistics by endpoint."""
    servers = [ModelServer(name) for name in VERSIONS]
    where = {server.name: server.version.uri.removeprefix("http://") for server in servers}
    listen, admin = free_ports(2)
    pairs = [address.split(":") for address in where.values()]
    endpoints = ", ".join(
        f"{{endpoint: {{address: {{socket_address: {{address: {host}, port_value: {port}}}}}}}}}"
        for host, port in pairs
    )
    (tmp_path / "envoy.yaml").write_text(ENVOY.format(admin=admin, listen=listen, endpoints=endpoints))
    command = [find_envoy(), "-c", str(tmp_path / "envoy.yaml"), "--use-dynamic-base-id", "-l", "error"]
    envoy = subprocess.Popen(command)
    client = Client(f"127.0.0.1:{listen}")
    try:
        eventually(lambda: client.ask().status == 200, 180)
        url = f"http://127.0.0.1:{admin}/stats/prometheus"
        slot = slots.fill(lambda: urllib.request.urlopen(url, timeout=5).read().decode())
        slots.seen(slot)
        addresses = {name: [address] for name, address in where.items()}
        around = Around(addresses=lambda version: addresses[version])
        text = f"prometheus:{slots.server.url}#preset=envoy-gateway&where.slot={slot}"
        cursor = begin(open_source(text, "iris", around))
        answers = [client.ask(x_status=str(status)) for status in [200] * 20 + [404] * 4 + [500] * 6]
        slots.seen(slot)
        addresses["v2"] = []  # its pod has left; what it counted before is not lost
        reading = look(open_source(text, "iris", around), cursor)
        assert counts(reading) == {
            name: (
                sum(answer.body == name for answer in answers),
                sum(answer.body == name and answer.status == 500 for answer in answers),
            )
            for name in VERSIONS
        }
        assert sum(requests for requests, _ in counts(reading).values()) == 30
    finally:
        client.close()
        envoy.terminate()
        envoy.wait(20)
        for server in servers:
            server.close()
