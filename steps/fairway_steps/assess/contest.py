"""Several candidates beside one primary: each is held to the SLOs, and of those that keep them the one whose users are worth most wins. Pure.

One promise for all of them together (M8's family of an experiment). With K versions each candidate is judged at a (K-1)-th of the risks, so a
candidate that keeps its SLOs is taken off the traffic with probability at most ``alpha``; one that is no better than the primary is
promoted with probability at most ``alpha``, by an interval for each candidate at a (K-1)-th of it; and a split ends early for a winner that is
proved the best of all with probability at most ``alpha`` of another one being better, by an interval for each pair at its share. All hold at every look.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fairway_steps.assess.decide import decide
from fairway_steps.assess.rest import Scene
from fairway_steps.assess.rewards import compared
from fairway_steps.assess.weigh import Weighed, weigh
from fairway_steps.intervention import Intervention
from fairway_steps.model import (
    DEFAULT_RULES,
    Arm,
    Assessment,
    Direction,
    Evidence,
    Metric,
    Rules,
    Slo,
    Stratum,
    Verdict,
)
from fairway_steps.stats.gain import Gains


@dataclass(frozen=True)
class Contest:
    """The evidence on all candidates; ``weights`` are their shares of the traffic, and their order."""

    slos: Sequence[Slo]
    strata: Sequence[Stratum]
    weights: Mapping[str, int]
    primary: str
    asked: Rules = DEFAULT_RULES

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """That of all candidates which are not known to do harm."""
        return self.left(())

    def left(self, dropped: Collection[str]) -> tuple[Evidence, ...]:
        """The same without those that were dropped for another reason."""
        out = {*self.harmful, *dropped}
        return tuple(item for name in self.weights if name not in out for item in self.weighed[name].evidence)

    @property
    def harm(self) -> bool:
        return len(self.harmful) == len(self.weights)

    @cached_property
    def harmful(self) -> Mapping[str, str]:
        """Why candidates are to lose their traffic now."""
        found = {
            name: decide(weighed, candidate=name, over=False, is_last=True, rules=self._rules)
            for name, weighed in self.weighed.items()
        }
        return {name: told.reason for name, told in found.items() if told and told.verdict is Verdict.ROLLBACK}

    @cached_property
    def weighed(self) -> Mapping[str, Weighed]:
        return {
            name: weigh(
                self.slos,
                self.strata,
                candidate=name,
                primary=self.primary,
                weight=weight,
                is_last=True,
                rules=self._rules,
            )
            for name, weight in self.weights.items()
        }

    def decide(
        self,
        *,
        over: bool,
        on_inconclusive: Verdict = Verdict.HOLD,
        problem: str = "",
        dropped: Mapping[str, str],
        intervention: Intervention | None = None,
    ) -> Assessment | None:
        """The verdict on all, or None while there is none yet; ``dropped`` are out already, for the reasons given.

        A person's ``intervention`` ends it, but who of several has won is for the evidence to say.
        """
        if intervention and intervention.verdict is Verdict.ROLLBACK:
            return Assessment(Verdict.ROLLBACK, intervention.sentence, self.weighed[next(iter(self.weights))].evidence)
        over = over or intervention is not None
        out = {**self.harmful, **dropped}
        own = {
            name: decide(
                self.weighed[name],
                candidate=name,
                over=over,
                is_last=True,
                rules=self._rules,
                on_inconclusive=on_inconclusive,
                problem=problem,
            )
            for name in self.weights
            if name not in out
        }
        kept = [name for name, told in own.items() if told and told.verdict is Verdict.PROMOTE]
        ranked = sorted(own, key=lambda name: -self._gain(name))
        best = next((name for name in ranked if name in kept), "")
        if over or not own:
            better = [name for name in ranked if name in kept and self._beats(name)]
            told = self._told(better[0] if better else "", ranked, own, out)
            return _on_the_word(intervention, told, ranked) if intervention else told
        rest = [self.primary, *own]
        if self.asked.early_end and not problem:
            if best and self._is_best(best, rest):
                return self._told(best, ranked, own, out)
            if self._is_best(self.primary, rest):
                return self._told("", ranked, own, out)
        return None

    def _told(
        self, winner: str, ranked: Sequence[str], own: Mapping[str, Assessment | None], out: Mapping[str, str]
    ) -> Assessment:
        arms = tuple(self._arm(name, winner, own.get(name), out) for name in self.weights)
        nearest = winner or next(iter(ranked), next(iter(self.weights)))
        told = next(arm for arm in arms if arm.version == nearest)
        waiting = [arm for arm in arms if arm.verdict is Verdict.HOLD]
        if winner:
            verdict, reason = Verdict.PROMOTE, told.sentence
        elif waiting:
            verdict, reason = Verdict.HOLD, "; ".join(arm.sentence for arm in waiting)
        elif ranked:
            verdict = Verdict.ROLLBACK
            reason = f"no candidate is proved better than {self.primary}, which stays: {told.sentence}"
        else:
            verdict = Verdict.ROLLBACK
            reason = f"no candidate is left: {'; '.join(arm.sentence for arm in arms)}"
        weighed = self.weighed[nearest]
        return Assessment(verdict, reason, weighed.evidence, weighed.log_e, arms, winner)

    def _arm(self, name: str, winner: str, own: Assessment | None, out: Mapping[str, str]) -> Arm:
        evidence = self.weighed[name].evidence
        if name in out:
            return Arm(name, Verdict.ROLLBACK, f"{name} is out: {out[name]}", evidence)
        if own and own.verdict not in (Verdict.PROMOTE, Verdict.ADVANCE):
            return Arm(name, own.verdict, f"{name} cannot win: {own.reason}", evidence)
        place = "is not proved better"
        if name == winner:
            others = [other for other in self.weights if other != name and other not in out]
            level = [other for other in others if not self._leads(name, other)]
            place = f"wins, not told apart from {' and '.join(level)}" if level else "wins"
        elif self._beats(name):
            place = (
                f"is better than {self.primary}, and behind {winner}" if winner else f"is better than {self.primary}"
            )
        elif self._lead(name, self.primary, self._each)[1] < 0:
            place = f"is worse than {self.primary}"
        said = f"{name} {place}: {self._compared(name)}"
        if name == winner and own:
            return Arm(name, Verdict.PROMOTE, f"{said}; {own.reason}", evidence)
        return Arm(name, Verdict.ROLLBACK, said, evidence)

    def _compared(self, name: str) -> str:
        gains = self._gains(name, self.primary)
        means = gains.means()
        if means is None:
            return f"no user's reward of {name} was told beside {self.primary}'s"
        return compared((name, self.primary), means, gains.interval(self._each), 1 - self._each)

    @property
    def _slo(self) -> Slo:
        """What they compete for."""
        return next(slo for slo in self.slos if slo.metric is Metric.REWARD)

    @property
    def _rules(self) -> Rules:
        """Those of each candidate, by which the risks hold for all together."""
        return self.asked.each_of(len(self.weights))

    @property
    def _each(self) -> float:
        """The level of each comparison with the primary."""
        return self._rules.alpha

    @property
    def _pair(self) -> float:
        """The level of each comparison of any two versions."""
        versions = len(self.weights) + 1
        return self.asked.alpha / (versions * (versions - 1) / 2)

    def _gain(self, name: str) -> float:
        """By how much a user of the candidate was worth more than one of the primary, as far as is known."""
        means = self._gains(name, self.primary).means()
        return self._sign * (means[0] - means[1]) if means else -math.inf

    def _beats(self, name: str) -> bool:
        return self._lead(name, self.primary, self._each)[0] > 0

    def _is_best(self, name: str, among: Sequence[str]) -> bool:
        return len(among) > 1 and all(self._leads(name, other) for other in among if other != name)

    def _leads(self, name: str, other: str) -> bool:
        return self._lead(name, other, self._pair)[0] > 0

    def _lead(self, name: str, other: str, alpha: float) -> tuple[float, float]:
        """Bounds of how much more a user of ``name`` is worth than one of ``other``, whichever way is better.

        Each pair is always compared the same way round: which one is ahead must not choose the test.
        """
        order = [*self.weights, self.primary]
        turned = order.index(name) > order.index(other)
        low, high = self._gains(*((other, name) if turned else (name, other))).interval(alpha)
        return (low, high) if turned == (self._sign < 0) else (-high, -low)

    def _gains(self, name: str, other: str) -> Gains:
        if (name, other) not in self._known:
            scene = Scene.of(self.strata, name, other, None)
            self._known[name, other] = Gains.of(scene.shared.own.strata, scene.shared.other.strata)
        return self._known[name, other]

    @cached_property
    def _known(self) -> dict[tuple[str, str], Gains]:
        return {}

    @property
    def _sign(self) -> float:
        return 1.0 if self._slo.better is Direction.HIGHER else -1.0


def _on_the_word(said: Intervention, told: Assessment, left: Sequence[str]) -> Assessment:
    """A person names the winner where one candidate is left, and otherwise only ends the split."""
    if said.verdict is Verdict.PROMOTE and len(left) == 1:
        return replace(told, verdict=Verdict.PROMOTE, reason=said.sentence, winner=left[0])
    return replace(told, reason=f"{replace(said, verdict=Verdict.ADVANCE).sentence}; {told.reason}")
