"""What all trials of SLOs share: the windows that are evidence, and the words for what is missing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from fairway_steps.assess.counts import inconsistency
from fairway_steps.assess.joined import Joined
from fairway_steps.assess.shared import Shared, Windows
from fairway_steps.model import Doubt, Evidence, Metric, Result, Slo, Stratum
from fairway_steps.stats.columns import Columns
from fairway_steps.stats.known import alone
from fairway_steps.words import count


@dataclass(frozen=True, slots=True)
class Open:
    """What the end of a stage asks for, as ln e: ``enough`` proves health, and it must where ``must_prove``; ``alarming`` is half a proof of harm.

    ``is_last``: after it nothing more comes, so the release as a whole must have had its minimum sample. ``once``: alarming is, too, what
    chance makes so rare at one look.
    """

    is_last: bool
    must_prove: bool
    enough: float
    alarming: float
    once: float = 0.0


@dataclass(frozen=True, slots=True)
class Ending:
    """What that comes to, in a word and in words."""

    result: Result
    where: str = ""
    after: str = ""
    missing: int = 0
    doubt: Doubt | None = None


@dataclass(frozen=True)
class Scene:
    """The windows that are evidence on ``candidate``, in order of time, and the stage that is being judged.

    ``weight`` is the stage's (None: all windows are its own). The stage alone takes from the ``whole`` what is known of it there.
    """

    candidate: str
    primary: str
    windows: Windows
    weight: int | None
    whole: "Scene | None" = None

    @classmethod
    def of(cls, strata: Sequence[Stratum], candidate: str, primary: str, weight: int | None) -> "Scene":
        return cls(candidate, primary, Windows.of(strata, candidate, primary), weight)

    def reading(self, name: str) -> "Scene":
        """The scene with the latency ``name`` in place of the request's own."""
        seen = self.windows.each(lambda each: replace(each, latency=each.latencies.get(name), seconds=0.0))
        return replace(self, windows=seen)

    @cached_property
    def summed(self) -> "Scene":
        """The scene without latencies that are counted, but of which no sum is told: no mean follows from those."""
        if not any(map(_unsummed, self.windows.own)):
            return self
        seen = self.windows.each(lambda each: replace(each, latency=None) if _unsummed(each) else each)
        return replace(self, windows=seen)

    @cached_property
    def problem(self) -> str:
        """Why the primary's counts compare with nothing; empty if they do."""
        found = inconsistency(self._beside)
        return f"the counts of {self.primary} cannot be: {found}" if found else ""

    def until(self, index: int) -> "Scene":
        """The scene as it was after the window ``index``."""
        return replace(self, windows=self.windows.until(index + 1))

    @cached_property
    def here(self) -> "Scene":
        """The stage alone."""
        return replace(self, windows=self.windows.some(self.rows_here), whole=self)

    @cached_property
    def rows_here(self) -> list[int]:
        return [row for row, is_here in enumerate(self.is_here) if is_here]

    @property
    def own(self) -> list[Stratum]:
        return self.windows.own

    @cached_property
    def columns(self) -> Columns:
        """The candidate's strata, one a window."""
        return self.whole.columns.some(self.whole.rows_here) if self.whole else Columns(self.own)

    @cached_property
    def shared(self) -> Shared:
        """What may be compared with the primary; nothing where its counts cannot be."""
        if self.whole:
            return self.whole.shared.here(self.weight, self.whole.rows_here)
        return Shared.of(self.windows, self._with_primary, self.columns, self._beside)

    @cached_property
    def joined(self) -> Joined:
        """The windows with the latencies of a source of their own beside the requests that they tell of."""
        if self.whole and self.whole.joined.own is not self.whole.columns:
            return self.whole.joined.here(self.weight, self.whole.rows_here)
        if self.whole or not (alone(self.columns).any() or alone(self._beside).any()):
            return Joined(self.columns, range(len(self.windows)), self.shared)
        known = self.windows.known(timed=True)
        own = list(zip(self.own, known, strict=True))
        looks = [known[row] for row in self._with_primary]
        beside = list(zip(self._beside.strata, looks, strict=True)) if looks else []
        return Joined.of(own, beside, len(self.windows))

    @cached_property
    def rows(self) -> list[int]:
        """Which of the windows those are."""
        if self.whole:
            here = {row: place for place, row in enumerate(self.whole.rows_here)}
            return [here[row] for row in self.whole.rows if row in here]
        own = self.shared.own
        return list(range(len(own.strata))) if own.whole is None else own.rows.tolist()

    @property
    def _with_primary(self) -> list[int]:
        return [] if self.problem else self.windows.with_primary

    @cached_property
    def _beside(self) -> Columns:
        """The primary's strata, in the windows that it served in."""
        return Columns(list(filter(None, self.windows.beside)))

    @cached_property
    def is_here(self) -> list[bool]:
        """Which of the candidate's strata are of this stage."""
        return self.judged(self.own)

    def judged(self, strata: Sequence[Stratum]) -> list[bool]:
        """Which of some strata of the candidate are of this stage."""
        return [self.weight in (None, stratum.weight) for stratum in strata]

    @cached_property
    def changes(self) -> list[int]:
        """Before which windows the candidate's weight changed."""
        weights = [stratum.weight for stratum in self.own]
        return [i for i, (now, then) in enumerate(pairwise(weights), 1) if now != then]


def _unsummed(stratum: Stratum) -> bool:
    return not stratum.seconds and stratum.latency is not None and stratum.latency.total > 0


def missing_here(slo: Slo, in_stage: int) -> int:
    return max(0, slo.min_requests - in_stage)


def too_few(slo: Slo, in_stage: int) -> tuple[Result, str]:
    """A stage without a request is one without data, whatever the stages before it showed."""
    if not in_stage:
        return Result.NO_DATA, "no request at this weight was measured"
    are = "is" if in_stage == 1 else "are"
    where = "" if slo.metric is Metric.DIFFERENCE_RATE else " at this weight"
    return Result.INCONCLUSIVE, (
        f"{count(in_stage, slo.metric.witness)}{where} {are} too few, {slo.min_requests} are needed"
    )


def few(slo: Slo, in_stage: int, in_all: int, kept: float, open_: Open) -> Ending | None:
    """Whether the minimum sample is missing, of the stage or of the whole release; not of the latter where health is proved, or is to be."""
    if missing := missing_here(slo, in_stage):
        result, after = too_few(slo, in_stage)
        return Ending(result, "against", after, missing, Doubt.FEW)
    missing = slo.min_in_all - in_all
    if missing <= 0 or not open_.is_last or open_.must_prove or kept >= open_.enough:
        return None
    are = "is" if in_all == 1 else "are"
    after = f"{count(in_all, slo.metric.witness)} in all {are} too few, {slo.min_in_all:,} are needed"
    return Ending(Result.INCONCLUSIVE, "against", after, missing, Doubt.FEW)


def unproved(slo: Slo, in_all: int) -> Doubt:
    """Why health is not proved: with fewer requests than could prove it well, for want of them."""
    return Doubt.FEW if in_all < slo.min_in_all else Doubt.PROOF


def no_data(slo: Slo, sentence: str) -> Evidence:
    return Evidence(slo, Result.NO_DATA, sentence, missing=slo.min_requests)


def enough(risk: float) -> float:
    """How large ln e must be."""
    return -math.log(risk)
