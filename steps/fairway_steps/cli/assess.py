"""``fairway assess``."""

from collections.abc import Sequence

import click

from fairway_steps.cli.params import DURATION_TYPE, FLAG, SLOS, STAGES, VERDICTS, VERSION, F, option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.task import task_of
from fairway_steps.cli.told import Progress, data, summary, text
from fairway_steps.cli.wiring import (
    CLOCK,
    ending,
    lease,
    needed,
    noting,
    open_release,
    record_options,
    source,
    the_release,
)
from fairway_steps.config import Objectives
from fairway_steps.errors import UsageError
from fairway_steps.model import Stage, Verdict, Version
from fairway_steps.outputs import RESULT_BYTES, Output
from fairway_steps.record import StageResult, required

EXAMPLE = """
fairway assess --service iris --route envoy:./route --candidate v2=http://127.0.0.1:8002 --duration 30s \\
  --slos '[{metric: error-rate, limit: 1%}, {metric: latency, quantile: p95, limit: 250ms}]'
"""


def judging_options(command: F) -> F:
    """``--interval``, ``--patience`` and ``--on-inconclusive``: how a stage is looked at, and what doubt leads to."""
    interval = option("interval", DURATION_TYPE, default="1s", help="How often to look.")
    patience = option(
        "patience",
        DURATION_TYPE,
        help="How long to wait at the end for the minimum sample.  [default: as long as the stage, at least 10s]",
    )
    on_inconclusive = option(
        "on-inconclusive",
        click.Choice(["hold", "rollback", "promote"]),
        default="hold",
        help="What evidence that decides nothing leads to; no data never promotes.",
    )
    return interval(patience(on_inconclusive(command)))


@step(
    "assess",
    image="assess",
    outputs=[
        Output("verdict", "hold", "advance, promote, rollback or hold."),
        Output("summary", "", "Why, and what each SLO shows, as JSON of at most 1 kB."),
    ],
    failure="nothing could be assessed at all, or the verdict is one of --fail-on",
    example=EXAMPLE,
)
@option("slos", SLOS, help="SLOs as YAML, or file:PATH.  [default: the record's]")
@option("metrics", help="Where the evidence comes from.  [default: the route's own proxy]")
@option("service", help="What clients call.  [default: the record's]")
@option("route", help="The service's route, such as envoy:DIR.  [default: the record's]")
@option("primary", VERSION, help="NAME=URI.  [default: the record's]")
@option("candidate", VERSION, help="The version to judge: NAME=URI.  [default: the record's]")
@option("stages", STAGES, help="The schedule, such as 10@20s,25@20s,50@20s.  [default: the record's]")
@option("stage", int, default="0", help="The stage to judge, from 0.")
@option("duration", DURATION_TYPE, default="0s", help="How long to look, where there is no schedule.")
@judging_options
@option(
    "rehearsal",
    FLAG,
    default="false",
    help="Judge what --metrics tells of a load test of the --record's candidate while it has no users, besides the schedule.",
)
@option("is-last", FLAG, help="Whether promotion comes next.  [default: as the schedule says]")
@option(
    "ready-path", default="/v2/health/ready", help="Where the candidate is asked whether it still is there, or none."
)
@option("fail-on", VERDICTS, help="Exit 1 on these verdicts, such as rollback,hold.")
@option(
    "background",
    FLAG,
    default="false",
    help="Look on until the release has ended, whenever no stage is being assessed, as while a person is asked.",
)
@option(
    "from",
    dest="past",
    help="Judge what is over: samples:PATH of a load test, or a record's URI to make all its assessments again.",
)
@record_options
def assess(
    slos: Objectives | None,
    metrics: str | None,
    service: str | None,
    route: str | None,
    primary: Version | None,
    candidate: Version | None,
    stages: Sequence[Stage] | None,
    stage: int,
    duration: float,
    interval: float,
    patience: float | None,
    on_inconclusive: str,
    rehearsal: bool,
    is_last: bool | None,
    ready_path: str,
    fail_on: frozenset[Verdict] | None,
    background: bool,
    past: str | None,
    record: str | None,
    release_id: str | None,
    token: int | None,
) -> Answer:
    """Judge a candidate by its SLOs: look until the stage is over, or until harm is proved.

    Once harm is proved, the candidate of a --record is taken off the traffic at once; `rollback` then closes the
    record. The verdict is data: the exit code is 0 whatever it says, unless --fail-on names it. With --from a record,
    nothing is read but its counts and nothing is written: each assessment is made again and must be the same, bit for bit.
    """
    if past and not past.startswith("samples:"):
        return _replayed(past, release_id)
    if background:
        return _watched(needed(record, "record"), release_id, token, interval, metrics)
    if rehearsal:
        return _answer(_rehearsed(needed(record, "record"), release_id, token, metrics), fail_on)
    release = open_release(record, release_id, token)
    with noting("assess", release):
        task = task_of(release, slos, past or metrics, service, route, primary, candidate, stages, duration)
        judged = task.judging(
            release,
            interval=interval,
            patience=patience,
            on_inconclusive=Verdict(on_inconclusive),
            is_last=is_last if task.scheduled or is_last is not None else False,
            ready_path=ready_path,
        )
        result = judged(stage)
    return _answer(result, fail_on)


def _answer(result: StageResult, fail_on: frozenset[Verdict] | None) -> Answer:
    return Answer(
        {"verdict": result.assessment.verdict.value, "summary": summary(result)},
        data(result),
        text(result),
        exit_code=int(result.assessment.verdict in (fail_on or ())),
    )


def _rehearsed(uri: str, release_id: str | None, token: int | None, metrics: str | None) -> StageResult:
    from fairway_steps.rehearsal import rehearse, rehearsed

    release = the_release(uri, release_id, token)
    held = release.record
    with noting("assess", release):
        told = needed(metrics, "metrics", "name the load test's numbers: samples:PATH, or summary: and its output")
        found = source(told, held.service, held.candidate, slos=rehearsed(held.slos))
        return rehearse(release.store, release.lease, found, CLOCK)


def _watched(uri: str, release_id: str | None, token: int | None, interval: float, metrics: str | None) -> Answer:
    from fairway_steps.watch import QUIET, watch

    release = the_release(uri, release_id, token)
    with noting("assess", release):
        task = task_of(release, metrics=metrics)
        if task.router is None:
            raise UsageError("--record has no route to take the candidate off")
        told = Progress("")
        quiet = max(QUIET, 3 * interval)
        found = watch(
            release.store,
            release.lease,
            task.source(),
            task.router,
            CLOCK,
            interval=interval,
            quiet=quiet,
            progress=told,
            drift=task.drift(release),
            ending=ending(release.record.versions.values()),
        )
    if found is None:
        ended = required(release.store, lease(release_id, 0)).outcome
        return Answer({"verdict": "hold"}, {"verdict": "hold", "reason": f"the release has ended: {ended}"})
    return Answer(
        {"verdict": found.verdict.value, "summary": found.reason[:RESULT_BYTES]}, text=f"rollback: {found.reason}"
    )


def _replayed(uri: str, release_id: str | None) -> Answer:
    from fairway_steps.codec import encode
    from fairway_steps.replay import replay
    from fairway_steps.report.wording import stage as stage_of

    held = the_release(uri, release_id, None, ended=True).record
    found = list(replay(held))
    if not found:
        raise UsageError(f"the record {uri} holds no assessment that can be made again")
    told, lines = [], []
    for one in found:
        again, at = one.again, f"stage {one.result.stage + 1} at {stage_of(held, one.result.stage, one.result.weight)}"
        said = f"{again.verdict.value}: {again.reason}" if again else "no verdict"
        was = "" if one.same else f"  (recorded: {one.result.assessment.verdict.value}: {one.result.assessment.reason})"
        lines.append(f"{'same' if one.same else 'DIFFERENT'}  {at}: {said}{was}")
        told.append({"stage": one.result.stage, "same": one.same, "assessment": encode(again) if again else None})
    last, same = found[-1], all(one.same for one in found)
    verdict = last.again.verdict.value if last.again else "hold"
    outputs = {"verdict": verdict, "summary": summary(last.result) if same else ""}
    return Answer(
        outputs, {"verdict": verdict, "same": same, "stages": told}, "\n".join(lines), exit_code=int(not same)
    )
