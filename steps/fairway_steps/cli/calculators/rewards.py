"""The calculator on rewards of users."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from fairway_steps.cli.calculators.base import Method, Sequential, logs, verdict_of
from fairway_steps.stats.bounded import BoundedMean
from fairway_steps.stats.expected_loss import mean_loss
from fairway_steps.stats.reward import MIN_UNITS, PLANNED, Moments, RewardVsPrimary, mean_interval
from fairway_steps.stats.winner import beats_primary, winner


class RewardInput(Sequential):
    """Rewards by version."""

    rewards: dict[str, list[float]] = Field(
        description="By version, one value a user: what it was worth in a closed window, 0 for a silent one."
    )
    primary: str | None = Field(
        None, description="The version the others are compared with; without it only a winner is sought."
    )
    direction: Literal["increase", "decrease"] = Field("increase", description="Which way is better.")
    margin: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="How much worse than the primary is fine, in the unit of the reward.",
    )
    indifference: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="A leader within this of the others has won, too."
    )
    planned: float = Field(
        PLANNED, gt=0, allow_inf_nan=False, description="The number of users at which intervals are tightest."
    )


def _reward(given: RewardInput) -> Mapping[str, Any]:
    better, arms = given.direction == "increase", {n: Moments().update(v) for n, v in given.rewards.items()}
    best = winner(
        arms, higher_is_better=better, indifference=given.indifference, alpha=given.alpha, planned=given.planned
    )
    told: dict[str, Any] = {
        "best": best.best,
        "decided": best.decided,
        "why": _unspread(arms),
        "dropped": best.dropped,
        "leads": best.leads,
        "users_missing": best.missing,
        "versions": {n: _version(given.rewards[n], arm, given) for n, arm in arms.items()},
        "expected_loss": None,
        "against_primary": None,
    }
    if all(arm.n > 2 and arm.variance for arm in arms.values()):
        loss = mean_loss(arms, higher_is_better=better)
        told["expected_loss"] = {n: {"loss": loss.losses[n], "probability_best": loss.probability[n]} for n in arms}
    if given.primary is not None:
        surely = beats_primary(arms, given.primary, higher_is_better=better, alpha=given.alpha, planned=given.planned)
        told["against_primary"] = {
            name: _against(arms[name], arms[given.primary], given) | {"surely_better": name in surely}
            for name in arms
            if name != given.primary
        }
    return told


def _unspread(arms: Mapping[str, Moments]) -> str:
    """Why rewards that do not scatter decide nothing, however many; empty if they do, or are few."""
    alike = [name for name, arm in arms.items() if arm.n >= MIN_UNITS and not arm.variance]
    return (
        f"within {' and '.join(alike)} all users were worth the same, so how sure a mean is is not known"
        if alike
        else ""
    )


def _version(values: list[float], arm: Moments, given: RewardInput) -> dict[str, Any]:
    bounded = bool(values) and min(values) >= 0 and max(values) <= 1
    return {
        "users": arm.n,
        "mean": arm.mean if arm.n else None,
        "interval": mean_interval(arm, given.alpha, given.planned),
        "bounded_interval": BoundedMean(given.alpha).update(values).interval if bounded else None,
    }


def _against(arm: Moments, primary: Moments, given: RewardInput) -> dict[str, Any]:
    test = RewardVsPrimary(given.planned, given.margin, given.direction == "increase", arm, primary)
    verdict = verdict_of(test.now, test.now, given, arm.n, primary.n)
    return {"verdict": verdict, **logs(test.now, test.now), "interval": test.interval(given.alpha)}


REWARD = Method(
    about=f"Asymptotic confidence sequences (Waudby-Smith and others 2024) once every version has {MIN_UNITS} users; the winner by all pairs, at alpha over their number. Beside it the Bayesian expected loss, which bounds no false alarms under repeated looks.",
    input=RewardInput,
    output={
        "best, decided": "The leader, and whether it has won; `users_missing` an arm before any verdict.",
        "why": "Why nothing is decided by however many users: those of a version do not scatter.",
        "leads, dropped": "By how much the leader is ahead of each, as an interval; who is surely worse.",
        "versions": "Users, mean, its interval at any look; for values from 0 to 1 also the exact `bounded_interval`.",
        "expected_loss": "What choosing each is expected to lose, and its probability of being best.",
        "against_primary": "For each candidate: verdict, logarithms of the e-values, p-values, interval of the difference, and whether it is surely better with all candidates taken together.",
    },
    example='{"rewards": {"v1": [0, 1, 0, 1, 0], "v2": [1, 1, 0, 1, 1]}, "primary": "v1"}',
    computed=_reward,
)
