"""A/B/n: several candidates beside the primary, each with its share of the users, of which the one that users are worth most with is promoted.

One stage, judged by ``assess`` as any other: which of them has won is in the record, so what follows a verdict is the canary's.
"""

from hera.workflows import WorkflowTemplate

from fairway_steps.strategy import Strategy
from fairway_workflows import release
from fairway_workflows.options import ReleaseOptions

OPTIONS = ReleaseOptions(strategy=Strategy.AB, load_test="no")


def build(options: ReleaseOptions = OPTIONS) -> WorkflowTemplate:
    """The A/B/n split as a self-contained WorkflowTemplate."""
    return release.build(options)
