"""The questions to a person: before the first traffic, before the promotion, and wherever the evidence does not decide.

No answer in time is a no: the primary then has all of the traffic, and the release ends held. While somebody is asked about a candidate
with traffic a look-out runs beside the question. Whoever answers may say who it is, and the record tells.
"""

from collections.abc import Mapping

from hera.workflows import Container, Parameter, Step, Steps, Suspend
from hera.workflows.models import SuppliedValueFrom, ValueFrom

from fairway_steps.config import Approval
from fairway_workflows.argo import Images
from fairway_workflows.compose import ASKED, equal, none_of, of_input, output, passed, step, steps
from fairway_workflows.options import ReleaseOptions
from fairway_workflows.pods import Call, alike, beside
from fairway_workflows.safety import AnyTemplate

WATCHING = ("interval", "metrics")
"""What the look-out beside a question is given."""
ANSWER = {"approve": "NO", "by": ""}
"""What an answer says, and what one that never comes means."""


def questions(options: ReleaseOptions) -> list[AnyTemplate]:
    """The templates that ask, and what follows an answer."""
    return [
        _hold(options),
        *([_approve_promotion()] if options.approval is Approval.BEFORE_PROMOTION else []),
        _ask(options),
        *([_watch(options.images)] if options.watched else []),
        approve(),
    ]


def approve() -> Suspend:
    """Waits for a person."""
    answer = Parameter(name="approve", default="NO", enum=["YES", "NO"], description="YES: go on. NO: end it, held.")
    by = Parameter(name="by", default="", description="Who answers, for the record.")
    about = Parameter(name="about", description="What is to be decided.")
    timeout = Parameter(name="timeout", description="How long to wait for the answer.")
    return Suspend(
        name="approve",
        duration=of_input("timeout"),
        inputs=[about, timeout, answer, by],
        outputs=[
            Parameter(name=name, value_from=ValueFrom(supplied=SuppliedValueFrom(), default=unsaid))
            for name, unsaid in ANSWER.items()
        ],
    )


def approved(asked: str) -> str:
    """The condition that the person asked by the step ``asked`` said yes."""
    return equal(output(asked, "approve"), "YES")


def declined(asked: str, release: Mapping[str, str]) -> Step:
    """What follows if not: traffic back to the primary, and the release ends held."""
    reason = f"nobody approved it: the answer was {output(asked, 'approve')}"
    when = none_of(output(asked, "approve"), ["YES"])
    return step(
        "decline", "rollback", {**release, "outcome": "held", "reason": reason, "by": output(asked, "by")}, when
    )


def _hold(options: ReleaseOptions) -> Steps:
    """The evidence did not decide: a person may have the stage repeated; otherwise the release ends held.

    A ramp in one pod is told no stage, and so goes on where the record says it stopped.
    """
    where = {"stage": ""} if options.granularity == "release" else passed("stage")
    given = where | passed(*options.given) | {"by": output("question", "by")}
    groups = [
        [_question()],
        [step("again", options.ramp, given, approved("question")), declined("question", passed(*ASKED))],
    ]
    return steps("hold", ("stage", *options.given, "summary"), groups)


def _approve_promotion() -> Steps:
    """The promotion, if a person says so."""
    given = passed(*ASKED) | {"by": output("question", "by")}
    groups = [
        [_question()],
        [step("promote", "promote", given, approved("question")), declined("question", passed(*ASKED))],
    ]
    return steps("approve-promotion", (*ASKED, *WATCHING, "hold-timeout", "summary"), groups)


def _question() -> Step:
    """The step ``question``, whose outputs are a person's answer."""
    about = {"about": of_input("summary"), "timeout": of_input("hold-timeout")}
    return step("question", "ask", about | passed(*ASKED, *WATCHING))


def _ask(options: ReleaseOptions) -> Steps:
    """A question, and beside it the look-out: harm that shows before there is an answer ends the release, whatever the answer is."""
    looking = [[step("watch", "watch", passed(*ASKED, *WATCHING))]] if options.watched else []
    groups = [*looking, [step("wait", "approve", passed("about", "timeout"))]]
    template = steps("ask", ("about", "timeout", *ASKED, *WATCHING), groups)
    template.outputs = [
        Parameter(name=name, value_from=ValueFrom(parameter=output("wait", name), default=unsaid))
        for name, unsaid in ANSWER.items()
    ]
    return template


def _watch(images: Images) -> Container:
    return beside("watch", Call("assess", alike(*ASKED, *WATCHING), {"background": "true"}), images)
