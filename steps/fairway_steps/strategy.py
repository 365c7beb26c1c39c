"""The strategies: in which ways a candidate may meet the traffic, and what the schedule of each looks like. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from fairway_steps.model import Stage


class Strategy(StrEnum):
    """How a candidate is released; with PERFORMANCE it is not, but only tested."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    MIRROR = "mirror"
    NONE = "none"
    PERFORMANCE = "performance"

    @property
    def releases(self) -> bool:
        """Whether traffic moves, so that there are a route, a primary and a record."""
        return self is not Strategy.PERFORMANCE

    @property
    def staged(self) -> bool:
        """Whether there is a schedule, by which the candidate is judged."""
        return self not in (Strategy.NONE, Strategy.PERFORMANCE)


def unfit(strategy: Strategy, stages: Sequence[Stage]) -> str:
    """Why a schedule is none of ``strategy``, and how to write one; empty if it is."""
    if not strategy.staged:
        return f"strategy {strategy} has no stages; leave them out" if stages else ""
    if not stages:
        return "there are none; write 10@20s,25@20s,50@20s"
    if strategy is Strategy.BLUE_GREEN and stages[-1].weight != 100:
        return f"strategy blue-green ends with all of the traffic on the candidate, not with {stages[-1].how}; write 100@5m"
    if strategy is Strategy.MIRROR and not stages[0].mirror:
        return f"strategy mirror begins with a mirror, not with {stages[0].how}; write mirror:50@5m, and more stages after it"
    return ""
