"""Schedules: their count, order, distances and repeatability for any rate, and the plans that are refused.

Left out: whether the moments are kept, which is the engine's matter.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.plan import MAX_REQUESTS, SECOND, constant, poisson

RATES = st.floats(0.01, 5000)


def test_constant_begins_at_once_and_keeps_its_distance():
    plan = constant(4, seconds=1)
    assert list(plan.offsets) == [0, 250_000_000, 500_000_000, 750_000_000]
    assert plan.rate == 4


@given(RATES, st.integers(1, 500))
def test_constant_by_count_never_drifts(rate: float, requests: int):
    plan = constant(rate, requests=requests)
    assert len(plan) == requests
    assert all(abs(at - i * SECOND / rate) <= 1 for i, at in enumerate(plan.offsets))


@given(RATES, st.floats(0.01, 0.5))
def test_constant_by_duration_fills_it_and_no_more(rate: float, seconds: float):
    plan = constant(rate, seconds=seconds)
    assert plan.offsets[-1] < round(seconds * SECOND)
    assert len(plan) * SECOND / rate >= seconds * SECOND - 2


@given(RATES, st.integers(1, 300), st.integers(0, 2**32))
def test_poisson_rises_and_repeats_with_its_seed(rate: float, requests: int, seed: int):
    plan = poisson(rate, seed, requests=requests)
    assert len(plan) == requests
    assert list(plan.offsets) == sorted(plan.offsets)
    assert plan.offsets == poisson(rate, seed, requests=requests).offsets


def test_poisson_gaps_are_exponential():
    rate, n = 200.0, 5000
    offsets = poisson(rate, 7, requests=n).offsets
    gaps = sorted((b - a) / SECOND for a, b in zip([0, *offsets], offsets, strict=False))
    distance = max(abs((i + 0.5) / n - (1 - math.exp(-rate * gap))) for i, gap in enumerate(gaps))
    assert distance < 1.63 / math.sqrt(n)  # Kolmogorov-Smirnov at 1 %, and the seed is fixed


def test_poisson_differs_by_seed():
    assert poisson(10, 1, requests=5).offsets != poisson(10, 2, requests=5).offsets


@given(RATES, st.floats(0, 1), st.integers(1, 50))
def test_the_warm_up_comes_in_addition(rate: float, warm_up: float, requests: int):
    for plan in (
        constant(rate, requests=requests, warm_up=warm_up),
        poisson(rate, 3, requests=requests, warm_up=warm_up),
    ):
        assert len(plan) == plan.warm_up + requests
        begin = round(warm_up * SECOND)
        assert all(at < begin for at in plan.offsets[: plan.warm_up])
        assert all(at >= begin for at in plan.offsets[plan.warm_up :])


def test_the_warm_up_comes_before_a_duration():
    plan = constant(10, seconds=2, warm_up=1)
    assert (plan.warm_up, len(plan)) == (10, 30)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate": 0, "seconds": 1}, "a rate of 0"),
        ({"rate": -1, "seconds": 1}, "a rate of -1"),
        ({"rate": math.nan, "seconds": 1}, "a rate of nan"),
        ({"rate": math.inf, "seconds": 1}, "a rate of inf"),
        ({"rate": 1e6, "seconds": 1}, "over the 50000"),
        ({"rate": 1, "seconds": 0}, "a duration of 0"),
        ({"rate": 1, "seconds": math.inf}, "a duration of inf"),
        ({"rate": 1, "requests": 0}, "0 requests"),
        ({"rate": 1, "requests": MAX_REQUESTS + 1}, "more than the 10,000,000"),
        ({"rate": 5000, "seconds": 3600}, "about 18,000,000 requests"),
        ({"rate": 1, "seconds": 1, "requests": 1}, "give one of the two"),
        ({"rate": 1}, "give one of the two"),
        ({"rate": 1, "seconds": 1, "warm_up": -1}, "a warm-up cannot be below 0"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_in_one_sentence(arguments, sentence):
    for make in (constant, lambda rate, **rest: poisson(rate, 1, **rest)):
        with pytest.raises(UsageError, match=sentence):
            make(**arguments)
