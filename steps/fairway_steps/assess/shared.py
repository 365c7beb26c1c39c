"""The windows that both versions served in, as far as they are closed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from fairway_steps.stats.columns import Columns, Mask
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
        """Of windows that all hold the candidate, ``own``, and in ``rows`` the primary, ``other``."""
        known = known_at(windows, timed=not own.requests.all())
        places = [place for place, row in enumerate(rows) if known[row] < len(windows)]
        rows = [rows[place] for place in places]
        return cls(own.some(rows), other.some(places), [known[row] for row in rows])

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
        return self._where(self.own.has_latency & self.other.has_latency)

    def counted(self) -> "Shared":
        """Those with requests: latencies of a source of their own are of the same requests once more."""
        return self._where((self.own.requests > 0) | (self.other.requests > 0))

    def _where(self, there: Mask) -> "Shared":
        rows = there.nonzero()[0].tolist()
        return self.some(rows) if 0 < len(rows) < len(self.looks) else self


def known_at(windows: Sequence[Window], *, timed: bool) -> list[int]:
    """After which of the windows each is known: one still open once the next of its kind is there, and none before the known that precede it.

    Those of latencies alone are of another kind than those of counts; whether there may be any says ``timed``.
    """
    following = {False: len(windows), True: len(windows)}
    found = []
    for row in reversed(range(len(windows))):
        window = windows[row]
        kind = timed and window.is_timed
        found.append(following[kind] if window.is_open else row)
        following[kind] = row
    latest = accumulate((look if look < len(windows) else 0 for look in reversed(found)), max)
    return [max(look, before) for look, before in zip(reversed(found), latest, strict=True)]
