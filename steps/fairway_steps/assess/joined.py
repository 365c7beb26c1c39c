"""Requests, and the latencies that a source of its own tells of the same time, as one. Pure.

A stratum of latencies alone goes to the requests of its version that it shares most of its time with; requests that none has gone to go where
the latencies went that they share most of theirs with. So readings that are not taken at the same moments, or not as often, still meet.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from fairway_steps.assess.shared import Shared, alone
from fairway_steps.model import Stratum
from fairway_steps.stats.columns import Columns
from fairway_steps.windows import Window, merge, windows

GRACE = 2
"""For so many windows requests wait for the latencies of their time."""

TINY = 1e-9

Seen = tuple[Stratum, int]
"""A stratum, and after which look it is known."""


@dataclass(frozen=True)
class Joined:
    """The candidate's windows, after which look each is known, and what the primary ``shared`` of them."""

    own: Columns
    looks: Sequence[int]
    shared: Shared

    @classmethod
    def of(cls, own: Sequence[Seen], beside: Sequence[Seen], end: int) -> "Joined":
        """``end`` is no look yet."""
        if not own:
            return cls(Columns([]), (), Shared(Columns([]), Columns([]), ()))
        candidate, primary = own[0][0].version, beside[0][0].version if beside else ""
        wholes = [(window.strata, look) for window, look in joined((own, beside), end) if candidate in window.strata]
        both = [(strata, look) for strata, look in wholes if primary in strata]
        first, second = ([strata[name] for strata, _ in both] for name in (candidate, primary))
        shared = Shared(Columns(first), Columns(second), [look for _, look in both])
        return cls(Columns([strata[candidate] for strata, _ in wholes]), [look for _, look in wholes], shared)

    def here(self, weight: int | None, rows: Sequence[int]) -> "Joined":
        """What is of one stage, of which the release's windows ``rows`` are, as alone."""
        own = self.own.at(weight)
        looks = alone([self.looks[row] for row in own.tolist()], rows)
        return Joined(self.own.some(own), looks, self.shared.here(weight, rows))


def joined(told: Iterable[Sequence[Seen]], end: int) -> list[tuple[Window, int]]:
    """Windows of what is ``told`` of each version, and at which look each is known, its last part included, if it is before ``end``."""
    found = [each for some in told for each in _together(some, end)]
    looks = {id(stratum): look for stratum, look in found}
    wholes = [
        (window, max(looks[id(each)] for each in window.strata.values()))
        for window in windows(each for each, _ in found)
    ]
    known = [(window, look) for window, look in wholes if look < end]
    return list(zip((window for window, _ in known), accumulate((look for _, look in known), max), strict=True))


@dataclass(slots=True)
class _Group:
    """Requests and latencies that belong together, ``last`` in the order of the requests, all known at ``look``."""

    counts: list[Stratum] = field(default_factory=list)
    latencies: list[Stratum] = field(default_factory=list)
    look: int = 0
    last: int = 0

    @property
    def merged(self) -> Stratum:
        whole = merge(*self.counts)
        if not self.latencies:
            return whole
        timed = merge(*self.latencies)
        return replace(whole, latency=timed.latency, seconds=timed.seconds)


def _together(some: Sequence[Seen], end: int) -> Iterator[Seen]:
    """One version's strata."""
    asked: list[Seen] = []
    told: list[Seen] = []
    for each in some:
        stratum = each[0]
        if stratum.requests and stratum.latency is None:
            asked.append(each)
        elif _is_timed(stratum):
            told.append(each)
        elif stratum.requests:  # what tells neither has no place among those that do
            yield each
    hosts = _nearest(told, asked)
    taken = {host for host in hosts if host is not None}
    groups: dict[int, _Group] = {}
    places = zip(asked, _settled(asked, told, end), _nearest(asked, told, least=0.5), strict=True)
    for place, ((stratum, look), settled, through) in enumerate(places):
        hosted = hosts[through] if through is not None and place not in taken else None
        group = groups.setdefault(place if hosted is None else hosted, _Group())
        group.counts.append(stratum)
        group.look, group.last = max(group.look, look, settled), max(group.last, place)
    for each, host in zip(told, hosts, strict=True):
        if host is None:
            yield each
        else:
            groups[host].latencies.append(each[0])
            groups[host].look = max(groups[host].look, each[1])
    for group in groups.values():
        over = group.last + GRACE
        yield group.merged, min(group.look, asked[over][1] if over < len(asked) else end)


def _settled(asked: Sequence[Seen], told: Sequence[Seen], end: int) -> list[int]:
    """At which look it is settled what belongs to each: when both are known up to its end, and requests to that of the latencies."""
    ends, told_ends = ([stratum.end for stratum, _ in some] for some in (asked, told))
    found = []
    for stratum, _ in asked:
        at = bisect_left(told_ends, stratum.end)
        after = bisect_left(ends, told_ends[at]) if at < len(told) else len(asked)
        found.append(max(told[at][1], asked[after][1]) if after < len(asked) else end)
    return found


def _nearest(some: Sequence[Seen], others: Sequence[Seen], least: float = 0.0) -> list[int | None]:
    """Which of the others, at the same weight, each shares most of its time with, the earliest of such.

    None if it shares with none, or not as much as the ``least`` part of its time.
    """
    found, first = [], 0
    for own, _ in some:
        while first < len(others) and others[first][0].end <= own.start and others[first][0].start < own.start:
            first += 1
        best, most = None, least * (own.end - own.start) - TINY
        for place in range(first, len(others)):
            other = others[place][0]
            if other.start >= own.end and other.start > own.start:
                break
            shared = min(own.end, other.end) - max(own.start, other.start)
            if other.weight == own.weight and shared > most:
                best, most = place, shared
        found.append(best)
    return found


def _is_timed(stratum: Stratum) -> bool:
    return not stratum.requests and stratum.latency is not None and any(stratum.latency.counts)
