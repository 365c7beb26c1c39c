"""The strategies by name: what each is rendered with.

Blue-green is one pod of stages, so that the steps of a cut-over can be seconds apart; neither version is scaled before the promotion,
which comes after the soak. A mirror is the first stage of a canary. An A/B/n split is one stage, judged by ``assess`` as any other: which candidate
has won is in the record, so what follows a verdict is the canary's. With none, the candidate gets all of the traffic as soon as it is ready.
"""

from collections.abc import Mapping

from hera.workflows import WorkflowTemplate

from fairway_steps.strategy import Strategy
from fairway_workflows import performance, release
from fairway_workflows.options import ReleaseOptions

OPTIONS: Mapping[Strategy, ReleaseOptions] = {
    Strategy.CANARY: ReleaseOptions(),
    Strategy.BLUE_GREEN: ReleaseOptions(strategy=Strategy.BLUE_GREEN, granularity="release"),
    Strategy.MIRROR: ReleaseOptions(strategy=Strategy.MIRROR),
    Strategy.AB: ReleaseOptions(strategy=Strategy.AB, load_test="no"),
    Strategy.PERFORMANCE: performance.OPTIONS,
    Strategy.NONE: ReleaseOptions(strategy=Strategy.NONE, load_test="no"),
}


def build(options: ReleaseOptions) -> WorkflowTemplate:
    """The workflow of the strategy that the options name, self-contained."""
    return release.build(options) if options.strategy.releases else performance.build(options)
