"""Which fields of Argo's templates the local runner knows, which it may ignore and why, and the refusal of all others.

Refusing is the safe side: a field that is skipped silently would let a release behave differently here than in the cluster.
"""

from collections.abc import Mapping
from typing import Any

from fairway_steps.errors import UsageError
from fairway_workflows.local.references import parameters

IGNORED: Mapping[str, str] = {
    "affinity": "there is one machine to run on",
    "annotations": "they describe, and do nothing",
    "archiveLogs": "there is no artifact repository; the log goes to the terminal",
    "automountServiceAccountToken": "there is no API server to talk to",
    "description": "it is for people",
    "executor": "there is no executor beside the container",
    "image": "the steps installed here are run instead",
    "imagePullPolicy": "no image is pulled",
    "imagePullSecrets": "no image is pulled",
    "metadata": "there are no pods to label",
    "nodeSelector": "there is one machine to run on",
    "podDisruptionBudget": "no node is drained",
    "podGC": "no pods are left behind",
    "podMetadata": "there are no pods to label",
    "podPriorityClassName": "there is no scheduler",
    "priorityClassName": "there is no scheduler",
    "readOnly": "a folder of this run alone needs no guard",
    "resources": "nobody shares out the machine",
    "securityContext": "steps run as the user who started the release",
    "serviceAccountName": "there is no API server to talk to",
    "terminationMessagePath": "the exit code and the log are kept",
    "terminationMessagePolicy": "the exit code and the log are kept",
    "tolerations": "there is one machine to run on",
    "ttlStrategy": "nothing is kept that could expire",
    "workflowMetadata": "there is no workflow object to label",
}
"""Fields without meaning on one machine, wherever they stand, and the reason."""

SPEC = {
    "activeDeadlineSeconds",
    "arguments",
    "entrypoint",
    "onExit",
    "synchronization",
    "templates",
    "volumes",
}
KINDS = ("container", "containerSet", "steps", "suspend")
TEMPLATE = {
    *KINDS,
    "activeDeadlineSeconds",
    "daemon",
    "inputs",
    "name",
    "outputs",
    "retryStrategy",
    "timeout",
    "volumes",
}
CONTAINER = {"args", "command", "env", "name", "volumeMounts"}
STEP = {"arguments", "continueOn", "name", "template", "when"}
PARAMETER = {"default", "enum", "name", "value"}
CONDITIONS = {"limit", "retryPolicy", "expression", "backoff"}


def refuse_unknown(template: Mapping[str, Any]) -> None:
    """Raise UsageError, naming template and field, for a WorkflowTemplate or Workflow that cannot be run here as it is."""
    spec = template.get("spec")
    if not isinstance(spec, Mapping) or not isinstance(spec.get("templates"), list):
        raise UsageError("this is not a WorkflowTemplate or Workflow: it has no spec.templates")
    where = f"workflow {(template.get('metadata') or {}).get('name', '')!r}"
    _known(where, "", spec, SPEC)
    _arguments(where, spec.get("arguments"), PARAMETER)
    _volumes(where, spec.get("volumes"))
    locks = spec.get("synchronization") or {}
    _known(where, "synchronization", locks, {"mutex", "mutexes"})
    for lock in [*(locks.get("mutexes") or []), *([locks["mutex"]] if locks.get("mutex") else [])]:
        _known(where, "synchronization.mutexes", lock, {"name", "namespace", "database"})
    for one in spec["templates"]:
        _template(one)


def _known(where: str, path: str, section: Any, known: set[str]) -> None:
    prefix = f"{path}." if path else ""
    if not isinstance(section, Mapping):
        raise UsageError(f"{where}: field {path!r} is not a mapping")
    for field, value in section.items():
        if field in known or field in IGNORED or value in (None, "", [], {}):
            continue
        raise UsageError(
            f"{where} uses field '{prefix}{field}', which the local runner does not know",
            mend="submit it to Argo instead",
        )


def _template(template: Mapping[str, Any]) -> None:
    where = f"template {template.get('name', '')!r}"
    _known(where, "", template, TEMPLATE)
    kinds = [kind for kind in KINDS if template.get(kind) is not None]
    if len(kinds) != 1:
        raise UsageError(f"{where} has {' and '.join(kinds) or 'none'} of {', '.join(KINDS)}; it needs exactly one")
    _arguments(where, template.get("inputs"), PARAMETER, "inputs")
    _arguments(where, template.get("outputs"), {"name", "valueFrom"}, "outputs")
    for parameter in parameters(template.get("outputs")):
        source = parameter.get("valueFrom") or {}
        _known(where, "outputs.parameters.valueFrom", source, {"path", "default", "parameter", "supplied"})
    _volumes(where, template.get("volumes"))
    _retry(where, template.get("retryStrategy"))
    _kind(where, kinds[0], template)
    if kinds[0] not in ("container", "containerSet"):
        for field in ("timeout", "activeDeadlineSeconds", "daemon"):
            if template.get(field) is not None:
                raise UsageError(f"{where} has {field}, which Argo takes only where there is a container")


def _kind(where: str, kind: str, template: Mapping[str, Any]) -> None:
    section = template[kind]
    if kind == "container":
        _container(where, "container", section, CONTAINER)
    elif kind == "containerSet":
        _known(where, "containerSet", section, {"containers", "volumeMounts"})
        _mounts(where, "containerSet", section)
        for container in section.get("containers") or []:
            _container(where, "containerSet.containers", container, CONTAINER | {"dependencies"})
    elif kind == "suspend":
        _known(where, "suspend", section, {"duration"})
    else:
        for group in section:
            for step in group if isinstance(group, list) else [group]:
                _known(where, "steps", step, STEP)
                _arguments(where, step.get("arguments"), {"name", "value"}, "steps.arguments")
                _known(where, "steps.continueOn", step.get("continueOn") or {}, {"failed", "error"})


def _container(where: str, path: str, container: Mapping[str, Any], known: set[str]) -> None:
    _known(where, path, container, known)
    for variable in container.get("env") or []:
        _known(where, f"{path}.env", variable, {"name", "value"})
    _mounts(where, path, container)


def _mounts(where: str, path: str, section: Mapping[str, Any]) -> None:
    for mount in section.get("volumeMounts") or []:
        _known(where, f"{path}.volumeMounts", mount, {"name", "mountPath"})


def _arguments(where: str, section: Any, known: set[str], path: str = "arguments") -> None:
    _known(where, path, section or {}, {"parameters"})
    for parameter in parameters(section):
        _known(where, f"{path}.parameters", parameter, known)


def _volumes(where: str, volumes: Any) -> None:
    for volume in volumes or []:
        _known(where, "volumes", volume, {"name", "emptyDir"})


def _retry(where: str, strategy: Any) -> None:
    if strategy is not None:
        _known(where, "retryStrategy", strategy, CONDITIONS)
        backoff = strategy.get("backoff") or {}
        _known(where, "retryStrategy.backoff", backoff, {"duration", "factor", "maxDuration", "cap"})
