"""Blue-green: the candidate fully up and tested, then all users at once or within seconds, and a soak before the primary goes.

The whole ramp is one pod, so that the steps of a cut-over can be seconds apart. Both versions keep their capacity until the promotion,
which comes after the soak: until then rollback is one change of the route.
"""

from hera.workflows import WorkflowTemplate

from fairway_steps.strategy import Strategy
from fairway_workflows import release
from fairway_workflows.options import ReleaseOptions

OPTIONS = ReleaseOptions(strategy=Strategy.BLUE_GREEN, granularity="release")


def build(options: ReleaseOptions = OPTIONS) -> WorkflowTemplate:
    """The blue-green release as a self-contained WorkflowTemplate."""
    return release.build(options)
