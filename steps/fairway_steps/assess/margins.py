"""One SLO with a margin: the candidate against the primary that served at the same time, window by window.

Only windows that are closed and hold both versions count. Rates are compared by their odds (``stats.comparison``). A latency
quantile is compared through the tail from about there on: at edges that the primary's earlier windows choose, the
candidate's requests above the edge lengthened by the margin against the primary's above the edge itself. If the candidate is
at most so much slower, its share there is no larger, whatever both have in common. A histogram without an edge at the
lengthened one is read to the candidate's favour for harm, and against it for health.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from operator import add

from fairway_steps.assess.counts import ROUNDING, over, together
from fairway_steps.assess.evidence import log_sum, mixed
from fairway_steps.assess.rest import Open, Scene, missing_here, no_data, too_few
from fairway_steps.model import Evidence, Histogram, Metric, Result, Slo, Stratum
from fairway_steps.stats.comparison import RateVsPrimary
from fairway_steps.stats.latency import quantile
from fairway_steps.windows import Window
from fairway_steps.words import count, name_of, number, seconds, share, times

TAIL = (1.0, 2.0, 0.5, 0.2)
"""Where a quantile's tail is compared: at the primary's own share above it, and at so many times that share."""
MOST = 0.9


@dataclass(frozen=True, slots=True)
class Pair:
    """One window, as ``(x, n, y, m)``: ``x`` of the candidate's ``n`` requests and ``y`` of the primary's ``m`` are over the line.

    ``harm`` reads histograms in the candidate's favour, ``health`` against it. ``weight`` is the candidate's.
    """

    weight: int
    harm: tuple[int, int, int, int]
    health: tuple[int, int, int, int]


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
        here = [[pair for pair in pairs if self.scene.weight in (None, pair.weight)] for pairs in self._lines[0]]
        return self._health(here).now.met

    def evidence(self, log_e: float, *, harmful: bool, open_: Open) -> Evidence:
        slo, scene = self.slo, self.scene
        both = [(w.strata[scene.candidate], w.strata[scene.primary]) for now in known(scene) for w in now]
        own, others = [c for c, _ in both], [p for _, p in both]
        if scene.problem:
            return no_data(slo, scene.problem)
        requests, beside = (sum(s.requests for s in strata) for strata in (own, others))
        if not (requests and beside):
            served = any(stratum.requests for stratum in scene.own)
            name, other = (scene.primary, scene.candidate) if served else (scene.candidate, scene.primary)
            return no_data(slo, f"no request to {name} was measured beside {other}, so {self._unknown} is not known")
        if slo.metric is Metric.LATENCY and not (_timed(own) and _timed(others)):
            name = scene.primary if _timed(own) else scene.candidate
            return no_data(slo, f"no latency of {name} was measured, so {self._unknown} is not known")
        state, kept = self._harm(self._lines[0]), self.kept()
        low, high = state.interval()
        observed, reference, said = self._observed(own, others, state, (low, high))
        in_stage = sum(s.requests for s in own if scene.weight in (None, s.weight))
        missing = missing_here(slo, in_stage)
        allowed = f"the {times(1 + slo.limit)} that a margin of {number(100 * slo.limit)} % allows"
        seen = f"{count(requests)} of {scene.candidate} beside {beside:,} of {scene.primary}"
        result, where, after = Result.PASS, "nothing proves it over", f"seen after {seen}"
        if harmful:
            result, where = Result.FAIL, "over"
        elif missing:
            (result, after), where = too_few(slo, in_stage), "against"
        elif kept >= open_.enough:
            where, after = "within", f"proved by {count(in_stage)} of {scene.candidate} at this weight"
        elif open_.must_prove:
            result, where, after = Result.INCONCLUSIVE, "not proved within", f"seen after {seen}"
            missing = max(1, in_stage) if kept <= 0 else max(1, math.ceil(in_stage * (open_.enough / kept - 1)))
        elif log_e >= open_.alarming:
            result, where, after = Result.INCONCLUSIVE, "it may be over", f"{seen} do not prove it yet"
        sentence = f"{said}; {where} {allowed}; {after}"
        return Evidence(
            slo, result, sentence, requests, state.errors, observed, low, high, log_e, missing, kept, reference
        )

    @property
    def _unknown(self) -> str:
        return f"how {name_of(self.slo)} of {self.scene.candidate} compares with that of {self.scene.primary}"

    def _observed(
        self, own: Sequence[Stratum], others: Sequence[Stratum], state: RateVsPrimary, bounds: tuple[float, float]
    ) -> tuple[float, float, str]:
        candidate, primary = self.scene.candidate, self.scene.primary
        if self.slo.metric is not Metric.LATENCY:
            mine, theirs = state.errors / state.n, state.errors_primary / state.n_primary
            said = f"{candidate} fails {share(mine)} of requests and {primary} {share(theirs)} at the same time"
            if state.odds_ratio is not None and math.isfinite(state.odds_ratio):
                low, high = (times(bound) if math.isfinite(bound) else "no end" for bound in bounds)
                said += f", {times(state.odds_ratio)} the odds (95 % interval {low.removesuffix(' times')} to {high})"
            return mine, theirs, said
        mine, theirs = (self._quantile(strata) for strata in (own, others))
        said = f"{name_of(self.slo)} of {candidate} is {_told(mine)} and of {primary} {_told(theirs)} at the same time"
        if math.isfinite(mine) and math.isfinite(theirs) and theirs > 0:
            said += f", {times(mine / theirs)} as long"
        return mine, theirs, said

    def _quantile(self, strata: Sequence[Stratum]) -> float:
        assert self.slo.quantile is not None
        return quantile(together(strata), self.slo.quantile, sum(s.errors for s in strata))

    @cached_property
    def _lines(self) -> list[list[list[Pair]]]:
        """For each line, the pairs that became known after each window of the scene; the SLO's own line first."""
        if self.scene.problem:
            return [[[] for _ in self.scene.windows]]
        if self.slo.metric is not Metric.LATENCY:
            return [[[_failures(*_both(self.scene, w)) for w in now] for now in known(self.scene)]]
        assert self.slo.quantile is not None
        shares = [min(MOST, (1 - self.slo.quantile) * times) for times in TAIL]
        lines: list[list[list[Pair]]] = [[] for _ in shares]
        seen = Histogram((math.inf,), (0,))
        for now in known(self.scene):
            edges = _edges(seen, shares)
            for line, edge in zip(lines, edges, strict=True):
                line.append([_slower(*_both(self.scene, w), edge, self.slo.limit) for w in now if edge is not None])
            for w in now:
                seen = _joined(seen, w.strata[self.scene.primary].latency)
        return lines

    def _path(self, begin: int) -> list[float]:
        """Ln of the mean over all lines of the e-values from the window ``begin`` on, after each window."""
        paths = []
        for line in self._lines:
            state, path = self._fresh, []
            for index, pairs in enumerate(line):
                for pair in pairs if index >= begin else ():
                    state = _after(state, pair.harm)
                path.append(_violated(state))
            paths.append(path)
        return [log_sum(now) - math.log(len(paths)) for now in zip(*paths, strict=True)]

    def _harm(self, line: Sequence[Sequence[Pair]]) -> RateVsPrimary:
        state = self._fresh
        for pair in (pair for pairs in line for pair in pairs):
            state = _after(state, pair.harm)
        return state

    def _health(self, line: Sequence[Sequence[Pair]]) -> RateVsPrimary:
        state = self._fresh
        for pair in (pair for pairs in line for pair in pairs):
            state = _after(state, pair.health)
        return state

    @property
    def _fresh(self) -> RateVsPrimary:
        allowed = 1.0 if self.slo.metric is Metric.LATENCY else 1 + self.slo.limit
        return RateVsPrimary(worse_than=allowed, margin=allowed)


def known(scene: Scene) -> list[list[Window]]:
    """The windows of both versions that are closed after each window of the scene: one still open is once it is followed."""
    found: list[list[Window]] = []
    waiting: list[Window] = []
    for window in scene.windows:
        now, waiting = waiting, []
        if scene.primary in window.strata:
            (waiting if window.is_open else now).append(window)
        found.append(now)
    return found


def _both(scene: Scene, window: Window) -> tuple[Stratum, Stratum]:
    return window.strata[scene.candidate], window.strata[scene.primary]


def _failures(own: Stratum, other: Stratum) -> Pair:
    counts = (own.errors, own.requests, other.errors, other.requests)
    return Pair(own.weight, counts, counts)


def _slower(own: Stratum, other: Stratum, edge: float, margin: float) -> Pair:
    """How many of both took longer than ``edge``, the candidate's lengthened by the margin; a failed request did."""
    if own.latency is None or other.latency is None:
        return Pair(own.weight, (0, 0, 0, 0), (0, 0, 0, 0))
    most, least = _over(own, edge * (1 + margin)), _over(other, edge)
    return Pair(own.weight, (*most[:2], *least[2:]), (*most[2:], *least[:2]))


def _over(stratum: Stratum, line: float) -> tuple[int, int, int, int]:
    """At least so many of at most so many, and at most so many of at least so many requests took longer than ``line``."""
    assert stratum.latency is not None
    found, errors = over(stratum.latency, line), stratum.errors
    fewest = min(stratum.requests, found.total + errors)
    return max(found.least, errors), max(stratum.requests, found.total), min(fewest, found.most + errors), fewest


def _edges(seen: Histogram, shares: Sequence[float]) -> list[float | None]:
    """For each share, the lowest edge that at most so much of what was seen lies over; None if there is none but infinity."""
    below = list(accumulate(seen.counts))
    found = [seen.edges[bisect_left(below, (1 - above) * below[-1] * (1 - ROUNDING))] for above in shares]
    return [edge if below[-1] and math.isfinite(edge) else None for edge in found]


def _joined(seen: Histogram, more: Histogram | None) -> Histogram:
    """Both together; where their edges differ, the later one alone."""
    if more is None:
        return seen
    return Histogram(more.edges, tuple(map(add, seen.counts, more.counts))) if seen.edges == more.edges else more


@lru_cache(maxsize=1 << 14)
def _after(state: RateVsPrimary, counts: tuple[int, int, int, int]) -> RateVsPrimary:
    """A release is weighed anew at every look: what earlier ones computed is at hand."""
    return state.update(*counts)


@lru_cache(maxsize=1 << 14)
def _violated(state: RateVsPrimary) -> float:
    return state.now.violated


def _timed(strata: Sequence[Stratum]) -> bool:
    return any(histogram.total for histogram in together(strata))


def _told(value: float) -> str:
    return seconds(value) if math.isfinite(value) else "beyond measure"
