"""``fairway ramp``."""

import json

from fairway_steps.cli.assess import judging_options, summary, task_of
from fairway_steps.cli.params import option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.wiring import CLOCK, noting, release_options, the_release
from fairway_steps.errors import UsageError
from fairway_steps.model import Verdict
from fairway_steps.outputs import Output
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
@judging_options
@release_options
def ramp(
    stage: int | None,
    metrics: str | None,
    interval: float,
    patience: float | None,
    on_inconclusive: str,
    record: str,
    release_id: str | None,
    token: int | None,
) -> Answer:
    """Go through all stages in one process: set the weights of each and assess, until a verdict ends the ramp.

    The same as `set-weights` and `assess` for each stage, for schedules too short to pay for a pod each time.
    """
    from fairway_steps.ramp import ramp as run
    from fairway_steps.weights import enter_stage

    release = the_release(record, release_id, token)
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
            ),
            lambda index: task.judge(
                release,
                index,
                interval=interval,
                patience=patience,
                on_inconclusive=Verdict(on_inconclusive),
            ),
        )
    weights = {held.primary.name: 100 - result.weight, held.candidate.name: result.weight}
    outputs = {"verdict": result.assessment.verdict.value, "summary": summary(result), "weights": json.dumps(weights)}
    return Answer(outputs, text=f"{result.assessment.verdict.value}: {result.assessment.reason}")
