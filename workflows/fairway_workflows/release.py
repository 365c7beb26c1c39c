"""A release as a self-contained WorkflowTemplate, whatever its strategy: begin, ramp, end, report.

``main`` begins the release and waits until its versions are ready, in one pod, runs the ramp and reports. A verdict is data: what follows
is decided by ``when``, and every output has its safe value. Leaves see only their inputs; ``main`` and the exit handler map the
workflow's parameters to them.
"""

from collections.abc import Mapping

from hera.workflows import ClusterWorkflowTemplate, Step, Steps, WorkflowTemplate
from hera.workflows.models import ContinueOn, Template

from fairway_steps.config import Approval
from fairway_steps.strategy import Strategy
from fairway_workflows.argo import container
from fairway_workflows.catalog import catalog
from fairway_workflows.compose import ASKED, MUTEX, annotations, equal, none_of, of_workflow, output, step, steps
from fairway_workflows.options import JUDGED, ReleaseOptions
from fairway_workflows.parameters import APPROVAL, BEGUN, READY, SCHEDULE, parameters
from fairway_workflows.pods import Call, alike, one_pod
from fairway_workflows.questions import approve, approved, declined, questions
from fairway_workflows.ramp import ramping
from fairway_workflows.safety import AnyTemplate, secured

WHOLE: Mapping[str, str] = {name: name for name in JUDGED} | {"interval": "judge-interval"}
"""What judges in the pod that is the whole release, by its inputs; another step has an ``interval``, too."""
WAYS: Mapping[Strategy, str] = {
    Strategy.CANARY: "Releases a candidate of an inference service in stages, {pods} and judged on evidence.",
    Strategy.BLUE_GREEN: (
        "Moves all users of an inference service to a candidate that is fully up, and keeps the primary "
        "until the candidate has passed its soak: rollback is one change of the route."
    ),
    Strategy.MIRROR: (
        "Copies live requests to a candidate of an inference service and judges it before any user is answered by it; "
        "then goes on in stages, {pods}."
    ),
    Strategy.AB: (
        "Splits the users of an inference service between its primary and several candidates, and promotes the one that users are worth most "
        "with, if it keeps its SLOs; nobody better, and the primary stays."
    ),
    Strategy.NONE: "Promotes a candidate of an inference service as soon as it is ready; nothing is assessed.",
}
"""What each strategy does, for Argo's UI."""
WAITS: Mapping[Approval, str] = {
    Approval.NONE: "",
    Approval.BEFORE_TRAFFIC: " A person approves the candidate before its first request.",
    Approval.BEFORE_PROMOTION: " A person approves the candidate before it gets everything.",
}
LOADS: Mapping[str, str] = {
    "no": "",
    "rehearsal": " A load test of the candidate comes first, if load-url is given.",
    "beside": " A load test runs beside each stage.",
    "judged": " Each stage is judged by a load test's own numbers: no metrics are needed.",
}


def build(options: ReleaseOptions) -> WorkflowTemplate:
    """The release as a self-contained WorkflowTemplate, its leaves included."""
    kind = ClusterWorkflowTemplate if options.cluster_scope else WorkflowTemplate
    between = [*ramping(options), *questions(options)] if options.strategy.staged else [approve()] * options.asks_first
    workflow = kind(
        api_version="argoproj.io/v1alpha1",
        name=options.template,
        annotations=annotations(f"{str(options.strategy).capitalize()} release", _described(options)),
        entrypoint="main",
        arguments=parameters(options),
        templates=[_main(options), _begin(options), *between, *_leaves(options)],
    )
    return secured(workflow, options.safety, on_exit=_on_exit(), mutex=MUTEX)


def _described(options: ReleaseOptions) -> str:
    pods = "in one pod" if options.granularity == "release" else "each in one pod"
    load = LOADS[options.load_test] if options.strategy.staged else ""
    return (
        f"{WAYS[options.strategy].format(pods=pods)} The release ends "
        f"promoted, rolled back or held, and without a lost request.{WAITS[options.approval]}{load}"
    )


def _main(options: ReleaseOptions) -> Steps:
    """The entry: beside the exit handler, the only template that knows the workflow's parameters."""
    given = {name: of_workflow(name) for name in (*_begun(options), *READY.values())}
    given |= {of: of_workflow(name) for name, of in WHOLE.items()} if options.whole else {}
    begun = {"record": of_workflow("record")} | {name: output("begin", name) for name in ("release-id", "token")}
    handed = {name: of_workflow(name) for name in options.given if name not in ASKED}
    told = {"record": "record", "fail-on": "fail-on", "out": "report"}
    following = _after_begin(options, begun, handed)
    if options.whole:
        following = _after_whole(begun | handed)
    return steps(
        "main",
        (),
        [
            [step("begin", "begin", given)],
            *following,
            [step("report", "report", {name: of_workflow(of) for name, of in told.items()})],
        ],
    )


def _begun(options: ReleaseOptions) -> tuple[str, ...]:
    begun = BEGUN if options.approval is not Approval.NONE else (*BEGUN, APPROVAL[0])
    return begun if options.strategy.staged else tuple(name for name in begun if name not in SCHEDULE)


def _after_begin(options: ReleaseOptions, begun: Mapping[str, str], handed: Mapping[str, str]) -> list[list[Step]]:
    """The rehearsal and the ramp, or the promotion at once; before them the question to a person, if there is one."""
    asks = options.asks_first
    question = {"about": "May the candidate get its first requests?", "timeout": of_workflow("hold-timeout")}
    asked = f"{approved('approve-traffic')} && " if asks else ""
    by = {"by": output("approve-traffic", "by") if asks else ""}
    ends = [declined("approve-traffic", begun)] if asks else []
    groups = [[step("approve-traffic", "approve", question)]] if asks else []
    if not options.strategy.staged:
        return [
            *groups,
            [step("promote", "promote", {**begun, **by}, approved("approve-traffic") if asks else ""), *ends],
        ]
    first, compared = equal(output("begin", "first"), "true"), none_of(output("begin", "first"), ["true"])
    given = {"stage": output("begin", "stage"), **begun, **handed}
    url, ramp = of_workflow("load-url"), asked + compared
    unrehearsed = f"{ramp} && {equal(url, '')}" if options.rehearsed else ramp
    ways = [step("ramp", options.ramp, given | by, unrehearsed)]
    if options.rehearsed:
        sent = {name: of_workflow(name) for name in options.sent}
        ways.append(step("rehearsal", "rehearsal", given | by | sent, f"{ramp} && {none_of(url, [''])}"))
    ways.append(step("promote-first", "promote", {**begun, **by}, asked + first))
    return [*groups, [*ways, *ends]]


def _after_whole(handed: Mapping[str, str]) -> list[list[Step]]:
    """The question to a person, should the ramp that one pod ran not have ended the release itself."""
    asked = {"stage": "", "summary": output("begin", "summary"), **handed}
    return [[step("hold", "hold", asked, none_of(output("begin", "verdict"), ["promote", "rollback"]))]]


def _begin(options: ReleaseOptions) -> Template:
    """What comes before the first traffic, as one pod: ``begin``, then ``wait-for-ready``, which knows the release by its holder.

    As the whole release, the ramp follows, and ends it. Such a pod may be repeated after its end, and must not begin another.
    """
    known, fixed = alike("record", "holder"), {"strategy": str(options.strategy)}
    calls = [
        Call("begin", alike(*_begun(options)), fixed | ({"once": "true"} if options.whole else {})),
        Call("wait-for-ready", {**known, **READY}),
    ]
    if options.whole:
        calls.append(Call("ramp", {**known, **WHOLE}, {"end": "true"}))
    return one_pod("begin", calls, options.images)


def _on_exit() -> Steps:
    """Traffic on the primary unless it was promoted, and a report however the run ended, also where that could not be made sure of.

    It is then tried once more, which fails the run if it still cannot be: last, for what went wrong is to be told first. Only for a
    release that this workflow holds: one whose ``begin`` was refused must not end somebody else's.
    """
    held = {name: of_workflow(name) for name in ("record", "holder")}
    unsafe = none_of("{{steps.ensure-safe.status}}", ["Succeeded"])
    safe = step("ensure-safe", "ensure-safe", held)
    told = none_of("{{workflow.status}}", ["Succeeded"])
    report = step("report", "report", {**held, "out": of_workflow("report")}, f"{told} || {unsafe}")
    safe.continue_on = report.continue_on = ContinueOn(failed=True, error=True)
    return steps("on-exit", (), [[safe], [report], [step("make-sure", "ensure-safe", held, unsafe)]])


def _leaves(options: ReleaseOptions) -> list[AnyTemplate]:
    names = {"promote", "rollback", "report", "ensure-safe"}
    if options.strategy.staged:
        names |= {"ramp"} if options.granularity == "release" else set()
        names |= {"load-test"} if options.load else set()
        names |= {"assess"} if options.load_test in ("rehearsal", "judged") else set()
        names |= {"set-weights"} if options.load_test == "judged" else set()
    return [container(spec, options.images) for spec in catalog() if spec.name in names]
