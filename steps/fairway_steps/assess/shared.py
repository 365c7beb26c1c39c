"""The windows that both versions served in, as far as they are closed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    def of(cls, windows: Sequence[Window], candidate: str, primary: str) -> "Shared":
        """Of windows that all hold the candidate; one still open is known once it is followed."""
        found: list[tuple[int, Window]] = []
        waiting: Window | None = None
        for look, window in enumerate(windows):
            if waiting:
                found.append((look, waiting))
                waiting = None
            if primary in window.strata:
                if window.is_open:
                    waiting = window
                else:
                    found.append((look, window))
        own, other = ([window.strata[name] for _, window in found] for name in (candidate, primary))
        return cls(Columns(own), Columns(other), [look for look, _ in found])

    @property
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
