"""``fairway explain``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from fairway_steps.cli.params import STAGES, VERSION, VERSIONS, option
from fairway_steps.cli.params import STICKY as USERS
from fairway_steps.errors import UsageError
from fairway_steps.model import Stage, Stickiness, Version
from fairway_steps.routing.base import HEADER_MATCH, MIRROR, STICKY
from fairway_steps.strategy import Strategy

if TYPE_CHECKING:
    from fairway_steps.config import ReleaseSpec
    from fairway_workflows.explain import Line, Schedule
    from fairway_workflows.foreseen import Asked

EXAMPLE = """\b
Example:
  fairway explain blue-green --route httproute/models/iris --stages 25@5s,100@5m
  fairway explain canary --route httproute/models/iris --service iris --primary iris-v1 --candidate iris-v2
  fairway explain canary --file release.yaml"""


@click.command("explain", epilog=EXAMPLE)
@click.argument("strategy", type=click.Choice([s.value for s in Strategy]))
@option("route", help="The service's route; what it cannot carry is refused.  [default: the file's]")
@option("service", help="What clients call.  [default: the file's, else the route's name]")
@option(
    "primary",
    VERSION,
    help="The version that has the traffic: NAME=URI, or its name in the cluster.  [default: the file's]",
)
@option("candidate", VERSIONS, help="The version to release, or several by commas.  [default: the file's]")
@option("stages", STAGES, help="The schedule.  [default: the file's, else the strategy's own]")
@option(
    "sticky",
    USERS,
    help="What users are told apart by, who then keep their version: header:NAME or cookie:NAME.  [default: the file's]",
)
@option("file", help="A release file, for all that it says.")
@option(
    "approval",
    click.Choice(["none", "before-traffic", "before-promotion"]),
    help="Where a person is asked.  [default: the file's, else none]",
)
def explain(
    strategy: str,
    route: str | None,
    service: str | None,
    primary: Version | None,
    candidate: Sequence[Version] | None,
    stages: tuple[Stage, ...] | None,
    sticky: Stickiness | None,
    file: str | None,
    approval: str | None,
) -> None:
    """Tell step by step what a release would do, before it does.

    The steps are read from the workflow that `fairway run` carries out and Argo is given; nothing is touched. What depends on
    what an earlier step finds out is told with its condition. A schedule that the strategy or the route cannot carry is refused. Where the
    versions are named and the route can be reached, it is asked as `begin` asks it, and so are the metrics of a --file; what `begin` would
    refuse now is told last.

    Exit codes: 0 done, 1 the route cannot carry it, or is not as the release needs it now, 2 usage or configuration.
    """
    from fairway_steps.config import Approval, Objectives, absolute, load_release
    from fairway_workflows.explain import explained
    from fairway_workflows.foreseen import Asked
    from fairway_workflows.strategies import OPTIONS, build

    chosen, spec = Strategy(strategy), load_release(file) if file else None
    if spec and spec.strategy is not chosen:
        raise UsageError(
            f"{file} is of strategy {spec.strategy}, not {chosen}", mend="name that one, or change the file"
        )
    asked = Approval(approval or (spec.approval if spec else Approval.NONE))
    known = _Known(
        route or (spec.route if spec else ""),
        service or (spec.service if spec else ""),
        primary or (spec.primary if spec else None),
        tuple(candidate or (spec.candidates if spec else ())),
    )
    given, schedule, head = _known(chosen, spec, known, stages, sticky)
    template = build(replace(OPTIONS[chosen], approval=asked)).to_dict()
    for line in (*head, *(_line(one) for one in explained(template, given, schedule))):
        click.echo(line)
    if chosen.releases and known.primary and known.candidates:
        _held_against(
            Asked(
                chosen,
                given["service"] or "",
                known.route,
                known.primary,
                known.candidates,
                schedule.stages,
                Objectives(spec.slos, spec.rules) if spec and chosen.staged else Objectives(()),
                absolute(spec.metrics) if spec and spec.metrics else "",
                schedule.sticky,
                spec.record if spec else "",
            )
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the options and the file say of the release; empty for what neither does."""

    route: str
    service: str
    primary: Version | None
    candidates: tuple[Version, ...]


def _held_against(asked: "Asked") -> None:
    """Tell whether the release would begin now. Raises what `begin` would."""
    from fairway_steps.clock import SystemClock
    from fairway_steps.errors import TransientError
    from fairway_workflows.foreseen import refusal, unreachable

    try:
        why = unreachable(asked)
        refused = None if why else refusal(asked, SystemClock())
    except TransientError as error:
        why, refused = error.message, None
    if why:
        click.echo(f"not held against the route as it is now: {why}")
    elif refused is None:
        unseen = (
            ""
            if asked.judged.slos or not asked.strategy.staged
            else "; its metrics were not looked at: a --file names them"
        )
        click.echo(f"as the route is now, it would begin{unseen}")
    else:
        click.echo("as the route is now, it would be refused:")
        raise refused


def _known(
    strategy: Strategy,
    spec: "ReleaseSpec | None",
    known: _Known,
    stages: Sequence[Stage] | None,
    sticky: Stickiness | None,
) -> "tuple[dict[str, str | None], Schedule, list[str]]":
    """What is known of the release, refused where it cannot be, and the lines that say so."""
    from fairway_steps.config import parse_stages
    from fairway_steps.feasible import feasible, fits
    from fairway_steps.routing.registry import capabilities_of
    from fairway_workflows.explain import Schedule
    from fairway_workflows.parameters import STAGES as SCHEDULES
    from fairway_workflows.run import load_arguments, time_limit

    primary = known.primary.name if known.primary else "primary"
    candidate = known.candidates[0].name if known.candidates else "candidate"
    route = known.route
    load: dict[str, str | None] = (
        {**load_arguments(spec), "hold-timeout": time_limit(spec)} if spec else {"load-url": None}
    )
    if not strategy.releases:
        return (
            {"candidate": candidate, **load},
            Schedule((), primary, candidate),
            [f"{strategy}: a load test of {candidate}"],
        )
    usual = SCHEDULES.get(strategy, f"{candidate}=50@1h")
    held = stages or (spec.stages if spec else ()) or (parse_stages(usual) if strategy.staged else ())
    fits(strategy, held)
    if not route:
        raise UsageError("--route is missing", mend="name the service's route, such as envoy:./route, or give a --file")
    can = capabilities_of(route)
    sticky = sticky or (spec.sticky if spec else None)
    feasible(can, held, spec.slos if spec else (), sticky=sticky)
    service = known.service or route.rpartition("/")[2]
    carried = ", ".join(name for name, has in CARRIES.items() if getattr(can, has)) or "no split"
    candidates = " or ".join(one.name for one in known.candidates) or candidate
    head = [f"{strategy}: {service} on {route}, which can carry {carried}; {primary} → {candidates}"]
    return {"service": service, "route": route, **load}, Schedule(held, primary, candidate, sticky), head


CARRIES = {"weights": "weights", HEADER_MATCH: "header_match", MIRROR: "mirror", STICKY: "sticky"}


def _line(line: "Line") -> str:
    return f"{'   ' * line.depth}{line.place + ' ' if line.place else '  '}{line.text}"
