"""The canary: a ramp of stages, each judged on evidence, that ends promoted, rolled back or held.

``main`` begins the release and waits until its versions are ready, in one pod, runs the ramp and reports. A stage is one pod that sets
the weights and then assesses, for a controller needs about 10 s for every pod in a row; the ramp calls itself with the
next stage, for Argo's loops cannot end early. With ``granularity="release"`` the whole ramp is one pod. A verdict is data:
what follows is decided by ``when``, and every output has its safe value. Leaves see only their inputs; ``main`` and the
exit handler map the workflow's parameters to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hera.workflows import ClusterWorkflowTemplate, Container, Parameter, Step, Steps, WorkflowTemplate
from hera.workflows.models import ContinueOn, Template, ValueFrom

from fairway_steps.config import Approval
from fairway_workflows.argo import WRITTEN, Images, container, input_of
from fairway_workflows.catalog import catalog, step_spec
from fairway_workflows.compose import (
    ASKED,
    MUTEX,
    annotations,
    approve,
    approved,
    declined,
    equal,
    none_of,
    of_input,
    of_workflow,
    output,
    passed,
    step,
    steps,
)
from fairway_workflows.pods import Call, alike, beside, one_pod
from fairway_workflows.safety import AnyTemplate, Safety, secured

MAJOR = 1
JUDGED = ("interval", "patience", "on-inconclusive", "metrics")
"""What the judging steps are given besides."""
WHOLE: Mapping[str, str] = {name: name for name in JUDGED} | {"interval": "judge-interval"}
"""The same as inputs of the pod that is the whole release, where another step has an ``interval``, too."""
LOAD = ("url", "rate", "duration")
"""What a load test is given, as the workflow's parameters ``load-…``."""
LOAD_JUDGED = ("stop-early", "version")
"""What it is given besides where it is itself the evidence."""
WATCHING = ("interval", "metrics")
"""What the look-out beside a question is given."""
POLICIES = ("promotion", "primary-policy", "candidate-policy")
LOAD_SHARED = ("payload", "slos")
"""What it is given of the release's own: requests are counted over the very limits that the release is judged by."""
BEGUN = (
    "service",
    "route",
    "primary",
    "candidate",
    "stages",
    "slos",
    "metrics",
    "record",
    "resume",
    "holder",
    *POLICIES,
)
"""What ``begin`` is given."""
READY: Mapping[str, str] = {
    "model": "model",
    "payload": "payload",
    "timeout": "ready-timeout",
    "ready-path": "ready-path",
}
"""What ``wait-for-ready`` is given, by the workflow's parameters."""
MAPPED: Mapping[str, tuple[str, str]] = {
    **{name: ("begin", name) for name in BEGUN},
    **{name: ("assess", name) for name in JUDGED if name not in BEGUN},
    **{of: ("wait-for-ready", name) for name, of in READY.items()},
    "fail-on": ("report", "fail-on"),
    "report": ("report", "out"),
}
"""The workflow's parameters that are a step's: where each takes its description, default and choices from."""
DEFAULTS: Mapping[str, str] = {
    "route": "httproute/{{workflow.namespace}}/{{workflow.parameters.service}}",
    "record": "configmap/{{workflow.namespace}}/fairway-{{workflow.parameters.service}}",
    "stages": "10@60s,25@60s,50@60s",
    "fail-on": "rolled-back,held,broken",
    "holder": "{{workflow.uid}}",
    "report": WRITTEN["report", "out"],
}
HOLD_TIMEOUT = "How long to wait for a person's answer; none is a no. The primary then gets all of the traffic back."


@dataclass(frozen=True, slots=True)
class CanaryOptions:
    """What may differ between canaries that are rendered; what differs between releases is a workflow parameter.

    ``approval`` says where the release waits for a person. ``load_test`` sends load from a pod without rights: ``beside`` each stage, which
    is judged by whatever serves evidence, or before each verdict, which is then ``judged`` by the summary of that load alone, a parameter of
    at most 1 kB: no metrics and no artifact repository are needed. ``granularity`` says what one pod is: a stage, or the whole ramp. ``cluster_scope`` makes a
    ClusterWorkflowTemplate.
    """

    name: str = "canary"
    approval: Approval = Approval.NONE
    load_test: Literal["no", "beside", "judged"] = "no"
    granularity: Literal["stage", "release"] = "stage"
    cluster_scope: bool = False
    images: Images = field(default_factory=Images)
    safety: Safety = field(default_factory=Safety)

    def __post_init__(self) -> None:
        if self.load_test == "judged" and self.granularity == "release":
            raise ValueError("a load test that is judged stands between the pods of a stage")

    @property
    def loaded(self) -> bool:
        return self.load_test != "no"

    @property
    def whole(self) -> bool:
        """Whether one pod begins the release, runs the ramp and ends it: nobody is asked in between, and no load is sent from beside."""
        return self.granularity == "release" and self.approval is Approval.NONE and not self.loaded

    @property
    def watched(self) -> bool:
        """Whether the candidate is looked at while a person is asked; a load test has ended then, and serves no evidence."""
        return self.load_test != "judged"

    @property
    def judge(self) -> str:
        """The template that judges, and its step."""
        return "ramp" if self.granularity == "release" else "stage"

    @property
    def ramp(self) -> str:
        """The template of what follows a verdict."""
        return "release" if self.granularity == "release" else "ramp"

    @property
    def given(self) -> tuple[str, ...]:
        """What the templates of the ramp hand on to one another, besides the stage."""
        return (*ASKED, *JUDGED, "hold-timeout", *self.sent)

    @property
    def load(self) -> tuple[str, ...]:
        """The options of the load test that are parameters of the workflow."""
        return (*LOAD, *(LOAD_JUDGED if self.load_test == "judged" else ())) if self.loaded else ()

    @property
    def sent(self) -> tuple[str, ...]:
        """What a stage needs for its load."""
        shared = (*LOAD_SHARED, *(("candidate",) if self.load_test == "judged" else ()))
        return (*(f"load-{name}" for name in self.load), *shared) if self.loaded else ()


def build(options: CanaryOptions | None = None) -> WorkflowTemplate:
    """The canary as a self-contained WorkflowTemplate, its leaves included."""
    options = options or CanaryOptions()
    kind = ClusterWorkflowTemplate if options.cluster_scope else WorkflowTemplate
    workflow = kind(
        api_version="argoproj.io/v1alpha1",
        name=f"{options.name}-v{MAJOR}",
        annotations=annotations("Canary release", _described(options)),
        entrypoint="main",
        arguments=_parameters(options),
        templates=[_main(options), *_between(options), *_leaves(options)],
    )
    return secured(workflow, options.safety, on_exit=_on_exit(), mutex=MUTEX)


def _described(options: CanaryOptions) -> str:
    pods = "in one pod" if options.granularity == "release" else "each in one pod"
    waits = {
        Approval.NONE: "",
        Approval.BEFORE_TRAFFIC: " A person approves the candidate before its first request.",
        Approval.BEFORE_PROMOTION: " A person approves the candidate before it gets everything.",
    }
    load = {
        "no": "",
        "beside": " A load test runs beside each stage.",
        "judged": " Each stage is judged by a load test's own numbers: no metrics are needed.",
    }[options.load_test]
    return (
        f"Releases a candidate of an inference service in stages, {pods} and judged on evidence. The release ends "
        f"promoted, rolled back or held, and without a lost request.{waits[options.approval]}{load}"
    )


def _parameters(options: CanaryOptions) -> list[Parameter]:
    load = {f"load-{name}": ("load-test", name) for name in options.load}
    mapped = [_parameter(name, *of) for name, of in {**MAPPED, **load}.items()]
    return [*mapped, Parameter(name="hold-timeout", value="1h", description=HOLD_TIMEOUT)]


def _parameter(name: str, of_step: str, option: str) -> Parameter:
    param = next(param for param in step_spec(of_step).params if param.name == option)
    like = input_of(param)
    if (param.required or name == "load-url") and name not in DEFAULTS:
        return Parameter(name=name, description=param.help, enum=like.enum)
    return Parameter(name=name, value=DEFAULTS.get(name, param.default), description=param.help, enum=like.enum)


def _main(options: CanaryOptions) -> Steps:
    """The entry: beside the exit handler, the only template that knows the workflow's parameters."""
    given = {name: of_workflow(name) for name in (*BEGUN, *READY.values())}
    given |= {of: of_workflow(name) for name, of in WHOLE.items()} if options.whole else {}
    begun = {"record": of_workflow("record")} | {name: output("begin", name) for name in ("release-id", "token")}
    handed = {name: of_workflow(name) for name in options.given if name not in ASKED}
    told = {"record": "record", "fail-on": "fail-on", "out": "report"}
    return steps(
        "main",
        (),
        [
            [step("begin", "begin", given)],
            *(_after_whole(begun | handed) if options.whole else _after_begin(options, begun, handed)),
            [step("report", "report", {name: of_workflow(of) for name, of in told.items()})],
        ],
    )


def _after_begin(options: CanaryOptions, begun: Mapping[str, str], handed: Mapping[str, str]) -> list[list[Step]]:
    """The ramp, or the promotion of a first version; before them the question to a person, if there is one."""
    asks = options.approval is Approval.BEFORE_TRAFFIC
    question = {"about": "May the candidate get its first requests?", "timeout": of_workflow("hold-timeout")}
    ramp = step("ramp", options.ramp, {"stage": output("begin", "stage"), **begun, **handed})
    first, compared = equal(output("begin", "first"), "true"), none_of(output("begin", "first"), ["true"])
    asked = f"{approved('approve-traffic')} && " if asks else ""
    ramp.when = asked + compared
    at_once = step("promote-first", "promote", begun, asked + first)
    return [
        *([[step("approve-traffic", "approve", question)]] if asks else []),
        [ramp, at_once, *([declined("approve-traffic", begun)] if asks else [])],
    ]


def _after_whole(handed: Mapping[str, str]) -> list[list[Step]]:
    """The question to a person, should the ramp that one pod ran not have ended the release itself."""
    asked = {"stage": "", "summary": output("begin", "summary"), **handed}
    return [[step("hold", "hold", asked, none_of(output("begin", "verdict"), ["promote", "rollback"]))]]


def _on_exit() -> Steps:
    """Traffic on the primary unless it was promoted, and a report however the run ended.

    Only for a release that this workflow holds: one whose ``begin`` was refused must not end somebody else's.
    """
    held = {name: of_workflow(name) for name in ("record", "holder")}
    told = {**held, "out": of_workflow("report")}
    report = step("report", "report", told, none_of("{{workflow.status}}", ["Succeeded"]))
    report.continue_on = ContinueOn(failed=True, error=True)
    return steps("on-exit", (), [[step("ensure-safe", "ensure-safe", held)], [report]])


def _between(options: CanaryOptions) -> list[AnyTemplate]:
    """The templates between the entry and the leaves."""
    return [
        _begin(options),
        _ramp(options),
        *(
            [_measured(options) if options.load_test == "judged" else _stage(options)]
            if options.granularity == "stage"
            else []
        ),
        _hold(options),
        *([_approve_promotion()] if options.approval is Approval.BEFORE_PROMOTION else []),
        _ask(options),
        *([_watch(options)] if options.watched else []),
        approve(),
    ]


def _ramp(options: CanaryOptions) -> Steps:
    """One judgement and what follows it: the next stage, or the end, or the question to a person."""
    judge, handed = options.judge, passed(*options.given)
    verdict, summary = output(judge, "verdict"), {"summary": output(judge, "summary")}
    judging = [step(judge, judge, passed("stage", *ASKED, *JUDGED))]
    if options.load_test == "judged":
        judging = [step(judge, judge, passed("stage", *ASKED, *JUDGED, *options.sent))]
    elif options.load_test == "beside":
        judging.append(_load(options))
    following = [_promotion(options, equal(verdict, "promote"), summary)]
    if options.granularity == "stage":
        again = {"stage": output(judge, "next-index")} | handed
        following.append(step("next", options.ramp, again, equal(verdict, "advance")))
    following += [
        step("rollback", "rollback", passed(*ASKED), equal(verdict, "rollback")),
        step("hold", "hold", passed("stage") | handed | summary, none_of(verdict, ["advance", "promote", "rollback"])),
    ]
    return steps(options.ramp, ("stage", *options.given), [judging, following])


def _load(options: CanaryOptions) -> Step:
    given = {name: of_input(f"load-{name}") for name in options.load} | passed(*LOAD_SHARED)
    return step(
        "load-test", "load-test", given | (passed("candidate", "stage") if options.load_test == "judged" else {})
    )


def _promotion(options: CanaryOptions, when: str, summary: Mapping[str, str]) -> Step:
    if options.approval is Approval.BEFORE_PROMOTION:
        return step(
            "approve-promotion", "approve-promotion", passed(*ASKED, *WATCHING, "hold-timeout") | {**summary}, when
        )
    return step("promote", "promote", passed(*ASKED), when)


def _begin(options: CanaryOptions) -> Template:
    """What comes before the first traffic, as one pod: ``begin``, then ``wait-for-ready``, which knows the release by its holder.

    As the whole release, the ramp follows, and ends it. Such a pod may be repeated after its end, and must not begin another.
    """
    known = alike("record", "holder")
    calls = [
        Call("begin", alike(*BEGUN), {"once": "true"} if options.whole else {}),
        Call("wait-for-ready", {**known, **READY}),
    ]
    if options.whole:
        calls.append(Call("ramp", {**known, **WHOLE}, {"end": "true"}))
    return one_pod("begin", calls, options.images)


def _stage(options: CanaryOptions) -> Template:
    """One stage as one pod: ``set-weights``, then ``assess``."""
    calls = [Call("set-weights", alike("stage", *ASKED, "metrics")), Call("assess", alike("stage", *ASKED, *JUDGED))]
    return one_pod("stage", calls, options.images, display="stage-{{inputs.parameters.stage}}")


def _measured(options: CanaryOptions) -> Steps:
    """One stage judged by a load test: set the weights, send the load, assess what the load test itself counted.

    Three pods, so that the one which sends has no rights. A load that cannot be sent fails the stage, and the exit handler puts traffic back.
    """
    judging = {name: of_input(name) for name in ("stage", *ASKED, *JUDGED)}
    judging["metrics"] = f"summary:{output('load-test', 'summary')}"
    template = steps(
        "stage",
        ("stage", *ASKED, *JUDGED, *options.sent),
        [
            [step("set-weights", "set-weights", passed("stage", *ASKED, "metrics"))],
            [_load(options)],
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


def _hold(options: CanaryOptions) -> Steps:
    """The evidence did not decide: a person may have the stage repeated; otherwise the release ends held.

    A ramp in one pod is told no stage, and so goes on where the record says it stopped.
    """
    where = {"stage": ""} if options.granularity == "release" else passed("stage")
    again = step("again", options.ramp, where | passed(*options.given), approved("question"))
    groups = [[_question()], [again, declined("question", passed(*ASKED))]]
    return steps("hold", ("stage", *options.given, "summary"), groups)


def _approve_promotion() -> Steps:
    promote = step("promote", "promote", passed(*ASKED), approved("question"))
    groups = [[_question()], [promote, declined("question", passed(*ASKED))]]
    return steps("approve-promotion", (*ASKED, *WATCHING, "hold-timeout", "summary"), groups)


def _question() -> Step:
    """The step ``question``, whose output ``approve`` is a person's answer."""
    about = {"about": of_input("summary"), "timeout": of_input("hold-timeout")}
    return step("question", "ask", about | passed(*ASKED, *WATCHING))


def _ask(options: CanaryOptions) -> Steps:
    """A question, and beside it the look-out: harm that shows before there is an answer ends the release, whatever the answer is."""
    looking = [step("watch", "watch", passed(*ASKED, *WATCHING))] if options.watched else []
    groups = [*([looking] if looking else []), [step("wait", "approve", passed("about", "timeout"))]]
    template = steps("ask", ("about", "timeout", *ASKED, *WATCHING), groups)
    answer = ValueFrom(parameter=output("wait", "approve"), default="NO")
    template.outputs = [Parameter(name="approve", value_from=answer)]
    return template


def _watch(options: CanaryOptions) -> Container:
    call = Call("assess", alike(*ASKED, *WATCHING), {"background": "true"})
    return beside("watch", call, options.images)


def _leaves(options: CanaryOptions) -> list[AnyTemplate]:
    names = {"promote", "rollback", "report", "ensure-safe"}
    names |= {"ramp"} if options.granularity == "release" else set()
    names |= {"load-test"} if options.loaded else set()
    names |= {"set-weights", "assess"} if options.load_test == "judged" else set()
    return [container(spec, options.images) for spec in catalog() if spec.name in names]
