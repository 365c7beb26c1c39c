"""The canary: a ramp of stages, each judged on evidence, that ends promoted, rolled back or held."""

from hera.workflows import WorkflowTemplate

from fairway_workflows import release
from fairway_workflows.options import ReleaseOptions as CanaryOptions

__all__ = ["CanaryOptions", "build"]


def build(options: CanaryOptions | None = None) -> WorkflowTemplate:
    """The canary as a self-contained WorkflowTemplate, its leaves included."""
    return release.build(options or CanaryOptions())
