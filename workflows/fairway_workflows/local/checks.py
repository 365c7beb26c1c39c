"""Whether each template could be run: its references, programs, durations and conditions, before anything is."""

import shutil
from collections.abc import Collection, Mapping
from typing import Any

from fairway_steps.errors import UsageError
from fairway_workflows.local.expressions import parse_when
from fairway_workflows.local.fields import IGNORED
from fairway_workflows.local.lexers import ExpressionError
from fairway_workflows.local.references import TAG, parameters, tags, text, values
from fairway_workflows.local.retry import seconds

GLOBALS = frozenset(f"workflow.{name}" for name in ("name", "namespace", "uid", "status", "failures"))
OWN_PROGRAM = "fairway"


def is_pod(template: Mapping[str, Any]) -> bool:
    return template.get("container") is not None or template.get("containerSet") is not None


def supplied(where: str, template: Mapping[str, Any], given: Collection[str]) -> None:
    """Raise UsageError for an input of the template that has no value of its own and is not among those given."""
    for parameter in parameters(template.get("inputs")):
        if parameter.get("value", parameter.get("default")) is None and parameter["name"] not in given:
            raise UsageError(f"{where} needs the parameter {parameter['name']!r}, which nobody gives")


def check(template: Mapping[str, Any], templates: Mapping[str, Any], given: Collection[str]) -> None:
    """Raise UsageError for whatever in ``template`` could not be run; ``given`` are the workflow's parameters."""
    where = f"template {template['name']!r}"
    known = GLOBALS | {f"workflow.parameters.{name}" for name in given}
    known |= {f"inputs.parameters.{p['name']}" for p in parameters(template.get("inputs"))}
    if template.get("steps") is not None:
        _check_steps(where, template, templates, set(known))
        return
    references(where, template, known | ({"retries"} if template.get("retryStrategy") is not None else set()))
    if is_pod(template):
        _check_pod(where, template)
        if template.get("daemon") and template.get("retryStrategy") is not None:
            raise UsageError(f"{where} is a daemon that is to be repeated", mend="submit it to Argo instead")
    else:
        _check_suspend(where, template)


def references(where: str, section: Any, known: Collection[str]) -> None:
    """Raise UsageError for a reference that nothing gives a value, but not for one in a field without meaning here."""
    for tag in tags(_meaningful(section)):
        if tag not in known:
            raise UsageError(f"{where} refers to {{{{{tag}}}}}, which nothing here gives")


def _meaningful(section: Any) -> Any:
    if isinstance(section, Mapping):
        return {key: _meaningful(value) for key, value in section.items() if key not in IGNORED}
    return [_meaningful(one) for one in section] if isinstance(section, list) else section


def _check_steps(where: str, template: Mapping[str, Any], templates: Mapping[str, Any], known: set[str]) -> None:
    names: set[str] = set()
    for group in template["steps"]:
        for step in group:
            if step["name"] in names:
                raise UsageError(f"{where} has two steps called {step['name']!r}")
            if step.get("template") not in templates:
                raise UsageError(f"{where}: step {step['name']!r} calls {step.get('template')!r}, which is no template")
            names.add(step["name"])
            references(f"{where}, step {step['name']!r},", step, known)
            supplied(f"{where}: step {step['name']!r}", templates[step["template"]], values(step.get("arguments")))
            _when(f"{where}, step {step['name']!r}", step.get("when") or "")
        for step in group:
            if templates[step["template"]].get("daemon"):
                continue  # it has not ended while the steps after it run
            known |= {f"steps.{step['name']}.{kind}" for kind in ("status", "exitCode")}
            outputs = parameters(templates[step["template"]].get("outputs"))
            known |= {f"steps.{step['name']}.outputs.parameters.{p['name']}" for p in outputs}
    for output in parameters(template.get("outputs")):
        if "parameter" not in (output.get("valueFrom") or {}):
            raise UsageError(f"{where}: output {output['name']!r} needs a valueFrom.parameter")
    references(where, template.get("outputs"), known)


def _when(where: str, when: str) -> None:
    try:
        if when:
            parse_when(TAG.sub("x", when))
    except ExpressionError as error:
        raise UsageError(f"{where}: when: {error}", mend="submit it to Argo instead") from error


def _check_pod(where: str, template: Mapping[str, Any]) -> None:
    inside = [template["container"]] if template.get("container") is not None else _graph(where, template)
    for container in inside:
        command = container.get("command") or [""]
        if not isinstance(command, list) or not isinstance(container.get("args") or [], list):
            raise UsageError(f"{where}: command and args are lists")
        program = str(command[0])
        if not program:
            raise UsageError(f"{where} has no command; the program of an image cannot be looked up here")
        if program != OWN_PROGRAM and "{{" not in program and shutil.which(program) is None:
            raise UsageError(
                f"{where} runs {program!r}, which is not on this machine", mend="install it, or submit it to Argo"
            )
    outputs = parameters(template.get("outputs"))
    for output in outputs:
        if "path" not in (output.get("valueFrom") or {}):
            raise UsageError(f"{where}: output {output['name']!r} needs a valueFrom.path")
    if outputs and template.get("container") is None and "main" not in {c.get("name") for c in inside}:
        raise UsageError(f"{where} has outputs but no container 'main', which alone can give them")
    try:
        _whole_seconds(template)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _whole_seconds(template: Mapping[str, Any]) -> None:
    timeout = text(template.get("timeout") or "")
    if timeout.isdigit():
        raise ValueError(f"timeout {timeout!r} needs a unit, as Argo wants it here: {timeout}s")
    if timeout and "{{" not in timeout:
        seconds(timeout)
    if template.get("activeDeadlineSeconds") is not None and "{{" not in text(template["activeDeadlineSeconds"]):
        int(template["activeDeadlineSeconds"])


def _graph(where: str, template: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inside: list[Mapping[str, Any]] = template["containerSet"].get("containers") or []
    needs = {container.get("name", ""): set(container.get("dependencies") or []) for container in inside}
    if not inside or len(needs) < len(inside) or "" in needs:
        raise UsageError(f"{where}: the containers of a set need names, each its own")
    if unknown := sorted(set().union(*needs.values()) - set(needs)):
        raise UsageError(f"{where}: dependency {unknown[0]!r} is not one of its containers")
    if _circle(needs):
        raise UsageError(f"{where}: its containers depend on one another in a circle")
    return inside


def _circle(needs: Mapping[str, set[str]]) -> bool:
    left = dict(needs)
    while free := [name for name, needed in left.items() if not needed & set(left)]:
        for name in free:
            del left[name]
    return bool(left)


def _check_suspend(where: str, template: Mapping[str, Any]) -> None:
    for output in parameters(template.get("outputs")):
        if "supplied" not in (output.get("valueFrom") or {}):
            raise UsageError(f"{where}: output {output['name']!r} needs a valueFrom.supplied")
    duration = text((template["suspend"] or {}).get("duration") or "")
    try:
        if duration and "{{" not in duration:
            seconds(duration)
    except ValueError as error:
        raise UsageError(f"{where}: suspend: {error}") from error
