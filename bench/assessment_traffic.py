"""G2 and G3: drift while the weights rise, and users who repeat themselves."""

import math
from collections.abc import Iterator

import numpy as np
from assessment_rules import interval
from numpy.typing import NDArray
from scipy import special

from fairway_steps.stats import mixture
from fairway_steps.stats.comparison import RateVsPrimary
from fairway_steps.stats.evidence import bar
from fairway_steps.stats.plan import e_values_of
from fairway_steps.stats.reward import MIN_UNITS, PLANNED

BAR = bar(0.05)
SEED = 20_260_102
Goal = Iterator[tuple[bool, str]]
Floats = NDArray[np.float64]


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
