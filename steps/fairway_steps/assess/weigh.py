"""The evidence on all SLOs together, after every window of a release."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from fairway_steps.assess.averages import Average
from fairway_steps.assess.counts import inconsistency
from fairway_steps.assess.limits import Limit
from fairway_steps.assess.margins import Margin
from fairway_steps.assess.rest import Open, Scene, enough, no_data
from fairway_steps.assess.rewards import Reward
from fairway_steps.assess.series import Series
from fairway_steps.model import DEFAULT_RULES, Doubt, Evidence, Metric, Mode, Result, Rules, Slo, Stratum, Unit
from fairway_steps.stats import late
from fairway_steps.stats.combine import Rollback, mixed, rollback
from fairway_steps.stats.counts import Array

ONCE = 0.01
"""So rarely a version that just keeps its limit shows by chance what is for a person at a stage's end: of few requests no e-value grows."""

Trial: TypeAlias = Limit | Margin | Average | Reward | Series


@dataclass(frozen=True, slots=True)
class Weighed:
    """What all SLOs say. ``harm`` is proved by them together, even where no single one proves it.

    ``log_e`` is ln of the e-value of harm, all SLOs together, and ``bar`` what it must reach. ``proved`` says that the stage's own
    evidence proves every SLO kept.
    """

    evidence: tuple[Evidence, ...]
    harm: bool = False
    log_e: float = 0.0
    bar: float = 0.0
    proved: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """The evidence after one window: ln e of harm by SLO, and of all together."""

    at: float
    log_es: tuple[float, ...]
    log_e: float


@dataclass(frozen=True, slots=True)
class _Looks:
    """All looks ``seen``, up to the first that proves harm: ln e of each SLO at each. ``counted`` share evidence, of which ``state`` is."""

    trials: tuple[Trial, ...] = ()
    paths: Sequence[Sequence[Array]] = ()
    harms: Sequence[Sequence[float]] = ()
    seen: int = 0
    counted: tuple[int, ...] = ()
    state: Rollback | None = None

    @property
    def fired(self) -> bool:
        return self.state is not None and self.state.fired

    @property
    def culprits(self) -> set[int]:
        return {self.counted[index] for index in self.state.culprits()} if self.state and self.fired else set()

    def at(self, look: int) -> tuple[float, ...]:
        return tuple(harm[look] for harm in self.harms)

    def together(self, log_es: Sequence[float]) -> float:
        """Ln of the mean e-value at a look alone."""
        return mixed([log_es[index] for index in self.counted], self.state.weights) if self.state else 0.0


def weigh(
    slos: Sequence[Slo],
    strata: Sequence[Stratum],
    *,
    candidate: str,
    primary: str = "",
    weight: int | None = None,
    is_last: bool = False,
    rules: Rules = DEFAULT_RULES,
) -> Weighed:
    """The evidence for each SLO, in their order; as it was when harm was proved, if it was."""
    scene = Scene.of(strata, candidate, primary, weight)
    if problem := inconsistency(scene.columns):
        return Weighed(tuple(no_data(slo, f"the counts of {candidate} cannot be: {problem}") for slo in slos))
    looks = _looks(slos, scene, rules)
    if looks.fired:
        scene = scene.until(looks.seen - 1)
    state = looks.state
    bar = rollback(1, alpha=rules.alpha).bar
    open_ = Open(is_last, is_last and rules.mode is Mode.PROVE, enough(rules.beta), bar / 2)
    last = looks.at(looks.seen - 1) if looks.seen else (0.0,) * len(slos)
    evidence, kept = [], []
    for index, slo in enumerate(slos):
        trial = trial_of(slo, scene) if looks.fired else looks.trials[index]
        told = trial.evidence(last[index], harmful=index in looks.culprits, open_=open_)
        if looks.seen:
            paths = trial.harm() if looks.fired else looks.paths[index]
            told = _told_here(trial, told, paths, open_, rules)
        evidence.append(told)
        kept.append(trial.kept() if scene.windows else 0.0)
    return Weighed(
        tuple(evidence),
        harm=looks.fired,
        log_e=looks.together(last),
        bar=state.bar if state else bar,
        proved=bool(kept) and all(log_e >= open_.enough for log_e in kept),
    )


def _told_here(trial: Trial, told: Evidence, paths: Sequence[Array], open_: Open, rules: Rules) -> Evidence:
    """What the stage alone says, where that is worse than all windows together, or proves the more: many good ones must not hide few bad ones."""
    scene, is_clear = trial.scene, told.result is Result.PASS or told.doubt is Doubt.OVER
    harmful = told.result is Result.FAIL
    if isinstance(trial, Series) or not (is_clear or harmful) or all(scene.is_here) or not any(scene.is_here):
        return told
    alone = trial.here if isinstance(trial, Margin) else replace(trial, scene=scene.here)
    *_, began = (path for path, row in zip(paths, (0, *scene.changes), strict=True) if scene.is_here[row])
    log_e = max(late.mixed([began])[-1], late.mixed(alone.harm())[-1])
    own = alone.evidence(log_e, harmful=harmful, open_=replace(open_, is_last=False, must_prove=False, once=ONCE))
    if harmful:
        is_worse = log_e > late.mixed(paths[:1])[-1]
    else:
        is_worse = log_e >= open_.alarming or own.doubt is Doubt.HARM
        is_worse |= own.doubt is Doubt.OVER and rules.mode is Mode.GUARD
    return replace(own, sentence=f"at this weight {own.sentence}", log_e=told.log_e) if is_worse else told


def trail(
    slos: Sequence[Slo],
    strata: Sequence[Stratum],
    *,
    candidate: str,
    primary: str = "",
    rules: Rules = DEFAULT_RULES,
) -> tuple[Point, ...]:
    """How the evidence grew, window by window, until harm was proved or all were seen."""
    scene = Scene.of(strata, candidate, primary, None)
    if inconsistency(scene.columns):
        return ()
    looks = _looks(slos, scene, rules)
    points = []
    for look, end in enumerate(scene.windows.ends[: looks.seen]):
        log_es = looks.at(look)
        points.append(Point(end, log_es, looks.together(log_es)))
    return tuple(points)


def before_any_look(counted: Sequence[Slo], alpha: float) -> Rollback:
    """What must be reached to prove harm, by SLOs that share evidence."""
    weights, critical = zip(*((slo.weight, slo.critical) for slo in counted), strict=True)
    return rollback(len(counted), weights, critical, alpha)


def _looks(slos: Sequence[Slo], scene: Scene, rules: Rules) -> _Looks:
    trials = tuple(trial_of(slo, scene) for slo in slos)
    if not trials or not scene.windows:
        return _Looks(trials)
    paths = [trial.harm() for trial in trials]
    every = [late.mixed(each) for each in paths]
    end = len(scene.windows)
    counted = tuple(index for index, slo in enumerate(slos) if not slo.one_look)
    if not counted:
        return _Looks(trials, paths, every, end)
    state = before_any_look([slos[index] for index in counted], rules.alpha)
    least = min(state.bar, state.critical_bar)
    harms = [every[index] for index in counted]
    peaks, seen = (0.0,) * len(harms), 0
    for index, now in enumerate(zip(*harms, strict=True)):
        if max(now) < least:  # the mean is no larger than the largest
            continue
        peaks = tuple(max(peak, *harm[seen : index + 1]) for peak, harm in zip(peaks, harms, strict=True))
        seen, state = index + 1, replace(state, peaks=peaks).look(now)
        if state.fired:
            return _Looks(trials, paths, every, seen, counted, state)
    peaks = tuple(max(peak, *harm[seen:], 0.0) for peak, harm in zip(peaks, harms, strict=True))
    return _Looks(trials, paths, every, end, counted, replace(state, peaks=peaks))


def trial_of(slo: Slo, scene: Scene) -> Trial:
    if slo.metric is Metric.LATENCY and slo.of:
        scene = scene.reading(slo.of)
    if slo.metric is Metric.REWARD:
        return Reward(slo, scene)
    if slo.metric is Metric.SERIES:
        return Series(slo, scene)
    if slo.metric is Metric.LATENCY_MEAN or slo.unit is Unit.STRATUM:
        return Average(slo, scene.summed if slo.metric is Metric.LATENCY_MEAN else scene)
    return Margin(slo, scene) if slo.relative else Limit(slo, scene)
