"""A figure without counts behind it, such as a utilisation, compared by ranks at the end of a stage (``stats.mann_whitney``).

One look a stage, at the stage's own values: what comes before its end says nothing, for no risk holds for repeated looks. It shares no
evidence with the other SLOs.
"""

from dataclasses import asdict, dataclass
from functools import cached_property

from fairway_steps.assess.rest import Open, Scene, missing_here, no_data
from fairway_steps.model import Direction, Doubt, Evidence, Knobs, Result, Slo
from fairway_steps.stats.counts import Array
from fairway_steps.stats.late import silent
from fairway_steps.stats.mann_whitney import FEW_EFFECTIVE, Comparison, Effect, Label, compare_series
from fairway_steps.stats.mann_whitney import Direction as Fault
from fairway_steps.stats.mann_whitney import Knobs as Settings
from fairway_steps.words import count, number

FAULTS = {Direction.LOWER: Fault.INCREASE, Direction.HIGHER: Fault.DECREASE, None: Fault.EITHER}


@dataclass(frozen=True)
class Series:
    """An SLO on a series and the windows of a release."""

    slo: Slo
    scene: Scene

    def harm(self) -> list[Array]:
        return [silent(len(self.scene.windows))]

    def kept(self) -> float:
        return 0.0

    def evidence(self, log_e: float, *, harmful: bool, open_: Open) -> Evidence:
        del harmful, open_
        slo, scene = self.slo, self.scene
        own, other = self._values
        for name, values in ((scene.candidate, own), (scene.primary, other)):
            if not values:
                return no_data(slo, f"no value of {slo.of} of {name} was read at this weight")
        knobs = slo.knobs or Knobs()
        settings = Settings(
            direction=FAULTS[slo.direction],
            critical=True,
            deflate=True,
            **{**asdict(knobs), "effect": Effect(knobs.effect)},
        )
        found = compare_series(own, other, settings)
        if found.label in (Label.NO_DATA, Label.NO_DATA_FAILS) or found.low is None:
            return no_data(slo, f"no value of {slo.of} is left once outliers are out")
        result, doubt, missing = Result.PASS, None, missing_here(slo, min(len(own), len(other)))
        if missing or found.effective < FEW_EFFECTIVE:
            result, doubt = Result.INCONCLUSIVE, Doubt.FEW
        elif found.critical:
            result = Result.FAIL
        elif found.label is not Label.PASS:
            result, doubt = Result.INCONCLUSIVE, Doubt.HARM
        return Evidence(
            slo=slo,
            result=result,
            sentence=self._sentence(found, len(own), len(other), missing),
            requests=len(own),
            observed=sum(own) / len(own),
            low=found.low,
            high=found.high,
            log_e=log_e,
            missing=missing,
            reference=sum(other) / len(other),
            doubt=doubt,
        )

    def _sentence(self, found: Comparison, own: int, other: int, missing: int) -> str:
        assert found.estimate is not None
        assert found.low is not None
        assert found.high is not None
        confidence = number(100 * (self.slo.knobs or Knobs()).confidence)
        ratio = f", {found.mean_ratio:.3g} times its mean" if found.mean_ratio is not None else ""
        said = (
            f"{self.slo.of} of {self.scene.candidate} differs by {number(found.estimate)} from that of {self.scene.primary} "
            f"({confidence} % interval {number(found.low)} to {number(found.high)}){ratio}"
        )
        told = f"one look at {count(own, 'value')} beside {other:,}"
        if missing:
            return f"{said}; {told} are too few, {self.slo.min_requests} of each are needed"
        if found.effective < FEW_EFFECTIVE:
            return f"{said}; {told} are too few: {'; '.join(found.warnings)}"
        meant = {Label.HIGH: "higher, by more than is allowed", Label.LOW: "lower, by more than is allowed"}
        doubts = f" ({'; '.join(found.warnings)})" if found.warnings else ""
        return f"{said}; {meant.get(found.label, 'not by more than is allowed')}; {told}{doubts}"

    @cached_property
    def _values(self) -> tuple[list[float], list[float]]:
        """Of the stage, both in the same windows."""
        shared = self.scene.shared.at(self.scene.weight)
        own, other = (
            [value for stratum in columns.strata for value in stratum.series.get(self.slo.of, ())]
            for columns in (shared.own, shared.other)
        )
        return own, other
