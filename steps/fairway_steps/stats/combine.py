"""Several metrics and several candidates: one decision, with one error probability.

Rolling back is a union: any metric may show harm. The weighted mean of e-values is an e-value whatever their dependence (Vovk and
Wang, Ann. Statist. 49(3), 2021), so the mean is tested, never weaker than Bonferroni's correction with the same weights. Promoting is an
intersection: every metric must show health, each at the full level, without correction (Berger, "Multiparameter hypothesis
testing and acceptance sampling", Technometrics 24(4), 1982). Which metric it was is told by Holm's procedure on e-values.
All metrics must be told stratum by stratum from the same closed strata, never on clocks of their own: only then is their mean an e-process.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from fairway_steps.stats.evidence import ALPHA, BETA, bar


@dataclass(frozen=True, slots=True)
class Rollback:
    """Whether any of several metrics shows harm: P(fired | all are fine) <= ``alpha``, at any look. Make one with ``rollback``.

    ``weights`` sum to one. A metric in ``critical`` also fires alone: without any, the mean has all of ``alpha``; with some, half
    goes to the mean, and they share the other half equally. ``harmful`` are those that were named at a look so far.
    """

    weights: tuple[float, ...]
    critical: tuple[bool, ...]
    alpha: float = ALPHA
    peak: float = 0.0
    peaks: tuple[float, ...] = ()
    harmful: tuple[int, ...] = ()

    def look(self, log_es: Sequence[float]) -> "Rollback":
        """The state after one look: ln of every metric's e-value of harm now, all from the same strata."""
        now = mixed(log_es, self.weights)
        peaks = tuple(map(max, self.peaks or (0.0,) * len(self.weights), log_es))
        harmful = self.harmful
        if max(log_es) >= self.bar:
            harmful = tuple(sorted({*harmful, *e_holm(log_es, math.exp(-self.bar))}))
        return replace(self, peak=max(self.peak, now), peaks=peaks, harmful=harmful)

    @property
    def bar(self) -> float:
        """What ln of the mean must reach."""
        return bar(self.alpha / 2 if any(self.critical) else self.alpha)

    @property
    def critical_bar(self) -> float:
        """What ln of a critical metric's own e-value must reach; infinity without any."""
        return bar(self.alpha / 2 / sum(self.critical)) if any(self.critical) else math.inf

    @property
    def alone(self) -> tuple[int, ...]:
        """Critical metrics that fired alone."""
        found = zip(self.critical, self.peaks, strict=False)
        return tuple(i for i, (critical, peak) in enumerate(found) if critical and peak >= self.critical_bar)

    @property
    def fired(self) -> bool:
        """Harm was shown at this look or at one before."""
        return self.peak >= self.bar or bool(self.alone)

    def culprits(self) -> tuple[int, ...]:
        """Which metrics are harmful: P(any of them is not) <= ``alpha``. May be none while the mean fires.

        Those that Holm's procedure names at a look, for the e-values of that look: a running maximum of one metric beside that
        of another would be no e-value. What it names at any look, closed testing with running maxima of the means names as well.
        """
        return tuple(sorted({*self.harmful, *self.alone}))


def rollback(
    metrics: int, weights: Sequence[float] = (), critical: Sequence[bool] = (), alpha: float = ALPHA
) -> Rollback:
    """The state before any look, for so many metrics; without ``weights`` all weigh the same."""
    bar(alpha)
    normed = _normed(weights, metrics)
    flags = tuple(critical) or (False,) * metrics
    if len(flags) != metrics:
        raise ValueError(f"{len(flags)} marks of what is critical do not fit {metrics} metrics")
    return Rollback(normed, flags, alpha)


def mixed(log_es: Sequence[float], weights: Sequence[float] = ()) -> float:
    """Ln of the weighted mean of e-values given as logarithms."""
    values = _logs(log_es)
    return float(special.logsumexp(values, b=np.array(_normed(weights, values.size))))


def promotable(log_mets: Sequence[float], beta: float = BETA) -> bool:
    """Whether every metric proves health: P(promotable | any of them is not healthy) <= ``beta``. No metric proves nothing."""
    return len(log_mets) > 0 and bool((_logs(log_mets) >= bar(beta)).all())


def e_holm(log_es: Sequence[float], alpha: float = ALPHA) -> tuple[int, ...]:
    """Indices of the null hypotheses refuted with P(any of them is true) <= ``alpha``, for e-values of any dependence.

    Closed testing with the mean as e-value of each intersection (Vovk and Wang 2021, section 6): one is refuted if its mean
    with every set of the others stays at 1/alpha or above, and the worst sets are those of the smallest others.
    """
    values = _logs(log_es)
    found = []
    for i, value in enumerate(values):
        others = np.sort(np.delete(values, i))
        sums = np.logaddexp.accumulate(np.concatenate(([value], others)))
        means = sums - np.log(np.arange(1, values.size + 1))
        if means.min() >= bar(alpha):
            found.append(i)
    return tuple(found)


def e_benjamini_hochberg(log_es: Sequence[float], alpha: float = ALPHA) -> tuple[int, ...]:
    """Indices refuted with a false discovery rate of at most ``alpha``, under any dependence.

    The k largest are, for the largest k with the k-th e-value at least m/(alpha k) (Wang and Ramdas, "False discovery rate
    control with e-values", JRSS-B 84(3), 2022).
    """
    values = _logs(log_es)
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(1, values.size + 1)
    kept = np.flatnonzero(values[order] >= bar(alpha) + np.log(values.size / ranks))
    return tuple(sorted(order[: kept[-1] + 1].tolist())) if kept.size else ()


def _logs(log_es: Sequence[float]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    values = np.asarray(log_es, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("a logarithm of an e-value is not a number")
    return values


def _normed(weights: Sequence[float], metrics: int) -> tuple[float, ...]:
    if metrics < 1:
        raise ValueError("there is no metric to decide by")
    given = tuple(weights) or (1.0,) * metrics
    if len(given) != metrics:
        raise ValueError(f"{len(given)} weights do not fit {metrics} metrics")
    if any(not 0 <= weight < math.inf for weight in given) or sum(given) <= 0:
        raise ValueError(f"weights {list(given)} are not numbers from 0 on, with one above it")
    return tuple(weight / math.fsum(given) for weight in given)
