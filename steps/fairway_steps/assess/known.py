"""How much of what an SLO is about is known, window by window and of each version: what was not measured is never taken for good. Pure.

At least half must be, at the stage's weight and in all. What is known of one window beyond what there was covers no other one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairway_steps.assess.rest import Scene
from fairway_steps.model import Metric, Slo, Unit
from fairway_steps.stats.columns import Columns, Mask
from fairway_steps.stats.counts import Array
from fairway_steps.stats.known import at_rows, comparisons, timed, users
from fairway_steps.words import count

MEASURED = "a latency was measured of only {known} of {asked} of {version}{where}"
BESIDE = "only {known} of {asked} of {version} were measured beside {primary}{where}"
MADE = "only {known} of {asked} that were to be made with answers of {version} could be"
FEW = "{known} of {primary} beside are too few, {least:,} are needed"


@dataclass(frozen=True, slots=True)
class Part:
    """Of ``version``: how much is ``known`` of what is ``asked``, a window each; ``here`` are those of the stage."""

    said: str
    version: str
    what: str
    known: Array | Mask
    asked: Array | Mask
    here: Sequence[bool]

    def lacking(self, primary: str) -> str:
        for rows, where in ((list(self.here), " at this weight"), (slice(None), "")):
            known, asked = int(self.known[rows].sum()), int(self.asked[rows].sum())
            if 2 * known < asked:
                told = {"known": f"{known:,}", "asked": count(asked, self.what), "version": self.version}
                return self.said.format(**told, primary=primary, where=where)
        return ""

    @property
    def windows(self) -> "Part":
        """The same asked of each window: it is known if half of it is."""
        there = self.asked > 0
        return Part(self.said, self.version, "window", there & (2 * self.known >= self.asked), there, self.here)


def lacking(slo: Slo, scene: Scene) -> str:
    """What is not known, in words; empty if enough is."""
    if slo.relative and (few := _few_beside(slo, scene)):
        return few
    for part in _parts(slo, scene):
        for each in (part, part.windows) if slo.unit is Unit.STRATUM else (part,):
            if said := each.lacking(scene.primary):
                return said
    return ""


def _parts(slo: Slo, scene: Scene) -> Iterator[Part]:
    here, what = scene.is_here, "successful request" if slo.metric.is_time else slo.metric.witness
    known, asked = _told(slo, scene.columns)
    if slo.metric is Metric.DIFFERENCE_RATE:  # what they say holds at every weight
        yield Part(MADE, scene.candidate, what, known, asked, ())
    if slo.metric.is_time:
        yield Part(MEASURED, scene.candidate, what, known, asked, here)
    if slo.relative:
        rows, (own, _), (beside, there) = scene.rows, _told(slo, scene.shared.own), _told(slo, scene.shared.other)
        if slo.metric.is_time:
            yield Part(MEASURED, scene.primary, what, beside, there, [here[row] for row in rows])
        both = at_rows(own * (beside > 0), rows, len(known))
        yield Part(BESIDE, scene.candidate, what, both, asked, here)


def _few_beside(slo: Slo, scene: Scene) -> str:
    """Whether the stage has fewer of the primary at the candidate's side than it must have of the candidate itself."""
    here = [scene.is_here[row] for row in scene.rows]
    own, beside = (_told(slo, columns)[0] for columns in (scene.shared.own, scene.shared.other))
    known = int((beside * (own > 0))[here].sum())
    if known >= slo.min_requests:
        return ""
    return FEW.format(known=f"{known:,}", primary=scene.primary, least=slo.min_requests)


def _told(slo: Slo, columns: Columns) -> tuple[Array, Array]:
    """By stratum, how many of those that an SLO asks about it tells, and how many there are."""
    if slo.metric.is_time:
        return timed(columns), columns.requests - columns.errors
    if slo.metric is Metric.REWARD:
        return (some := users(columns)), some
    if slo.metric is Metric.DIFFERENCE_RATE:
        return comparisons(columns)
    return columns.requests, columns.requests
