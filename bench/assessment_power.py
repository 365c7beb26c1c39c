"""G4 and G5: what the freedom to look at any time costs, published numbers, consistency and speed."""

import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from assessment_rules import LIMIT
from numpy.typing import NDArray
from scipy import special

from fairway_steps.assess import assess
from fairway_steps.model import Histogram, Metric, Slo, Stratum
from fairway_steps.stats import mixture, quantile, rate
from fairway_steps.stats.comparison import RateVsPrimary
from fairway_steps.stats.evidence import bar
from fairway_steps.stats.plan import decided_by, e_values_of, requests_to_compare, requests_to_find
from fairway_steps.stats.slowness import SHARES

BAR = bar(0.05)
SEED = 20_260_102
Goal = Iterator[tuple[bool, str]]
Floats = NDArray[np.float64]


def fixed_number(limit: float, rate: float, alpha: float = 0.05, power: float = 0.9) -> int:
    """What a test of one number fixed beforehand needs, by the normal approximation."""
    z = special.ndtri(1 - alpha) * math.sqrt(limit * (1 - limit)) + special.ndtri(power) * math.sqrt(rate * (1 - rate))
    return math.ceil((z / (rate - limit)) ** 2)


def power(runs: int) -> Goal:
    """G4: what the freedom to look at any time costs."""
    for p in (0.015, 0.02):
        fixed = fixed_number(LIMIT, p)
        at = requests_to_find(LIMIT, p)
        assert at is not None
        yield (
            at <= 2 * fixed,
            f"G4  {100 * p:g} % against 1 %: {at:,} requests at power .9, {at / fixed:.2f} times a fixed number's (goal: 2)",
        )
        mean = _mean(p, 5)
        yield (
            mean <= fixed,
            f"G4  {100 * p:g} % against 1 %: {mean:,.0f} on average, {mean / fixed:.2f} times a fixed number's (goal: 1)",
        )
    for p in (0.02, 0.03):
        odds = p / (1 - p) / (LIMIT / (1 - LIMIT))
        needed = requests_to_compare(LIMIT, odds, 0.5)
        assert needed is not None
        fixed = _fixed_pair(LIMIT, p)
        yield (
            needed.candidate <= 2 * fixed,
            (
                f"G4  {100 * p:g} % against the primary's 1 %: {needed.candidate:,} an arm at power .9, "
                f"{needed.candidate / fixed:.2f} times a fixed number's (goal: 2)"
            ),
        )
    for slower, goal in ((0.1, 2800), (0.2, 900)):
        at = _tails(slower, goal, min(runs, 2000))
        yield (
            at <= goal,
            f"G4  all answers {100 * slower:g} % slower (lognormal, sigma .5): {at:,} an arm at power .9 (goal: {goal:,})",
        )


def _mean(p: float, every: int) -> float:
    """The mean number of requests until harm is found, looked for every few."""
    total = 0.0
    for _, decided in decided_by(LIMIT, p, every=every):
        total += every * (1 - decided)
        if decided > 1 - 1e-7:
            return total + every
    raise AssertionError


def _fixed_pair(p: float, q: float) -> int:
    middle = (p + q) / 2
    z = special.ndtri(0.95) * math.sqrt(2 * middle * (1 - middle)) + special.ndtri(0.9) * math.sqrt(
        p * (1 - p) + q * (1 - q)
    )
    return math.ceil((z / (q - p)) ** 2)


def _tails(slower: float, goal: int, runs: int) -> int:
    """Requests an arm by which nine of ten releases are found slower, from the requests above five edges."""
    rng = np.random.default_rng(SEED + 3)
    each = goal // 56
    looks = 84
    edges = np.exp(0.5 * special.ndtri(np.array(SHARES)))
    levels = []
    for shift in (math.log1p(slower), 0.0):
        above = special.ndtr(-(np.log(edges) - shift) / 0.5)
        cells = -np.diff(np.concatenate(([1.0], above, [0.0])))
        counts = rng.multinomial(each, cells, (runs, looks))
        levels.append(counts[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:])
    size = np.full((runs, looks), each)
    logs = [
        e_values_of(RateVsPrimary(), levels[0][..., j], size, levels[1][..., j], size)[0] for j in range(edges.size)
    ]
    mean = np.logaddexp.reduce(np.array(logs), axis=0) - math.log(edges.size)
    found = mean >= BAR
    at = np.where(found.any(axis=1), found.argmax(axis=1) + 1, 10**6)
    return int(np.sort(at)[math.ceil(0.9 * runs) - 1]) * each


def truth(runs: int) -> Goal:
    """G5: published numbers, consistency, and speed. The tests hold many more."""
    del runs
    a = np.arange(1.0, 1001)
    rho, r = mixture.best_rho(100), mixture.beta_spread(100, 0.2, 0.8)
    s = RateVsPrimary().update([9, 7, 11], [300] * 3, [40, 44, 39], [3000] * 3)
    table = [
        ("confseq: best_rho(100, .05)", rho, 12.60056),
        ("confseq: normal bound", mixture.normal_two_sided_bound(100, rho), 30.35209),
        ("confseq: beta-binomial mixture", mixture.beta_binomial(10, 100, 0.2, 0.8, r), -0.6941012),
        ("confseq: beta-binomial bound", mixture.beta_binomial_bound(100, 0.2, 0.8, r), 31.4308),
        ("confseq: quantile A/B p, +70", quantile.equal_quantiles_p(a, a + 70, 0.5), 0.814704),
        ("confseq: quantile A/B p, +85", quantile.equal_quantiles_p(a, a + 85, 0.5), 0.0838055),
        ("confseq: double stitching", quantile.all_quantiles_bound(0.9, 1000, 100), 43.72119),
        ("reference: ln E, 20 of 1,000 against 1 %", rate.log_e_violated(20, 1000, 0.01), 3.0210289003),
        ("reference: ln E, 2 of 1,000 against 1 %", rate.log_e_met(2, 1000, 0.01), 3.9855365045),
        ("statsmodels: Mantel-Haenszel", s.odds_ratio, 2.2317403570),
    ]
    wrong = [name for name, got, want in table if abs(got - want) > 1e-6 * max(1, abs(want))]
    yield not wrong, f"G5  {len(table)} published numbers to 1e-6{': not ' + ', '.join(wrong) if wrong else ''}"
    rng = np.random.default_rng(SEED + 4)
    fast, slow = rng.lognormal(0, 0.5, 3000), rng.lognormal(0.2, 0.5, 3000)
    seconds, milliseconds = (quantile.compare_quantiles(slow * k, fast * k, 0.9) for k in (1, 1000))
    yield seconds == milliseconds, "G5  seconds and milliseconds give the same bits"
    n_c, n_p = rng.poisson(300, 100_000), rng.poisson(3000, 100_000)
    x, y = rng.binomial(n_c, 0.01), rng.binomial(n_p, 0.01)
    once = RateVsPrimary().update(x[:500], n_c[:500], y[:500], n_p[:500])
    again = RateVsPrimary()
    for k in range(500):
        again = again.update(x[k], n_c[k], y[k], n_p[k])
    yield once == again, "G5  500 looks of one stratum and one of 500 give the same bits"
    updates: dict[str, Callable[[], object]] = {
        "against a limit": lambda: rate.RateVsLimit(0.01).update(x, n_c),
        "against the primary": lambda: RateVsPrimary().update(x, n_c, y, n_p),
    }
    for name, update in updates.items():
        start = time.process_time()
        update()
        took = time.process_time() - start
        yield took < 1, f"G5  100,000 strata {name}: {took:.2f} s of one core (goal: 1)"
    yield from assessments()


STRATA = 100_000
EDGES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0, math.inf)
SHARES_BETWEEN = (0.4, 0.3, 0.15, 0.08, 0.03, 0.03, 0.005, 0.005)
SLOS = {
    "an error rate": Slo(Metric.ERROR_RATE, 0.01),
    "a latency quantile": Slo(Metric.LATENCY, 0.25, 0.95),
    "a mean latency": Slo(Metric.LATENCY_MEAN, 0.2),
    "an error rate beside the primary's": Slo(Metric.ERROR_RATE, 0.5, relative=True),
    "a latency quantile beside the primary's": Slo(Metric.LATENCY, 0.1, 0.95, relative=True),
}


def assessments() -> Goal:
    """G5: a whole assessment of a release whose looks were never joined, in four stages; and a tenth of it, to see how it grows."""
    both = release(STRATA)
    for name, slo in SLOS.items():
        took = {size: min(_assessed(slo, both[:size]) for _ in range(3)) for size in (STRATA // 10, STRATA)}
        seconds, ratio = took[STRATA], took[STRATA] / took[STRATA // 10]
        yield (
            seconds < 1,
            f"G5  assess() of {name}, {STRATA:,} strata: {seconds:.2f} s of one core (goal: 1), {ratio:.0f} times as long as a tenth",
        )


def release(strata: int) -> list[Stratum]:
    """Two versions side by side, second by second."""
    rng, found = np.random.default_rng(SEED + 5), []
    for k in range(strata // 2):
        weight = (5, 10, 25, 50)[8 * k // strata]
        for name, share in (("v1", 100 - weight), ("v2", weight)):
            n = int(rng.poisson(600 if name == "v1" else 300))
            errors = int(rng.binomial(n, 0.008))
            counts = tuple(rng.multinomial(n - errors, SHARES_BETWEEN).tolist())
            failures = {"http-500": errors} if errors else {}
            found.append(Stratum(name, float(k), k + 1.0, share, n, failures, Histogram(EDGES, counts), 0.09 * n))
    return found


def _assessed(slo: Slo, strata: Sequence[Stratum]) -> float:
    start = time.process_time()
    assess([slo], strata, candidate="v2", primary="v1", weight=50)
    return time.process_time() - start
