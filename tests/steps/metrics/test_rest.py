"""Evidence from JSON over HTTP, served by a real HTTP server: cumulative counts and windows, secrets, and all that is no evidence.

Left out: paths (test_paths.py), descriptions that cannot be (test_registry.py).
"""

import json
import math

import pytest
from werkzeug import Response

from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.edges import Level
from fairway_steps.metrics.preflight import Inspectable, findings
from fairway_steps.metrics.registry import Around, open_source
from fairway_steps.model import Metric, Slo
from fairway_steps.secrets import Secret

VERSIONS, BOTH = ["v1", "v2"], {"v1": 90, "v2": 10}
ROWS = {
    "source": "rest",
    "body": {"sql": "select … where version = '$version'", "since": 0},
    "paths": {"requests": ".rows[0].n", "failures": ".rows[0].failed", "latency": ".rows[0].latency"},
    "unit": "ms",
}


class Database:
    """Answers each version's query with what the test put there."""

    def __init__(self, server) -> None:
        self.server, self.rows, self.asked, self.status, self.headers = server, {}, [], 200, []
        self.text = self.otherwise = None
        server.expect_request("/query").respond_with_handler(self._answer)
        self.put("v1", 100, 1)
        self.put("v2", 10, 0)

    def _answer(self, request) -> Response:
        self.asked.append((request.method, request.args.to_dict(), request.get_json(silent=True)))
        self.headers.append(dict(request.headers))
        version = next((name for name in self.rows if name in json.dumps(self.asked[-1])), "")
        row = self.rows.get(version) or self.otherwise or {"n": 0, "failed": 0, "latency": {"+Inf": 0}}
        text = json.dumps({"rows": [row]}) if self.text is None else self.text
        return Response(text, status=self.status)

    def put(self, version: str, n: object, failed: object, latency: object = None) -> None:
        self.rows[version] = {"n": n, "failed": failed, "latency": latency or {"100": n, "+Inf": n}}

    def source(self, around: Around | None = None, **changed: object):
        described = ROWS | {"url": self.server.url_for("/query")} | changed
        return open_source(json.dumps({k: v for k, v in described.items() if v is not None}), "iris", around)


@pytest.fixture
def database(httpserver) -> Database:
    return Database(httpserver)


def counts(reading) -> dict[str, tuple[int, int]]:
    assert reading.problem == ""
    return {stratum.version: (stratum.requests, stratum.errors) for stratum in reading.strata}


def test_cumulative_counts_are_compared_with_those_before(database):
    database.put("v2", 10, 0, {"100": 10, "250": 10, "+Inf": 10})
    first = database.source().read(VERSIONS, BOTH, "", 10.0)
    assert (first.strata, first.problem) == ((), "")
    database.put("v1", 190, 2)
    database.put("v2", 20, 3, {"100": 15, "250": 19, "+Inf": 20})
    reading = database.source().read(VERSIONS, BOTH, first.cursor, 15.0)
    assert counts(reading) == {"v1": (90, 1), "v2": (10, 3)}
    v2 = reading.strata[1]
    assert (v2.start, v2.end, v2.weight) == (10.0, 15.0, 10)
    assert v2.latency is not None
    assert (v2.latency.edges, v2.latency.counts) == ((0.1, 0.25, math.inf), (5, 4, 1))
    assert database.asked[-1] == ("POST", {}, {"sql": "select … where version = 'v2'", "since": 0})
    again = database.source().read(VERSIONS, BOTH, reading.cursor, 20.0)
    assert counts(again) == {"v1": (0, 0), "v2": (0, 0)}


def test_further_latencies_are_read_by_name_and_must_not_go_down(database):
    paths = ROWS["paths"] | {"latencies": {"time-to-first-token": ".rows[0].latency"}}
    around = Around(latencies=["time-to-first-token"])
    source = database.source(around, paths=paths)
    cursor = source.read(VERSIONS, BOTH, "", 10.0).cursor
    database.put("v2", 30, 0, {"100": 15, "+Inf": 30})
    reading = source.read(VERSIONS, BOTH, cursor, 15.0)
    assert reading.problem == ""
    ttft = reading.strata[1].latencies["time-to-first-token"]
    assert (ttft.edges, ttft.counts) == ((0.1, math.inf), (5, 15))
    (shown,) = source.inspect(VERSIONS, 16.0)
    assert set(shown.seen[1].latencies) == {"time-to-first-token"}
    paths["latencies"] = {"time-to-first-token": ".rows[0].failed"}
    problem = database.source(around, paths=paths).read(VERSIONS, BOTH, reading.cursor, 20.0).problem
    assert "time-to-first-token is neither an object of edges and counts nor a list" in problem


def test_windows_join_without_gap_and_end_before_what_is_not_known_yet(database):
    url = database.server.url_for("/query") + "?version=$version&from=$start&to=$end"
    source = database.source(url=url, body=None, delay="5s")
    cursor, spans = source.read(VERSIONS, BOTH, "", 100.0).cursor, []
    for now in (110.0, 111.0, 111.0):
        reading = source.read(VERSIONS, BOTH, cursor, now)
        assert reading.until == now - 5.0
        cursor = reading.cursor
        spans += [
            (stratum.start, stratum.end, stratum.requests) for stratum in reading.strata if stratum.version == "v2"
        ]
    assert spans == [(95.0, 105.0, 10), (105.0, 106.0, 10)]
    assert database.asked[1] == ("GET", {"version": "v2", "from": "95.000", "to": "105.000"}, None)


@pytest.mark.parametrize(
    ("n", "failed", "latency", "says"),
    [
        (-1, 0, None, "requests is -1, which is no count"),
        (1.5, 0, None, "requests is 1.5, which is no count"),
        ("12", 0, None, 'requests is "12", which is no count; let its path end in | tonumber'),
        (None, 0, None, "requests is null"),
        (True, 0, None, "requests is true"),
        (11, 12, None, "12 failures of 11 requests cannot be"),
        (11, 0, {"100": 5}, "not a cumulative histogram"),
        (11, 0, {"100": 5, "+Inf": 4}, "not a cumulative histogram"),
        (11, 0, {"fast": 5, "+Inf": 5}, "latency has the bucket 'fast', which is no latency"),
        (11, 0, {"-1": 5, "+Inf": 5}, "latency has the bucket '-1', which is no latency"),
        (11, 0, {"1": 5, "1.0": 5, "+Inf": 5}, "latency has the bucket '1.0' twice"),
        (9, 0, None, "the counts of v2 went down"),
    ],
)
def test_what_cannot_be_is_a_problem_and_the_cursor_stays(database, n, failed, latency, says):
    source = database.source()
    cursor = source.read(VERSIONS, BOTH, "", 10.0).cursor
    database.put("v2", n, failed, latency or {"100": 1, "+Inf": 99})
    reading = source.read(VERSIONS, BOTH, cursor, 11.0)
    assert (reading.strata, reading.cursor) == ((), cursor)
    assert says in reading.problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<html>login</html>", "not JSON"),
        ("", "not JSON"),
        ('{"rows": []}', "leads nowhere"),
        ('{"rows": [{"n": NaN, "failed": 0, "latency": {}}]}', "holds NaN"),
        ("[" * 100_000, "nested too deeply"),
        ('{"rows": [{"n": ' + "9" * 5000, "holds too many digits"),
    ],
)
def test_an_answer_that_is_none_is_a_problem(database, text, says):
    source = database.source()
    cursor = source.read(VERSIONS, BOTH, "", 10.0).cursor
    database.text = text
    assert says in source.read(VERSIONS, BOTH, cursor, 11.0).problem


def test_a_source_that_went_away_is_a_problem_one_that_never_was_is_transient(database):
    source = database.source()
    cursor = source.read(VERSIONS, BOTH, "", 10.0).cursor
    database.status = 503
    assert "answers 503" in source.read(VERSIONS, BOTH, cursor, 11.0).problem
    with pytest.raises(TransientError, match="answers 503"):
        source.read(VERSIONS, BOTH, "", 11.0)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "answers 401: the token or password is missing, or not its own"),
        (302, "answers 302, and redirects are not followed"),
    ],
)
def test_no_answer_says_what_to_mend_and_no_redirect_is_followed(database, status, says):
    database.status = status
    with pytest.raises(TransientError, match=says):
        database.source().read(VERSIONS, BOTH, "", 11.0)


@pytest.mark.parametrize("secret", ["two\nlines", "geheim…", "\x00"])
def test_a_secret_that_no_header_can_carry_is_refused_without_a_letter_of_it(database, secret):
    around = Around(resolve=lambda where, reference: Secret(secret, reference))
    with pytest.raises(UsageError, match=r"^metrics: what env:TOKEN holds cannot be sent as a header"):
        database.source(around, headers={"X-Key": "env:TOKEN"}).read(VERSIONS, BOTH, "", 10.0)
    assert not database.asked


def test_a_server_that_never_answers_is_given_up(silent_server):
    source = open_source(json.dumps(ROWS | {"url": silent_server, "timeout": "0.2s"}), "iris")
    with pytest.raises(TransientError, match=r"does not answer within 0\.2 s"):
        source.read(VERSIONS, BOTH, "", 11.0)


def test_secrets_are_read_anew_each_time_and_shown_nowhere(database, unused_port):
    tokens = iter(["first", "second", "third", "fourth"])
    around = Around(resolve=lambda where, reference: Secret(next(tokens), reference))
    source = database.source(around, bearer="env:TOKEN", headers={"X-Tenant": "a"})
    source.read(VERSIONS, BOTH, "", 10.0)
    assert [(h["Authorization"], h["X-Tenant"]) for h in database.headers] == [
        ("Bearer first", "a"),
        ("Bearer second", "a"),
    ]
    gone = database.source(around, url=f"http://127.0.0.1:{unused_port}/", bearer="env:TOKEN")
    with pytest.raises(TransientError) as caught:
        gone.read(VERSIONS, BOTH, "", 10.0)
    assert "third" not in str(caught.value)


@pytest.mark.parametrize(
    "cursor", ["nonsense", "{}", "[]", '{"rest": 2}', '{"rest": 1, "at": 1, "counters": {"v1": 3}}']
)
def test_a_cursor_of_another_source_is_refused(database, cursor):
    with pytest.raises(UsageError, match="cursor"):
        database.source().read(VERSIONS, BOTH, cursor, 1.0)


def test_a_version_that_is_no_name_never_gets_into_a_request(database):
    with pytest.raises(UsageError, match="is not a name"):
        database.source().read(["v1' or '1'='1"], BOTH, "", 1.0)


def test_it_shows_what_it_has_before_a_release(database):
    source = database.source()
    assert isinstance(source, Inspectable)
    (shown,) = source.inspect(VERSIONS, 10.0)
    assert [(seen.version, seen.requests, seen.edges) for seen in shown.seen] == [
        ("v1", 100, (0.1, math.inf)),
        ("v2", 10, (0.1, math.inf)),
    ]


def told(source, *slos) -> str:
    found = findings(source.inspect(VERSIONS, 10.0), slos, expected=VERSIONS, weights={})
    return "; ".join(one.sentence for one in found if one.level is Level.REFUSED)


def test_a_version_without_a_request_is_refused(database):
    assert told(database.source()) == ""
    database.put("v1", 0, 0)
    database.put("v2", 0, 0)
    url = database.server.url_for("/query")
    assert told(database.source()) == "; ".join(
        f"{url} counts no request to {v}, so nothing shows that its answer is about it" for v in VERSIONS
    )


def test_a_source_that_ignores_the_version_is_refused(database):
    database.otherwise = {"n": 100, "failed": 1, "latency": {"100": 100, "+Inf": 100}}
    assert "counts 100 requests to a version that does not exist" in told(database.source())


def test_the_same_counts_of_both_versions_are_refused(database):
    database.put("v2", 100, 1)
    assert "the same series for v1 and v2, such as 100 requests" in told(database.source())
    for version in VERSIONS:
        database.put(version, 5, 0)
    assert told(database.source()) == "", "five requests each may be chance"


def test_a_source_that_refuses_strangers_is_fine(database):
    database.otherwise = {"n": "there is no such version"}
    assert told(database.source()) == ""


REWARDS = {
    "requests": ".rows[0].n",
    "users": ".rows[0].users",
    "reward": ".rows[0].clicks",
    "reward-squares": ".rows[0].squares",
    "series": {"gpu": ".rows[0].gpu"},
}


def test_rewards_are_what_came_since_the_last_look_and_series_are_as_they_are_now(database):
    database.rows = {v: {"n": 10, "users": 4, "clicks": 7.5, "squares": 20, "gpu": 0.4} for v in VERSIONS}
    opened = database.source(paths=REWARDS)
    first = opened.read(VERSIONS, BOTH, "", 10.0)
    database.rows["v2"] = {"n": 30, "users": 9, "clicks": 6.5, "squares": 28, "gpu": 0.6}
    database.rows["v1"]["gpu"] = None
    v1, v2 = opened.read(VERSIONS, BOTH, first.cursor, 15.0).strata
    assert (v2.users, v2.reward, v2.squares, v2.series) == (5, -1.0, 8.0, {"gpu": (0.6,)})
    assert (v1.users, v1.series) == (0, {})
    database.rows["v2"]["users"] = 3
    assert "the counts of v2 went down" in opened.read(VERSIONS, BOTH, first.cursor, 20.0).problem
    database.rows["v2"] |= {"users": 9, "clicks": "many"}
    assert 'reward is "many", which is no number' in opened.read(VERSIONS, BOTH, first.cursor, 20.0).problem


def test_a_source_that_has_no_rewards_or_another_series_is_refused_before_a_release(database):
    slos = [Slo(Metric.REWARD, 0.02, relative=True), Slo(Metric.SERIES, 0.0, relative=True, of="gpu")]
    found = findings(database.source().inspect(VERSIONS, 10.0), slos, expected=VERSIONS, weights=BOTH)
    refused = [finding.sentence for finding in found if finding.level is Level.REFUSED]
    assert [text.partition("/query ")[2] for text in refused] == [
        "sums no rewards, so reward cannot be judged",
        "has no series gpu, so gpu cannot be judged",
    ]
    database.rows = {v: {"n": 10 + k, "users": 4, "clicks": 7, "squares": 9, "gpu": 0} for k, v in enumerate(VERSIONS)}
    shown = database.source(paths=REWARDS).inspect(VERSIONS, 10.0)
    assert not [f for f in findings(shown, slos, expected=VERSIONS, weights=BOTH) if f.level is Level.REFUSED]
