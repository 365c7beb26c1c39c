"""Whether a release would begin as its route, its record and its metrics are now: what ``begin`` looks at, where it can be reached, and nothing written."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.begin import begin
from fairway_steps.cli.first_look import first_look
from fairway_steps.cli.mirroring import judged_by, placed_stages
from fairway_steps.cli.wiring import (
    cluster,
    ending,
    evidence,
    holder_is_gone,
    placed_all,
    record_store,
    router,
    this_process,
)
from fairway_steps.clock import Clock
from fairway_steps.config import Objectives, absolute
from fairway_steps.errors import FairwayError, TransientError
from fairway_steps.model import Stage, Stickiness, Version
from fairway_steps.routing.registry import in_cluster
from fairway_steps.schedule import collectors
from fairway_steps.stores import usual
from fairway_steps.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Asked:
    """A release as it is asked for; an empty ``record`` is where a service's record usually is.

    The metrics are looked at for what it is ``judged`` by, if that is known.
    """

    strategy: Strategy
    service: str
    route: str
    primary: Version
    candidates: Sequence[Version]
    stages: Sequence[Stage]
    judged: Objectives
    metrics: str
    sticky: Stickiness | None
    record: str


def unreachable(asked: Asked) -> str:
    """Why nothing can be told of the route as it is; empty if it can be asked."""
    try:
        if in_cluster(asked.route):
            cluster()
        else:
            router(absolute(asked.route), asked.service)
    except FairwayError as error:
        return error.message
    return ""


def refusal(asked: Asked, clock: Clock) -> FairwayError | None:
    """What ``begin`` would raise now. Raises TransientError if the route cannot be asked in this moment."""
    route = absolute(asked.route)
    try:
        primary, candidates = placed_all(route, asked.primary, *asked.candidates)
        stages = placed_stages(route, asked.stages)
        versions = [version for version in (primary, *candidates) if version]
        users = evidence(asked.metrics, route) if asked.judged.slos else ""
        store, path = (
            record_store(asked.record or _usual(asked)),
            router(route, asked.service, versions, users, collectors(stages)),
        )
        begin(
            store,
            path,
            clock,
            service=asked.service,
            route=route,
            primary=primary,
            candidate=candidates[0],
            rivals=candidates[1:],
            sticky=asked.sticky,
            stages=stages,
            slos=asked.judged.slos,
            rules=asked.judged.rules,
            strategy=asked.strategy,
            holder=this_process(),
            lease_for=0.0,
            resume=False,
            gone=holder_is_gone,
            ending=ending(versions),
            dry_run=True,
        )
        if users:
            first_look(judged_by(users, stages), asked.service, versions, asked.judged, stages, path, store.load())
    except TransientError:
        raise
    except FairwayError as error:
        return error
    return None


def _usual(asked: Asked) -> str:
    if not in_cluster(asked.route):
        return f"file:.fairway/{asked.service}.json"
    _, namespace, *_ = asked.route.split("/")
    return usual(namespace, asked.service)
