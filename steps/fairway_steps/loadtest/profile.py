"""How the rate changes with time: steps and ramps, in requests per second. Pure.

``50`` is steady, ``10@30s,50@30s`` are steps, ``10..100@60s`` rises evenly, and the three combine. Arrivals are found by
the expected number of them up to a moment, Λ(t): arrival *i* of an even spacing is due where Λ is *i*.
"""

import math
from dataclasses import dataclass

from fairway_steps.config.units import parse_duration
from fairway_steps.errors import UsageError


@dataclass(frozen=True, slots=True)
class Segment:
    """From rate ``start`` to rate ``end``, evenly, within ``seconds``."""

    start: float
    end: float
    seconds: float

    @property
    def count(self) -> float:
        """How many arrivals are expected within it."""
        return self.expected(self.seconds)

    def expected(self, at: float) -> float:
        if self.start == self.end:
            return self.start * at
        return at * (self.start + (self.end - self.start) * at / self.seconds / 2)

    def moment(self, expected: float) -> float:
        """When so many are expected to have come: the root of a quadratic, in the form that loses no digits."""
        if self.start == self.end:
            return expected / self.start
        slope = (self.end - self.start) / self.seconds
        root = math.sqrt(max(0.0, self.start * self.start + 2 * slope * expected))
        return 2 * expected / (self.start + root) if expected else 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """Segments, one after another. A single steady one without an end has infinite ``seconds``."""

    segments: tuple[Segment, ...]

    @property
    def seconds(self) -> float:
        return sum(segment.seconds for segment in self.segments)

    @property
    def first(self) -> float:
        return self.segments[0].start

    @property
    def beginning(self) -> float:
        """The rate of a warm-up: the first one, or a low one before a pause."""
        return self.first or min(1.0, self.peak)

    @property
    def peak(self) -> float:
        return max(max(segment.start, segment.end) for segment in self.segments)

    @property
    def even(self) -> bool:
        """Whether it is one rate all along."""
        return all(rate == self.first for segment in self.segments for rate in (segment.start, segment.end))

    def after(self, seconds: float) -> "Profile":
        """The profile that begins with so long at its first rate."""
        if math.isinf(self.seconds):
            return self
        return Profile((Segment(self.beginning, self.beginning, seconds), *self.segments))

    def expected(self, at: float) -> float:
        """How many arrivals are expected up to a moment."""
        total = 0.0
        for segment in self.segments:
            total += segment.expected(min(at, segment.seconds))
            at -= segment.seconds
            if at <= 0:
                break
        return total

    def moment(self, expected: float) -> float:
        """When so many are expected to have come, in seconds; infinity after the end."""
        begun = 0.0
        for segment in self.segments:
            if math.isinf(segment.seconds) or expected < segment.count:
                return begun + segment.moment(expected)
            expected -= segment.count
            begun += segment.seconds
        return math.inf


def steady(rate: float) -> Profile:
    """One rate without an end. Raises UsageError for one that is no load."""
    return Profile((Segment(_rate(rate), rate, math.inf),))


def parse_profile(text: str) -> Profile:
    """``50``, ``10@30s,50@30s``, ``10..100@60s``. Raises UsageError with what is wrong."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and "@" not in text and ".." not in text:
        return steady(_number(text, text))
    profile = Profile(tuple(_segment(part, text) for part in parts))
    if profile.peak <= 0:
        raise UsageError(f"the rate {text!r} is no load", mend="let at least one part be above 0")
    return profile


def _segment(part: str, whole: str) -> Segment:
    rates, at, lasting = part.partition("@")
    start, dots, end = rates.partition("..")
    if not at:
        raise UsageError(
            f"the rate {whole!r} does not say how long {part!r} lasts", mend="write such as 10@30s,50..100@60s"
        )
    try:
        seconds = parse_duration(lasting)
    except ValueError as error:
        raise UsageError(f"the rate {whole!r}: {error}") from error
    if seconds <= 0:
        raise UsageError(f"the rate {whole!r}: {part!r} lasts no time")
    numbers = [_number(rate, whole) for rate in ([start, end] if dots else [start])]
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise UsageError(f"the rate {whole!r}: {rates!r} cannot be", mend="give numbers of 0 or more")
    return Segment(numbers[0], numbers[-1], seconds)


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"the rate {whole!r} is not a number of requests per second", mend="write 50, 10@30s,50@30s or 10..100@60s"
        ) from None


def _rate(rate: float) -> float:
    if not (math.isfinite(rate) and rate > 0):
        raise UsageError(f"a rate of {rate:g} requests per second is no load", mend="give a number above 0")
    return rate
