"""What a candidate did with users' requests, from one source, and with mirrored ones, from the collector in front of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fairway_steps.errors import TransientError
from fairway_steps.metrics.base import MetricSource, Reading
from fairway_steps.metrics.combined import cursors, earlier
from fairway_steps.metrics.preflight import MIRRORED, Inspectable, Inspection


class MirroredSource:
    """Both as one. The versions that are read end with the candidate, the only one that gets mirrored requests.

    While it has no share of the users the collector must be there; afterwards it may have ended. The cursor is a list of the two
    sources' own.
    """

    def __init__(self, users: MetricSource, mirrored: MetricSource) -> None:
        self.users, self.mirrored = users, mirrored

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        first, second = cursors(cursor)
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
        found = [
            replace(one, weight=share)
            for one in copied.strata
            if not copied.problem and (one.requests or one.comparisons or one.attempts)
        ]
        # Of one moment there is one stratum of a version: that with its requests.
        kept = [one for one in direct.strata if one.version != candidate or one.requests or not found]
        after = json.dumps([direct.cursor, copied.cursor]) if direct.cursor or copied.cursor else ""
        until = earlier(direct, copied) if needed else direct.until
        return Reading((*kept, *found), after, complete=direct.complete, until=until, every=direct.every)

    def inspect(self, versions: Sequence[str], now: float) -> Sequence[Inspection]:
        """What each of the two shows."""
        shown = list(self.users.inspect(versions, now)) if isinstance(self.users, Inspectable) else []
        if isinstance(self.mirrored, Inspectable):
            shown += [replace(one, parts=frozenset({MIRRORED})) for one in self.mirrored.inspect(versions[-1:], now)]
        return shown
