"""The e-process of a rate against the primary's, its odds ratio and its interval.

Checked against scipy's noncentral hypergeometric distribution, statsmodels' stratified tables and R's published examples, by exact
enumeration of the error it promises, and by the properties that hold for all counts. Left out: where the counts come from, and the
likelihood of one stratum (test_odds).
"""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from fairway_steps import codec
from fairway_steps.stats.comparison import RateVsPrimary, log_likelihood_ratio, mantel_haenszel
from fairway_steps.stats.plan import e_values_of

LOG_20 = math.log(20)
STRATA = [(9, 300, 40, 3000), (7, 300, 44, 3000), (11, 300, 39, 3000)]
MEN = [(512, 313), (353, 207), (120, 205), (138, 279), (53, 138), (22, 351)]
WOMEN = [(89, 19), (17, 8), (202, 391), (131, 244), (94, 299), (24, 317)]
BERKELEY = [(a, a + b, c, c + d) for (a, b), (c, d) in zip(MEN, WOMEN, strict=True)]


def state(strata, **options):
    columns = zip(*strata, strict=True) if strata else ([], [], [], [])
    return RateVsPrimary(**options).update(*(list(column) for column in columns))


@st.composite
def strata(draw, most=60, longest=6):
    def one():
        n_c, n_p = draw(st.integers(0, most)), draw(st.integers(0, most))
        return draw(st.integers(0, n_c)), n_c, draw(st.integers(0, n_p)), n_p

    return [one() for _ in range(draw(st.integers(1, longest)))]


def test_reference_values():
    # Recomputed with scipy.stats.nchypergeom_fisher (odds ratios 2 and 3) and statsmodels' StratifiedTable (Mantel-Haenszel).
    assert sum(log_likelihood_ratio(*s, 2.0) for s in STRATA) == pytest.approx(5.7401656823, abs=1e-9)
    assert sum(log_likelihood_ratio(*s, 3.0) for s in STRATA) == pytest.approx(4.8655411408, abs=1e-9)
    assert mantel_haenszel(STRATA) == pytest.approx(2.2317403570, abs=1e-9)


def test_berkeleys_admissions():
    # R: mantelhaen.test(UCBAdmissions) gives a common odds ratio of 0.9046968 (?UCBAdmissions).
    assert mantel_haenszel(BERKELEY) == pytest.approx(0.9046968, abs=1e-7)


@pytest.mark.parametrize("data", [STRATA, BERKELEY])
def test_statsmodels_has_the_same_odds_ratio(data):
    tables = [np.array([[x, n - x], [y, m - y]]) for x, n, y, m in data]
    assert mantel_haenszel(data) == pytest.approx(StratifiedTable(tables).oddsratio_pooled, rel=1e-9)


def test_the_tea_tasting_lady():
    # R: fisher.test(TeaTasting) gives a conditional estimate of 6.408309: the likelihood is highest there.
    at = [log_likelihood_ratio(3, 4, 1, 4, ratio) for ratio in (6.40, 6.408309, 6.417)]
    assert at[1] == max(at)
    conditional = stats.contingency.odds_ratio(np.array([[3, 1], [1, 3]]), kind="conditional").statistic
    assert conditional == pytest.approx(6.408309, abs=2e-5)


def test_the_mixture_by_hand():
    # The definition, written out: the grid's likelihood ratios, weighted by one over their odds ratios.
    ratios = np.exp(math.log(20) * np.arange(1, 41) / 40)
    weights = 1 / ratios / (1 / ratios).sum()
    worse = [math.exp(sum(log_likelihood_ratio(*s, r) for s in STRATA)) for r in ratios]
    better = [math.exp(sum(log_likelihood_ratio(*s, 1.5 / r, 1.5) for s in STRATA)) for r in ratios]
    now = state(STRATA).now
    assert now.violated == pytest.approx(math.log(weights @ worse), abs=1e-9)
    assert now.met == pytest.approx(math.log(weights @ better), abs=1e-9)


MARGINS = {
    "pairs": [(1, 1, 1)] * 500,
    "few failures": [(10, 10, 2)] * 100,
    "few of the candidate's": [(3, 37, 4)] * 50,
    "mostly failing": [(4, 6, 7)] * 100,
    "a ramp, and a rate that drifts": [(5 * (1 + k // 15), 100 - 5 * (1 + k // 15), 1 + k // 12) for k in range(60)],
}


@functools.cache
def null(n_c, n_p, e, odds_ratio):
    """Scipy's distribution of the candidate's failures, from none on."""
    low, high = max(0, e - n_p), min(n_c, e)
    pmf = stats.nchypergeom_fisher(n_c + n_p, n_c, e, odds_ratio).pmf(np.arange(low, high + 1))
    return np.concatenate((np.zeros(low), pmf))


WEIGHTS = np.exp(-math.log(20) * np.arange(1, 41) / 40)
WEIGHTS /= WEIGHTS.sum()


def probability_of_ever_reaching_20(margins, odds_ratio, which):
    """Over the sum of the candidate's failures, given each stratum's requests and failures: then E depends on that sum alone.

    The null's own distribution is scipy's; the likelihood of each path is that of any other with the same sum.
    """
    grid = RateVsPrimary().grid()
    alive, ever, test, least = np.ones(1), 0.0, RateVsPrimary(), 0
    for n_c, n_p, e in margins:
        low = max(0, e - n_p)
        alive = np.convolve(alive, null(n_c, n_p, e, odds_ratio))
        test, least = test.update(low, n_c, e - low, n_p), least + low
        logs = np.array(test.likelihood) + (np.arange(alive.size) - least)[:, None] * grid
        at, over = (logs[:, :1], logs[:, 1:41]) if which == "violated" else (logs[:, 41:42], logs[:, 42:])
        found = np.log(np.exp(np.minimum(over - at, 700)) @ WEIGHTS) >= LOG_20
        ever += alive[found].sum()
        alive[found] = 0.0
    return ever


@pytest.mark.parametrize("name", MARGINS)
def test_both_errors_are_at_most_five_percent_by_exact_enumeration(name):
    # Conditional on every margin, so whatever the rates, the drift and the weights are.
    assert 0.001 < probability_of_ever_reaching_20(MARGINS[name], 1.0, "violated") <= 0.05
    assert 0.001 < probability_of_ever_reaching_20(MARGINS[name], 1.5, "met") <= 0.05


def test_further_within_the_null_the_errors_are_smaller():
    margins = MARGINS["a ramp, and a rate that drifts"]
    for which, edge, within in (("violated", 1.0, 0.8), ("met", 1.5, 2.0)):
        at_the_edge = probability_of_ever_reaching_20(margins, edge, which)
        assert probability_of_ever_reaching_20(margins, within, which) < at_the_edge


@settings(max_examples=40)
@given(strata(longest=2), st.integers(1, 12), st.integers(1, 12), st.data())
def test_the_next_stratum_is_worth_one_on_average(before, n_c, n_p, data):
    # The martingale itself, over the exact distribution of the next stratum at the odds ratio that is tested.
    e = data.draw(st.integers(0, n_c + n_p))
    start = state(before)
    possible = range(max(0, e - n_p), min(n_c, e) + 1)
    for ratio, which in ((1.0, "violated"), (1.5, "met")):
        now = getattr(start.now, which)
        pmf = stats.nchypergeom_fisher(n_c + n_p, n_c, e, ratio).pmf
        mean = sum(pmf(x) * math.exp(getattr(start.update(x, n_c, e - x, n_p).now, which) - now) for x in possible)
        assert mean == pytest.approx(1, abs=1e-7)


@given(strata())
def test_one_more_failure_of_the_candidate_is_never_better(data):
    x, n_c, y, n_p = data[-1]
    if x < n_c and y > 0:
        now, worse = state(data).now, state([*data[:-1], (x + 1, n_c, y - 1, n_p)]).now
        assert worse.violated >= now.violated - 1e-9
        assert worse.met <= now.met + 1e-9


@given(strata())
def test_no_counts_prove_both(data):
    now = state(data, margin=1.0).now
    assert min(now.violated, now.met) < LOG_20


@given(strata())
def test_strata_without_a_failure_change_nothing(data):
    quiet = [(0, 50, 0, 70), (0, 0, 0, 0), (0, 9, 0, 0)]
    assert state([*quiet, *data]).now == state(data).now
    assert state([*quiet, *data]).peak == state(data).peak


@given(strata(), st.integers(0, 6))
def test_any_grouping_of_looks_gives_the_same_bits(data, cut):
    cut = min(cut, len(data))
    first = state(data[:cut])
    again = codec.decode(RateVsPrimary, codec.encode(first))
    assert again == first
    rest = [list(column) for column in zip(*data[cut:], strict=True)] or [[], [], [], []]
    assert again.update(*rest) == state(data)
    walked, violated, met = RateVsPrimary().walk(*(list(column) for column in zip(*data, strict=True)))
    assert walked == state(data)
    assert max(0, violated.max()) == walked.peak.violated
    assert (violated[-1], met[-1]) == (walked.now.violated, walked.now.met)


@given(strata())
def test_the_order_of_strata_changes_no_evidence(data):
    back, forth = state(data[::-1]), state(data)
    assert (back.errors, back.n, back.errors_primary, back.n_primary) == (
        forth.errors,
        forth.n,
        forth.errors_primary,
        forth.n_primary,
    )
    assert (back.now.violated, back.now.met) == pytest.approx((forth.now.violated, forth.now.met), abs=1e-9)


@given(strata(), strata())
def test_what_a_retry_saw_is_joined(first, later):
    joined, whole = state(first).then(state(later)), state([*first, *later])
    assert (joined.now.violated, joined.now.met) == pytest.approx((whole.now.violated, whole.now.met), abs=1e-9)
    assert joined.peak.violated <= whole.peak.violated + 1e-9
    assert (joined.errors, joined.n_primary) == (whole.errors, whole.n_primary)
    assert RateVsPrimary().then(state(first)) == state(first).then(RateVsPrimary()) == state(first)


@given(strata())
def test_the_peak_never_falls(data):
    peak = RateVsPrimary().peak
    test = RateVsPrimary()
    for stratum in data:
        test = test.update(*stratum)
        assert test.peak.violated >= max(peak.violated, test.now.violated) - 1e-12
        peak = test.peak


def test_a_common_drift_and_a_ramp_are_no_regression():
    # Simpson's paradox: the pooled odds ratio is 2.3, in no stratum does the candidate fail more often.
    data = [(5, 1000, 95, 19000), (80, 5000, 80, 5000)]
    pooled = (85 / 5915) / (175 / 23825)
    assert pooled > 1.9
    assert state(data).odds_ratio == pytest.approx(1.0, abs=0.01)
    assert state(data).now.violated < 0


def test_the_interval_of_the_odds_ratio():
    low, high = state(STRATA).interval()
    assert 1 < low < 2.2317 < high < 5
    assert state(STRATA).interval(0.001)[0] < low
    assert state([(0, 300, 0, 3000)]).interval() == (0, math.inf)
    assert state([(3, 300, 0, 3000)]).interval()[1] == math.inf
    assert state([(0, 3000, 300, 3000)]).interval()[0] == 0


@settings(max_examples=30)
@given(strata(most=400))
def test_the_interval_holds_the_likeliest_odds_ratio(data):
    test = state(data)
    low, high = test.interval()
    likeliest = math.exp(test.grid()[np.argmax(test.likelihood)])
    assert 0 <= low <= likeliest * (1 + 1e-9)
    assert high >= likeliest * (1 - 1e-9)


def test_many_releases_at_once_are_those_one_by_one():
    rng = np.random.default_rng(11)
    x, y = rng.binomial(50, 0.1, (20, 7)), rng.binomial(90, 0.1, (20, 7))
    n_c, n_p = np.full((20, 7), 50), np.full((20, 7), 90)
    violated, met = e_values_of(RateVsPrimary(), x, n_c, y, n_p)
    for k in range(20):
        now = RateVsPrimary().update(x[k], n_c[k], y[k], n_p[k]).now
        assert (violated[k, -1], met[k, -1]) == pytest.approx((now.violated, now.met), abs=1e-12)


@pytest.mark.parametrize(
    "counts", [(10**7, 10**9, 10**7, 10**9), (0, 10**9, 10**9, 10**9), (10**9, 10**9, 0, 10**9), (1, 1, 10**9, 10**9)]
)
def test_a_thousand_million_requests_overflow_nothing(counts):
    test = RateVsPrimary().update(*counts).update(*counts)
    assert math.isfinite(test.now.violated)
    assert math.isfinite(test.now.met)
    low, high = test.interval()
    assert not math.isnan(low)
    assert 0 <= low <= high


def test_no_data_says_nothing():
    assert RateVsPrimary().interval() == (0, math.inf)
    assert RateVsPrimary().odds_ratio is None
    assert RateVsPrimary().update([], [], [], []) == RateVsPrimary()
    assert (RateVsPrimary().now.violated, RateVsPrimary().now.met) == (0, 0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: RateVsPrimary().update(-1, 5, 0, 5), "a number of errors of -1 cannot be"),
        (lambda: RateVsPrimary().update(6, 5, 0, 5), "6 errors of 5 requests cannot be"),
        (lambda: RateVsPrimary().update(0, 5, 6, 5), "6 errors of 5 the primary's requests cannot be"),
        (lambda: RateVsPrimary().update([0, 1], [5, 5], [0], [5]), "2 strata of the candidate do not fit 1"),
        (lambda: RateVsPrimary().update(0.5, 5, 0, 5), "counts are whole numbers"),
        (lambda: RateVsPrimary().update(math.nan, 5, 0, 5), "counts are whole numbers"),
        (lambda: RateVsPrimary(worse_than=0.5), "an odds ratio of 0.5 is not between 1 and 10"),
        (lambda: RateVsPrimary(margin=11), "a margin of 11 is not between 1 and 10"),
        (lambda: log_likelihood_ratio(1, 2, 1, 2, 0.0), "an odds ratio of 0 is not above 0"),
        (lambda: state(STRATA).then(state(STRATA, margin=2.0)), "evidence on other odds ratios"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_odds_allowed_in_a_stratum_move_the_question():
    counts = ([9, 7, 11], [300] * 3, [40, 44, 39], [3000] * 3)
    moved, fixed = RateVsPrimary(1.0, 1.0).update(*counts, allowed=1.5), RateVsPrimary(1.5, 1.5).update(*counts)
    assert moved.now.violated == pytest.approx(fixed.now.violated, abs=1e-12)
    assert moved.now.met == pytest.approx(fixed.now.met, abs=1e-12)
    assert moved.odds_ratio == fixed.odds_ratio
    for allowed in (0.0, 0.2, 4.5, math.nan):
        with pytest.raises(ValueError, match="is not from"):
            RateVsPrimary().update(*counts, allowed=allowed)


def test_strata_looked_at_once_leave_the_state_of_strata_looked_at_one_by_one_but_for_its_peak():
    rng = np.random.default_rng(5)
    n, m = rng.poisson(300, 3000), rng.poisson(900, 3000)
    for x, y in ((rng.binomial(n, 0.01), rng.binomial(m, 0.01)), (n[:0], m[:0])):
        counts = x, n[: x.size], y, m[: y.size]
        strata = RateVsPrimary().read(*counts)
        each, once = RateVsPrimary().after(strata), RateVsPrimary().after_one_look(strata)
        assert replace(each, peak=once.peak) == once
        assert once.peak == once.peak.highest(once.now)
        assert once.peak.violated <= each.peak.violated
