"""The e-process of a rate against its limit, its interval and its sample sizes.

Checked against published and recomputed numbers, against high-precision arithmetic, by exact enumeration of the
error it promises, and by the properties that hold for all counts. Left out: what verdicts are made of it.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway_steps import codec
from fairway_steps.stats.rate import (
    RateVsLimit,
    by_chance,
    confidence_interval,
    log_e_met,
    log_e_mets,
    log_e_violated,
    log_e_violateds,
    requests_to_prove,
)

LOG_20 = math.log(20)
limits = st.sampled_from([1e-4, 0.001, 0.01, 0.05, 0.3, 0.9])


@st.composite
def counts(draw, most=3000):
    n = draw(st.integers(0, most))
    return draw(st.integers(0, n)), n


def exact_log_e(errors: int, n: int, limit: Fraction, *, above: bool) -> float:
    """The mixture by exact rational arithmetic: Beta(1, b) with whole b, through the binomial sum of DLMF 8.17.5."""
    b = (1 - limit) / limit
    assert b.denominator == 1

    def mass(shape_a: int, shape_b: int) -> Fraction:
        m = shape_a + shape_b - 1
        below = sum(math.comb(m, j) * limit**j * (1 - limit) ** (m - j) for j in range(shape_a, m + 1))
        beta = Fraction(math.factorial(shape_a - 1) * math.factorial(shape_b - 1), math.factorial(m))
        return beta * (1 - below if above else below)

    ratio = mass(1 + errors, int(b) + n - errors) / mass(1, int(b)) / limit**errors / (1 - limit) ** (n - errors)
    return math.log(ratio.numerator) - math.log(ratio.denominator)


@pytest.mark.parametrize(
    ("errors", "n", "limit"), [(0, 60, 1e-3), (2, 60, 1e-3), (4, 60, 0.01), (60, 60, 0.3), (12, 500, 0.01)]
)
def test_how_likely_chance_is_by_whole_numbers(errors, n, limit):
    p = Fraction(str(limit))
    tail = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(errors, n + 1))
    assert by_chance(errors, n, limit) == pytest.approx(float(tail), rel=1e-12)


def test_reference_values():
    # Recomputed with confseq's one-sided beta-binomial bound (g = p0, h = 1 - p0, a = r/h, b = r/g): the same to 1e-9.
    assert log_e_violated(20, 1000, 0.01) == pytest.approx(3.0210289003, abs=1e-9)
    assert log_e_met(2, 1000, 0.01) == pytest.approx(3.9855365045, abs=1e-9)


@pytest.mark.parametrize(
    ("errors", "n", "limit"),
    [
        (0, 0, "1/100"),
        (3, 60, "1/10"),
        (0, 40, "1/4"),
        (40, 40, "1/4"),
        (0, 600, "1/2"),
        (600, 600, "1/2"),
        (9, 500, "1/20"),
    ],
)
def test_exact_rational_arithmetic_agrees(errors, n, limit):
    limit = Fraction(limit)
    assert log_e_violated(errors, n, float(limit)) == pytest.approx(exact_log_e(errors, n, limit, above=True), abs=1e-8)
    assert log_e_met(errors, n, float(limit)) == pytest.approx(exact_log_e(errors, n, limit, above=False), abs=1e-8)


@pytest.mark.parametrize(("errors", "n"), [(0, 3000), (3000, 3000), (1500, 3000)])
def test_far_in_the_tails_where_the_beta_function_underflows(errors, n):
    limit = Fraction(1, 2) if errors == 0 else Fraction(1, 10)
    for above, log_e in ((True, log_e_violated), (False, log_e_met)):
        assert log_e(errors, n, float(limit)) == pytest.approx(exact_log_e(errors, n, limit, above=above), rel=1e-10)


def test_no_evidence_without_requests():
    assert log_e_violated(0, 0, 0.01) == 0
    assert log_e_met(0, 0, 0.01) == 0
    assert confidence_interval(0, 0, 0.01) == (0, 1)


def test_a_limit_of_zero_is_broken_by_the_first_error_and_never_proved():
    assert log_e_violated(0, 10_000, 0.0) == 0
    assert log_e_violated(1, 10_000, 0.0) == math.inf
    assert log_e_met(0, 10_000, 0.0) == 0
    assert confidence_interval(0, 1000, 0.0)[1] < 0.01
    with pytest.raises(ValueError, match="cannot be proved"):
        requests_to_prove(0.0)


@pytest.mark.parametrize(
    ("errors", "n", "limit"), [(-1, 5, 0.1), (6, 5, 0.1), (1, 5, 1.0), (1, 5, -0.1), (1, 5, math.nan)]
)
def test_what_cannot_be_is_refused(errors, n, limit):
    for function in (log_e_violated, log_e_met, confidence_interval):
        with pytest.raises(ValueError, match=r"cannot be|is not a share"):
            function(errors, n, limit)


def test_requests_to_prove_a_limit():
    # Limits of 5, 1 and 0.1 %, with no error and with two; a test at one fixed n needs 59, 299 and 2995 without errors.
    assert [requests_to_prove(limit) for limit in (0.05, 0.01, 0.001)] == [82, 417, 4188]
    assert [requests_to_prove(limit, 2) for limit in (0.05, 0.01, 0.001)] == [170, 862, 8645]


def test_the_false_alarm_is_at_most_five_percent_by_exact_enumeration():
    # Dynamic programming over the number of errors: the probability that E reaches 20 at any of 2,000 looks, p = p0 = 1 %.
    rate, horizon = 0.01, 2000
    alive, ever, bar = np.zeros(horizon + 2), 0.0, 1
    alive[0] = 1.0
    for n in range(1, horizon + 1):
        alive[1:] = alive[1:] * (1 - rate) + alive[:-1] * rate
        alive[0] *= 1 - rate
        while bar <= n and log_e_violated(bar, n, rate) < LOG_20:
            bar += 1
        ever += alive[bar:].sum()
        alive[bar:] = 0.0
    assert 0.01 < ever <= 0.05


def test_the_false_promotion_is_at_most_five_percent_by_exact_enumeration():
    rate, horizon = 0.01, 2000
    alive, ever, bar = np.zeros(horizon + 2), 0.0, -1
    alive[0] = 1.0
    for n in range(1, horizon + 1):
        alive[1:] = alive[1:] * (1 - rate) + alive[:-1] * rate
        alive[0] *= 1 - rate
        while log_e_met(bar + 1, n, rate) >= LOG_20:
            bar += 1
        ever += alive[: bar + 1].sum()
        alive[: bar + 1] = 0.0
    assert 0.005 < ever <= 0.05


@pytest.mark.parametrize("errors", [0, 1, 1_000, 9_000_000, 10_000_000, 11_000_000, 500_000_000, 1_000_000_000])
@pytest.mark.parametrize("limit", [1e-6, 0.01, 0.5])
def test_a_thousand_million_requests_overflow_nothing(errors, limit):
    n = 1_000_000_000
    violated, met = log_e_violated(errors, n, limit), log_e_met(errors, n, limit)
    low, high = confidence_interval(errors, n, limit)
    assert math.isfinite(violated)
    assert math.isfinite(met)
    assert (violated > LOG_20) == (low > limit)
    assert (met > LOG_20) == (high < limit)
    assert 0 <= low <= errors / n <= high <= 1


@given(counts(), limits)
def test_more_errors_are_never_better(pair, limit):
    errors, n = pair
    if errors < n:
        assert log_e_violated(errors + 1, n, limit) >= log_e_violated(errors, n, limit) - 1e-9
        assert log_e_met(errors + 1, n, limit) <= log_e_met(errors, n, limit) + 1e-9


@given(counts(), limits)
def test_one_more_success_is_never_worse(pair, limit):
    errors, n = pair
    assert log_e_violated(errors, n + 1, limit) <= log_e_violated(errors, n, limit) + 1e-9
    assert log_e_met(errors, n + 1, limit) >= log_e_met(errors, n, limit) - 1e-9


@given(counts(), limits)
def test_no_counts_prove_both(pair, limit):
    assert min(log_e_violated(*pair, limit), log_e_met(*pair, limit)) < LOG_20


@given(counts(500), limits)
def test_the_next_request_is_worth_one_on_average_at_the_limit(pair, limit):
    # The martingale itself: E(now) is the mean of E(after success) and E(after failure), weighted by the limit.
    errors, n = pair
    for log_e in (log_e_violated, log_e_met):
        now = log_e(errors, n, limit)
        mean = limit * math.exp(log_e(errors + 1, n + 1, limit) - now) + (1 - limit) * math.exp(
            log_e(errors, n + 1, limit) - now
        )
        assert mean == pytest.approx(1.0, abs=1e-6)


@given(counts(), limits, st.sampled_from([0.2, 0.05, 0.01]))
def test_the_interval_holds_the_observed_rate_and_widens_with_confidence(pair, limit, alpha):
    errors, n = pair
    low, high = confidence_interval(errors, n, limit, alpha)
    wider_low, wider_high = confidence_interval(errors, n, limit, alpha / 2)
    assert 0 <= wider_low <= low <= high <= wider_high <= 1
    if n:
        assert low <= errors / n <= high


@settings(max_examples=25)
@given(st.sampled_from([0.001, 0.01, 0.05, 0.3]), st.integers(0, 30))
def test_the_proof_needs_exactly_so_many_requests(limit, errors):
    n = requests_to_prove(limit, errors)
    assert log_e_met(errors, n, limit) >= LOG_20
    assert n - 1 < errors or log_e_met(errors, n - 1, limit) < LOG_20


@st.composite
def looks(draw, most=400, longest=8):
    pairs = []
    for _ in range(draw(st.integers(1, longest))):
        n = draw(st.integers(0, most))
        pairs.append((draw(st.integers(0, n)), n))
    return pairs


def state(pairs, limit=0.01):
    return RateVsLimit(limit).update([s for s, _ in pairs], [n for _, n in pairs])


@given(looks(), limits)
def test_the_state_holds_the_sums_and_the_largest_e_values_at_any_look(pairs, limit):
    test, errors, n = state(pairs, limit), 0, 0
    violated = met = 0.0
    for s, m in pairs:
        errors, n = errors + s, n + m
        violated = max(violated, log_e_violated(errors, n, limit))
        met = max(met, log_e_met(errors, n, limit))
    assert (test.errors, test.n) == (errors, n)
    assert (test.peak.violated, test.peak.met) == (violated, met)
    assert (test.now.violated, test.now.met) == (log_e_violated(errors, n, limit), log_e_met(errors, n, limit))


@given(looks(), st.integers(0, 8))
def test_any_grouping_of_looks_gives_the_same_bits(pairs, cut):
    first = codec.decode(RateVsLimit, codec.encode(state(pairs[:cut])))
    assert first.update([s for s, _ in pairs[cut:]], [n for _, n in pairs[cut:]]) == state(pairs)


@given(looks(), limits)
def test_a_stratum_split_into_two_looks_leaves_the_evidence_as_it_is(pairs, limit):
    split = [(s // 2, n // 2) for s, n in pairs] + [(s - s // 2, n - n // 2) for s, n in pairs]
    assert state(split, limit).now == state(pairs, limit).now
    assert state(split, limit).interval() == state(pairs, limit).interval()


@given(looks(), looks())
def test_what_a_retry_saw_is_joined(first, later):
    joined = state(first).then(state(later))
    assert joined.now == state([*first, *later]).now
    assert joined.peak.violated <= state([*first, *later]).peak.violated
    with pytest.raises(ValueError, match="does not continue"):
        state(first).then(state(later, 0.5))


def test_many_at_once_are_those_one_by_one():
    errors = [0, 3, 20, 500, 1000]
    assert log_e_violateds(errors, 1000, 0.01).tolist() == [log_e_violated(s, 1000, 0.01) for s in errors]
    assert log_e_mets(errors, 1000, 0.01).tolist() == [log_e_met(s, 1000, 0.01) for s in errors]


def test_the_largest_e_value_of_a_long_stream_is_found_without_computing_all():
    rng = np.random.default_rng(2)
    for rate in (0.004, 0.011, 0.02):
        n = rng.poisson(40, 3000)
        errors = rng.binomial(n, rate)
        test = RateVsLimit(0.01).update(errors, n)
        every = (
            log_e_violateds(np.cumsum(errors), np.cumsum(n), 0.01),
            log_e_mets(np.cumsum(errors), np.cumsum(n), 0.01),
        )
        assert test.peak.violated == max(0.0, every[0].max())
        assert test.peak.met == max(0.0, every[1].max())


def test_a_limit_of_zero_in_the_state():
    assert RateVsLimit(0.0).update(0, 5).peak.violated == 0
    assert RateVsLimit(0.0).update([0, 1], [5, 5]).peak.violated == math.inf
    with pytest.raises(ValueError, match="is not a share from 0 to below 1"):
        RateVsLimit(1.0)
