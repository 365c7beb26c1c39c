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


OWN = {
    "namePrefix": "our-",
    "images": [
        {"name": f"fairway-{kind}", "newName": f"registry.example.com/fairway-{kind}"}
        for kind in ("core", "assess", "loadtest")
    ],
}
"""What the overlay changes that is there to be copied."""


def kustomization(resources: Iterable[str], **more: Any) -> dict[str, Any]:
    about = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return {**about, "resources": sorted(resources), **more}


def component(resources: Iterable[str]) -> dict[str, Any]:
    """What an overlay may add: https://kubectl.docs.kubernetes.io/guides/config_management/components/."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": sorted(resources),
    }


def arrangement(components: Iterable[str]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The base, the components and the overlays: each path below the manifests, and its kustomization.

    A kustomization may only name files beside itself, so the components hold their own.
    """
    yield "base", kustomization(["../argo"])
    for name in components:
        yield f"components/{name}", component(["rbac.yaml"])
    yield "overlays/kserve", kustomization(["../../base"], components=["../../components/kserve"])
    yield "overlays/tekton", kustomization(["../../tekton"])
    yield "overlays/own", kustomization(["../../base", "../../tekton"], **OWN)


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
