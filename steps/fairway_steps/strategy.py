"""The strategies: in which ways a candidate may meet the traffic, and what the schedule of each looks like. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from fairway_steps.model import Stage


class Strategy(StrEnum):
    """How a candidate is released; with PERFORMANCE it is not, but only tested."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    MIRROR = "mirror"
    AB = "ab"
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

    @property
    def rehearsed(self) -> bool:
        """Whether a load test of the candidate may come first; of several none is the one."""
        return self.staged and self is not Strategy.AB


def unfit(strategy: Strategy, stages: Sequence[Stage]) -> str:
    """Why a schedule is none of ``strategy``, and how to write one; empty if it is."""
    if not strategy.staged:
        return f"strategy {strategy} has no stages; leave them out" if stages else ""
    if not stages:
        return f"there are none; write {'v2=30+v3=30@1h' if strategy is Strategy.AB else '10@20s,25@20s,50@20s'}"
    first, last = stages[0], stages[-1]
    split = next((stage for stage in stages if stage.weights), None)
    wrong = {
        Strategy.BLUE_GREEN: f"ends with all of the traffic on the candidate, not with {last.how}; write 100@5m"
        if last.weight != 100
        else "",
        Strategy.MIRROR: f"begins with a mirror, not with {first.how}; write mirror:50@5m, and more stages after it"
        if not first.mirror
        else "",
        Strategy.AB: f"has one stage with a weight for each candidate, not {first.how}; write v2=30+v3=30@1h"
        if not split
        else "",
    }.get(strategy, "")
    if split and strategy is not Strategy.AB:
        wrong = f"has one candidate, and {split.how} is a stage between several; write strategy: ab"
    return f"strategy {strategy} {wrong}" if wrong else ""
