"""Users' requests from one source and mirrored ones from another: whose counts are taken when, and which of the two may be away.

Left out: what each source reads (test_scrape.py, test_presets.py).
"""

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
