"""The e-process of a traffic split against its weights. Left out: who asks for it and what an alarm leads to."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.stats.traffic import log_e_split


def test_a_hand_computed_value():
    # Concentration 2 at even shares is the uniform prior: E = n1! n2! / (n + 1)! * 2^n = 3! 1! / 5! * 16
    assert log_e_split([3, 1], [0.5, 0.5], concentration=2) == pytest.approx(math.log(16 * 6 / 120), abs=1e-12)


def test_a_split_as_asked_raises_no_alarm_and_another_does():
    assert log_e_split([9000, 1000], [0.9, 0.1]) < 0
    assert log_e_split([9500, 500], [0.9, 0.1]) > math.log(20)
    assert log_e_split([100, 1], [1.0, 0.0]) == math.inf
    assert log_e_split([100, 0], [1.0, 0.0]) == pytest.approx(0, abs=1e-9)
    assert log_e_split([0, 0], [0.9, 0.1]) == 0


def test_false_alarms_are_rare_under_a_look_at_every_request():
    rng = random.Random(7)
    alarms = 0
    for _ in range(200):
        counts = [0, 0]
        for _ in range(400):
            counts[rng.random() < 0.1] += 1
            if log_e_split(counts, [0.9, 0.1]) >= math.log(20):
                alarms += 1
                break
    assert alarms <= 10  # 5 % of 200


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=3))
def test_the_next_request_is_worth_one_on_average(counts):
    shares = [0.7, 0.2, 0.1]
    now = log_e_split(counts, shares)
    after = [log_e_split([c + (i == j) for j, c in enumerate(counts)], shares) for i in range(3)]
    mean = sum(share * math.exp(log_e - now) for share, log_e in zip(shares, after, strict=True))
    assert mean == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "shares"), [([1], [0.5, 0.5]), ([-1, 2], [0.5, 0.5]), ([1, 2], [0.5, 0.6]), ([1, 2], [1.5, -0.5])]
)
def test_what_cannot_be_is_refused(counts, shares):
    with pytest.raises(ValueError, match="are not"):
        log_e_split(counts, shares)
