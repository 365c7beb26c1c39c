"""Steps as Tekton Tasks and StepActions, from the same specs as the Argo templates.

Params and results carry the command's own names. Values reach the command as arguments, never inside a ``script``: that is
the rule of Tekton's own catalog. Results are written by ``--result NAME=PATH``. Sources: the Tekton Pipelines
documentation of Tasks and StepActions; the catalog's recommendations for annotations.
"""

from collections.abc import Mapping
from typing import Any

from fairway_workflows.argo import Images
from fairway_workflows.catalog import Param, StepSpec
from fairway_workflows.safety import FOLDERS, RESOURCES, USER, Safety

CATEGORIES: Mapping[str, str] = {
    "load-test": "Testing",
    "assess": "Monitoring",
    "report": "Monitoring",
    "notify": "Messaging",
}
CATEGORY = "Deployment"
TASK_SINCE = "0.50.0"
STEP_ACTION_SINCE = "1.0.0"
FOLDER = FOLDERS["fairway"]
FILES = {
    "name": "files",
    "optional": True,
    "description": "Files for params to name, as /workspace/files/NAME: payloads, templates, tokens, results of other tools; or to write.",
}


def task(spec: StepSpec, images: Images, safety: Safety) -> dict[str, Any]:
    """The step as a ``tekton.dev/v1`` Task of one step."""
    step = _run(spec, images, "results") | {
        "name": spec.name,
        "computeResources": dict(RESOURCES[spec.image]),
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in FOLDERS.items()],
        "workingDir": FOLDER,
    }
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "Task",
        "metadata": _metadata(spec, safety, TASK_SINCE),
        "spec": _declared(spec)
        | {"workspaces": [FILES], "steps": [step], "volumes": [{"name": name, "emptyDir": {}} for name in FOLDERS]},
    }


def step_action(spec: StepSpec, images: Images, safety: Safety) -> dict[str, Any]:
    """The step as a ``tekton.dev/v1beta1`` StepAction, for Tasks of several steps.

    A StepAction cannot bring a volume of its own: the folder it works in is Tekton's ``/workspace``.
    """
    return {
        "apiVersion": "tekton.dev/v1beta1",
        "kind": "StepAction",
        "metadata": _metadata(spec, safety, STEP_ACTION_SINCE),
        "spec": _declared(spec) | _run(spec, images, "step.results") | {"workingDir": "/workspace"},
    }


def _run(spec: StepSpec, images: Images, results: str) -> dict[str, Any]:
    given = [f"--{param.name}=$(params.{param.name})" for param in spec.inputs]
    written = [f"--result={output.name}=$({results}.{output.name}.path)" for output in spec.outputs]
    return {
        "image": images.of(spec.image),
        "command": ["fairway"],
        "args": [spec.name, *given, *written],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _declared(spec: StepSpec) -> dict[str, Any]:
    return {
        "description": spec.description,
        "params": [param(one) for one in spec.inputs],
        "results": [{"name": o.name, "type": "string", "description": o.help} for o in spec.outputs],
    }


def param(like: Param) -> dict[str, Any]:
    """The param of an option; its choices are told, for Tekton's own ``enum`` is still behind an alpha feature gate."""
    told = f"{like.help} One of {', '.join(like.choices)}." if like.choices else like.help
    declared: dict[str, Any] = {"name": like.name, "type": "string", "description": told}
    return declared if like.required else declared | {"default": like.default}


def _metadata(spec: StepSpec, safety: Safety, since: str) -> dict[str, Any]:
    category = CATEGORIES.get(spec.name, CATEGORY)
    return metadata(f"fairway-{spec.name}", spec.name, category, safety, since)


def metadata(name: str, what: str, category: str, safety: Safety, since: str) -> dict[str, Any]:
    """Name, labels, and the annotations that Tekton's catalog asks for; ``what`` is the step, or the kind of release."""
    return {
        "name": name,
        "labels": safety.labels(what),
        "annotations": {
            "tekton.dev/pipelines.minVersion": since,
            "tekton.dev/displayName": f"Fairway: {what.replace('-', ' ')}",
            "tekton.dev/categories": category,
            "tekton.dev/tags": "release, canary, inference, fairway",
            "tekton.dev/platforms": "linux/amd64,linux/arm64",
        },
    }
