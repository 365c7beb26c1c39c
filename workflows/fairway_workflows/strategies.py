"""The strategies by name: what each is rendered with, and by which builder."""

from collections.abc import Callable, Mapping

from hera.workflows import WorkflowTemplate

from fairway_steps.strategy import Strategy
from fairway_workflows import ab, blue_green, canary, mirror, none, performance
from fairway_workflows.options import ReleaseOptions

OPTIONS: Mapping[Strategy, ReleaseOptions] = {
    Strategy.CANARY: canary.CanaryOptions(),
    Strategy.BLUE_GREEN: blue_green.OPTIONS,
    Strategy.MIRROR: mirror.OPTIONS,
    Strategy.AB: ab.OPTIONS,
    Strategy.PERFORMANCE: performance.OPTIONS,
    Strategy.NONE: none.OPTIONS,
}
BUILDERS: Mapping[Strategy, Callable[[ReleaseOptions], WorkflowTemplate]] = {
    Strategy.CANARY: canary.build,
    Strategy.BLUE_GREEN: blue_green.build,
    Strategy.MIRROR: mirror.build,
    Strategy.AB: ab.build,
    Strategy.PERFORMANCE: performance.build,
    Strategy.NONE: none.build,
}


def build(options: ReleaseOptions) -> WorkflowTemplate:
    """The workflow of the strategy that the options name."""
    return BUILDERS[options.strategy](options)
