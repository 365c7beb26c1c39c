"""Schedules: their count, order, distances and repeatability for any rate, and the plans that are refused.

Left out: whether the moments are kept, which is the engine's matter.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.plan import (
    MAX_REQUESTS,
    SECOND,
    WarmUp,
    arrivals,
    closed,
    constant,
    paired,
    poisson,
    replay,
)
from fairway_steps.loadtest.profile import parse_profile, steady

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
        ({"rate": 1}, "give one of the two"),
        ({"rate": 1, "seconds": 1, "warm_up": -1}, "a warm-up cannot be below 0"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_in_one_sentence(arguments, sentence):
    for make in (constant, lambda rate, **rest: poisson(rate, 1, **rest)):
        with pytest.raises(UsageError, match=sentence):
            make(**arguments)


def test_steps_ramps_and_pauses_follow_the_rate():
    plan = arrivals(parse_profile("10@1s,0@1s,20@1s,10..30@2s"))
    seconds = [at // SECOND for at in plan.offsets]
    assert [seconds.count(second) for second in range(5)] == [10, 0, 20, 15, 25]
    assert plan.rate == 70 / 5
    assert list(plan.offsets) == sorted(plan.offsets)


@given(st.floats(0, 50), st.floats(0.5, 50), st.floats(0.1, 3))
def test_a_ramp_has_as_many_arrivals_as_its_mean_says(start: float, end: float, seconds: float):
    for profile in (f"{start}..{end}@{seconds}", f"{end}..{start}@{seconds}"):
        plan = arrivals(parse_profile(profile))
        assert abs(len(plan) - (start + end) / 2 * seconds) <= 1
        assert plan.offsets[0] == 0
        assert plan.offsets[-1] < seconds * SECOND


def test_a_ramp_of_poisson_arrivals_is_that_of_rate_1_stretched():
    """Under the ramp's own clock the gaps are exponential of mean 1."""
    profile = parse_profile("20..200@20s")
    offsets = arrivals(profile, poisson=11).offsets
    marks = [profile.expected(at / SECOND) for at in offsets]
    gaps = sorted(b - a for a, b in zip([0.0, *marks], marks, strict=False))
    distance = max(abs((i + 0.5) / len(gaps) - (1 - math.exp(-gap))) for i, gap in enumerate(gaps))
    assert len(gaps) > 2000
    assert distance < 1.63 / math.sqrt(len(gaps))


def test_a_warm_up_goes_on_at_the_first_rate():
    plan = arrivals(parse_profile("10..30@1s"), warm_up=WarmUp(2.0))
    assert (plan.warm_up, len(plan)) == (20, 40)
    assert plan.offsets[20] == 2 * SECOND


def test_a_warm_up_by_number():
    plan = arrivals(parse_profile("10"), requests=5, warm_up=WarmUp(requests=3))
    assert (plan.warm_up, len(plan)) == (3, 8)
    plan = arrivals(parse_profile("10"), seconds=1.0, warm_up=WarmUp(requests=3))
    assert (plan.warm_up, len(plan)) == (3, 13)
    plan = arrivals(parse_profile("10@1s,20@1s"), warm_up=WarmUp(requests=5))
    assert (plan.warm_up, len(plan)) == (5, 35)
    plan = arrivals(parse_profile("10"), seconds=100.0, warm_up=WarmUp(requests=50), poisson=3)
    assert plan.offsets[plan.warm_up - 1] < 5 * SECOND <= plan.offsets[plan.warm_up]
    assert 900 < len(plan) < 1200
    assert 104 * SECOND < plan.offsets[-1] < 105 * SECOND


def test_a_trace_is_replayed_from_its_first_moment():
    plan = replay([100.0, 100.5, 102.0], speed=2.0)
    assert list(plan.offsets) == [0, SECOND // 4, SECOND]
    assert plan.rate == 2.0


def test_a_trace_may_be_cut_by_its_length_or_its_number():
    moments = [3.0, 3.5, 4.0, 4.5, 5.0]
    assert list(replay(moments, seconds=1.0).offsets) == [0, SECOND // 2]
    assert list(replay(moments, seconds=1.0, speed=2).offsets) == [0, SECOND // 4, SECOND // 2, 3 * SECOND // 4]
    assert replay(moments, requests=4).rate == 2
    warmed = replay(moments, requests=2, seconds=9.0, warm_up=WarmUp(1.0))
    assert (len(warmed), warmed.warm_up) == (4, 2)
    assert len(replay(moments, requests=2, seconds=0.2, warm_up=WarmUp(1.0))) == 3
    assert len(replay(moments, requests=2, warm_up=WarmUp(requests=1))) == 3
    assert len(replay(moments, seconds=1.0, warm_up=WarmUp(requests=1))) == 3


def test_of_a_duration_and_a_number_the_first_to_be_reached_ends_a_plan():
    for seconds, requests, length in ((1.0, 5, 5), (1.0, 500, 10)):
        assert len(constant(10, seconds=seconds, requests=requests)) == length
    assert len(constant(4000, seconds=1.0, requests=MAX_REQUESTS + 1)) == 4000
    assert len(constant(4000, seconds=36_000, requests=7)) == 7


@given(st.integers(2, 60), st.integers(0, 9))
def test_pairs_are_neighbours_and_no_order_is_favoured(requests: int, seed: int):
    whole = constant(100, requests=requests)
    one, other = paired(whole, seed)
    assert len(one) == len(other) == requests // 2
    for k, pair in enumerate(zip(one.offsets, other.offsets, strict=True)):
        assert sorted(pair) == list(whole.offsets[2 * k : 2 * k + 2])
    assert one.rate == other.rate == 50
    many, others = paired(constant(100, requests=2000), seed)
    firsts = sum(a < b for a, b in zip(many.offsets, others.offsets, strict=True))
    assert 400 < firsts < 600


@given(st.integers(0, 9), st.integers(1, 9), st.booleans())
def test_the_warm_up_of_pairs_is_the_same_on_both_sides(warm: int, requests: int, by_time: bool):
    """Due every 10 ms; an odd number of warm-up requests leaves one without a partner."""
    warm_up = WarmUp(warm / 100) if by_time else WarmUp(requests=warm)
    whole = arrivals(steady(100), requests=2 * requests, warm_up=warm_up)
    one, other = paired(whole, 1)
    assert one.warm_up == other.warm_up == warm // 2
    assert len(one) == len(other) == warm // 2 + requests
    assert sorted([*one.offsets[one.warm_up :], *other.offsets[one.warm_up :]]) == list(whole.offsets[warm:])


def test_how_many_requests_a_stalled_server_would_hold():
    assert constant(100, requests=500).at_once(2.0, 1000) == 201
    assert constant(100, requests=50).at_once(2.0, 1000) == 50
    assert constant(100, requests=500).at_once(2.0, 64) == 64
    assert replay([0, 10, 10, 10, 10.5, 20]).at_once(1.0, 1000) == 4


@given(st.integers(1, 5), st.integers(0, 20))
def test_shares_are_a_plan_dealt_out(workers: int, warm_up: int):
    plan = arrivals(steady(100), requests=50, warm_up=WarmUp(requests=warm_up))
    shares = [plan.share(worker, workers) for worker in range(workers)]
    assert [shares[i % workers].offsets[i // workers] for i in range(len(plan))] == list(plan.offsets)
    assert sum(share.warm_up for share in shares) == warm_up
    loop = closed(7, requests=20, warm_up=WarmUp(requests=warm_up))
    parts = [loop.share(worker, workers) for worker in range(workers)]
    assert (sum(p.users for p in parts), sum(p.requests for p in parts), sum(p.warm_up for p in parts)) == (
        7,
        20,
        warm_up,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("soon", "'soon' is not a number of requests per second"),
        ("10@", "'' is not a duration"),
        ("10@5s,20", "does not say how long '20' lasts"),
        ("10@0s", "lasts no time"),
        ("-1@5s", "'-1' cannot be"),
        ("0@5s", "is no load"),
        ("1..2", "does not say how long"),
        ("0", "a rate of 0"),
        ("nan", "a rate of nan"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_in_one_sentence(text: str, sentence: str):
    with pytest.raises(UsageError) as caught:
        parse_profile(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: replay([]), "the trace is empty"),
        (lambda: replay([1.0, 0.5]), "goes back in time at 0.5 s"),
        (lambda: replay([1.0], speed=0), "0 times its speed"),
        (lambda: replay([1.0], requests=0), "0 requests are no load"),
        (lambda: replay([1.0], seconds=1e-12), "the plan has no request"),
        (lambda: paired(constant(1, requests=1), 1), "cannot be sent to two endpoints"),
        (lambda: closed(1), "a closed loop lasts for"),
        (lambda: closed(1, requests=MAX_REQUESTS + 1), "more than the 10,000,000"),
        (lambda: arrivals(steady(1), requests=1, warm_up=WarmUp(1.0, 1)), "a warm-up lasts for a time or"),
        (lambda: replay([1.0, 2.0], warm_up=WarmUp(requests=5)), "leaves no request to measure"),
        (lambda: poisson(1, 4, seconds=0.001), "the plan has no request"),
    ],
)
def test_plans_of_other_kinds_are_refused_in_one_sentence(make, sentence: str):
    with pytest.raises(UsageError) as caught:
        make()
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("profile", "options", "rate"),
    [
        ("10@2s,100@2s", {"seconds": 2}, 10),
        ("10@2s,100@2s", {"requests": 120}, 40),
        ("10@2s,100@2s", {"requests": 1000}, 55),
        ("10..100@2s", {"warm_up": WarmUp(seconds=2)}, 55),
        ("10@2s,100@2s", {"warm_up": WarmUp(requests=20)}, 55),
        ("10", {"requests": 3, "warm_up": WarmUp(seconds=1)}, 10),
        ("10@1s,20@1s", {"warm_up": WarmUp(requests=30), "poisson": 1}, 15),
    ],
)
def test_the_nominal_rate_is_that_of_what_is_measured(profile: str, options: dict, rate: float):
    assert arrivals(parse_profile(profile), **options).rate == pytest.approx(rate)


@pytest.mark.parametrize(("moments", "speed"), [([0, 1e300], 1.0), ([0, 5], 1e-300), ([0, 5], 5e-324)])
def test_a_trace_that_never_ends_is_refused(moments: list[float], speed: float):
    with pytest.raises(UsageError, match=r"a request would be due after .* s; plan no more than a year"):
        replay(moments, speed=speed)
