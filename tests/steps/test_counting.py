"""Covers: counts of a source of metrics as counters, how old they may be, and a source that is away or a file.

Leaves out: the sources (metrics/).
"""

import math

from fairway_steps.clock import FakeClock
from fairway_steps.counting import Counting
from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.base import Reading
from fairway_steps.model import Stratum


class Told:
    """A source that gives one reading after another."""

    def __init__(self, *readings):
        self.readings, self.cursors = list(readings), []

    def read(self, versions, weights, cursor, now):
        self.cursors.append(cursor)
        reading = self.readings.pop(0)
        if isinstance(reading, Exception):
            raise reading
        return reading


def counted(version, requests):
    return Stratum(version, 0.0, 1.0, 0, requests)


def test_strata_add_up_and_their_age_is_told():
    source = Told(
        Reading((), "a"),
        Reading((counted("v1", 3), counted("v2", 1)), "b", every=15.0),
        Reading((counted("v1", 2),), "c"),
    )
    served = Counting(lambda: source, ("v1", "v2"), FakeClock())
    assert served().by_version == {"v1": 0, "v2": 0}
    second = served()
    assert (second.by_version, second.requests, second.every, second.lasting) == ({"v1": 3, "v2": 1}, 4, 15.0, False)
    assert served().by_version == {"v1": 5, "v2": 1}
    assert source.cursors == ["", "a", "b"]


def test_a_source_that_is_away_stands_still_and_nothing_follows_from_that():
    problem = Reading((counted("v1", 9),), "x", problem="away")
    source = Told(TransientError("away"), Reading((counted("v1", 3),), "a"), problem, Reading((counted("v1", 1),), "b"))
    served = Counting(lambda: source, ("v1",), FakeClock())
    told = [served() for _ in range(4)]
    assert [(one.by_version["v1"], one.every) for one in told] == [(0, math.inf), (3, 0.0), (3, math.inf), (4, 0.0)]
    assert source.cursors == ["", "", "a", "a"], "a reading with a problem is none"


def test_a_source_that_cannot_be_opened_hinders_nobody(caplog):
    def opened():
        raise UsageError("metrics.yaml cannot be read")

    served = Counting(opened, ("v1",), FakeClock())
    assert [served().every, served().every] == [math.inf, math.inf]
    assert [one.message for one in caplog.records] == ["where requests go is not counted: metrics.yaml cannot be read"]


def test_a_file_counts_nothing():
    assert Counting(lambda: Told(Reading((counted("v1", 3),), "a", complete=True)), ("v1",), FakeClock())() is None
