"""Requests, and the latencies that a source of its own tells of the same time, as one. Pure.

A stratum of latencies alone goes to the requests of its version that it shares most of its time with; requests that none has gone to go where
the latencies went that they share most of theirs with. So readings that are not taken at the same moments, or not as often, still meet.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from fairway_steps.assess.shared import Shared
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


def _together(some: Sequence[Seen], end: int) -> Iterator[Seen]:
    """One version's strata."""
    asked = [each for each in some if each[0].requests and each[0].latency is None]
    told = [each for each in some if _is_timed(each[0])]
    yield from (each for each in some if not _is_timed(each[0]) and (each[0].latency or not each[0].requests))
    hosts = _nearest(told, asked)
    taken = {host for host in hosts if host is not None}
    parts: dict[int, list[Seen]] = {}
    settled = _settled(asked, told, end)
    last: dict[int, int] = {}
    for place, (own, through) in enumerate(zip(asked, _nearest(asked, told, least=0.5), strict=True)):
        hosted = hosts[through] if through is not None and place not in taken else None
        host = place if hosted is None else hosted
        parts.setdefault(host, []).append((own[0], max(own[1], settled[place])))
        last[host] = max(last.get(host, place), place)
    for each, at in zip(told, hosts, strict=True):
        if at is None:
            yield each
        else:
            parts[at].append(each)
    for host, seen in parts.items():
        over = last[host] + GRACE
        late = asked[over][1] if over < len(asked) else end
        yield _merged([stratum for stratum, _ in seen]), min(late, max(look for _, look in seen))


def _merged(parts: Sequence[Stratum]) -> Stratum:
    counts, latencies = ([part for part in parts if _is_timed(part) is timed] for timed in (False, True))
    whole = merge(*counts)
    if not latencies:
        return whole
    timed = merge(*latencies)
    return replace(whole, latency=timed.latency, seconds=timed.seconds)


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
