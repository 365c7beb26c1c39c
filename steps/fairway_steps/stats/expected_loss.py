"""The Bayesian alternative: how much one expects to lose by choosing a version now.

Stop when the expected loss of the leader, E[max over j of mu_j - mu_best], falls below what one is ready to lose (Stucchio, "Bayesian A/B
testing at VWO", 2015). It bounds the loss averaged over the prior; it does **not** bound false alarms under repeated looks (de Heide and
Grünwald, "Why optional stopping can be a problem for Bayesians", Psychonomic Bulletin & Review 28, 2021). Integrals over
the posterior distribution functions, so nothing is drawn at random.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats as distributions

from fairway_steps.stats.counts import Array, rates
from fairway_steps.stats.reward import Moments

POINTS = 2000
"""Nodes in each of the pieces the real line is cut into; the integrand is smooth within them."""

Posterior = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Loss:
    """``best`` has the smallest of the expected ``losses``, in the unit of the reward; ``probability`` is that of being the best one."""

    best: str
    losses: Mapping[str, float]
    probability: Mapping[str, float]


def rate_loss(
    arms: Mapping[str, tuple[int, int]], *, higher_is_better: bool = True, prior: tuple[float, float] = (1.0, 1.0)
) -> Loss:
    """Of versions with (hits, n), under a Beta ``prior``."""
    frozen = {}
    for name, (hits, n) in arms.items():
        rates(hits, n)
        frozen[name] = distributions.beta(prior[0] + hits, prior[1] + n - hits)
    return _loss(frozen, sign=1.0 if higher_is_better else -1.0)


def mean_loss(arms: Mapping[str, Moments], *, higher_is_better: bool = True) -> Loss:
    """Of versions with rewards of any distribution, under the flat limit of a normal-inverse-gamma prior: Student's t about the mean."""
    for name, arm in arms.items():
        if arm.n < 3 or arm.variance == 0:
            raise ValueError(f"{name} needs at least 3 rewards that are not all the same")
    frozen = {
        name: distributions.t(arm.n - 1, loc=arm.mean, scale=math.sqrt(arm.variance / arm.n))
        for name, arm in arms.items()
    }
    return _loss(frozen, sign=1.0 if higher_is_better else -1.0)


def _loss(frozen: Mapping[str, "distributions.rv_frozen"], sign: float) -> Loss:
    if len(frozen) < 2:
        raise ValueError("there is nothing to compare with fewer than 2 versions")
    nodes, weights = _nodes(frozen)
    below = {name: (posterior.cdf(nodes) if sign > 0 else posterior.sf(nodes)) for name, posterior in frozen.items()}
    density = {name: posterior.pdf(nodes) for name, posterior in frozen.items()}
    losses, probability = {}, {}
    for name in frozen:
        others = np.prod([below[other] for other in frozen if other != name], axis=0)
        # E[(M - X)+] for the best other M: P(X <= x < M), integrated; mirrored where lower is better.
        losses[name] = float(weights @ (below[name] * (1 - others)))
        probability[name] = float(weights @ (density[name] * others))
    return Loss(min(losses, key=lambda name: (losses[name], name)), losses, probability)


def _nodes(frozen: Mapping[str, "distributions.rv_frozen"]) -> tuple[Array, Array]:
    """Gauss-Legendre nodes between the posteriors' own quantiles, so that each narrow one is met by many."""
    shares = np.array([1e-14, 1e-9, 1e-5, 0.001, 0.02, 0.2, 0.5, 0.8, 0.98, 0.999, 1 - 1e-5, 1 - 1e-9, 1 - 1e-14])
    cuts = np.unique(np.concatenate([posterior.ppf(shares) for posterior in frozen.values()]))
    x, w = np.polynomial.legendre.leggauss(POINTS // (cuts.size - 1) + 8)
    half = np.diff(cuts) / 2
    nodes = (cuts[:-1] + half)[:, None] + half[:, None] * x
    return nodes.ravel(), (half[:, None] * w).ravel()
