"""The windows that both versions served in, as far as they are closed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fairway_steps.stats.columns import Columns
from fairway_steps.windows import Window


@dataclass(frozen=True)
class Shared:
    """What the candidate and the primary did in the same windows: columns of each.

    ``looks`` says after which of the release's windows each pair is known.
    """

    own: Columns
    other: Columns
    looks: Sequence[int]

    @classmethod
    def of(cls, windows: Sequence[Window], rows: Sequence[int], own: Columns, other: Columns) -> "Shared":
        """Of windows that all hold the candidate, ``own``, and in ``rows`` the primary, ``other``; one still open is known once it is followed."""
        looks = [row + windows[row].is_open for row in rows]
        known = len(looks) - (looks[-1:] == [len(windows)])
        return cls(own.some(rows[:known]), other.some(range(known)), looks[:known])

    @cached_property
    def weights(self) -> list[int]:
        """The candidate's."""
        return [stratum.weight for stratum in self.own.strata]

    def some(self, rows: Sequence[int]) -> "Shared":
        return Shared(self.own.some(rows), self.other.some(rows), [self.looks[row] for row in rows])

    def at(self, weight: int | None) -> "Shared":
        """Those of one stage; None: all."""
        return self if weight is None else self.some([i for i, own in enumerate(self.weights) if own == weight])

    def timed(self) -> "Shared":
        """Those with latencies of both, if there are any."""
        rows = (self.own.has_latency & self.other.has_latency).nonzero()[0].tolist()
        return self.some(rows) if 0 < len(rows) < len(self.looks) else self
