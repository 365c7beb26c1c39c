"""Time-uniform boundaries. Checked against confseq's unit tests, whose values come from an R reference implementation.

Left out: what is made of them (stats.quantile, stats.reward).
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.stats import mixture

# test/uniform_boundaries_unittest.cpp of confseq (gostevehoward/confseq), printed there to seven digits
RHO = mixture.best_rho(100, 0.05)
RHO_ONE = mixture.best_rho(100, 0.10)
R = mixture.beta_spread(100, 0.2, 0.8)
R_ONE = mixture.beta_spread(100, 0.2, 0.8, one_sided=True)


@pytest.mark.parametrize(
    ("value", "published"),
    [
        (RHO, 12.60056),
        (mixture.normal_two_sided(10, 100, RHO), -0.6510052),
        (mixture.normal_two_sided_bound(100, RHO), 30.35209),
        (mixture.normal_one_sided(10, 100, RHO_ONE), -0.06502391),
        (mixture.normal_one_sided_bound(100, RHO_ONE), 27.66071),
        (mixture.beta_binomial(10, 100, 0.2, 0.8, R), -0.6941012),
        (mixture.beta_binomial_bound(100, 0.2, 0.8, R), 31.4308),
        (mixture.beta_binomial(10, 100, 0.2, 0.8, R_ONE, one_sided=True), -0.07134019),
        (mixture.beta_binomial_bound(100, 0.2, 0.8, R_ONE, one_sided=True), 28.41238),
        (mixture.beta_binomial_bound(0.32, 0.2, 0.8, R_ONE, one_sided=True), 1.6),
    ],
)
def test_published_values(value, published):
    assert value == pytest.approx(published, rel=3e-7)


@pytest.mark.parametrize(
    ("hits", "n", "planned", "low", "high"),
    [
        (700, 1000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (1, 50, 50, 0.0, 0.13489),
        (1, 2, 50, 0.0, 1.0),
        (100, 200, 1, 0.328923, 0.671076),
        (0, 1, 50, 0.0, 1.0),
        (1, 1, 50, 0.0, 1.0),
        (0, 0, 50, 0.0, 1.0),
    ],
)
def test_published_intervals_of_a_rate(hits, n, planned, low, high):
    # printed there to six digits, some of them cut off and not rounded
    assert mixture.rate_interval(hits, n, planned) == pytest.approx((low, high), abs=2e-6)


@given(st.floats(0.5, 1e6), st.floats(0.5, 1e4), st.sampled_from([0.2, 0.05, 1e-3]))
def test_a_bound_is_where_the_mixture_reaches_its_bar(v, planned, alpha):
    rho = mixture.best_rho(planned, alpha)
    two = mixture.normal_two_sided_bound(v, rho, alpha)
    assert mixture.normal_two_sided(two, v, rho) == pytest.approx(-math.log(alpha), abs=1e-7)
    one = mixture.normal_one_sided_bound(v, rho, alpha)
    assert mixture.normal_one_sided(one, v, rho) == pytest.approx(-math.log(alpha), abs=1e-7)
    assert one < two


def test_a_variance_of_nothing_is_refused():
    with pytest.raises(ValueError, match="is not above 0"):
        mixture.best_rho(0)
