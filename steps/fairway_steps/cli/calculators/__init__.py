"""What stands behind ``fairway stats``: for each method its input, what it computes, and an example."""

from collections.abc import Mapping

from fairway_steps.cli.calculators.base import Method
from fairway_steps.cli.calculators.latencies import QUANTILE_COMPARE, QUANTILE_LIMIT
from fairway_steps.cli.calculators.rates import RATE_VS_LIMIT, RATE_VS_PRIMARY, SPLIT
from fairway_steps.cli.calculators.rewards import REWARD
from fairway_steps.cli.calculators.series import MANN_WHITNEY, SCORE

METHODS: Mapping[str, Method] = {
    "rate-vs-limit": RATE_VS_LIMIT,
    "rate-vs-primary": RATE_VS_PRIMARY,
    "quantile-limit": QUANTILE_LIMIT,
    "quantile-compare": QUANTILE_COMPARE,
    "reward": REWARD,
    "mann-whitney": MANN_WHITNEY,
    "score": SCORE,
    "split": SPLIT,
}
