"""Whether a release can be carried out as it is asked for, as far as its strategy, its schedule and the kind of its route tell. Pure."""

from collections.abc import Sequence

from fairway_steps.errors import Refused, UsageError
from fairway_steps.model import Slo, Stage
from fairway_steps.routing.base import Capabilities
from fairway_steps.schedule import routes_of
from fairway_steps.strategy import Strategy, unfit


def fits(strategy: Strategy, stages: Sequence[Stage]) -> None:
    """Raise UsageError for a schedule that is none of the strategy."""
    if wrong := unfit(strategy, stages):
        sentence, _, mend = wrong.partition("; ")
        raise UsageError(f"stages: {sentence}", mend=mend)


def feasible(can: Capabilities, stages: Sequence[Stage], slos: Sequence[Slo]) -> None:
    """Refuse what the route's back end cannot carry, and a comparison with a primary that has no traffic left."""
    for stage in stages:
        for missing in can.lacks(routes_of(stage, "primary", "candidate")):
            raise Refused(
                f"the route cannot carry a stage {stage.how}: {can.why(missing)}", mend="leave that stage out"
            )
    if stages and stages[-1].weight == 100 and (relative := [slo for slo in slos if slo.relative]):
        raise UsageError(
            f"the {relative[0].metric} SLO compares with the primary, which has no traffic in the last stage, 100 %",
            mend="give it a limit instead of a margin, or end the stages below 100",
        )
