"""The goals of the assessment, each measured anew: error probabilities, drift, clustering, power, ground truth and speed."""

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
from assessment_rules import LIMIT, RULES, as_assessed, interval, streams
from numpy.typing import NDArray
from scipy import special, stats

from fairway_steps.model import Verdict
from fairway_steps.stats import comparison, mixture, quantile, rate
from fairway_steps.stats.comparison import RateVsPrimary, e_values_of
from fairway_steps.stats.evidence import bar
from fairway_steps.stats.plan import decided_by, requests_to_compare, requests_to_find
from fairway_steps.stats.reward import MIN_UNITS, PLANNED
from fairway_steps.stats.slowness import SHARES

BAR = bar(0.05)
SEED = 20_260_102
Goal = Iterator[tuple[bool, str]]
Floats = NDArray[np.float64]


def fixed_number(limit: float, rate: float, alpha: float = 0.05, power: float = 0.9) -> int:
    """What a test of one number fixed beforehand needs, by the normal approximation."""
    z = special.ndtri(1 - alpha) * math.sqrt(limit * (1 - limit)) + special.ndtri(power) * math.sqrt(rate * (1 - rate))
    return math.ceil((z / (rate - limit)) ** 2)


def errors(runs: int) -> Goal:
    """G1: the error probabilities that are promised."""
    for harm, what in (
        (True, "false alarm, the rate just at the limit"),
        (False, "false proof, the rate just at the limit"),
    ):
        worst = max(_by(limit, limit, 2000, harm=harm) for limit in (0.1, 0.05, 0.01, 0.001))
        yield worst <= 0.05, f"G1  {what}, ever within 2,000 looks: {worst:.4f} at most, exactly (goal: .05)"
    for name, (margins, psi) in MARGINS.items():
        harm, health = (conditional_error(margins, psi, harm=which) for which in (True, False))
        yield (
            max(harm, health) <= 0.05,
            f"G1  against the primary, {name}: {harm:.4f} and {health:.4f}, exactly (goal: .05)",
        )
    rng = np.random.default_rng(SEED)
    drawn = {p: streams(rng, p, runs) for p in (0.008, 0.015)}
    back = int(RULES["Fairway, guard"](drawn[0.008]).rolled_back.sum())
    yield back / runs <= 0.005, f"G1  false rollback at 0.8 %: {back / runs:.4f} (goal: .005)"
    wrong = int(RULES["Fairway, prove"](drawn[0.015]).promoted.sum())
    yield wrong / runs <= 0.005, f"G1  false promotion at 1.5 %: {wrong / runs:.4f} (goal: .005)"
    yield _same_as_assessed(rng)
    at = int(RULES["Fairway, guard"](streams(rng, LIMIT, runs)).rolled_back.sum())
    top = interval(at, runs, 0.98)[1]
    yield top <= 0.055, f"G1  false rollback just at the limit: {at / runs:.4f}, 99 % bound {top:.4f} (goal: .055)"


def _same_as_assessed(rng: np.random.Generator) -> tuple[bool, str]:
    drawn = np.concatenate([streams(rng, p, 20) for p in (0.002, 0.008, 0.015, 0.02)])
    same = 0
    for prove in (False, True):
        decisions = RULES["Fairway, prove" if prove else "Fairway, guard"](drawn)
        for k, stream in enumerate(drawn):
            verdict, look = as_assessed(stream, prove=prove)
            at = int(decisions.look[k]) if decisions.rolled_back[k] else look
            flags = verdict is Verdict.ROLLBACK, verdict is Verdict.PROMOTE, look
            same += flags == (decisions.rolled_back[k], decisions.promoted[k], at)
    return same == 2 * len(drawn), f"G1  {same} of {2 * len(drawn)} releases end as the assessment itself ends them"


def _by(limit: float, p: float, n: int, *, harm: bool) -> float:
    return next(decided for at, decided in decided_by(limit, p, harm=harm) if at == n)


MARGINS: dict[str, tuple[list[tuple[int, int, int]], float]] = {
    "pairs": ([(1, 1, 1)] * 1000, 1.0),
    "strata of 10 and 10 with 2 failures": ([(10, 10, 2)] * 100, 1.0),
    "a ramp with drift": ([(5 * (1 + k // 15), 100 - 5 * (1 + k // 15), 1 + k // 12) for k in range(60)], 1.0),
}


def conditional_error(margins: list[tuple[int, int, int]], psi: float, *, harm: bool) -> float:
    """The probability of ever being wrong, given how many requests and failures each stratum has: over the candidate's failures.

    With fixed margins the e-value depends on the sum of its failures alone, so their distribution is carried along exactly.
    Harm: at an odds ratio of ``psi``; health: just at the margin.
    """
    test = RateVsPrimary()
    at = psi if harm else test.margin
    alive, wrong, offset = np.ones(1), 0.0, np.zeros(test.grid().size)
    grid = test.grid()
    for n_c, n_p, e in margins:
        low, high = max(0, e - n_p), min(n_c, e)
        j = np.arange(low, high + 1)
        odds = stats.nchypergeom_fisher(n_c + n_p, n_c, e, at)
        alive = np.convolve(alive, np.concatenate((np.zeros(low), odds.pmf(j))))
        base = comparison.log_likelihoods(*(np.array([v], dtype=float) for v in (low, n_c, e - low, n_p)), grid)[0]
        offset = offset + base - low * grid
        sums = np.arange(alive.size)
        violated, met = comparison.mixtures(offset + sums[:, None] * grid)
        found = (violated if harm else met) >= BAR
        wrong += float(alive[found].sum())
        alive = np.where(found, 0.0, alive)
    return wrong


def drift(runs: int) -> Goal:
    """G2: identical versions whose common rate drifts from .4 to 1.6 % while the weights rise; then regressions to be found."""
    runs = min(runs, 2000)
    rng = np.random.default_rng(SEED + 1)
    looks, total = 60, 700
    base = np.linspace(0.004, 0.016, looks)
    n_c = np.repeat([5, 10, 25, 50], looks // 4) * total // 100
    n_p = total - n_c
    found = {}
    for psi in (1.0, 2.0, 3.0):
        odds = psi * base / (1 - base)
        x, y = rng.binomial(n_c, odds / (1 + odds), (runs, looks)), rng.binomial(n_p, base, (runs, looks))
        sizes = (np.broadcast_to(n, x.shape) for n in (n_c, n_p))
        own, other = sizes
        found[psi] = e_values_of(RateVsPrimary(), x, own, y, other)[0] >= BAR
        if psi == 1.0:
            pooled = _pooled(x, y, int(n_c.sum()), int(n_p.sum()))
    ours = int(found[1.0].any(axis=1).sum())
    low, high = interval(ours, runs)
    yield (
        ours / runs <= 0.05,
        (
            f"G2  drift while the weights rise, all {looks} looks: false alarm {ours / runs:.3f} ({low:.3f}-{high:.3f}) "
            f"(goal: .05); a pooled test, one look: {pooled / runs:.2f}"
        ),
    )
    for psi in (2.0, 3.0):
        at = np.where(found[psi].any(axis=1), found[psi].argmax(axis=1) + 1, looks + 1)
        share = float((at <= looks).mean())
        yield share >= 0.99, f"G2  an odds ratio of {psi:g} is found: {share:.3f}, at look {np.median(at):g} (median)"


def _pooled(x: NDArray[np.int64], y: NDArray[np.int64], n_c: int, n_p: int) -> int:
    a, b = x.sum(axis=1) / n_c, y.sum(axis=1) / n_p
    common = (x.sum(axis=1) + y.sum(axis=1)) / (n_c + n_p)
    z = (a - b) / np.sqrt(common * (1 - common) * (1 / n_c + 1 / n_p))
    return int((z > special.ndtri(0.95)).sum())


def clustering(runs: int) -> Goal:
    """G3: identical versions, users with ten requests each on average, alike (intraclass correlation .23), 50 looks."""
    runs = min(runs, 2000)
    rng = np.random.default_rng(SEED + 2)
    looks, users, icc = 50, 20, 0.23
    rho = mixture.best_rho(PLANNED)
    alarms = dict.fromkeys(("requests, z", "requests, at any look", "users, z", "users, at any look"), 0)
    for _ in range(runs):
        arms = []
        for _arm in range(2):
            each = rng.geometric(0.1, (looks, users))
            common = rng.normal(0, math.sqrt(icc), (looks, users))
            noise = rng.normal(0, math.sqrt(1 - icc), (looks, users)) * np.sqrt(each)
            spread = (1 - icc) * rng.chisquare(np.maximum(each - 1, 1e-9))
            sums = each * common + noise
            squares = spread + sums * sums / each
            arms.append((each, sums, squares))
        requests = [tuple(part.sum(axis=1).cumsum() for part in arm) for arm in arms]
        means = [arm[1] / arm[0] for arm in arms]
        ones = np.full(looks, users).cumsum()
        per_user = [(ones, m.sum(axis=1).cumsum(), (m * m).sum(axis=1).cumsum()) for m in means]
        for unit, data in (("requests", requests), ("users", per_user)):
            z, n = _difference(data)
            enough = data[0][0] >= MIN_UNITS
            alarms[f"{unit}, z"] += bool((np.abs(z) > special.ndtri(0.975))[enough].any())
            bound = np.sqrt((n + rho) / n * (np.log1p(n / rho) + 2 * BAR))
            alarms[f"{unit}, at any look"] += bool((np.abs(z) > bound)[enough].any())
    share = {name: count / runs for name, count in alarms.items()}
    high = interval(alarms["users, at any look"], runs)[1]
    yield (
        share["users, at any look"] <= 0.05,
        (
            f"G3  users with ten requests on average, {looks} looks: false alarm {share['users, at any look']:.3f} (up to {high:.3f}) a user "
            f"(goal: .05); a request {share['requests, at any look']:.2f}, z a request {share['requests, z']:.2f}, z a user {share['users, z']:.2f}"
        ),
    )


def _difference(arms: list[tuple[Floats, ...]]) -> tuple[Floats, Floats]:
    """Z of the difference of two means after each look, and the first arm's number."""
    stats_of = []
    for n, total, squares in arms:
        mean = total / n
        stats_of.append((n, mean, (squares / n - mean * mean) * n / (n - 1)))
    (n, a, va), (m, b, vb) = stats_of
    return (a - b) / np.sqrt(va / n + vb / m), n.astype(np.float64)


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


ALL: tuple[Callable[[int], Goal], ...] = (errors, drift, clustering, power, truth)
