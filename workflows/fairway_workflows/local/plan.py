"""Reading a workflow before anything runs: what is called, with what, and whether all of it can be run here.

Argo checks much less (names through references, programs, durations only when they are reached); whatever is wrong with a
release should show before the first route is touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairway_steps.errors import UsageError
from fairway_workflows.local.checks import GLOBALS, check, is_pod, references, supplied
from fairway_workflows.local.fields import refuse_unknown
from fairway_workflows.local.folders import mark
from fairway_workflows.local.references import parameters, text, values
from fairway_workflows.local.retry import RetryStrategy


@dataclass(frozen=True, slots=True)
class Plan:
    """A workflow that can be run: templates with their paths marked, workflow parameters with their values.

    ``deadline`` is seconds for the whole workflow, None for no end.
    """

    entrypoint: str
    on_exit: str
    templates: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, str]
    retries: Mapping[str, RetryStrategy]
    mutexes: tuple[str, ...]
    deadline: float | None
    namespace: str


def read(document: Mapping[str, Any], arguments: Mapping[str, str]) -> Plan:
    """Read a WorkflowTemplate or Workflow called with ``arguments``. Raises UsageError for whatever could not be run."""
    try:
        refuse_unknown(document)
        return _read(document, arguments)
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"this is not a workflow as Argo would take it: {type(error).__name__} {error}") from error


def _read(document: Mapping[str, Any], arguments: Mapping[str, str]) -> Plan:
    spec = document["spec"]
    raw = {template["name"]: template for template in spec["templates"]}
    if len(raw) < len(spec["templates"]):
        raise UsageError("two templates have the same name; Argo would drop one of them")
    given = _workflow_parameters(spec, arguments)
    entry, on_exit = spec.get("entrypoint") or "", spec.get("onExit") or ""
    for role, name in (("entrypoint", entry), *([("onExit", on_exit)] if on_exit else [])):
        if name not in raw:
            raise UsageError(f"{role} {name!r} is not a template of this workflow")
        supplied(f"{role} {name!r}", raw[name], given)
    volumes = {volume["name"] for volume in spec.get("volumes") or []}
    for template in raw.values():
        check(template, raw, given)
    locks = spec.get("synchronization") or {}
    mutexes = [*(locks.get("mutexes") or []), *([locks["mutex"]] if locks.get("mutex") else [])]
    references("synchronization", mutexes, GLOBALS | {f"workflow.parameters.{name}" for name in given})
    deadline = spec.get("activeDeadlineSeconds")
    return Plan(
        entrypoint=entry,
        on_exit=on_exit,
        templates={n: mark(t, volumes) if is_pod(t) else t for n, t in raw.items()},
        parameters=given,
        retries={
            name: RetryStrategy.parse(f"template {name!r}", template["retryStrategy"])
            for name, template in raw.items()
            if template.get("retryStrategy") is not None
        },
        mutexes=tuple(text(lock["name"]) for lock in mutexes),
        deadline=None if deadline is None else float(deadline),
        namespace=(document.get("metadata") or {}).get("namespace") or "default",
    )


def _workflow_parameters(spec: Mapping[str, Any], arguments: Mapping[str, str]) -> dict[str, str]:
    declared = {p["name"]: p for p in parameters(spec.get("arguments"))}
    if unknown := sorted(set(arguments) - set(declared)):
        raise UsageError(f"the workflow has no parameter {unknown[0]!r}", mend=f"it has {', '.join(sorted(declared))}")
    given = {**values(spec.get("arguments")), **arguments}
    for name, parameter in declared.items():
        if name not in given:
            raise UsageError(f"the workflow's parameter {name!r} has no value")
        choices = [text(choice) for choice in parameter.get("enum") or []]
        if choices and given[name] not in choices:
            raise UsageError(f"the workflow's parameter {name!r} is {given[name]!r}", mend=f"use {', '.join(choices)}")
    return given
