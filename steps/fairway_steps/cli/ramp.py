"""``fairway ramp``."""

import json

from fairway_steps.cli.assess import judging_options
from fairway_steps.cli.params import FLAG, by_option, option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.task import task_of
from fairway_steps.cli.told import summary
from fairway_steps.cli.wiring import (
    CLOCK,
    Release,
    alive,
    ending,
    holder_option,
    noting,
    release_options,
    the_release,
)
from fairway_steps.errors import UsageError
from fairway_steps.model import Outcome, Verdict
from fairway_steps.outputs import Output
from fairway_steps.record import required
from fairway_steps.weights import Confirmation


@step(
    "ramp",
    image="assess",
    outputs=[
        Output("verdict", "hold", "promote, rollback or hold."),
        Output("summary", "", "Why, and what each SLO shows, as JSON of at most 1 kB."),
        Output("weights", "{}", "The last weights that were set, as JSON."),
    ],
    failure="the route was refused, or nothing could be assessed at all",
    example="fairway ramp --record file:.fairway/iris.json",
)
@option("stage", int, help="The stage to start with.  [default: where the record says]")
@option("metrics", help="Where the evidence comes from.  [default: the route's own proxy]")
@option(
    "end",
    FLAG,
    default="false",
    help="Also end the release as the verdict says, promoted or rolled back; a first version is promoted.",
)
@by_option
@judging_options
@holder_option
@release_options
def ramp(
    stage: int | None,
    metrics: str | None,
    end: bool,
    by: str | None,
    interval: float,
    patience: float | None,
    on_inconclusive: str,
    holder: str | None,
    record: str,
    release_id: str | None,
    token: int | None,
) -> Answer:
    """Go through all stages in one process: set the weights of each and assess, until a verdict ends the ramp.

    The same as `set-weights` and `assess` for each stage, for schedules too short to pay for a pod each time.
    """
    release = the_release(record, release_id, token, holder, ended=end)
    held = release.record
    if held.outcome is not None:  # a run that is repeated after its end
        verdict = Verdict.PROMOTE if held.outcome is Outcome.PROMOTED else Verdict.ROLLBACK
        answer = Answer({"verdict": verdict.value}, text=f"release {held.release_id} has ended {held.outcome}")
    elif end and held.first:
        verdict = Verdict.PROMOTE
        answer = Answer(
            {"verdict": verdict.value}, text=f"{held.candidate.name} is the first version: nothing to compare it with"
        )
    else:
        verdict, answer = _ramp(release, stage, metrics, by or "", interval, patience, Verdict(on_inconclusive))
    if end:
        _end(release, verdict)
    return answer


def _ramp(
    release: Release,
    stage: int | None,
    metrics: str | None,
    by: str,
    interval: float,
    patience: float | None,
    on_inconclusive: Verdict,
) -> tuple[Verdict, Answer]:
    from fairway_steps.ramp import ramp as run
    from fairway_steps.weights import enter_stage

    with noting("ramp", release):
        held, task = release.record, task_of(release, metrics=metrics)
        first = held.next_stage if stage is None else stage
        if not 0 <= first < len(held.stages):
            raise UsageError(
                f"stage {first} is not in the schedule", mend=f"it has the stages 0 to {len(held.stages) - 1}"
            )
        result = run(
            first,
            len(held.stages) - 1,
            lambda index: enter_stage(
                release.store,
                release.lease,
                release.router(),
                CLOCK,
                index=index,
                confirm=Confirmation(wait=1.0),
                source=task.source(),
                by=by if index == first else "",
            ),
            task.judging(release, interval=interval, patience=patience, on_inconclusive=on_inconclusive),
        )
    shares = held.stages[result.stage].weights or {held.candidate.name: result.weight}
    weights = {held.primary.name: 100 - result.weight, **shares}
    verdict = result.assessment.verdict
    outputs = {"verdict": verdict.value, "summary": summary(result), "weights": json.dumps(weights)}
    return verdict, Answer(outputs, text=f"{verdict.value}: {result.assessment.reason}")


def _end(release: Release, verdict: Verdict) -> None:
    """What `promote` or `rollback` would do next, without another pod; what is held is for a person to end."""
    from fairway_steps.release import promote, rollback

    held = required(release.store, release.lease)
    given = (release.store, release.lease, release.router(), CLOCK)
    treated = ending(held.versions.values())
    if verdict is Verdict.PROMOTE:
        with noting("promote", release):
            promote(*given, alive=alive(held.chosen, release=release), confirm=Confirmation(), ending=treated)
    elif verdict is Verdict.ROLLBACK:
        with noting("rollback", release):
            rollback(*given, outcome=Outcome.ROLLED_BACK, reason="", confirm=Confirmation(), ending=treated)
