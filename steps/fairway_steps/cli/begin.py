"""``fairway begin``."""

import json
from collections.abc import Sequence

import click

from fairway_steps.cli.first_look import first_look
from fairway_steps.cli.mirroring import judged_by, placed_stages
from fairway_steps.cli.params import DURATION_TYPE, FLAG, SLOS, STAGES, STICKY, VERSION, VERSIONS, option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.wiring import (
    CLOCK,
    copyable,
    ending,
    evidence,
    holder_is_gone,
    needed,
    placed_all,
    record_store,
    router,
    somebody,
)
from fairway_steps.config import Approval, Objectives, absolute
from fairway_steps.errors import UsageError
from fairway_steps.feasible import feasible
from fairway_steps.model import Policy, Promotion, Stage, Stickiness, Version
from fairway_steps.outputs import Output
from fairway_steps.schedule import collectors
from fairway_steps.strategy import Strategy

EXAMPLE = """
fairway begin --service iris --route envoy:./route --primary v1=http://127.0.0.1:8001 \\
  --candidate v2=http://127.0.0.1:8002 --stages 10@20s,25@20s,50@20s \\
  --slos '[{metric: error-rate, limit: 1%}]' --record file:.fairway/iris.json
"""
SLOS_MEND = "say what the candidate must keep, such as '[{metric: error-rate, limit: 1%}]'"


@step(
    "begin",
    outputs=[
        Output("release-id", "", "The release's name."),
        Output("token", "0", "The fencing token of its lease."),
        Output("record", "", "Where the record is."),
        Output("stage", "0", "The stage to go on with: 0, or later when a release was resumed."),
        Output("first", "false", "Whether it is the service's first version, which is promoted without a comparison."),
    ],
    mutates=True,
    failure="the service is held by another release, or its route is not as the release needs it",
    example=EXAMPLE,
)
@option("service", required=True, help="What clients call.")
@option(
    "route",
    required=True,
    help="The service's route: envoy:DIR, or KIND/NAMESPACE/NAME with httproute, grpcroute, virtualservice, ksvc or inferenceservice.",
)
@option(
    "primary",
    VERSION,
    help="The version that has the traffic: NAME=URI, or its name in the cluster.  [default: none, it is the first]",
)
@option(
    "candidate",
    VERSIONS,
    required=True,
    help="The version to release: NAME=URI, or its name in the cluster; several, of which the best is promoted, by commas.",
)
@option(
    "strategy",
    click.Choice([s.value for s in Strategy if s.releases]),
    default="canary",
    help="How traffic meets the candidate; its schedule must be one of this strategy, with `none` there is none.",
)
@option(
    "stages",
    STAGES,
    help="Weights and how long each is held: 10@20s,25@20s,50@20s; first perhaps header:NAME=VALUE@20s or mirror:50@20s; between "
    "several candidates v2=30+v3=30@1h.",
)
@option(
    "sticky",
    STICKY,
    help="What users are told apart by, who then keep their version: header:NAME or cookie:NAME.  [default: nothing]",
)
@option("slos", SLOS, help="SLOs as YAML, or file:PATH.")
@option("record", required=True, help="Where to keep the record: file:PATH or configmap/NAMESPACE/NAME.")
@option("metrics", help="Where the evidence comes from.  [default: the route's own proxy]")
@option(
    "promotion",
    click.Choice([p.value for p in Promotion]),
    default="route",
    help="`route`: a promoted candidate stays where it is; `copy`: the primary takes over what it runs.",
)
@option(
    "primary-policy",
    click.Choice([p.value for p in Policy]),
    default="scale",
    help="What becomes of the old primary in a cluster.",
)
@option(
    "candidate-policy",
    click.Choice([p.value for p in Policy]),
    default="scale",
    help="What becomes of a candidate that is rolled back, or was copied.",
)
@option("holder", help="Who holds the service meanwhile.  [default: USER@HOST]")
@option("lease", DURATION_TYPE, default="10m", help="How long without a sign of life until others may take over.")
@option(
    "once",
    FLAG,
    default="false",
    help="Begin no other release where --holder's own has ended: what is repeated is then done.",
)
@option("resume", FLAG, default="false", help="Go on with an unfinished release.")
@option(
    "approval",
    click.Choice([a.value for a in Approval]),
    default="none",
    help="Where the workflow is to ask a person. No step does: anything but `none` is refused, so that nobody waits for a question in vain.",
)
def begin(
    service: str,
    route: str,
    primary: Version | None,
    candidate: Sequence[Version],
    strategy: str,
    stages: Sequence[Stage] | None,
    sticky: Stickiness | None,
    slos: Objectives | None,
    record: str,
    metrics: str | None,
    promotion: str,
    primary_policy: str,
    candidate_policy: str,
    holder: str | None,
    lease: float,
    once: bool,
    resume: bool,
    approval: str,
    dry_run: bool,
) -> Answer:
    """Begin a release: take the lease, check the route, open the record.

    The record remembers the route as it is now, and is what every other step reads and writes.
    """
    from fairway_steps.begin import begin as run

    if approval != Approval.NONE:
        raise UsageError(
            f"approval is {approval}, but this workflow asks nobody, so nothing was begun",
            mend="leave it out (`fairway intervene` aborts at any time), or use a workflow that asks, such as Argo's canary-approval-v1",
        )
    store, route = record_store(record), absolute(route)
    primary, candidates = placed_all(route, primary, *candidate)
    versions = tuple(version for version in (primary, *candidates) if version)
    stages = placed_stages(route, stages or ())
    judged = Strategy(strategy).staged
    asked = needed(slos, "slos", SLOS_MEND) if judged else Objectives(())
    users = evidence(metrics, route) if primary and judged else ""
    counted = judged_by(users, stages) if users else ""
    if promotion == Promotion.COPY and primary:
        copyable(*versions)
    path = router(route, service, versions, users, collectors(stages))
    holder, held = holder or somebody(), store.load()
    begins = held is None or held.holder != holder or (held.outcome is not None and not once)
    if begins:  # before a source is asked that would have no say
        feasible(path.capabilities, stages, asked.slos, sticky=sticky)
    cursor, told = first_look(counted, service, versions, asked, stages, path, held) if counted and begins else ("", ())
    begun = run(
        store,
        path,
        CLOCK,
        service=service,
        route=route,
        primary=primary,
        candidate=candidates[0],
        rivals=candidates[1:],
        sticky=sticky,
        stages=stages,
        slos=asked.slos,
        rules=asked.rules,
        strategy=Strategy(strategy),
        holder=holder,
        lease_for=lease,
        once=once,
        resume=resume,
        gone=holder_is_gone,
        cursor=cursor,
        told=told,
        metrics=metrics or "",
        promotion=Promotion(promotion),
        primary_policy=Policy(primary_policy),
        candidate_policy=Policy(candidate_policy),
        ending=ending(versions),
        dry_run=dry_run,
    )
    outputs = {
        "release-id": begun.release_id,
        "token": str(begun.token),
        "record": store.uri,
        "stage": str(begun.next_stage),
        "first": str(begun.first).lower(),
    }
    names = " or ".join(version.name for version in begun.candidates)
    said = f"release {begun.release_id}: {begun.primary.name} → {names}"
    if begun.first:
        said = f"release {begun.release_id}: {begun.candidate.name}, the first version: there is nothing to compare it with"
    return Answer(
        outputs, json.loads(json.dumps(outputs | {"dry-run": dry_run})), f"would begin {said}" if dry_run else said
    )
