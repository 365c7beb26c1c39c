"""G1: the error probabilities that are promised, exactly where they can be, and that the benchmark decides as the assessment does."""

from collections.abc import Iterator

import numpy as np
from assessment_rules import LIMIT, RULES, as_assessed, interval, streams
from numpy.typing import NDArray
from scipy import stats

from fairway_steps.model import Verdict
from fairway_steps.stats import comparison
from fairway_steps.stats.comparison import RateVsPrimary
from fairway_steps.stats.evidence import bar
from fairway_steps.stats.plan import decided_by

BAR = bar(0.05)
SEED = 20_260_102
Goal = Iterator[tuple[bool, str]]
Floats = NDArray[np.float64]


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
    prove, guard = (int(RULES[f"Fairway, {mode}"](drawn[0.015]).promoted.sum()) for mode in ("prove", "guard"))
    yield (
        prove / runs <= 0.005,
        f"G1  false promotion at 1.5 %: {prove / runs:.4f} by prove (goal: .005); {guard / runs:.4f} by guard, which does not promise it",
    )
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
