"""A release as a Tekton Pipeline of the steps' own Tasks: what ``release.py`` is for Argo, for each strategy.

Results go from task to task, and ``when`` follows the verdict. The ramp is one task, for a Pipeline cannot call itself; nor
can it wait for a person, so what the evidence did not decide ends held. The rehearsal is one pod, for a task that needs the result of one
left out would be left out, too. Tekton runs ``finally`` tasks all at once, hence
the one pod ``finish``, which puts traffic back and then reports; beside it ``outcome`` fails the run of a release that ran
through, but was not promoted. Tekton repeats a task whatever it ended with, so only those are repeated that resume.
Sources: https://tekton.dev/docs/pipelines/pipelines/ and, for what is skipped and which results there are then, its
reconciler.
"""

from collections.abc import Mapping
from typing import Any

from fairway_steps.strategy import Strategy
from fairway_workflows import performance
from fairway_workflows.catalog import step_spec
from fairway_workflows.options import JUDGED, LOAD, LOAD_SHARED, MAJOR
from fairway_workflows.parameters import (
    APPROVAL,
    BEGUN,
    NEEDED,
    READY,
    REHEARSAL_URL,
    SCHEDULE,
    default,
    mapped,
    option_of,
)
from fairway_workflows.safety import RESOURCES, TIMEOUT, TIMEOUTS, Safety
from fairway_workflows.tekton import CATEGORIES, CATEGORY, STEP_ACTION_SINCE, metadata, param

ENDS = {
    "record": "configmap/$(context.pipelineRun.namespace)/fairway-$(params.service)",
    "holder": "$(context.pipelineRun.uid)",
}
"""What a default cannot say, as Tekton puts no variables into one."""
FILE = "/workspace/report.html"
"""Where ``finish`` may write; the report that lasts is the record's, at any time."""
OWN = (*ENDS, "route", "report")
"""Parameters of Argo's releases that are none here, or have no default."""
REFUSED = {APPROVAL[0]: APPROVAL[1:]}
"""A parameter that ``begin`` refuses here: Tekton takes those that a Pipeline does not declare, and ignores them."""
RETRIES = 2
RESUMING = frozenset({"ramp", "promote", "rollback"})
"""A ramp is told no stage, and so goes on where the record says."""


SAID: Mapping[Strategy, str] = {
    Strategy.CANARY: "Releases a candidate of an inference service in stages, judged on evidence.",
    Strategy.BLUE_GREEN: "Moves all users to a candidate that is fully up, and keeps the primary until the candidate has passed its soak.",
    Strategy.MIRROR: "Judges a candidate by copies of live requests before any user is answered by it; then goes on in stages.",
    Strategy.AB: "Splits users between the primary and several candidates, and promotes the one that users are worth most with, if it keeps its SLOs.",
    Strategy.NONE: "Promotes a candidate as soon as it is ready; nothing is assessed.",
}
ENDING = "It ends promoted, rolled back or held; whatever happens, the primary has the traffic unless the candidate was promoted."


def pipeline(strategy: Strategy, safety: Safety) -> dict[str, Any]:
    """``tekton.dev/v1`` Pipeline; its run names the service account and the timeouts, which a Pipeline cannot."""
    if not strategy.releases:
        return _performance(safety)
    ramp = [_result("verdict", "ramp", "tasks"), _result("why", "ramp", "tasks", "summary")] if strategy.staged else []
    spec = {
        "description": f"{SAID[strategy]} {ENDING}",
        "params": _params(strategy),
        "tasks": _tasks(strategy),
        "finally": [_finish(), _outcome()],
        "results": [*ramp, _result("outcome", "finish", "finally"), _result("summary", "finish", "finally")],
    }
    return _pipeline(strategy, CATEGORY, spec, safety)


def _pipeline(strategy: Strategy, category: str, spec: Mapping[str, Any], safety: Safety) -> dict[str, Any]:
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "Pipeline",
        "metadata": metadata(f"{strategy}-v{MAJOR}", str(strategy), category, safety, STEP_ACTION_SINCE),
        "spec": spec,
    }


def _performance(safety: Safety) -> dict[str, Any]:
    """The load test and its verdict; nothing was touched that would have to be put right."""
    ready = {"versions": "$(params.candidate)"} | {name: f"$(params.{of})" for name, of in READY.items()}
    load = {name: f"$(params.load-{name})" for name in LOAD} | _own(*LOAD_SHARED)
    judged = _own("candidate", "slos", "fail-on") | {"metrics": _SUMMARY.format("tasks"), "is-last": "true"}
    spec = {
        "description": performance.DESCRIPTION,
        "params": [
            _param(name, *of, performance.FAIL_ON if name == "fail-on" else "")
            for name, of in performance.MAPPED.items()
        ],
        "tasks": [
            _task("wait-for-ready", ready),
            _task("load-test", load, after="wait-for-ready"),
            _task("assess", judged),
        ],
        "results": [_result("verdict", "assess", "tasks"), _result("why", "assess", "tasks", "summary")],
    }
    return _pipeline(Strategy.PERFORMANCE, CATEGORIES["load-test"], spec, safety)


_SUMMARY = "summary:$({}.load-test.results.summary)"
"""The numbers of a load test as the evidence of what assesses it."""


def _params(strategy: Strategy) -> list[dict[str, Any]]:
    ours = {name: of for name, of in mapped(strategy).items() if name not in ENDS and name != "report"} | REFUSED
    found = [_param(name, *of, "" if name in OWN else default(name, strategy)) for name, of in ours.items()]
    if not strategy.rehearsed:
        return found
    sent = [_param(f"load-{name}", "load-test", name) for name in LOAD if name != "url"]
    return [*found, {"name": "load-url", "type": "string", "description": REHEARSAL_URL, "default": ""}, *sent]


def _param(name: str, step: str, option: str, value: str = "") -> dict[str, Any]:
    declared = param(option_of(step, option)) | {"name": name}
    if name in NEEDED:
        declared.pop("default", None)
    return declared | {"default": value} if value else declared


def _tasks(strategy: Strategy) -> list[dict[str, Any]]:
    begin = {name: of for name, of in _own(*BEGUN, *REFUSED).items() if strategy.staged or name not in SCHEDULE}
    ready = _task("wait-for-ready", _begun() | {name: f"$(params.{of})" for name, of in READY.items()})
    started = [_task("begin", begin | {"strategy": str(strategy)}), ready]
    if not strategy.staged:
        return [*started, _task("promote", _begun(), after="wait-for-ready")]
    first, verdict = "$(tasks.begin.results.first)", "$(tasks.ramp.results.verdict)"
    tested = [_rehearsal((first, "notin", "true"), ("$(params.load-url)", "notin", ""))] if strategy.rehearsed else []
    before = "rehearsal" if tested else "wait-for-ready"
    return [
        *started,
        *tested,
        _task("ramp", _begun() | _own(*JUDGED), after=before, when=(first, "notin", "true")),
        _task("promote-first", _begun(), step="promote", after="wait-for-ready", when=(first, "in", "true")),
        _task("promote", _begun(), when=(verdict, "in", "promote")),
        _task("rollback", _begun(), when=(verdict, "in", "rollback")),
        _task("hold", _begun() | {"outcome": "held"}, step="rollback", when=(verdict, "notin", "promote", "rollback")),
    ]


def _rehearsal(*when: tuple[str, ...]) -> dict[str, Any]:
    """A load test of the candidate while it has no users; what does not pass ends the run, and ``finish`` the release."""
    load = {name: f"$(params.load-{name})" for name in LOAD} | _own(*LOAD_SHARED)
    judged = {name: f"$(params.{name})" for name in _begun()}
    judged |= {"metrics": _SUMMARY.format("steps"), "rehearsal": "true", "fail-on": "rollback,hold"}
    names = (*(f"load-{name}" for name in LOAD), *LOAD_SHARED)
    given = _begun() | {name: f"$(params.{name})" for name in names}
    spec = {
        "params": [{"name": name, "type": "string"} for name in given],
        "steps": [_action("load-test", load), _action("assess", judged)],
    }
    return {
        "name": "rehearsal",
        "runAfter": ["wait-for-ready"],
        "when": [_guard(*one) for one in when],
        "timeout": TIMEOUTS["load-test"],
        "params": _values(given),
        "taskSpec": spec,
    }


def _guard(value: str, operator: str, *values: str) -> dict[str, Any]:
    return {"input": value, "operator": operator, "values": list(values)}


def _task(
    name: str, given: Mapping[str, str], *, step: str = "", after: str = "", when: tuple[str, ...] = ()
) -> dict[str, Any]:
    step = step or name
    made: dict[str, Any] = {"name": name, "taskRef": {"name": f"fairway-{step}"}}
    if after:
        made["runAfter"] = [after]
    if when:
        made["when"] = [_guard(*when)]
    return made | _bounded(step) | {"params": _values(given)}


def _bounded(step: str) -> dict[str, Any]:
    return {"timeout": TIMEOUTS.get(step, TIMEOUT)} | ({"retries": RETRIES} if step in RESUMING else {})


def _finish() -> dict[str, Any]:
    """As Argo's exit handler: what could not be made safe is reported all the same, and then tried once more.

    Only for a release that this run holds: one whose ``begin`` was refused must not end somebody else's. A task that fails has no results.
    """
    given = {name: f"$(params.{name})" for name in ENDS}
    safe = _action("ensure-safe", given)
    steps = [safe | {"onError": "continue"}, _action("report", given | {"out": FILE}), safe | {"name": "make-sure"}]
    results = [
        {"name": one, "type": "string", "description": told, "value": f"$(steps.report.results.{one})"}
        for one, told in {output.name: output.help for output in step_spec("report").outputs}.items()
        if one != "action"
    ]
    spec = {"params": [{"name": name, "type": "string"} for name in ENDS], "results": results, "steps": steps}
    return {"name": "finish", "timeout": TIMEOUT, "retries": RETRIES, "params": _values(ENDS), "taskSpec": spec}


def _action(step: str, given: Mapping[str, str]) -> dict[str, Any]:
    resources = dict(RESOURCES[step_spec(step).image])
    return {
        "name": step,
        "ref": {"name": f"fairway-{step}"},
        "computeResources": resources,
        "params": _values(given),
    }


def _outcome() -> dict[str, Any]:
    """The record of a release that ran through is closed by then, so this need not wait for ``finish``."""
    given = ENDS | {"fail-on": "$(params.fail-on)", "format": "text"}
    return _task("outcome", given, step="report", when=("$(tasks.status)", "in", "Succeeded", "Completed"))


def _begun() -> dict[str, str]:
    return {"record": ENDS["record"]} | {name: f"$(tasks.begin.results.{name})" for name in ("release-id", "token")}


def _own(*names: str) -> dict[str, str]:
    return {name: ENDS.get(name, f"$(params.{name})") for name in names}


def _values(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in given.items()]


def _result(name: str, task: str, among: str, of: str = "") -> dict[str, str]:
    step = "report" if task == "finish" else task
    told = next(output.help for output in step_spec(step).outputs if output.name == (of or name))
    return {"name": name, "type": "string", "description": told, "value": f"$({among}.{task}.results.{of or name})"}
