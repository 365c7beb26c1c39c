"""One SLO with a margin: the candidate against the primary that served at the same time, window by window.

Only windows that are closed and hold both versions count (``assess.shared``). Rates and latency quantiles are both compared by odds
(``stats.pairs``, ``stats.comparison``): whether failures, or requests slower than the primary's quantile lengthened by the margin, have more of them than
the margin allows.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from fairway_steps.assess.beside import Beside
from fairway_steps.assess.known import lacking
from fairway_steps.assess.rest import Ending, Open, Scene, few, missing_here, no_data, unproved
from fairway_steps.assess.seen import Seen, quantiles_seen, rates_seen
from fairway_steps.assess.shared import Shared
from fairway_steps.assess.unpaired import NONE, Unpaired, by_requests
from fairway_steps.model import Doubt, Evidence, Metric, Result, Slo
from fairway_steps.stats.comparison import MET, VIOLATED, RateVsPrimary, Strata
from fairway_steps.stats.counts import Array
from fairway_steps.stats.pairs import Pairs, Rows, held, of_failures, of_quantile, readable
from fairway_steps.words import count, name_of, number, times


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand: the stage's ``requests``, all ``seen`` of both, ln e of harm and of health."""

    requests: int
    seen: Beside
    log_e: float
    kept: float
    harmful: bool
    open_: Open

    @property
    def proved(self) -> bool:
        return self.kept >= self.open_.enough and not self.harmful


@dataclass(frozen=True)
class Margin:
    """An error rate or a latency quantile against the primary's."""

    slo: Slo
    scene: Scene
    whole: "Margin | None" = None

    @property
    def here(self) -> "Margin":
        """The stage alone, as it was read among all windows: where the primary's quantile lies the earlier ones tell there, too."""
        return Margin(self.slo, self.scene.here, self)

    def harm(self) -> list[Array]:
        """Ln e of harm after each of the scene's windows, by what became known from the first and from each change of weights on."""
        looks, end = self._harm_looks, len(self.scene.windows)
        paths = []
        for begin in (0, *self.scene.changes):
            first = bisect_left(looks, begin)
            log_es = self._fresh.log_es(self._harm.some(slice(first, None)), VIOLATED)
            paths.append(held(log_es, looks[first:], begin, end))
        return paths

    def kept(self) -> float:
        return self._kept

    @cached_property
    def _kept(self) -> float:
        """Ln e of health, by the stage's own evidence: what was well at a lower weight proves nothing of a higher one."""
        if self.whole:
            return self.whole.kept()
        harm, health = self._pairs
        here = health.places(self._rows_here)
        strata = self._harm.some(here) if health is harm else self._read(health.some(here), MET)
        return self._fresh.met(strata)

    def evidence(self, log_e: float, *, harmful: bool, open_: Open) -> Evidence:
        slo, scene = self.slo, self.scene
        if scene.problem:
            return no_data(slo, scene.problem)
        both = self._beside()
        if not both.met:
            served = any(stratum.requests for stratum in scene.own)
            name, other = (scene.primary, scene.candidate) if served else (scene.candidate, scene.primary)
            return no_data(slo, f"no request to {name} was measured beside {other}, so {self._unknown} is not known")
        if self._is_latency and not (own := both.shared.own.timed.any()) & both.shared.other.timed.any():
            name = scene.primary if own else scene.candidate
            return no_data(slo, f"no latency of {name} was measured, so {self._unknown} is not known")
        here = self._beside(scene.weight)
        standing = Standing(
            requests=here.requests, seen=both, log_e=log_e, kept=self.kept(), harmful=harmful, open_=open_
        )
        state = self._fresh.after_one_look(self._harm)
        seen = self._seen(here if standing.proved else both, state)  # what proves a stage is its own
        ending = self._ending(standing, seen)
        said = seen.said if not harmful or seen.over else seen.shares
        allowed = f"the {times(1 + slo.limit)} that a margin of {number(100 * slo.limit)} % allows"
        low, high = state.interval()
        return Evidence(
            slo=slo,
            result=ending.result,
            sentence=seen.hidden
            if ending.doubt is Doubt.BUCKETS and seen.hidden
            else f"{said}; {ending.where} {allowed}; {ending.after}",
            requests=both.requests,
            exceeded=state.errors,
            observed=seen.observed,
            low=low,
            high=high,
            log_e=log_e,
            missing=ending.missing,
            log_e_met=standing.kept,
            reference=seen.reference,
            doubt=ending.doubt,
        )

    def _ending(self, now: Standing, seen: Seen) -> Ending:  # noqa: PLR0911 - one return a meaning
        """What the evidence comes to: the strongest word first."""
        slo, candidate = self.slo, self.scene.candidate
        told = f"{count(now.seen.requests)} of {candidate} beside {now.seen.requests_beside:,} of {self.scene.primary}"
        if now.harmful:
            return Ending(Result.FAIL, "over", f"seen after {told}", missing_here(slo, now.requests))
        if sample := few(slo, now.requests, now.seen.requests, now.kept, now.open_):
            return sample
        if doubt := self._unknown_or_unpaired(now.open_):
            return doubt
        if now.proved:
            return Ending(Result.PASS, "within", f"proved by {count(now.requests)} of {candidate} at this weight")
        if seen.hidden:
            return Ending(Result.INCONCLUSIVE, doubt=Doubt.BUCKETS)
        if (now.open_.must_prove or seen.over) and self._is_blind(health=now.open_.must_prove and not seen.over):
            where, kept = ("over", "") if seen.over else ("not proved within", " kept")
            return Ending(
                Result.INCONCLUSIVE, where, f"{told} have too few edges to prove it{kept}", doubt=Doubt.BUCKETS
            )
        if now.open_.must_prove:
            more = now.open_.enough / now.kept - 1 if now.kept > 0 else 1.0
            missing = max(1, math.ceil(now.requests * more))
            return Ending(
                Result.INCONCLUSIVE,
                "not proved within",
                f"seen after {told}",
                missing,
                unproved(slo, now.seen.requests),
            )
        if now.log_e >= now.open_.alarming:
            return Ending(Result.INCONCLUSIVE, "it may be over", f"{told} do not prove it yet", doubt=Doubt.HARM)
        if seen.over:
            return Ending(Result.INCONCLUSIVE, "over", f"{told} do not prove it", doubt=Doubt.OVER)
        return Ending(Result.PASS, "within", f"seen after {told}")

    def _is_blind(self, *, health: bool) -> bool:
        """Whether of less than half of the candidate's requests an edge of the primary's tells anything of harm, or of health."""
        if not self._is_latency:
            return False
        assert self.slo.quantile is not None
        told = self._pairs[health].counts[1].sum()
        return bool(2 * told < readable(self._shared.own, self._shared.other, self.slo.quantile))

    def _unknown_or_unpaired(self, open_: Open) -> Ending | None:
        if unknown := lacking(self.slo, self.scene):
            return Ending(Result.INCONCLUSIVE, "against", unknown, doubt=Doubt.FEW)
        return self._unpaired.doubt(self.scene, open_)

    def _seen(self, both: Beside, state: RateVsPrimary) -> Seen:
        names = self.scene.candidate, self.scene.primary
        if not self._is_latency:
            return rates_seen(self.slo, names, both, state)
        lines = self._pairs[0].lines
        return quantiles_seen(self.slo, names, both, float(lines[-1]) if len(lines) else None)

    @property
    def _unpaired(self) -> Unpaired:
        if not self._is_latency:
            return by_requests(self.scene, self.scene.columns, self._shared, self._fresh, None, self.slo.limit)
        harm = self._pairs[0]
        if not len(harm.lines):
            return NONE
        last = float(harm.lines[-1]), float(harm.allowed[-1])
        return by_requests(self.scene, self.scene.joined.own, self._shared, self._fresh, last, self.slo.limit)

    @property
    def _is_latency(self) -> bool:
        return self.slo.metric is Metric.LATENCY

    @property
    def _unknown(self) -> str:
        return f"how {name_of(self.slo)} of {self.scene.candidate} compares with that of {self.scene.primary}"

    def _beside(self, weight: int | None = None) -> Beside:
        shared = self._shared.at(weight)
        return Beside(shared.timed() if self._is_latency else shared.counted())

    @property
    def _shared(self) -> Shared:
        return self.scene.joined.shared if self._is_latency else self.scene.shared

    @cached_property
    def _pairs(self) -> tuple[Pairs, Pairs]:
        """What tells of harm, and of health."""
        if self.whole:
            return self.whole.read_here[:2]
        shared = self._shared
        if not self._is_latency:
            found = of_failures(shared.own, shared.other)
            return found, found
        assert self.slo.quantile is not None
        return of_quantile(shared.own, shared.other, shared.looks, self.slo.quantile, self.slo.limit)

    @cached_property
    def read_here(self) -> tuple[Pairs, Pairs, Strata]:
        """Of the stage what tells of harm, and of health, and the first as it was read."""
        rows, (harm, health) = self._rows_here, self._pairs
        return harm.within(rows), health.within(rows), self._harm.some(harm.places(rows))

    @property
    def _rows_here(self) -> Rows:
        return self._shared.own.at(self.scene.weight)

    @cached_property
    def _harm(self) -> Strata:
        if self.whole:
            return self.whole.read_here[2]
        return self._read(self._pairs[0])

    @cached_property
    def _harm_looks(self) -> list[int]:
        """After which of the scene's windows each of them is known."""
        looks = self._shared.looks
        return [looks[row] for row in self._pairs[0].rows.tolist()]

    def _read(self, pairs: Pairs, part: slice | None = None) -> Strata:
        return self._fresh.read(*pairs.counts, allowed=pairs.allowed, part=part)

    @property
    def _fresh(self) -> RateVsPrimary:
        allowed = 1.0 if self._is_latency else 1 + self.slo.limit
        return RateVsPrimary(worse_than=allowed, margin=allowed)
