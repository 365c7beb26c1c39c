"""Mirror: copies of live requests first, judged before any user is answered by the candidate; then the stages of a canary, if there are more."""

from hera.workflows import WorkflowTemplate

from fairway_steps.strategy import Strategy
from fairway_workflows import release
from fairway_workflows.options import ReleaseOptions

OPTIONS = ReleaseOptions(strategy=Strategy.MIRROR)


def build(options: ReleaseOptions = OPTIONS) -> WorkflowTemplate:
    """The mirrored release as a self-contained WorkflowTemplate."""
    return release.build(options)
