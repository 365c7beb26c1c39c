"""What a candidate did with users' requests, from one source, and with mirrored ones, from the collector in front of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fairway_steps.codec import decode, encode
from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.base import MetricSource, Reading
from fairway_steps.metrics.combined import cursors, earlier
from fairway_steps.metrics.preflight import MIRRORED, Inspectable, Inspection
from fairway_steps.model import Stratum
from fairway_steps.windows import is_timed, merge

MOST = 400
"""So many of the collector's strata wait at most, so that a record stays small however late the users' are."""


class MirroredSource:
    """Both as one. The versions that are read end with the candidate, the only one that gets mirrored requests.

    While it has no share of the users the collector must be there; afterwards it may have ended. Its counts are told with the users' of
    the same time, as one stratum: until those are known, as they come late or seldom, its own wait in the cursor, a list of the two
    sources' own and what waits.
    """

    def __init__(self, users: MetricSource, mirrored: MetricSource) -> None:
        self.users, self.mirrored = users, mirrored
        self._copying = False

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        first, second, kept = cursors(cursor)
        candidate = versions[-1]
        share = weights.get(candidate, 0)
        needed = bool(weights) and not share
        direct = self.users.read(versions, weights, first, now)
        if direct.problem:
            return Reading((), cursor, problem=direct.problem)
        try:
            copied = self.mirrored.read([candidate], {candidate: 1} if needed else {}, second, now)
        except TransientError as error:
            copied = Reading((), second, problem=error.message)
        if copied.problem and needed:
            return Reading((), cursor, problem=copied.problem)
        fresh = [
            replace(one, weight=share)
            for one in copied.strata
            if not copied.problem and (one.requests or one.comparisons or one.attempts)
        ]
        known = now if direct.until is None else direct.until
        told, waiting = _beside(direct.strata, [*_waiting(kept), *fresh], known)
        # Of one moment there is one stratum of a version: that with its requests.
        ends = {one.end for one in told}
        # One without users that gets copies has them alone: metrics of its server, unlike a proxy's, count them once more.
        self._copying = needed and (self._copying or bool(fresh or kept))
        users = [
            one
            for one in direct.strata
            if one.version != candidate or (not self._copying and (one.requests or one.end not in ends))
        ]
        late = _few(waiting, now - known)
        after = [direct.cursor, copied.cursor, *([[_written(one) for one in late]] if late else [])]
        return Reading(
            (*users, *told),
            json.dumps(after) if any(after) else "",
            complete=direct.complete,
            until=earlier(direct, copied) if needed else direct.until,
            every=max(direct.every, copied.every if needed else 0.0),
        )

    def inspect(self, versions: Sequence[str], now: float) -> Sequence[Inspection]:
        """What each of the two shows."""
        shown = list(self.users.inspect(versions, now)) if isinstance(self.users, Inspectable) else []
        if isinstance(self.mirrored, Inspectable):
            shown += [replace(one, parts=frozenset({MIRRORED})) for one in self.mirrored.inspect(versions[-1:], now)]
        return shown


def _beside(
    users: Iterable[Stratum], waiting: Sequence[Stratum], known: float
) -> tuple[list[Stratum], Sequence[Stratum]]:
    """Of what waits that which lies, to the nearest look, in one of the users' windows or before what is ``known``, and the rest."""
    told = []
    for start, end in sorted({(one.start, one.end) for one in users if not is_timed(one)}):
        half = (end - start) / 2
        mine = [one for one in waiting if one.end - end <= min(half, (one.end - one.start) / 2)]
        if mine:
            waiting = waiting[len(mine) :]
            whole = merge(*mine)
            told.append(replace(whole, start=start if whole.start >= start - half else whole.start, end=end))
    before = [one for one in waiting if one.end <= known]
    return [*told, *before], waiting[len(before) :]


def _few(waiting: Iterable[Stratum], late: float) -> list[Stratum]:
    found: list[Stratum] = []
    for one in waiting:
        if found and found[-1].end - found[-1].start < late / MOST:
            found[-1] = merge(found[-1], one)
        else:
            found.append(one)
    return found


def _written(stratum: Stratum) -> dict[str, Any]:
    return {name: value for name, value in encode(stratum).items() if value not in (None, {})}


def _waiting(kept: Sequence[Any]) -> list[Stratum]:
    try:
        return [decode(Stratum, one) for some in kept for one in some]
    except (ValueError, TypeError) as error:
        raise UsageError("the cursor in the record is not one of a mirror's two sources") from error
