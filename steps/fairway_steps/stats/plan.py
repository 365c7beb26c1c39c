"""How many requests a decision will take, told before a release starts.

Against a limit: exactly, by dynamic programming over the number of errors. Against the primary: by 400 simulated releases with a fixed seed,
so to about 5 %. For rewards and series: by the width of the interval. All at ``power``, the share of releases decided by then; the median is power 0.5.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy import stats as distributions

from fairway_steps.stats.comparison import MARGIN, WORSE_THAN, RateVsPrimary, mixtures
from fairway_steps.stats.counts import Array
from fairway_steps.stats.evidence import ALPHA, BETA, bar
from fairway_steps.stats.mixture import best_rho
from fairway_steps.stats.odds import log_likelihoods
from fairway_steps.stats.rate import log_e_mets, log_e_violateds
from fairway_steps.stats.reward import MIN_UNITS, PLANNED

POWER = 0.9
SURE = 0.9999
"""No decision is surer than this before all of time."""
LOOKS = 1500
RUNS, STRATA, MOST, SEED = 400, 160, 1500, 20_210_613
EASY, DOUBLINGS = 100, 5
"""So many failures a stratum are quickly weighed; so often the traffic is doubled before a decision counts as never."""
LEAST = 0.05
"""Log odds ratios nearer than this to the one tested lie between the points of the grid, and are not looked for."""
TINY = 1e-15
"""Probabilities this small are let go of."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Requests of both versions until the decision."""

    candidate: int
    primary: int


def requests_to_find(limit: float, rate: float, power: float = POWER, alpha: float = ALPHA) -> int | None:
    """After how many requests a version that fails at ``rate`` is found to break ``limit``; None if it does not break it."""
    _check(limit, rate, power)
    if rate <= limit:
        return None
    if limit == 0:
        return math.ceil(math.log1p(-power) / math.log1p(-rate)) if rate < 1 else 1
    return _first_passage(limit, rate, power, alpha, harm=True)


def requests_to_prove_at(limit: float, rate: float, power: float = POWER, beta: float = BETA) -> int | None:
    """After how many requests a version that fails at ``rate`` is proved to keep ``limit``; None if it never is."""
    _check(limit, rate, power)
    if rate >= limit:
        return None
    return _first_passage(limit, rate, power, beta, harm=False)


def requests_to_compare(
    rate: float,
    odds_ratio: float,
    share: float,
    power: float = POWER,
    alpha: float = ALPHA,
    worse_than: float = WORSE_THAN,
) -> Needed | None:
    """After how many requests a candidate with ``odds_ratio`` times the primary's odds of failing is found to be worse.

    ``rate`` is the primary's, ``share`` the candidate's part of the traffic. None if it is not worse, or by less than 5 %.
    """
    if odds_ratio <= worse_than:
        return None
    return _simulated(rate, odds_ratio, share, power, alpha, RateVsPrimary(worse_than=worse_than), harm=True)


def requests_to_prove_no_worse(
    rate: float,
    share: float,
    margin: float = MARGIN,
    odds_ratio: float = 1.0,
    power: float = POWER,
    beta: float = BETA,
) -> Needed | None:
    """After how many requests a candidate with ``odds_ratio`` (1: just as good) is proved to be below ``margin``.

    None if it is not below, or by less than 5 %.
    """
    if odds_ratio >= margin:
        return None
    return _simulated(rate, odds_ratio, share, power, beta, RateVsPrimary(margin=margin), harm=False)


def units_to_find(
    difference: float,
    deviation: float,
    power: float = POWER,
    alpha: float = ALPHA,
    planned: float = PLANNED,
    beside: float = 1.0,
) -> int:
    """After how many users of an arm a ``difference`` of means is found one-sidedly, at a standard ``deviation`` between users.

    ``beside`` is the variance of the other arm's mean as a multiple of this one's: 1 for as many users there.
    """
    if not (difference > 0 and deviation > 0):
        raise ValueError(f"a difference of {difference:g} or a deviation of {deviation:g} is not above 0")
    z = float(special.ndtri(power))
    rho = best_rho(planned, 2 * ALPHA)  # as the release's test has it, whatever its level
    spread = math.sqrt(1 + beside) * deviation

    def enough(n: int) -> bool:
        within = math.sqrt((n + rho) * (math.log1p(n / rho) + 2 * bar(2 * alpha))) / n
        return difference - z * spread / math.sqrt(n) >= spread * within

    high = MIN_UNITS
    while not enough(high):
        high *= 2
    low = high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return max(MIN_UNITS, high)


def values_to_compare(
    shift: float,
    deviation: float,
    confidence: float,
    tolerance: float,
    allowed: float = 0.0,
    power: float = POWER,
) -> int | None:
    """How many values of both series show a ``shift`` beyond ``allowed``, at a standard ``deviation`` of either; None if none do.

    As ``stats.mann_whitney`` compares them: the interval of the shift lies beyond ``tolerance`` times its estimate. For normal values, of
    which the estimate has pi/3 times the variance of a difference of means (Hodges and Lehmann, Ann. Math. Statist. 34(2), 1963).
    """
    if not (shift > 0 and deviation > 0):
        raise ValueError(f"a shift of {shift:g} or a deviation of {deviation:g} is not above 0")
    if tolerance >= 1 or shift <= allowed:
        return None
    z, sure = float(special.ndtri(1 - (1 - confidence) / 2)), float(special.ndtri(power))
    interval = math.sqrt(math.pi / 3) * (z / (1 - tolerance) + sure) / shift
    return math.ceil(2 * (deviation * max(interval, sure / (shift - allowed))) ** 2)


def _check(limit: float, rate: float, power: float) -> None:
    for name, value in (("limit", limit), ("rate", rate)):
        if not 0 <= value <= 1:
            raise ValueError(f"a {name} of {value:g} is not between 0 and 1")
    if not 0 < power <= SURE:
        raise ValueError(f"a power of {power:g} is not above 0 and at most {SURE}")


def _first_passage(limit: float, rate: float, power: float, alpha: float, *, harm: bool) -> int:
    z = float(special.ndtri(1 - alpha)) * math.sqrt(limit * (1 - limit))
    z += float(special.ndtri(power)) * math.sqrt(rate * (1 - rate))
    every = max(1, round((z / (rate - limit)) ** 2 / LOOKS))
    course = decided_by(limit, rate, alpha, every=every, harm=harm)
    return next(n for n, decided in course if decided >= power)


def decided_by(
    limit: float, rate: float, alpha: float = ALPHA, *, every: int = 1, harm: bool = True
) -> Iterator[tuple[int, float]]:
    """After each look, one ``every`` so many requests: their number, and the probability that harm (or health) was found by then.

    Exact: the distribution of errors among the releases that are not decided, carried from look to look. Without end.
    """
    arriving = _binomial(every, rate)
    alive, decided, looks = np.ones(1), 0.0, 0
    while True:
        block = (np.arange(looks + 1, looks + LOOKS + 1) * every).astype(np.float64)
        for n, edge in zip(block, boundaries(block, limit, alpha, harm=harm), strict=True):
            alive = np.convolve(alive, arriving)
            if harm:
                decided += float(alive[edge:].sum())
                alive = alive[:edge]
            elif edge >= 0:
                decided += float(alive[: edge + 1].sum())
                alive[: edge + 1] = 0.0
            used = np.flatnonzero(alive > TINY)
            alive = alive[: used[-1] + 1] if used.size else alive[:1]
            yield int(n), decided
        looks += LOOKS


def boundaries(n: Sequence[float] | Array, limit: float, alpha: float = ALPHA, *, harm: bool = True) -> list[int]:
    """At each n: from how many errors on harm is found, or up to how many health is (-1: not yet), by bisection for all at once."""
    at = np.asarray(n, dtype=np.float64)
    low, high = np.full(at.size, -1.0), at + 1
    while (high - low > 1).any():
        middle = np.clip(np.floor((low + high) / 2), 0, at)
        log_e = log_e_violateds(middle, at, limit) if harm else log_e_mets(middle, at, limit)
        found = log_e >= bar(alpha)
        up = ~found if harm else found
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    edges: list[int] = (high if harm else low).astype(int).tolist()
    return edges


def _binomial(n: int, rate: float) -> Array:
    most = int(distributions.binom.isf(TINY, n, rate)) + 1
    pmf: Array = distributions.binom.pmf(np.arange(min(n, most) + 1), n, rate)
    return pmf


def _simulated(
    rate: float, odds_ratio: float, share: float, power: float, alpha: float, test: RateVsPrimary, *, harm: bool
) -> Needed | None:
    for name, value in (("rate", rate), ("share", share), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"a {name} of {value:g} is not between 0 and 1")
    odds = odds_ratio * rate / (1 - rate)
    other = odds / (1 + odds)
    apart = abs(math.log(odds_ratio / (test.worse_than if harm else test.margin)))
    if apart < LEAST:
        return None
    errors = (float(special.ndtri(1 - alpha)) + float(special.ndtri(power))) ** 2 / apart**2
    each = 5 * errors * (1 / (other * share) + 1 / (rate * (1 - share))) * share
    rng = np.random.default_rng(SEED)
    for _ in range(DOUBLINGS):
        failures = each * (other + rate * (1 - share) / share)
        strata = min(max(STRATA, math.ceil(failures / EASY)), MOST)
        own = max(1, round(each / strata))
        rest = max(1, round(own * (1 - share) / share))
        x, y = rng.binomial(own, other, (RUNS, strata)), rng.binomial(rest, rate, (RUNS, strata))
        found = e_values_of(test, x, np.full_like(x, own), y, np.full_like(y, rest))[0 if harm else 1] >= bar(alpha)
        first = np.where(found.any(axis=1), found.argmax(axis=1) + 1, strata + 1)
        at = int(np.sort(first)[math.ceil(power * RUNS) - 1])
        if at <= strata:
            return Needed(at * own, at * rest)
        each *= 2
    return None


def e_values_of(
    test: RateVsPrimary,
    errors: NDArray[np.int_],
    n: NDArray[np.int_],
    errors_primary: NDArray[np.int_],
    n_primary: NDArray[np.int_],
) -> tuple[Array, Array]:
    """Ln of both e-values at every look of many releases at once, all begun at ``test``'s odds ratios: shape (releases, strata)."""
    shape = errors.shape
    flat = [array.ravel().astype(np.float64) for array in (errors, n, errors_primary, n_primary)]
    grid = test.grid()
    path = log_likelihoods(flat[0], flat[1], flat[2], flat[3], grid).reshape(*shape, grid.size).cumsum(axis=1)
    violated, met = mixtures(path.reshape(-1, grid.size))
    return violated.reshape(shape), met.reshape(shape)
