"""The whole ramp in one process: for short stages, where a pod for each would cost more time than the evidence."""

from collections.abc import Callable

from fairway_steps.model import Verdict
from fairway_steps.record import StageResult


def ramp(first: int, last: int, enter: Callable[[int], object], assess: Callable[[int], StageResult]) -> StageResult:
    """From stage ``first`` on, enter each and assess it, as long as the verdict is to advance; the last result stands."""
    for index in range(first, last):
        enter(index)
        result = assess(index)
        if result.assessment.verdict is not Verdict.ADVANCE:
            return result
    enter(last)
    return assess(last)
