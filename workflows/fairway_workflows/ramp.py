"""The ramp: one stage after another, each judged, and what follows each verdict.

A stage is one pod that sets the weights and then assesses, for a controller needs about 10 s for every pod in a row; the ramp calls itself
with the next stage, for Argo's loops cannot end early. With ``granularity="release"`` all of the ramp is one pod.
"""

from collections.abc import Mapping

from hera.workflows import Parameter, Step, Steps
from hera.workflows.models import Template, ValueFrom

from fairway_steps.config import Approval
from fairway_workflows.catalog import step_spec
from fairway_workflows.compose import ASKED, equal, none_of, of_input, output, passed, step, steps
from fairway_workflows.options import JUDGED, LOAD_SHARED, ReleaseOptions
from fairway_workflows.pods import Call, alike, one_pod
from fairway_workflows.questions import WATCHING
from fairway_workflows.safety import AnyTemplate


def ramping(options: ReleaseOptions) -> list[AnyTemplate]:
    """The templates of the ramp, and of the rehearsal before it."""
    rehearsal = [_rehearsal(options)] if options.rehearsed else []
    if options.granularity == "release":
        return [*rehearsal, _ramp(options)]
    return [*rehearsal, _ramp(options), _measured(options) if options.load_test == "judged" else _stage(options)]


def _rehearsal(options: ReleaseOptions) -> Steps:
    """A load test of the candidate while it has no users, judged; then the ramp, or the end, or the question to a person.

    Two pods, so that the one which sends has no rights.
    """
    judged = {"metrics": f"summary:{output('load-test', 'summary')}", "rehearsal": "true"}
    verdict, given = output("assess", "verdict"), passed("stage", *options.given)
    summary = {"summary": output("assess", "summary")}
    following = [
        step("ramp", options.ramp, given | passed("by"), equal(verdict, "advance")),
        step("rollback", "rollback", passed(*ASKED), equal(verdict, "rollback")),
        step("hold", "hold", given | summary, none_of(verdict, ["advance", "rollback"])),
    ]
    groups = [[load(options)], [step("assess", "assess", passed(*ASKED) | judged)], following]
    return steps("rehearsal", ("stage", "by", *options.given, *options.sent), groups)


def _ramp(options: ReleaseOptions) -> Steps:
    """One judgement and what follows it: the next stage, or the end, or the question to a person."""
    judge, handed = options.judge, passed(*options.given)
    verdict, summary = output(judge, "verdict"), {"summary": output(judge, "summary")}
    sent = options.sent if options.load_test == "judged" else ()
    judging = [step(judge, judge, passed("stage", "by", *ASKED, *JUDGED, *sent))]
    if options.load_test == "beside":
        judging.append(load(options))
    following = [_promotion(options, equal(verdict, "promote"), summary)]
    if options.granularity == "stage":
        again = {"stage": output(judge, "next-index"), "by": ""} | handed
        following.append(step("next", options.ramp, again, equal(verdict, "advance")))
    following += [
        step("rollback", "rollback", passed(*ASKED), equal(verdict, "rollback")),
        step("hold", "hold", passed("stage") | handed | summary, none_of(verdict, ["advance", "promote", "rollback"])),
    ]
    return steps(options.ramp, ("stage", "by", *options.given), [judging, following])


def load(options: ReleaseOptions) -> Step:
    """The step ``load-test``."""
    given = {name: of_input(f"load-{name}") for name in options.load} | passed(*LOAD_SHARED)
    judged = passed("candidate", "stage") if options.load_test == "judged" else {}
    return step("load-test", "load-test", given | judged)


def _promotion(options: ReleaseOptions, when: str, summary: Mapping[str, str]) -> Step:
    if options.approval is Approval.BEFORE_PROMOTION:
        asked = passed(*ASKED, *WATCHING, "hold-timeout") | {**summary}
        return step("approve-promotion", "approve-promotion", asked, when)
    return step("promote", "promote", passed(*ASKED), when)


def _stage(options: ReleaseOptions) -> Template:
    """One stage as one pod: ``set-weights``, then ``assess``."""
    calls = [
        Call("set-weights", alike("stage", "by", *ASKED, "metrics")),
        Call("assess", alike("stage", *ASKED, *JUDGED)),
    ]
    return one_pod("stage", calls, options.images, display="stage-{{inputs.parameters.stage}}")


def _measured(options: ReleaseOptions) -> Steps:
    """One stage judged by a load test: set the weights, send the load, assess what the load test itself counted.

    Three pods, so that the one which sends has no rights. A load that cannot be sent fails the stage, and the exit handler puts traffic back.
    """
    judging = {name: of_input(name) for name in ("stage", *ASKED, *JUDGED)}
    judging["metrics"] = f"summary:{output('load-test', 'summary')}"
    template = steps(
        "stage",
        ("stage", "by", *ASKED, *JUDGED, *options.sent),
        [
            [step("set-weights", "set-weights", passed("stage", "by", *ASKED, "metrics"))],
            [load(options)],
            [step("assess", "assess", judging)],
        ],
    )
    told = {"set-weights": step_spec("set-weights").outputs, "assess": step_spec("assess").outputs}
    template.outputs = [
        Parameter(name=one.name, value_from=ValueFrom(parameter=output(name, one.name), default=one.default))
        for name, outputs in told.items()
        for one in outputs
    ]
    return template
