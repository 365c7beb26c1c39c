"""Counts while a run goes on, fit to judge by: whole seconds of due moments, each once all of its requests have ended.

To count requests as they end would see the quick ones first and, while a server hangs, only those. A second whose last
request has ended hides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from fairway_steps.loadtest.client import CANCELLED, Answer
from fairway_steps.loadtest.plan import SECOND
from fairway_steps.loadtest.settings import Observer


@dataclass(slots=True)
class Count:
    """Requests of one version: how many, how many failed, how many took longer than each limit (failed ones did), and how many of these by the client's doing, perhaps."""

    requests: int = 0
    failed: int = 0
    over: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)

    def add(self, other: "Count") -> None:
        self.requests += other.requests
        self.failed += other.failed
        self.over = _sums(self.over, other.over)
        self.moved = _sums(self.moved, other.moved)


Counts = dict[str, Count]


class Tally(Observer):
    """``offsets`` are the due moments; those of the first ``warm_up`` requests are left out. ``limits`` are seconds."""

    def __init__(self, offsets: Sequence[int], warm_up: int, limits: Sequence[float], version: str) -> None:
        self._offsets, self._warm_up, self._version = offsets, warm_up, version
        self._limits = [round(limit * SECOND) for limit in limits]
        self._open: dict[int, Counts] = {}
        self._closed: Counts = {}

    def ended(self, index: int, took: int, answer: Answer, late: int = 0) -> None:
        if index < self._warm_up or answer.error == CANCELLED:
            return
        counts = self._open.setdefault(self._offsets[index] // SECOND, {})
        none = [0] * len(self._limits)
        count = counts.setdefault(answer.version or self._version, Count(over=none, moved=none.copy()))
        count.requests += 1
        if answer.error:
            count.failed += 1
        for place, limit in enumerate(self._limits):
            if answer.error or took > limit:
                count.over[place] += 1
                count.moved[place] += not answer.error and took - late <= limit

    def closed(self, oldest: int) -> Counts:
        """The counts of all whole seconds before the one of request ``oldest``, the first that has not ended."""
        second = self._offsets[oldest] // SECOND if oldest < len(self._offsets) else self._offsets[-1] // SECOND + 1
        for past in sorted(key for key in self._open if key < second):
            merge(self._closed, self._open.pop(past))
        return self._closed


def _sums(some: list[int], more: list[int]) -> list[int]:
    return [a + b for a, b in zip_longest(some, more, fillvalue=0)]


def merge(into: Counts, counts: Counts) -> None:
    for version, count in counts.items():
        into.setdefault(version, Count()).add(count)


def pooled(counts: Counts, version: str) -> Count:
    """The counts of one version, or of all together if none is named."""
    if version:
        return counts.get(version, Count())
    whole = Count()
    for count in counts.values():
        whole.add(count)
    return whole
