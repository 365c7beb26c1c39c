"""Raw samples to counts: nothing lost, nothing taken twice, restarts seen, and what no restart explains.

Random histories of processes are cut into looks at random, late samples included; the sum must be what happened. Left out: what
the server itself does with samples (test_prometheus.py, against a real one).
"""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.metrics.counting import Series, count, group, key


def series(name: str, *samples: tuple[float, float], **labels: str) -> Series:
    return Series({"__name__": name, **labels}, samples)


def total(counted) -> float:
    return sum(value for _, value in counted.increments)


def test_the_first_look_counts_nothing_and_knows_where_to_go_on():
    first = count([series("r", (1, 5), (2, 9))], None)
    assert (first.increments, [list(p.values()) for p in first.points.values()]) == ([], [[(2, 9)]])
    assert total(count([series("r", (1, 5), (2, 9), (3, 11))], first.points)) == 2


def test_a_sample_that_was_taken_is_not_taken_again_however_long_the_window():
    points = count([series("r", (1, 5), (2, 9))], None).points
    for _ in range(3):
        counted = count([series("r", (1, 5), (2, 9))], points)
        assert total(counted) == 0
        points = counted.points


def test_a_series_that_comes_later_began_at_zero():
    points = count([series("r", (1, 5), code="200")], None, per_request=["code"]).points
    counted = count([series("r", (2, 6), code="200"), series("r", (2, 3), code="500")], points, per_request=["code"])
    assert sorted(value for _, value in counted.increments) == [1, 3]
    assert counted.newcomers == {}


def test_a_process_that_comes_later_is_told_and_began_at_zero_unless_it_had_counted_before():
    points = count([series("r", (1, 5), instance="a")], None).points
    new = series("r", (2, 70), (3, 75), instance="b")
    counted = count([new], points)
    assert (total(counted), list(counted.newcomers.values())) == (75, [(new.labels, 2)])
    counted = count([new], points, existed=counted.newcomers)
    assert total(counted) == 5
    assert total(count([series("r", (3, 75), (4, 80), instance="b")], counted.points)) == 5


def test_after_a_restart_all_that_a_counter_shows_is_new():
    points = count([series("r", (1, 50))], None).points
    assert total(count([series("r", (2, 60), (3, 4), (4, 9))], points)) == 10 + 9


def test_a_restart_is_seen_in_series_that_have_outgrown_their_old_value():
    before = [series("r", (1, 50), code="200"), series("r", (1, 2), code="500")]
    points = count(before, None, per_request=["code"]).points
    after = [series("r", (2, 40), code="200"), series("r", (2, 3), code="500")]
    counted = count(after, points, per_request=["code"])
    assert sorted(value for _, value in counted.increments) == [3, 40]


def test_a_series_that_is_absent_since_a_restart_begins_at_zero_when_it_comes_back():
    points = count(
        [series("r", (1, 50), code="200"), series("r", (1, 8), code="500")], None, per_request=["code"]
    ).points
    counted = count([series("r", (2, 4), code="200")], points, per_request=["code"])
    back = [series("r", (3, 5), code="200"), series("r", (3, 9), code="500")]
    assert total(count(back, counted.points, per_request=["code"])) == 1 + 9


def test_the_restart_of_one_process_is_none_of_another():
    points = count([series("r", (1, 50), instance="a"), series("r", (1, 50), instance="b")], None).points
    counted = count([series("r", (2, 3), instance="a"), series("r", (2, 51), instance="b")], points)
    assert sorted(value for _, value in counted.increments) == [1, 3]


@pytest.mark.parametrize(("low", "doubtful"), [(990, True), (500, True), (499, False), (0, False)])
def test_a_counter_that_goes_down_a_little_is_in_doubt(low, doubtful):
    points = count([series("r", (1, 1000))], None).points
    counted = count([series("r", (2, low))], points)
    assert [before for _, before in counted.doubtful.values()] == ([1] if doubtful else [])


def test_a_counter_that_stood_low_is_not_in_doubt():
    points = count([series("r", (1, 99))], None).points
    assert count([series("r", (2, 98))], points).doubtful == {}


def test_what_belongs_to_one_process_is_told_by_all_labels_but_the_requests_own():
    one = {"__name__": "a_bucket", "le": "5", "code": "200", "pod": "x"}
    other = {"__name__": "b", "code": "500", "pod": "x"}
    assert group(one, ["code"]) == group(other, ["code"])
    assert group(one) != group(other)
    assert group(one, ["code"]) != group({**other, "pod": "y"}, ["code"])
    assert key({"a": "1", "b": "2"}) == key({"b": "2", "a": "1"}) != key({"a": "2", "b": "1"})


@st.composite
def histories(draw):
    """Processes that count, restart, appear and end, scraped each at its own pace."""
    seed = draw(st.integers(0, 2**32))
    rng = random.Random(seed)
    scraped, truth = [], 0
    for instance in range(rng.randint(1, 4)):
        value, at, samples = 0, rng.uniform(0, 5), []
        started = rng.choice([0.0, rng.uniform(0, 60)])
        at += started
        while at < 100 and rng.random() > 0.01:
            if rng.random() < 0.05:
                value = 0
            done = rng.randint(0, 30)
            value += done
            truth += done
            samples.append((at, float(value)))
            at += rng.uniform(0.5, 5)
        scraped.append((f"p{instance}", samples))
    return scraped, truth, rng


@given(histories())
def test_looks_at_any_moments_count_each_request_once(history):
    """All begins at zero after the first look; a sample may come to be known up to 3 s after its time."""
    scraped, truth, rng = history
    points = count([], None).points
    seen, now = 0.0, 0.0
    while now < 110:
        before, now = now, now + rng.uniform(0.1, 20)
        window = now - before + 10
        known = []
        for name, samples in scraped:
            told = now - rng.uniform(0, 3)
            known.append(series("r", *[s for s in samples if now - window < s[0] <= told], instance=name))
        counted = count([one for one in known if one.samples], points)
        seen, points = seen + total(counted), counted.points
    assert seen == sum(_countable(samples) for _, samples in scraped)
    assert seen <= truth


def _countable(samples: list[tuple[float, float]]) -> float:
    """What any reader of the samples can know to have been counted."""
    values = [0.0, *(value for _, value in samples)]
    return sum(b - a if b >= a else b for a, b in pairwise(values))
