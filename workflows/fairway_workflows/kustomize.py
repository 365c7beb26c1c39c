"""The rendered folders as kustomizations: ``kubectl apply -k``, with images and names that an overlay may change.

Kustomize knows where Kubernetes' own kinds name images and one another, not where Argo's and Tekton's do: that is told by
a ``kustomizeconfig``. Source: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/configurations/.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FILES = ("kustomization.yaml", "kustomizeconfig.yaml")
"""What a folder has besides resources."""
KINDS = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate")
IMAGES: Mapping[str, Sequence[tuple[str, str]]] = {
    "argo": [
        (kind, f"spec/templates/{path}/image")
        for kind in KINDS
        for path in ("container", "containerSet/containers", "script", "initContainers", "sidecars")
    ],
    "tekton": [
        ("Task", "spec/steps/image"),
        ("StepAction", "spec/image"),
        ("Pipeline", "spec/tasks/taskSpec/steps/image"),
        ("Pipeline", "spec/finally/taskSpec/steps/image"),
    ],
}
"""Where each kind names images."""
NAMES: Mapping[str, Mapping[str, Sequence[tuple[str, str]]]] = {
    "argo": {
        "ServiceAccount": [
            (kind, path) for kind in KINDS for path in ("spec/serviceAccountName", "spec/templates/serviceAccountName")
        ],
        "WorkflowTemplate": [
            *((kind, f"spec/templates/{path}/templateRef/name") for kind in KINDS for path in ("steps", "dag/tasks")),
            ("Workflow", "spec/workflowTemplateRef/name"),
            ("CronWorkflow", "spec/workflowSpec/workflowTemplateRef/name"),
        ],
    },
    "tekton": {
        "ServiceAccount": [
            ("PipelineRun", "spec/taskRunTemplate/serviceAccountName"),
            ("TaskRun", "spec/serviceAccountName"),
        ],
        "Task": [
            ("Pipeline", "spec/tasks/taskRef/name"),
            ("Pipeline", "spec/finally/taskRef/name"),
            ("TaskRun", "spec/taskRef/name"),
        ],
        "StepAction": [
            ("Task", "spec/steps/ref/name"),
            ("Pipeline", "spec/tasks/taskSpec/steps/ref/name"),
            ("Pipeline", "spec/finally/taskSpec/steps/ref/name"),
        ],
        "Pipeline": [("PipelineRun", "spec/pipelineRef/name")],
    },
}
"""Where each kind's name stands in others."""


def kustomization(resources: Iterable[str]) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(resources),
        "configurations": [FILES[1]],
    }


def configuration(folder: str) -> dict[str, Any]:
    """The ``kustomizeconfig`` of ``argo`` or ``tekton``."""
    return {
        "images": [_field(*where) for where in IMAGES[folder]],
        "nameReference": [
            {"kind": kind, "fieldSpecs": [_field(*where) for where in fields]} for kind, fields in NAMES[folder].items()
        ],
    }


def _field(kind: str, path: str) -> dict[str, str]:
    return {"kind": kind, "path": path}
