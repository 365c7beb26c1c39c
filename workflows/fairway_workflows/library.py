"""``fairway-steps``: every step as a template, for the ``templateRef`` of other people's workflows.

Argo applies neither the arguments nor the defaults nor the exit handler of a referenced WorkflowTemplate, so each leaf
carries all that it needs itself.
"""

from hera.workflows import ClusterWorkflowTemplate, WorkflowTemplate

from fairway_workflows.argo import Images, container
from fairway_workflows.catalog import catalog
from fairway_workflows.compose import annotations
from fairway_workflows.safety import Safety, secured


def library(images: Images, safety: Safety, *, cluster_scope: bool = False) -> WorkflowTemplate:
    """All leaves in one WorkflowTemplate, or ClusterWorkflowTemplate."""
    kind = ClusterWorkflowTemplate if cluster_scope else WorkflowTemplate
    workflow = kind(
        api_version="argoproj.io/v1alpha1",
        name="fairway-steps",
        annotations=annotations("Release steps", "Every step of Fairway as a template, to be named in a templateRef."),
        templates=[container(spec, images) for spec in catalog()],
    )
    return secured(workflow, safety)
