"""Counts while a run goes on, and whether they decide. Left out: the e-processes themselves (stats/test_rate.py)."""

import math
from array import array

import pytest

from fairway_steps.loadtest.client import Answer
from fairway_steps.loadtest.decision import Bound, decided
from fairway_steps.loadtest.tally import Count, Tally, merge, pooled
from fairway_steps.stats.rate import log_e_violated

SECOND = 1_000_000_000


def tally(**fields) -> Tally:
    offsets = array("q", [i * SECOND // 4 for i in range(12)])  # four a second
    return Tally(offsets, fields.get("warm_up", 0), (0.1, 0.2), "v2")


def test_a_second_counts_when_its_last_request_has_ended():
    counting = tally()
    for index in (0, 1, 3, 4, 5, 6, 7):
        counting.ended(index, 150_000_000, Answer(200, ""))
    assert counting.closed(oldest=2) == {}
    counting.ended(2, 250_000_000, Answer(0, "timeout"))
    assert counting.closed(oldest=8) == {"v2": Count(8, 1, [8, 1])}
    assert counting.closed(oldest=8) == {"v2": Count(8, 1, [8, 1])}


def test_the_last_second_counts_when_all_is_over():
    counting = tally()
    counting.ended(11, 0, Answer(200, ""))
    assert counting.closed(oldest=11) == {}
    assert counting.closed(oldest=12) == {"v2": Count(1, 0, [0, 0])}


def test_the_warm_up_and_what_we_cancelled_do_not_count():
    counting = tally(warm_up=2)
    counting.ended(1, 0, Answer(200, ""))
    counting.ended(2, 0, Answer(0, "cancelled"))
    assert counting.closed(12) == {}


def test_versions_are_told_apart_and_put_together():
    counting = tally()
    counting.ended(0, 0, Answer(200, "", "v1"))
    counting.ended(1, 0, Answer(500, "http-500", ""))
    counts = counting.closed(12)
    assert counts == {"v1": Count(1, 0, [0, 0]), "v2": Count(1, 1, [1, 1])}
    assert pooled(counts, "v1") == Count(1, 0, [0, 0])
    assert pooled(counts, "") == Count(2, 1, [1, 1])
    assert pooled(counts, "v3") == Count()
    merge(counts, counts)
    assert counts["v2"] == Count(2, 2, [2, 2])


BOUNDS = [Bound("errors of 1%", 0.01, least=50), Bound("p95 of 100ms", 0.05, 0, least=50)]


@pytest.mark.parametrize(
    ("count", "why"),
    [
        (Count(0, 0, []), ""),
        (Count(40, 0, [0]), ""),
        (Count(416, 0, [0]), ""),  # 417 prove 1 %, by assessment.md
        (Count(417, 0, [0]), "every limit is kept, proved by 417 requests"),
        (Count(30, 30, [0]), "errors of 1% is broken: 30 of 30 requests"),
        (Count(300, 0, [60]), "p95 of 100ms is broken: 60 of 300 requests"),
    ],
)
def test_a_run_ends_when_all_is_proved_or_one_is_broken(count: Count, why: str):
    assert decided(BOUNDS, count) == why
    assert decided([], count) == ""


def test_limits_share_the_chance_of_a_wrong_end():
    """4 of 7 break 5 % at ln 20, but not at ln 40, the bar when there are two limits."""
    count = Count(7, 4, [4])
    lone, two = log_e_violated(4, 7, 0.05), math.log(40)
    assert math.log(20) <= lone < two
    assert decided([Bound("p95", 0.05, 0)], count) == "p95 is broken: 4 of 7 requests"
    assert decided([Bound("p95", 0.05, 0), Bound("other", 0.9, 0)], count) == ""
