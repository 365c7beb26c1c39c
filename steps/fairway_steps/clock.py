"""Time as a parameter, so that steps can be run in a test without waiting."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where a step gets the time from, and how it waits."""

    def now(self) -> float:
        """The Unix time in seconds."""

    def sleep(self, seconds: float) -> None:
        """Wait; a non-positive number does not."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class FakeClock:
    """A clock that jumps: each sleep moves it on, at once."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += max(0.0, seconds)
