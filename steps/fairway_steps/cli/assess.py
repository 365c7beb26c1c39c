"""``fairway assess``."""

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairway_steps import log
from fairway_steps.cli.mirroring import judged_by, placed_stages
from fairway_steps.cli.params import DURATION_TYPE, FLAG, SLOS, STAGES, VERDICTS, VERSION, F, option
from fairway_steps.cli.step import Answer, logger, step
from fairway_steps.cli.wiring import (
    CLOCK,
    Release,
    alive,
    evidence,
    lease,
    needed,
    noting,
    open_release,
    placed,
    record_options,
    router,
    source,
    the_release,
)
from fairway_steps.config import Objectives
from fairway_steps.errors import UsageError
from fairway_steps.model import Evidence, Rules, Slo, Stage, Verdict, Version
from fairway_steps.outputs import RESULT_BYTES, Output
from fairway_steps.record import StageResult, required
from fairway_steps.routing.base import Router
from fairway_steps.schedule import collectors

if TYPE_CHECKING:
    from fairway_steps.metrics.base import MetricSource

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
    release = open_release(record, release_id, token)
    with noting("assess", release):
        task = task_of(release, slos, past or metrics, service, route, primary, candidate, stages, duration)
        result = task.judge(
            release,
            stage,
            interval=interval,
            patience=patience,
            on_inconclusive=Verdict(on_inconclusive),
            is_last=is_last if task.scheduled or is_last is not None else False,
            ready_path=ready_path,
        )
    return Answer(
        {"verdict": result.assessment.verdict.value, "summary": summary(result)},
        _data(result),
        _text(result),
        exit_code=int(result.assessment.verdict in (fail_on or ())),
    )


def _watched(uri: str, release_id: str | None, token: int | None, interval: float, metrics: str | None) -> Answer:
    from fairway_steps.watch import QUIET, watch

    release = the_release(uri, release_id, token)
    with noting("assess", release):
        task = task_of(release, metrics=metrics)
        if task.router is None:
            raise UsageError("--record has no route to take the candidate off")
        told = _Progress("")
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


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be judged, by what, and from where; the record's word where no option says otherwise."""

    service: str
    metrics: str
    router: Router | None
    primary: Version | None
    candidate: Version
    slos: Sequence[Slo]
    rules: Rules
    stages: Sequence[Stage]
    scheduled: bool

    def source(self) -> "MetricSource":
        return source(self.metrics, self.service, self.primary, self.candidate, slos=self.slos)

    def judge(
        self,
        release: Release | None,
        stage: int,
        *,
        interval: float,
        patience: float | None,
        on_inconclusive: Verdict,
        is_last: bool | None = None,
        ready_path: str = "/v2/health/ready",
    ) -> StageResult:
        """Judge one stage, with its progress in the log and in Argo's progress file."""
        from fairway_steps.judge import judge
        from fairway_steps.release import withdraw
        from fairway_steps.weights import Confirmation

        result = judge(
            release.store if release else None,
            release.lease if release else lease("", 0),
            self.source(),
            self.router,
            self._looked_after(release, alive(self.candidate, ready_path, release)),
            CLOCK,
            slos=self.slos,
            rules=self.rules,
            primary=self.primary.name if self.primary else "",
            candidate=self.candidate.name,
            stages=self.stages,
            index=stage,
            interval=interval,
            patience=patience,
            on_inconclusive=on_inconclusive,
            is_last=is_last,
            progress=_Progress(os.environ.get("ARGO_PROGRESS_FILE", "")),
        )
        if release and self.router and result.assessment.verdict is Verdict.ROLLBACK:
            withdraw(release.store, release.lease, self.router, CLOCK, confirm=Confirmation())
        return result

    def drift(self, release: Release | None) -> Callable[[], None]:
        """What looks after the route of a release, and puts right what somebody else changes."""
        from fairway_steps.drift import Drift

        if release is None or self.router is None:
            return lambda: None
        return Drift(release.store, release.lease, self.router, CLOCK)

    def _looked_after(self, release: Release | None, alive: Callable[[], str]) -> Callable[[], str]:
        """Whether the candidate is alive, with a look at the route each time."""
        drift = self.drift(release)

        def look() -> str:
            drift()
            return alive()

        return look


def task_of(
    release: Release | None,
    slos: Objectives | None = None,
    metrics: str | None = None,
    service: str | None = None,
    route: str | None = None,
    primary: Version | None = None,
    candidate: Version | None = None,
    stages: Sequence[Stage] | None = None,
    duration: float = 0.0,
) -> Task:
    """The task that options and record describe. Raises UsageError for what neither has."""
    held = release.record if release else None
    candidate = candidate or (held.candidate if held else None)
    primary = primary or (held.primary if held else None)
    route = route or (held.route if held else "")
    service = service or (held.service if held else needed(service, "service") if route else "")
    if candidate is None:
        raise UsageError("--candidate is missing", mend="give it, or a --record that has it")
    if not (metrics or route):
        raise UsageError("there is nothing to read evidence from", mend="give --metrics, --route or a --record")
    asked = slos or (Objectives(held.slos, held.rules) if held else needed(slos, "slos"))
    users = evidence(metrics, route, held)
    if not held:
        *before, candidate = placed(route, *(version for version in (primary, candidate) if version))
        primary = before[0] if before else None
    versions = [version for version in (primary, candidate) if version]
    schedule = (held.stages if held else ()) if not stages else placed_stages(route, stages)
    opened = router(route, service, versions, users, collectors(schedule)) if route else None
    return Task(
        service=service,
        metrics=judged_by(users, schedule),
        router=opened,
        primary=primary,
        candidate=candidate,
        slos=asked.slos,
        rules=asked.rules,
        stages=schedule or (Stage(opened.read().weights.get(candidate.name, 0) if opened else 0, duration),),
        scheduled=bool(schedule),
    )


def summary(result: StageResult) -> str:
    """The verdict with what each SLO shows, as JSON within a result's size: the reason gives way, then the last SLOs."""
    reason, slos = result.assessment.reason, [_brief(item) for item in result.assessment.evidence]
    while True:
        told = {"verdict": result.assessment.verdict.value, "reason": reason, "slos": slos}
        text = json.dumps(told, ensure_ascii=False)
        if len(text.encode()) <= RESULT_BYTES:
            return text
        if len(reason) > 200:
            reason = reason[: max(199, len(reason) - 100)] + "…"
        else:
            slos = slos[:-1]


def _brief(item: Evidence) -> dict[str, Any]:
    from fairway_steps.words import name_of

    observed = None if item.observed is None or not math.isfinite(item.observed) else float(f"{item.observed:.4g}")
    return {
        "slo": name_of(item.slo),
        "result": item.result.value,
        "observed": observed,
        "margin" if item.slo.relative else "limit": item.slo.limit,
        "n": item.requests,
    }


def _data(result: StageResult) -> dict[str, Any]:
    from fairway_steps.codec import encode

    told: dict[str, Any] = encode(result)
    assessment = told.pop("assessment")
    return (
        {"verdict": assessment["verdict"], "reason": assessment["reason"]} | told | {"evidence": assessment["evidence"]}
    )


def _text(result: StageResult) -> str:
    lines = [f"{result.assessment.verdict.value}: {result.assessment.reason}"]
    lines += [f"  {item.result.value}: {item.sentence}" for item in result.assessment.evidence]
    return "\n".join(lines)


@dataclass(slots=True)
class _Progress:
    """Each look as a line of the log, and as ``N/M`` in Argo's progress file where there is one.

    https://argo-workflows.readthedocs.io/en/latest/progress/
    """

    file: str
    failed: bool = field(default=False, init=False)

    def __call__(self, text: str, /, **fields: object) -> None:
        log.progress(logger(), text, **fields)
        if not self.file or self.failed:
            return
        total = max(1, math.ceil(float(str(fields["duration"]))))
        done = min(total, int(float(str(fields["elapsed"]))))
        try:
            Path(self.file).write_text(f"{done}/{total}\n", encoding="utf-8")
        except OSError as error:
            self.failed = True
            logger().warning("progress cannot be written to %s: %s", self.file, error.strerror)
