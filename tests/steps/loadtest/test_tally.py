"""Counts while a run goes on. Left out: whether they decide (test_decision.py)."""

from array import array

import pytest

from fairway_steps.loadtest.client import Answer
from fairway_steps.loadtest.tally import Count, Tally, merge, pooled

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
    assert counting.closed(oldest=8) == {"v2": Count(8, 1, [8, 1], [0, 0])}
    assert counting.closed(oldest=8) == {"v2": Count(8, 1, [8, 1], [0, 0])}


def test_the_last_second_counts_when_all_is_over():
    counting = tally()
    counting.ended(11, 0, Answer(200, ""))
    assert counting.closed(oldest=11) == {}
    assert counting.closed(oldest=12) == {"v2": Count(1, 0, [0, 0], [0, 0])}


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
    assert counts == {"v1": Count(1, 0, [0, 0], [0, 0]), "v2": Count(1, 1, [1, 1], [0, 0])}
    assert pooled(counts, "v1") == Count(1, 0, [0, 0], [0, 0])
    assert pooled(counts, "") == Count(2, 1, [1, 1], [0, 0])
    assert pooled(counts, "v3") == Count()
    merge(counts, counts)
    assert counts["v2"] == Count(2, 2, [2, 2], [0, 0])


@pytest.mark.parametrize(
    ("late", "error", "moved"),
    [(0, "", [0, 0]), (50, "", [0, 0]), (51, "", [0, 1]), (200, "", [1, 1]), (200, "timeout", [0, 0])],
)
def test_what_is_over_a_limit_perhaps_by_the_clients_doing_is_told(late: int, error: str, moved: list[int]):
    counting = tally()
    counting.ended(0, 251_000_000, Answer(200, error), late * 1_000_000)
    assert counting.closed(12)["v2"].moved == moved
