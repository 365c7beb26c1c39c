"""Whether a release can be carried out as it is asked for, as far as its strategy, its versions, its schedule and the kind of its route tell. Pure."""

from collections.abc import Sequence
from itertools import combinations

from fairway_steps.errors import Refused, UsageError
from fairway_steps.model import Slo, Stage, Stickiness, Version
from fairway_steps.routing.base import COMPARED, STICKY, Capabilities
from fairway_steps.schedule import collectors, misplaced, routes_of
from fairway_steps.strategy import Strategy, unfit


def fits(strategy: Strategy, stages: Sequence[Stage]) -> None:
    """Raise UsageError for a schedule that is none of the strategy."""
    if wrong := unfit(strategy, stages):
        sentence, _, mend = wrong.partition("; ")
        raise UsageError(f"stages: {sentence}", mend=mend)


def feasible(
    can: Capabilities, stages: Sequence[Stage], slos: Sequence[Slo], *, sticky: Stickiness | None = None
) -> None:
    """Refuse what the route's back end cannot carry, and a comparison with a primary that has no traffic left."""
    if sticky and not can.sticky:
        raise Refused(
            f"the route cannot keep users on their version, sticky {sticky.how}: {can.why(STICKY)}",
            mend="leave sticky out, or let the application assign users and send their version's header",
        )
    for stage in stages:
        for missing in can.lacks(routes_of(stage, "primary", "candidate")):
            raise Refused(
                f"the route cannot carry a stage {stage.how}: {can.why(missing)}",
                mend="leave that stage out" if missing != COMPARED else "mirror to the candidate itself",
            )
    if stages and stages[-1].weight == 100 and (relative := [slo for slo in slos if slo.relative]):
        raise UsageError(
            f"the {relative[0].metric} SLO compares with the primary, which has no traffic in the last stage, 100 %",
            mend="give it a limit instead of a margin, or end the stages below 100",
        )


def fitting(
    primary: Version | None, candidates: Sequence[Version], stages: Sequence[Stage], slos: Sequence[Slo]
) -> None:
    """Refuse versions, stages and SLOs that do not go together."""
    if primary is None:
        if len(candidates) > 1:
            raise UsageError(
                "several candidates are compared with a primary, and there is none",
                mend="give --primary, or one --candidate",
            )
        return
    _distinct(primary, *candidates)
    _apart(stages, primary, *candidates)
    if found := misplaced([version.name for version in candidates], stages, slos):
        raise UsageError(f"--{found[0]}: {found[1]}")


def _distinct(primary: Version, *candidates: Version) -> None:
    roles = [("primary", primary), *(("candidate", version) for version in candidates)]
    for (first, one), (second, other) in combinations(roles, 2):
        if one.name == other.name or one.uri.rstrip("/") == other.uri.rstrip("/"):
            raise UsageError(
                f"{first} {one.name}={one.uri} and {second} {other.name}={other.uri} are the same version",
                mend="give each its own name and address",
            )


def _apart(stages: Sequence[Stage], *versions: Version) -> None:
    for collector in collectors(stages):
        for version in versions:
            if collector.name == version.name:
                raise UsageError(
                    f"{version.name} is what a route calls the collector", mend="give the version another name"
                )
            if collector.uri.rstrip("/") == version.uri.rstrip("/"):
                raise UsageError(
                    f"the collector {collector.uri} of a stage is {version.name} itself",
                    mend="name the address that `fairway collector` listens on",
                )
