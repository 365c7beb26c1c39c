"""One SLO with a margin: the candidate against the primary that served at the same time, window by window.

Only windows that are closed and hold both versions count (``assess.pairs``). Rates and latency quantiles are both compared by odds
(``stats.comparison``): whether failures, or requests slower than the primary's quantile lengthened by the margin, have more of them than
the margin allows.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from fairway_steps.assess.beside import Beside
from fairway_steps.assess.evidence import mixed
from fairway_steps.assess.pairs import Count, Pair, known, of_failures, of_quantile
from fairway_steps.assess.rest import Ending, Open, Scene, missing_here, no_data, too_few
from fairway_steps.assess.seen import Seen, quantiles_seen, rates_seen
from fairway_steps.model import Doubt, Evidence, Metric, Result, Slo, Stratum
from fairway_steps.stats.comparison import RateVsPrimary
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

    def harm(self) -> list[float]:
        """Ln e of harm after each of the scene's windows."""
        return mixed([self._path(begin) for begin in (0, *self.scene.changes)])

    def kept(self) -> float:
        """Ln e of health, by the stage's own evidence: what was well at a lower weight proves nothing of a higher one."""
        here = (pair for pair in self._all if self.scene.weight in (None, pair.weight))
        return self._state(pair.health for pair in here).now.met

    def evidence(self, log_e: float, *, harmful: bool, open_: Open) -> Evidence:
        slo, scene = self.slo, self.scene
        if scene.problem:
            return no_data(slo, scene.problem)
        both = self._beside()
        if not (both.requests and both.requests_beside):
            served = any(stratum.requests for stratum in scene.own)
            name, other = (scene.primary, scene.candidate) if served else (scene.candidate, scene.primary)
            return no_data(slo, f"no request to {name} was measured beside {other}, so {self._unknown} is not known")
        if self._is_latency and not (_timed(both.own) and _timed(both.other)):
            name = scene.primary if _timed(both.own) else scene.candidate
            return no_data(slo, f"no latency of {name} was measured, so {self._unknown} is not known")
        here = self._beside(scene.weight)
        standing = Standing(
            requests=here.requests, seen=both, log_e=log_e, kept=self.kept(), harmful=harmful, open_=open_
        )
        state = self._state(pair.harm for pair in self._all)
        seen = self._seen(here if standing.proved else both, state)  # what proves a stage is its own
        ending = self._ending(standing, seen)
        said = seen.said if not harmful or seen.over else seen.shares
        allowed = f"the {times(1 + slo.limit)} that a margin of {number(100 * slo.limit)} % allows"
        low, high = state.interval()
        return Evidence(
            slo=slo,
            result=ending.result,
            sentence=seen.hidden
            if ending.doubt is Doubt.BUCKETS
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
        if missing := missing_here(slo, now.requests):
            result, after = too_few(slo, now.requests)
            return Ending(result, "against", after, missing, Doubt.FEW)
        if now.proved:
            return Ending(Result.PASS, "within", f"proved by {count(now.requests)} of {candidate} at this weight")
        if seen.hidden:
            return Ending(Result.INCONCLUSIVE, doubt=Doubt.BUCKETS)
        if now.open_.must_prove:
            more = now.open_.enough / now.kept - 1 if now.kept > 0 else 1.0
            missing = max(1, math.ceil(now.requests * more))
            return Ending(Result.INCONCLUSIVE, "not proved within", f"seen after {told}", missing, Doubt.PROOF)
        if now.log_e >= now.open_.alarming:
            return Ending(Result.INCONCLUSIVE, "it may be over", f"{told} do not prove it yet", doubt=Doubt.HARM)
        if seen.over:
            return Ending(Result.INCONCLUSIVE, "over", f"{told} do not prove it", doubt=Doubt.OVER)
        return Ending(Result.PASS, "within", f"seen after {told}")

    def _seen(self, both: Beside, state: RateVsPrimary) -> Seen:
        names = self.scene.candidate, self.scene.primary
        if not self._is_latency:
            return rates_seen(self.slo, names, both, state)
        lines = [pair.line for pair in self._all if pair.line is not None]
        return quantiles_seen(self.slo, names, both, lines[-1] if lines else None)

    @property
    def _is_latency(self) -> bool:
        return self.slo.metric is Metric.LATENCY

    @property
    def _unknown(self) -> str:
        return f"how {name_of(self.slo)} of {self.scene.candidate} compares with that of {self.scene.primary}"

    def _beside(self, weight: int | None = None) -> Beside:
        windows = [window for now in known(self.scene) for window in now]
        own, other = ([w.strata[name] for w in windows] for name in (self.scene.candidate, self.scene.primary))
        kept = [(a, b) for a, b in zip(own, other, strict=True) if weight in (None, a.weight)]
        if self._is_latency and any(a.latency and b.latency for a, b in kept):
            kept = [(a, b) for a, b in kept if a.latency and b.latency]
        return Beside([a for a, _ in kept], [b for _, b in kept])

    @cached_property
    def _pairs(self) -> list[list[Pair]]:
        """The pairs that became known after each window of the scene."""
        if self.scene.problem:
            return [[] for _ in self.scene.windows]
        if not self._is_latency:
            return of_failures(self.scene)
        assert self.slo.quantile is not None
        return of_quantile(self.scene, self.slo.quantile, self.slo.limit)

    @property
    def _all(self) -> list[Pair]:
        return [pair for pairs in self._pairs for pair in pairs]

    def _path(self, begin: int) -> list[float]:
        """Ln of the e-values from the window ``begin`` on, after each window."""
        state, path = self._fresh, []
        for index, pairs in enumerate(self._pairs):
            for pair in pairs if index >= begin else ():
                state = _after(state, pair.harm) if pair.harm else state
            path.append(_violated(state))
        return path

    def _state(self, counts: Iterable[Count | None]) -> RateVsPrimary:
        state = self._fresh
        for each in counts:
            state = _after(state, each) if each else state
        return state

    @property
    def _fresh(self) -> RateVsPrimary:
        allowed = 1.0 if self._is_latency else 1 + self.slo.limit
        return RateVsPrimary(worse_than=allowed, margin=allowed)


def _timed(strata: Sequence[Stratum]) -> bool:
    return any(stratum.latency is not None and stratum.latency.total for stratum in strata)


@lru_cache(maxsize=1 << 14)
def _after(state: RateVsPrimary, pair: Count) -> RateVsPrimary:
    """A release is weighed anew at every look: what earlier ones computed is at hand."""
    return state.update(pair.x, pair.n, pair.y, pair.m, allowed=pair.allowed)


@lru_cache(maxsize=1 << 14)
def _violated(state: RateVsPrimary) -> float:
    return state.now.violated
