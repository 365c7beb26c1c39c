"""The canary as a Tekton Pipeline of the steps' own Tasks: what ``canary.py`` is for Argo.

Results go from task to task, and ``when`` follows the verdict. The ramp is one task, for a Pipeline cannot call itself; nor
can it wait for a person, so what the evidence did not decide ends held. Tekton runs ``finally`` tasks all at once, hence
the one pod ``finish``, which puts traffic back and then reports; beside it ``outcome`` fails the run of a release that ran
through, but was not promoted. Tekton repeats a task whatever it ended with, so only those are repeated that resume.
Sources: https://tekton.dev/docs/pipelines/pipelines/ and, for what is skipped and which results there are then, its
reconciler.
"""

from collections.abc import Mapping
from typing import Any

from fairway_workflows.canary import BEGUN, DEFAULTS, JUDGED, MAJOR, MAPPED
from fairway_workflows.catalog import step_spec
from fairway_workflows.safety import RESOURCES, TIMEOUT, TIMEOUTS, Safety
from fairway_workflows.tekton import CATEGORY, STEP_ACTION_SINCE, metadata, param

NAME = f"canary-v{MAJOR}"
ENDS = {
    "record": "configmap/$(context.pipelineRun.namespace)/fairway-$(params.service)",
    "holder": "$(context.pipelineRun.uid)",
}
"""What a default cannot say, as Tekton puts no variables into one."""
FILE = "/workspace/report.html"
"""Where ``finish`` may write; the report that lasts is the record's, at any time."""
OWN = (*ENDS, "route", "report")
"""Parameters of Argo's canary that are none here, or have no default."""
RETRIES = 2
RESUMING = frozenset({"ramp", "promote", "rollback"})
"""A ramp is told no stage, and so goes on where the record says."""


def pipeline(safety: Safety) -> dict[str, Any]:
    """``tekton.dev/v1`` Pipeline; its run names the service account and the timeouts, which a Pipeline cannot."""
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "Pipeline",
        "metadata": metadata(NAME, "canary", CATEGORY, safety, STEP_ACTION_SINCE),
        "spec": {
            "description": (
                "Releases a candidate of an inference service in stages, judged on evidence. It ends promoted, rolled "
                "back or held; whatever happens, the primary has the traffic unless the candidate was promoted."
            ),
            "params": _params(),
            "tasks": _tasks(),
            "finally": [_finish(), _outcome()],
            "results": [
                _result("verdict", "ramp", "tasks"),
                _result("why", "ramp", "tasks", "summary"),
                _result("outcome", "finish", "finally"),
                _result("summary", "finish", "finally"),
            ],
        },
    }


def _params() -> list[dict[str, Any]]:
    found = []
    for name, (step, option) in MAPPED.items():
        if name in ENDS or name == "report":
            continue
        like = next(one for one in step_spec(step).params if one.name == option)
        declared = param(like) | {"name": name}
        found.append(declared if name in OWN or name not in DEFAULTS else declared | {"default": DEFAULTS[name]})
    return found


def _tasks() -> list[dict[str, Any]]:
    ready = {"timeout": "ready-timeout", "ready-path": "ready-path", "model": "model", "payload": "payload"}
    first, verdict = "$(tasks.begin.results.first)", "$(tasks.ramp.results.verdict)"
    return [
        _task("begin", _own(*BEGUN)),
        _task("wait-for-ready", _begun() | {name: f"$(params.{of})" for name, of in ready.items()}),
        _task("ramp", _begun() | _own(*JUDGED), after="wait-for-ready", when=(first, "notin", "true")),
        _task("promote-first", _begun(), step="promote", after="wait-for-ready", when=(first, "in", "true")),
        _task("promote", _begun(), when=(verdict, "in", "promote")),
        _task("rollback", _begun(), when=(verdict, "in", "rollback")),
        _task("hold", _begun() | {"outcome": "held"}, step="rollback", when=(verdict, "notin", "promote", "rollback")),
    ]


def _task(
    name: str, given: Mapping[str, str], *, step: str = "", after: str = "", when: tuple[str, ...] = ()
) -> dict[str, Any]:
    step = step or name
    made: dict[str, Any] = {"name": name, "taskRef": {"name": f"fairway-{step}"}}
    if after:
        made["runAfter"] = [after]
    if when:
        made["when"] = [{"input": when[0], "operator": when[1], "values": list(when[2:])}]
    return made | _bounded(step) | {"params": _values(given)}


def _bounded(step: str) -> dict[str, Any]:
    return {"timeout": TIMEOUTS.get(step, TIMEOUT)} | ({"retries": RETRIES} if step in RESUMING else {})


def _finish() -> dict[str, Any]:
    """Only for a release that this run holds: one whose ``begin`` was refused must not end somebody else's."""
    given = {name: f"$(params.{name})" for name in ENDS}
    steps = [_action("ensure-safe", given), _action("report", given | {"out": FILE})]
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
