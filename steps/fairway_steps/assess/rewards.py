"""The mean reward of a user against the primary's at the same time (``stats.gain``): the evidence, and what it says in the end."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from fairway_steps.assess.known import lacking
from fairway_steps.assess.rest import Ending, Open, Scene, missing_here, no_data
from fairway_steps.model import Direction, Doubt, Evidence, Result, Slo
from fairway_steps.stats.counts import Array
from fairway_steps.stats.gain import Gains
from fairway_steps.stats.pairs import held
from fairway_steps.stats.reward import MIN_UNITS
from fairway_steps.words import count, number


@dataclass(frozen=True)
class Reward:
    """An SLO on rewards and the windows of a release."""

    slo: Slo
    scene: Scene

    def harm(self) -> list[Array]:
        """Ln e of harm after each of the scene's windows, by what became known from the first and from each change of weights on."""
        looks, end = self.scene.shared.looks, len(self.scene.windows)
        paths = []
        for begin in (0, *self.scene.changes):
            first = bisect_left(looks, begin)
            violated, _ = self._tested(self._gains.some(slice(first, None)))
            paths.append(held(violated, looks[first:], begin, end))
        return paths

    def kept(self) -> float:
        """Ln e of health, by the stage's own users."""
        _, met = self._tested(self._here)
        return float(met[-1]) if met.size else 0.0

    def evidence(self, log_e: float, *, harmful: bool, open_: Open) -> Evidence:
        slo, scene, gains = self.slo, self.scene, self._gains
        if scene.problem:
            return no_data(slo, scene.problem)
        means = gains.means()
        if means is None:
            return no_data(slo, f"no user's reward of {scene.candidate} was told beside {scene.primary}'s")
        if slo.limit and means[1] <= 0:
            return no_data(
                slo, f"the mean reward of {scene.primary} is {number(means[1])}, of which no margin is a share"
            )
        low, high = gains.interval()
        kept = self.kept()
        ending = self._ending(means, log_e, kept, open_, harmful=harmful)
        said = compared((scene.candidate, scene.primary), means, (low, high), 0.95)
        sentence = f"{said}; {ending.where} {self._allowed}; {ending.after}"
        return Evidence(
            slo=slo,
            result=ending.result,
            sentence=sentence,
            requests=gains.users,
            observed=means[0],
            low=low if math.isfinite(low) else None,
            high=high if math.isfinite(high) else None,
            log_e=log_e,
            missing=ending.missing,
            log_e_met=kept,
            reference=means[1],
            doubt=ending.doubt,
        )

    def _ending(  # noqa: PLR0911 - one return a meaning
        self, means: tuple[float, float], log_e: float, kept: float, open_: Open, *, harmful: bool
    ) -> Ending:
        users, name = self._here.users, self.scene.candidate
        told = f"{count(self._gains.users, 'user')} of {name} beside {int(self._gains.other[0].sum()):,} of {self.scene.primary}"
        gain = means[0] - self._factor * means[1]
        worse = gain < 0 if self._higher else gain > 0
        where = "beyond" if worse else "within"
        if harmful:
            return Ending(Result.FAIL, "beyond", f"seen after {told}")
        if missing := missing_here(self.slo, users):
            after = f"{count(users, 'user')} at this weight are too few, {self.slo.min_requests} are needed"
            return Ending(Result.INCONCLUSIVE if users else Result.NO_DATA, "against", after, missing, Doubt.FEW)
        if unknown := lacking(self.slo, self.scene):
            return Ending(Result.INCONCLUSIVE, "against", unknown, doubt=Doubt.FEW)
        if kept >= open_.enough:
            return Ending(Result.PASS, "within", f"proved by {count(users, 'user')} of {name} at this weight")
        if open_.must_prove:
            more = math.ceil(users * (open_.enough / kept - 1)) if kept > 0 else users
            return Ending(Result.INCONCLUSIVE, where, f"{told} do not prove it kept", max(1, more), Doubt.PROOF)
        if not self._gains.testable:
            after = f"{told} are too little for a test, which takes {MIN_UNITS} of each whose rewards differ"
            return Ending(Result.INCONCLUSIVE, where, after, doubt=Doubt.FEW)
        if worse or log_e >= open_.alarming:
            doubt = Doubt.HARM if log_e >= open_.alarming else Doubt.OVER
            return Ending(Result.INCONCLUSIVE, where, f"{told} do not prove it", doubt=doubt)
        return Ending(Result.PASS, where, f"seen after {told}")

    @property
    def _allowed(self) -> str:
        if not self.slo.limit:
            return "being no worse"
        way = "under" if self._higher else "over"
        return f"the margin of {number(100 * self.slo.limit)} % {way} {self.scene.primary}'s"

    @property
    def _higher(self) -> bool:
        return self.slo.better is Direction.HIGHER

    @property
    def _factor(self) -> float:
        return 1 - self.slo.limit if self._higher else 1 + self.slo.limit

    def _tested(self, gains: Gains) -> tuple[Array, Array]:
        return gains.log_es(self._factor, higher_is_better=self._higher)

    @cached_property
    def _gains(self) -> Gains:
        return Gains.of(self.scene.shared.own.strata, self.scene.shared.other.strata)

    @cached_property
    def _here(self) -> Gains:
        return self._gains.some(self.scene.shared.own.at(self.scene.weight))


def compared(names: tuple[str, str], means: tuple[float, float], interval: tuple[float, float], level: float) -> str:
    """What users of two versions were worth at the same time, in words; ``interval`` holds the difference with probability ``level``."""
    (own, other), (low, high) = means, interval
    less = "more" if own >= other else "less"
    bounds = sorted((low, high) if own >= other else (-high, -low))
    told = f" ({100 * level:.4g} % interval {number(bounds[0])} to {number(bounds[1])})" if math.isfinite(low) else ""
    return (
        f"the mean reward of a user of {names[0]} is {own:.3g} and of {names[1]} {other:.3g} at the same time, "
        f"{number(abs(own - other))} {less}{told}"
    )
