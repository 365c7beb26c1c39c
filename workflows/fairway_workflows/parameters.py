"""The parameters of a release's workflow: each is an option of a step, whose description, default and choices it has."""

from collections.abc import Mapping

from hera.workflows import Parameter

from fairway_steps.config import Approval
from fairway_steps.strategy import Strategy
from fairway_workflows.argo import WRITTEN, input_of
from fairway_workflows.catalog import Param, step_spec
from fairway_workflows.options import JUDGED, ReleaseOptions

POLICIES = ("promotion", "primary-policy", "candidate-policy")
SCHEDULE = ("stages", "sticky", "slos", "metrics")
"""What ``begin`` is given of a strategy that judges the candidate in stages."""
BEGUN = ("service", "route", "primary", "candidate", *SCHEDULE, "record", "resume", "holder", *POLICIES)
"""What ``begin`` is given, besides the strategy."""
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
"""The workflow's parameters that are a step's: which step's, and which option."""
STAGES: Mapping[Strategy, str] = {
    Strategy.CANARY: "10@60s,25@60s,50@60s",
    Strategy.BLUE_GREEN: "100@5m",
    Strategy.MIRROR: "mirror:50@5m,10@60s,50@60s",
}
"""The schedule of each strategy that has one, unless another is given."""
DEFAULTS: Mapping[str, str] = {
    "route": "httproute/{{workflow.namespace}}/{{workflow.parameters.service}}",
    "record": "configmap/{{workflow.namespace}}/fairway-{{workflow.parameters.service}}",
    "fail-on": "rolled-back,held,broken",
    "holder": "{{workflow.uid}}",
    "report": WRITTEN["report", "out"],
}
NEEDED = frozenset({"slos", "stages", "load-url"})
"""Parameters without a default, though their options need not be given everywhere."""
APPROVAL = ("approval", "begin", "approval")
"""The parameter that ``begin`` refuses where a workflow asks nobody, and the option it is."""
HOLD_TIMEOUT = "How long to wait for a person's answer; none is a no. The primary then gets all of the traffic back. Empty: none but the workflow's own, 30 days."
ASKED_WHERE = "Where this workflow asks a person; another answer needs another workflow."
REHEARSAL_URL = "The candidate's own address, for a load test of it while it has no users; empty: none is made."


def mapped(strategy: Strategy) -> dict[str, tuple[str, str]]:
    """Those of ``MAPPED`` that a release by ``strategy`` has."""
    unused = () if strategy.staged else (*SCHEDULE, *JUDGED)
    return {name: of for name, of in MAPPED.items() if name not in unused}


def default(name: str, strategy: Strategy) -> str:
    """What a parameter is unless it is given; empty if its option knows best."""
    return STAGES.get(strategy, "") if name == "stages" else DEFAULTS.get(name, "")


def parameters(options: ReleaseOptions) -> list[Parameter]:
    """The parameters of a release's workflow."""
    found = [parameter(name, *of, default(name, options.strategy)) for name, of in mapped(options.strategy).items()]
    found.append(_approval(options.approval))
    found += [parameter(f"load-{name}", "load-test", name) for name in options.load]
    if options.rehearsed:  # the rest of the load test is as ever
        found = [
            Parameter(name=one.name, value="", description=REHEARSAL_URL) if one.name == "load-url" else one
            for one in found
        ]
    if not (options.strategy.staged or options.asks_first):
        return found  # nobody is asked
    return [*found, Parameter(name="hold-timeout", value="1h", description=HOLD_TIMEOUT)]


def _approval(asked: Approval) -> Parameter:
    """Argo takes parameters that a workflow does not declare, and ignores them: nobody must wait for a question in vain.

    So ``begin`` refuses one where nobody is asked, and Argo any but the one there is.
    """
    if asked is Approval.NONE:
        return parameter(*APPROVAL)
    return Parameter(name=APPROVAL[0], value=asked, enum=[asked], description=ASKED_WHERE)


def parameter(name: str, step: str, option: str, value: str = "") -> Parameter:
    """One parameter, as the ``option`` of a ``step`` has it; ``value`` instead of the option's own default."""
    param = option_of(step, option)
    like = input_of(param)
    if (param.required or name in NEEDED) and not value:
        return Parameter(name=name, description=param.help, enum=like.enum)
    return Parameter(name=name, value=value or param.default, description=param.help, enum=like.enum)


def option_of(step: str, option: str) -> Param:
    return next(param for param in step_spec(step).params if param.name == option)
