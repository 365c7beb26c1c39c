"""``fairway set-weights``."""

import json
from collections.abc import Mapping, Sequence

from fairway_steps.by_hand import set_by_hand
from fairway_steps.cli.mirroring import judged_by, placed_stages
from fairway_steps.cli.params import DURATION_TYPE, STAGES, VERSION, by_option, option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.wiring import (
    CLOCK,
    evidence,
    needed,
    noting,
    open_release,
    placed,
    record_options,
    router,
    source,
)
from fairway_steps.errors import UsageError
from fairway_steps.model import Routes, Stage, Version
from fairway_steps.outputs import Output
from fairway_steps.record import Record
from fairway_steps.schedule import Position, collectors, position
from fairway_steps.weights import Confirmation, enter_stage
from fairway_steps.weights import set_weights as run
from fairway_steps.words import shares


@step(
    "set-weights",
    outputs=[
        Output("weights", "{}", "The weights served now, as JSON."),
        Output("next-index", "-1", "The stage after this one; -1 after the last."),
        Output("is-last", "false", "Whether this is the last stage."),
    ],
    mutates=True,
    failure="the route was refused or the proxy does not serve it",
    example="fairway set-weights --service iris --route envoy:./route --primary v1=http://127.0.0.1:8001 "
    "--candidate v2=http://127.0.0.1:8002 --weights v1=90,v2=10",
)
@option("stage", int, help="The stage of --stages (or of the record) to set, from 0.")
@option("weights", help="Weights by version, instead of a stage: v1=90,v2=10.")
@option("stages", STAGES, help="The schedule, if there is no record: 10@20s,25@20s,50@20s.")
@option("service", help="What clients call.  [default: the record's]")
@option("route", help="The service's route, such as envoy:DIR.  [default: the record's]")
@option("primary", VERSION, help="NAME=URI.  [default: the record's]")
@option("candidate", VERSION, help="NAME=URI.  [default: the record's]")
@option("metrics", help="Where the evidence of a --record comes from.  [default: the route's own proxy]")
@by_option
@option("settle-timeout", DURATION_TYPE, default="30s", help="How long the proxy may take to serve the new route.")
@option("confirm-requests", int, default="20", help="Count so many requests to see where traffic really goes.")
@option("confirm-timeout", DURATION_TYPE, default="1s", help="How long to count at most.")
@record_options
def set_weights(
    stage: int | None,
    weights: str | None,
    stages: Sequence[Stage] | None,
    service: str | None,
    route: str | None,
    primary: Version | None,
    candidate: Version | None,
    metrics: str | None,
    by: str | None,
    settle_timeout: float,
    confirm_requests: int,
    confirm_timeout: float,
    record: str | None,
    release_id: str | None,
    token: int | None,
    dry_run: bool,
) -> Answer:
    """Set the weights of a stage and see them served.

    The route is written, read back, asked for in the proxy, and then measured, where the
    metrics tell requests within seconds: stored is not served.
    """
    release = open_release(record, release_id, token)
    held = release.record if release else None
    confirm = Confirmation(settle_timeout, confirm_requests, confirm_timeout)
    with noting("set-weights", release):
        service = service or (held.service if held else needed(service, "service"))
        route = route or (held.route if held else needed(route, "route"))
        primary = primary or (held.primary if held else None)
        candidate = candidate or (held.candidate if held else None)
        rivals = held.rivals if held else ()
        known = {v.name: v for v in placed(route, *(v for v in (primary, candidate, *rivals) if v is not None))}
        schedule = placed_stages(route, stages) if stages else (held.stages if held else ())
        beside = {one.name: one for one in collectors(schedule)}
        path = router(route, service, known.values(), metrics or (held.metrics if held else ""), beside.values())
        at = None if weights else _position(schedule, stage, primary, candidate, held)
        routes = (
            at.routes
            if at
            else _parse_weights(needed(weights, "weights", "write v1=90,v2=10, or name a --stage"), known)
        )
        outputs = {
            "weights": json.dumps(dict(routes.weights)),
            "next-index": str(at.next_index if at else -1),
            "is-last": str(bool(at and at.is_last)).lower(),
        }
        if release is None:
            path.preflight([routes], known)
        if dry_run:
            now = dict(path.read().weights)
            return Answer(
                outputs, {"now": now, "would-be": dict(routes.weights)}, f"would set {shares(routes.weights)}"
            )
        if release and stage is not None and not (weights or stages):
            counted = judged_by(evidence(metrics, route, release.record), schedule)
            seen = source(counted, service, primary, candidate, *rivals, slos=release.record.slos)
            change = enter_stage(
                release.store, release.lease, path, CLOCK, index=stage, confirm=confirm, source=seen, by=by or ""
            )
            outputs["weights"] = json.dumps(dict(change.asked))
        elif release:
            change = set_by_hand(
                release.store,
                release.lease,
                path,
                CLOCK,
                routes=routes,
                versions=known | beside,
                confirm=confirm,
            )
        else:
            change = run(
                path, CLOCK, routes=routes, versions=known | beside, fence=0, stage=-1, why="by hand", confirm=confirm
            )
    measured = {name: round(share, 4) for name, share in (change.measured or {}).items()}
    data = {
        "weights": dict(change.asked),
        "measured": measured,
        "counted": change.counted,
        "settled_s": change.settled_after,
    }
    return Answer(outputs, data, f"weights: {shares(change.asked)}")


def _position(
    schedule: Sequence[Stage],
    stage: int | None,
    primary: Version | None,
    candidate: Version | None,
    held: Record | None,
) -> Position:
    if stage is None or primary is None or candidate is None:
        raise UsageError(
            "there is nothing to set", mend="give --weights, or --stage with --primary and --candidate or a --record"
        )
    sticky, without = (held.sticky, held.dropped) if held else (None, ())
    return position(schedule, stage, primary.name, candidate.name, sticky=sticky, without=without)


def _parse_weights(text: str, known: Mapping[str, Version]) -> Routes:
    weights: dict[str, int] = {}
    for part in text.split(","):
        name, equals, share = part.strip().partition("=")
        if not equals or not share.isdecimal():
            raise UsageError(f"--weights: {part!r} is not NAME=PERCENT", mend="write v1=90,v2=10")
        if name not in known:
            raise UsageError(
                f"--weights names {name!r}, which is neither --primary nor --candidate ({', '.join(known) or 'none given'})"
            )
        weights[name] = int(share)
    if sum(weights.values()) != 100:
        raise UsageError(f"--weights {text} add up to {sum(weights.values())}, not 100")
    return Routes({name: share for name, share in weights.items() if share})
