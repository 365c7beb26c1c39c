"""Users' requests from one source and mirrored ones from another: whose counts are taken when, and which of the two may be away.

Left out: what each source reads (test_scrape.py, test_presets.py).
"""

import json
import math

import pytest

from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.base import Reading
from fairway_steps.metrics.mirrored import MirroredSource
from fairway_steps.metrics.preflight import Inspection, Seen
from fairway_steps.metrics.registry import open_source
from fairway_steps.model import Stratum

VERSIONS = ["v1", "v2"]
MIRRORING, SPLIT = {"v1": 100}, {"v1": 90, "v2": 10}


class Told:
    """Says what it is told to; ``asked`` are the versions and weights of each reading."""

    def __init__(self, *strata, problem="", away=False, until=None):
        self.strata, self.problem, self.away, self.until, self.asked = strata, problem, away, until, []

    def read(self, versions, weights, cursor, now):
        self.asked.append((list(versions), dict(weights), cursor))
        if self.away:
            raise TransientError("nobody there")
        if self.problem:
            return Reading((), cursor, problem=self.problem)
        return Reading(self.strata, f"{cursor}|", complete=False, until=self.until)

    def inspect(self, versions, now):
        return [Inspection("here", tuple(Seen(version, 1) for version in versions))]


def stratum(version, requests, weight=0, comparisons=0):
    return Stratum(version, 0.0, 1.0, weight, requests, comparisons=comparisons)


def read(users, mirrored, weights, cursor=""):
    return MirroredSource(users, mirrored).read(VERSIONS, weights, cursor, 1.0)


def test_while_requests_are_mirrored_the_collector_speaks_for_the_candidate():
    users, mirrored = Told(stratum("v1", 50, 100), stratum("v2", 0)), Told(stratum("v2", 20, 1, comparisons=5))
    reading = read(users, mirrored, MIRRORING)
    assert reading.strata == (stratum("v1", 50, 100), stratum("v2", 20, 0, comparisons=5))
    assert users.asked == [(VERSIONS, MIRRORING, "")]
    assert mirrored.asked == [(["v2"], {"v2": 1}, "")], "it must have counts of it"


def test_copies_that_the_candidates_server_counts_too_are_counted_once():
    users, mirrored = Told(stratum("v1", 50, 100), stratum("v2", 20)), Told(stratum("v2", 20, 1))
    both = MirroredSource(users, mirrored)
    assert both.read(VERSIONS, MIRRORING, "", 1.0).strata == (stratum("v1", 50, 100), stratum("v2", 20))
    mirrored.strata = ()
    assert both.read(VERSIONS, MIRRORING, "", 2.0).strata == (stratum("v1", 50, 100),), "its server's may come late"
    assert both.read(VERSIONS, SPLIT, "", 3.0).strata == users.strata
    assert both.read(VERSIONS, MIRRORING, "", 4.0).strata == users.strata, (
        "testers', who are sent to it without a share"
    )


def test_with_users_of_its_own_the_proxy_does_and_a_collector_that_is_idle_adds_nothing():
    users, mirrored = Told(stratum("v1", 50, 90), stratum("v2", 6, 10)), Told(stratum("v2", 0))
    assert read(users, mirrored, SPLIT).strata == users.strata
    assert mirrored.asked == [(["v2"], {}, "")]


def test_what_both_have_counted_of_a_change_of_weights_is_taken_from_both():
    users, mirrored = Told(stratum("v2", 6, 10)), Told(stratum("v2", 3, 1, comparisons=1))
    assert read(users, mirrored, SPLIT).strata == (stratum("v2", 6, 10), stratum("v2", 3, 10, comparisons=1))


@pytest.mark.parametrize("trouble", [{"problem": "gone"}, {"away": True}])
def test_a_collector_that_is_away_is_a_problem_only_while_requests_are_mirrored(trouble):
    users = Told(stratum("v1", 50, 90), stratum("v2", 6, 10))
    while_mirroring = read(users, Told(**trouble), MIRRORING, '["a", "b"]')
    assert while_mirroring.problem
    assert (while_mirroring.strata, while_mirroring.cursor) == ((), '["a", "b"]')
    afterwards = read(users, Told(**trouble), SPLIT, '["a", "b"]')
    assert (afterwards.problem, afterwards.strata, afterwards.cursor) == ("", users.strata, '["a|", "b"]')


def test_what_both_tell_ends_with_the_one_that_is_behind():
    users, mirrored = Told(stratum("v1", 50, 90), until=40.0), Told(until=30.0)
    assert read(users, mirrored, MIRRORING).until == 30.0
    assert read(users, mirrored, SPLIT).until == 40.0, "the collector may have ended"
    assert read(users, Told(), MIRRORING).until == 40.0
    assert read(Told(), Told(), MIRRORING).until is None, "all that there is up to now"


class Ticking:
    """Counts ten requests of a version a second, and tells them up to its last multiple of ``every``, ``delay`` seconds late."""

    def __init__(self, version, every=1.0, delay=0.0, since=math.inf):
        self.version, self.every, self.delay, self.since = version, every, delay, since

    def read(self, versions, weights, cursor, now):
        until = (now - self.delay) // self.every * self.every
        start = float(cursor or until)
        if until <= start:
            return Reading((), cursor or str(until), until=until)
        failures = {"http-500": round(10 * (until - max(start, self.since)))} if until > self.since else {}
        told = Stratum(self.version, start, until, 100, round(10 * (until - start)), failures)
        return Reading((told,), str(until), until=until)


def looks(users, mirrored, seconds, step=1.0):
    """All that is told in looks ``step`` seconds apart, and the longest cursor."""
    source, cursor, told, longest, now = MirroredSource(users, mirrored), "", [], 0, 1000.25
    while now < 1000 + seconds:
        reading = source.read(VERSIONS, MIRRORING, cursor, now)
        assert all(one.end <= reading.until for one in reading.strata)
        cursor, now = reading.cursor, now + step
        told += reading.strata
        longest = max(longest, len(cursor))
    return told, longest


@pytest.mark.parametrize(
    ("every", "delay"), [(1.0, 0.0), (15.0, 0.0), (5.0, 0.0), (1.0, 6.0), (1.0, 30.0), (15.0, 40.0)]
)
def test_what_the_collector_counts_is_told_with_the_users_of_the_same_time(every, delay):
    """Its looks are a second apart, and end a quarter of one after the users' windows."""
    collector = Ticking("v2", 0.25)
    told, _ = looks(Ticking("v1", every, delay), collector, 120)
    windows = {(one.start, one.end): one.requests for one in told if one.version == "v1"}
    own = {(one.start, one.end): one.requests for one in told if one.version == "v2"}
    beside = {span for span in windows if span[0] >= 1001}  # before, the collector had not been read
    assert len(beside) >= (120 - delay - every) // every - 1
    assert beside <= own.keys() <= windows.keys()
    assert {own[span] for span in beside} <= {round(10 * every), *range(round(10 * every) - 3, round(10 * every) + 3)}


def test_when_the_copies_failed_is_not_forgotten_while_they_wait():
    told, _ = looks(Ticking("v1", 1.0, 30.0), Ticking("v2", 0.25, since=1060.25), 120)
    assert {one.end for one in told if one.errors} == {float(end) for end in range(1061, 1090)}


def test_few_of_them_wait_however_late_the_users_are(monkeypatch):
    monkeypatch.setattr("fairway_steps.metrics.mirrored.MOST", 20)
    told, longest = looks(Ticking("v1", 1.0, 100.0), Ticking("v2", 0.25), 250)
    assert longest < 5_000
    own = [one for one in told if one.version == "v2"]
    assert abs(sum(one.requests for one in own) - 10 * (max(one.end for one in own) - 1000.25)) < 10, "none is lost"


def test_what_a_collector_that_was_away_tells_at_once_keeps_its_beginning():
    cursor = json.dumps(["1050.0", "1000.25"])
    reading = MirroredSource(Ticking("v1", 15.0), Ticking("v2", 0.25)).read(VERSIONS, SPLIT, cursor, 1065.25)
    assert [(one.version, one.start, one.end) for one in reading.strata] == [
        ("v1", 1050.0, 1065.0),
        ("v2", 1000.25, 1065.0),
    ]


def test_a_proxy_that_is_away_always_is_one():
    for weights in (MIRRORING, SPLIT):
        reading = read(Told(problem="gone"), Told(stratum("v2", 1)), weights, '["a", "b"]')
        assert (reading.problem, reading.strata, reading.cursor) == ("gone", (), '["a", "b"]')


def test_each_source_goes_on_from_its_own_cursor():
    users, mirrored = Told(), Told()
    first = read(users, mirrored, {})
    second = read(users, mirrored, MIRRORING, first.cursor)
    assert second.cursor == '["||", "||"]'
    assert [asked[2] for asked in users.asked] == [asked[2] for asked in mirrored.asked] == ["", "|"]
    with pytest.raises(UsageError, match="cursor"):
        read(users, mirrored, MIRRORING, "7")


def test_both_are_inspected_for_what_is_theirs():
    users, mirrored = MirroredSource(Told(), Told()).inspect(VERSIONS, 1.0)
    assert [seen.version for seen in users.seen] == VERSIONS
    assert (["v2"], {"mirrored"}) == ([seen.version for seen in mirrored.seen], set(mirrored.parts))


def test_it_is_opened_as_a_pair_whose_first_may_be_a_pair_itself():
    scrape = "scrape:http://127.0.0.1:1/metrics#preset="
    pair = "{requests: '" + scrape + "envoy', latency: '" + scrape + "kserve'}"
    opened = open_source(f"{{users: {pair}, mirrored: '{scrape}collector'}}", "iris")
    assert isinstance(opened, MirroredSource)
