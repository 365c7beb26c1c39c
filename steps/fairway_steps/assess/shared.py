"""The windows that both versions served in, as far as they are closed. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import attrgetter
from typing import TypeVar

from fairway_steps.model import Stratum
from fairway_steps.stats.columns import Columns, Mask, Rows
from fairway_steps.windows import windows

T = TypeVar("T")


@dataclass(frozen=True)
class Windows:
    """Of each window what is asked for: the candidate's stratum and the primary's, if any, its end, and whether it is open, and timed.

    A list each, for of a long release there are many.
    """

    own: list[Stratum]
    beside: list[Stratum | None]
    ends: list[float]
    are_open: list[bool]
    are_timed: list[bool]

    @classmethod
    def of(cls, strata: Iterable[Stratum], candidate: str, primary: str) -> "Windows":
        """Those that are evidence on the candidate, in order of time."""
        found, told = cls([], [], [], [], []), list(strata)
        some_timed = not all(map(attrgetter("requests"), told))
        for window in windows(told):
            if candidate in window.strata and not window.settling:
                found.own.append(window.strata[candidate])
                found.beside.append(window.strata.get(primary))
                found.ends.append(window.end)
                found.are_open.append(window.is_open)
                found.are_timed.append(some_timed and window.is_timed)
        return found

    def __len__(self) -> int:
        return len(self.own)

    def until(self, end: int) -> "Windows":
        return self.some(range(min(end, len(self))))

    def some(self, rows: Sequence[int]) -> "Windows":
        def of(some: list[T]) -> list[T]:
            return [some[row] for row in rows]

        return Windows(of(self.own), of(self.beside), of(self.ends), of(self.are_open), of(self.are_timed))

    def each(self, told: Callable[[Stratum], Stratum]) -> "Windows":
        """With another stratum for each."""
        beside = [stratum and told(stratum) for stratum in self.beside]
        return Windows(list(map(told, self.own)), beside, self.ends, self.are_open, self.are_timed)

    @cached_property
    def with_primary(self) -> list[int]:
        return [row for row, stratum in enumerate(self.beside) if stratum]

    def known(self, *, timed: bool) -> list[int]:
        """After which of the windows each is known: one still open once the next of its kind is there, and none before the known that precede it.

        Those of latencies alone are of another kind than those of counts; whether there may be any says ``timed``.
        """
        if not timed:
            return [row + is_open for row, is_open in enumerate(self.are_open)]
        following = {False: len(self), True: len(self)}
        found = []
        for row in reversed(range(len(self))):
            kind = self.are_timed[row]
            found.append(following[kind] if self.are_open[row] else row)
            following[kind] = row
        latest = accumulate((look if look < len(self) else 0 for look in reversed(found)), max)
        return [max(look, before) for look, before in zip(reversed(found), latest, strict=True)]


@dataclass(frozen=True)
class Shared:
    """What the candidate and the primary did in the same windows: columns of each.

    ``looks`` says after which of the release's windows each pair is known.
    """

    own: Columns
    other: Columns
    looks: Sequence[int]

    @classmethod
    def of(cls, seen: Windows, rows: Sequence[int], own: Columns, other: Columns) -> "Shared":
        """Of windows that all hold the candidate, ``own``, and in ``rows`` the primary, ``other``."""
        known = seen.known(timed=not own.requests.all())
        places = [place for place, row in enumerate(rows) if known[row] < len(seen)]
        rows = [rows[place] for place in places]
        return cls(own.some(rows), other.some(places), [known[row] for row in rows])

    def some(self, rows: Sequence[int] | Rows) -> "Shared":
        return Shared(self.own.some(rows), self.other.some(rows), [self.looks[row] for row in rows])

    def at(self, weight: int | None) -> "Shared":
        """Those of one stage; None: all."""
        return self.some(self.own.at(weight))

    def here(self, weight: int | None, rows: Sequence[int]) -> "Shared":
        """Those of one stage, of which the release's windows ``rows`` are, as alone."""
        found = self.at(weight)
        return Shared(found.own, found.other, alone(found.looks, rows))

    def timed(self) -> "Shared":
        """Those with latencies of both, if there are any."""
        return self._where(self.own.has_latency & self.other.has_latency)

    def counted(self) -> "Shared":
        """Those with requests: latencies of a source of their own are of the same requests once more."""
        return self._where((self.own.requests > 0) | (self.other.requests > 0))

    def _where(self, there: Mask) -> "Shared":
        rows = there.nonzero()[0]
        return self.some(rows) if 0 < len(rows) < len(self.looks) else self


def alone(looks: Sequence[int], rows: Sequence[int]) -> list[int]:
    """After which of some windows, ``rows``, what is known after the release's ``looks`` is; what only a later one brings, after their last."""
    return [min(bisect_left(rows, look), len(rows) - 1) for look in looks]
