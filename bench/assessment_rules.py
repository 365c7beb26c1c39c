"""How each system decides, on the same simulated streams: 30 looks of 300 requests, an error rate with a limit of 1 %."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fairway_steps.assess import assess
from fairway_steps.model import LATE, Metric, Mode, Rules, Slo, Stratum, Verdict
from fairway_steps.stats.evidence import ALPHA
from fairway_steps.stats.plan import boundaries

LIMIT, LOOKS, EACH = 0.01, 30, 300
TOTAL = LOOKS * EACH
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Decisions:
    """For each run: whether it was rolled back, whether it was promoted, and after which look it was rolled back (from 1)."""

    rolled_back: Flags
    promoted: Flags
    look: Counts


def streams(rng: np.random.Generator, rate: float, runs: int) -> Counts:
    return rng.binomial(EACH, rate, (runs, LOOKS)).astype(np.int64)


def _until(harm: Flags) -> Decisions:
    """Rolled back at the first look that shows harm, else promoted at the end."""
    rolled_back = harm.any(axis=1)
    return Decisions(rolled_back, ~rolled_back, np.where(rolled_back, harm.argmax(axis=1) + 1, 0))


def _at_the_end(harm: Flags) -> Decisions:
    return Decisions(harm, ~harm, np.where(harm, LOOKS, 0))


def breaches(errors: Counts, most: int) -> Decisions:
    """Each interval's rate against the limit; rolled back once more than ``most`` intervals breached it."""
    return _until((errors / EACH > LIMIT).cumsum(axis=1) > most)


def one_look(errors: Counts) -> Decisions:
    """The rate of all requests against the limit, once."""
    return _at_the_end(errors.sum(axis=1) / TOTAL > LIMIT)


def fixed_horizon(errors: Counts) -> Decisions:
    """An exact binomial test at 5 %, once, after all requests."""
    return _at_the_end(errors.sum(axis=1) > stats.binom.isf(0.05, TOTAL, LIMIT))


def peeking(errors: Counts) -> Decisions:
    """The same test at every look, which is what repeated looks do to it."""
    n = EACH * np.arange(1, LOOKS + 1)
    return _until(errors.cumsum(axis=1) > stats.binom.isf(0.05, n, LIMIT))


def evidence(errors: Counts, *, prove: bool) -> Decisions:
    """Fairway: rolled back once harm is proved; promoted at the end unless harm is half proved (guard), or as soon as health is
    proved (prove); the rest is held for a person.

    ``as_assessed`` asks the assessment itself, release by release; this is the same, for many at once.
    """
    n, seen = EACH * np.arange(1.0, LOOKS + 1), errors.cumsum(axis=1)
    found = _until(seen >= boundaries(n, LIMIT, (1 - LATE) / (1 / ALPHA - LATE)))
    if not prove:
        half = boundaries(n, LIMIT, (1 - LATE) / (ALPHA**-0.5 - LATE))[-1]
        return Decisions(found.rolled_back, ~found.rolled_back & (seen[:, -1] < half), found.look)
    healthy = seen <= boundaries(n, LIMIT, harm=False)
    first_good = np.where(healthy.any(axis=1), healthy.argmax(axis=1) + 1, LOOKS + 1)
    first_bad = np.where(found.rolled_back, found.look, LOOKS + 1)
    rolled_back = first_bad < first_good
    return Decisions(rolled_back, first_good < first_bad, np.where(rolled_back, found.look, 0))


def as_assessed(errors: NDArray[np.int64], *, prove: bool) -> tuple[Verdict, int]:
    """The verdict on one release of one stage, and the look at which it fell, by ``fairway_steps.assess``."""
    rules = Rules(mode=Mode.PROVE if prove else Mode.GUARD, early_end=prove)
    slos, strata = [Slo(Metric.ERROR_RATE, LIMIT)], []
    for look, failed in enumerate(errors.tolist(), 1):
        failures = {"http-500": failed} if failed else {}
        strata.append(Stratum("v2", look - 1.0, float(look), 50, EACH, failures))
        over = look == LOOKS
        found = assess(slos, strata, candidate="v2", weight=50, over=over, is_last=True, rules=rules)
        if found is not None:
            return found.verdict, look
    raise AssertionError


RULES: dict[str, Callable[[Counts], Decisions]] = {
    "Argo Rollouts, failureLimit 0": lambda errors: breaches(errors, 0),
    "Argo Rollouts, failureLimit 3": lambda errors: breaches(errors, 3),
    "Flagger, threshold 5": lambda errors: breaches(errors, 4),
    "Iter8, one look": one_look,
    "exact test, every look": peeking,
    "exact test, one look": fixed_horizon,
    "Fairway, guard": lambda errors: evidence(errors, prove=False),
    "Fairway, prove": lambda errors: evidence(errors, prove=True),
}


def interval(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a simulated rate."""
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(stats.beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(stats.beta.isf(tail, hits + 1, n - hits))
    return low, high
