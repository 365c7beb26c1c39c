"""Who wins among several versions: by intervals, by expected loss, and exactly for values from 0 to 1.

Checked by simulation, against the closed form for two Beta posteriors, against draws, and against confseq's empirical Bernstein
sequence. Left out: the interval of one difference (test_reward).
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from fairway_steps import codec
from fairway_steps.stats.bounded import BoundedMean
from fairway_steps.stats.expected_loss import mean_loss, rate_loss
from fairway_steps.stats.reward import Moments, difference_interval
from fairway_steps.stats.winner import beats_primary, winner


def arms(n=2000, seed=1, **means):
    rng = np.random.default_rng(seed)
    return {name: Moments().update(rng.normal(mean, 1, n)) for name, mean in means.items()}


def test_the_best_wins_and_the_worse_are_dropped():
    found = winner(arms(a=0, b=0.3, c=0.05, d=-0.4))
    assert (found.best, found.decided, set(found.dropped)) == ("b", True, {"a", "c", "d"})
    assert all(low > 0 for low, _ in found.leads.values())
    lowest = winner(arms(a=0, b=0.3, c=0.05, d=-0.4), higher_is_better=False)
    assert (lowest.best, lowest.decided) == ("d", True)


def test_each_pair_gets_its_share_of_alpha():
    four = arms(a=0, b=0.3, c=0.05, d=-0.4)
    assert winner(four).leads["c"] == difference_interval(four["b"], four["c"], 0.05 / 6)
    flipped = winner(four, higher_is_better=False).leads["c"]
    low, high = difference_interval(four["d"], four["c"], 0.05 / 6)
    assert flipped == (-high, -low)


def test_equals_are_not_told_apart_unless_that_does_not_matter():
    equal = arms(a=0, b=0, c=0)
    assert not winner(equal).decided
    assert winner(equal, indifference=0.5).decided
    assert winner(arms(n=50, a=0, b=9)).missing == 50
    assert not winner(arms(n=50, a=0, b=9)).decided


def test_names_and_order_decide_nothing():
    found = winner(arms(a=0, b=0.3, c=0.05))
    renamed = {{"a": "x", "b": "y", "c": "z"}[name]: arm for name, arm in reversed(arms(a=0, b=0.3, c=0.05).items())}
    again = winner(renamed)
    assert (again.best, again.decided, set(again.dropped)) == ("y", found.decided, {"x", "z"})


def test_no_wrong_winner_is_declared_under_looks_all_along():
    rng = np.random.default_rng(7)
    wrong = decided = 0
    for _ in range(60):
        state = {name: Moments() for name in "abcd"}
        for _ in range(24):
            state = {n: m.update(rng.normal(0.2 if n == "d" else 0, 1, 100)) for n, m in state.items()}
            found = winner(state)
            if found.decided:
                decided += 1
                wrong += found.best != "d"
                break
    assert wrong <= 3  # 5 % of 60
    assert decided >= 55


def test_better_than_the_primary_is_asked_of_each_candidate():
    three = arms(p=0, better=0.3, same=0.0)
    assert beats_primary(three, "p") == ("better",)
    assert beats_primary(three, "p", higher_is_better=False) == ()
    assert beats_primary(arms(n=50, p=0, better=9), "p") == ()


def closed_form(a, b, c, d):
    """E[(Y - X)+] for X of Beta(a, b) and Y of Beta(c, d) with whole c (Stucchio 2015, after Miller 2014)."""

    def h(a, b, c, d):  # P(X > Y)
        j = np.arange(int(c))
        logs = special.betaln(a + j, b + d) - np.log(d + j) - special.betaln(1 + j, d) - special.betaln(a, b)
        return 1 - np.exp(logs).sum()

    up = math.exp(special.betaln(c + 1, d) - special.betaln(c, d)) * (1 - h(a, b, c + 1, d))
    return up - math.exp(special.betaln(a + 1, b) - special.betaln(a, b)) * (1 - h(a + 1, b, c, d))


def test_the_expected_loss_of_two_rates_is_the_closed_form():
    found = rate_loss({"a": (20, 100), "b": (25, 100)})
    assert found.best == "b"
    assert found.losses["a"] == pytest.approx(closed_form(21, 81, 26, 76), abs=1e-9)
    assert found.losses["b"] == pytest.approx(closed_form(26, 76, 21, 81), abs=1e-9)
    lower = rate_loss({"a": (20, 100), "b": (25, 100)}, higher_is_better=False)
    assert lower.losses["a"] == pytest.approx(found.losses["b"], abs=1e-9)


def test_the_expected_loss_of_several_is_that_of_draws():
    data = {"a": (20, 100), "b": (25, 100), "c": (240, 1000)}
    found = rate_loss(data)
    rng = np.random.default_rng(9)
    draws = np.array([rng.beta(1 + s, 1 + n - s, 400_000) for s, n in data.values()])
    for k, name in enumerate(data):
        assert found.losses[name] == pytest.approx((draws.max(axis=0) - draws[k]).mean(), abs=3e-4)
        assert found.probability[name] == pytest.approx((draws.argmax(axis=0) == k).mean(), abs=4e-3)
    assert sum(found.probability.values()) == pytest.approx(1, abs=1e-9)


def test_the_expected_loss_of_means():
    found = mean_loss(arms(n=500, a=0, b=0.1, c=0.12))
    assert min(found.losses, key=found.losses.get) == found.best
    assert sum(found.probability.values()) == pytest.approx(1, abs=1e-9)
    scaled = {
        n: Moments(m.n, 1000 * m.origin, 1000 * m.total, 1e6 * m.squares)
        for n, m in arms(n=500, a=0, b=0.1, c=0.12).items()
    }
    for name, loss in mean_loss(scaled).losses.items():
        assert loss == pytest.approx(1000 * found.losses[name], rel=1e-9)


def test_the_empirical_bernstein_sequence_is_confseqs():
    # confseq.predmix.predmix_empbern_cs (PyPI confseq 0.0.11), its definition written out value by value.
    x = np.random.default_rng(0).beta(10, 30, 400)
    alpha, low, high = 0.05, 0.0, 1.0
    total = spread = bets = weighed = cost = 0.0
    for t, value in enumerate(x, 1):
        before = (0.5 + total) / t
        bet = min(math.sqrt(2 * math.log(2 / alpha) / ((0.25 + spread) / t * t * math.log(1 + t))), 0.5)
        total += value
        spread += (value - (0.5 + total) / (t + 1)) ** 2
        bets, weighed = bets + bet, weighed + bet * value
        cost += 4 * (value - before) ** 2 * (-math.log(1 - bet) - bet) / 4
        half = (math.log(2 / alpha) + cost) / bets
        low, high = max(low, weighed / bets - half), min(high, weighed / bets + half)
    assert BoundedMean().update(x).interval == pytest.approx((low, high), abs=1e-10)


@given(st.lists(st.floats(0, 1), max_size=60), st.integers(0, 60))
def test_a_bounded_mean_gives_the_same_bits_for_any_grouping(data, cut):
    first = codec.decode(BoundedMean, codec.encode(BoundedMean().update(data[:cut])))
    assert first.update(data[cut:]) == BoundedMean().update(data)
    low, high = BoundedMean().update(data).interval
    assert 0 <= low <= high <= 1


def test_a_bounded_mean_misses_rarely_under_looks_at_every_value():
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(300):
        low, high = BoundedMean().update(rng.binomial(1, 0.2, 600)).interval
        missed += not low <= 0.2 <= high
    assert missed <= 15  # 5 % of 300


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: winner(arms(a=0)), "1 versions cannot be ranked"),
        (lambda: winner({str(k): Moments() for k in range(9)}), "9 versions cannot be ranked"),
        (lambda: winner(arms(a=0, b=1), indifference=-1), "an indifference of -1 is negative"),
        (lambda: beats_primary(arms(a=0, b=1), "c"), "'c' is not among the versions"),
        (lambda: rate_loss({"a": (1, 2)}), "there is nothing to compare"),
        (lambda: rate_loss({"a": (3, 2), "b": (1, 2)}), "3 errors of 2 requests cannot be"),
        (lambda: mean_loss({"a": Moments(), "b": Moments()}), "a needs at least 3 rewards that are not all the same"),
        (lambda: BoundedMean().update([1.5]), "a value of 1.5 is not between 0 and 1"),
        (lambda: BoundedMean().update([-0.5, 1.5]), "a value of -0.5 is not between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
