"""None: the candidate gets all of the traffic as soon as it is ready, in the safe order of any promotion; nothing is assessed."""

from hera.workflows import WorkflowTemplate

from fairway_steps.strategy import Strategy
from fairway_workflows import release
from fairway_workflows.options import ReleaseOptions

OPTIONS = ReleaseOptions(strategy=Strategy.NONE, load_test="no")


def build(options: ReleaseOptions = OPTIONS) -> WorkflowTemplate:
    """The release as a self-contained WorkflowTemplate."""
    return release.build(options)
