"""Stages that mirror through a collector: where it is, and that its counts are evidence, too."""

from collections.abc import Sequence
from dataclasses import replace

from fairway_steps.cli.wiring import placed
from fairway_steps.model import Stage
from fairway_steps.schedule import collectors


def placed_stages(route: str, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages with all that is to be known of the place of their collector."""
    return tuple(
        replace(stage, through=placed(route, *collectors([stage]))[0].uri) if stage.through else stage
        for stage in stages
    )


def judged_by(metrics: str, stages: Sequence[Stage]) -> str:
    """Where the evidence on a release comes from: ``metrics``, and the collector that its stages mirror through."""
    from fairway_steps.metrics.registry import beside_collector
    from fairway_steps.workload.place import is_placed, place

    for one in collectors(stages):
        url = one.uri
        if is_placed(one):
            at = place(one)
            url = f"http://{at.service}.{at.ref.namespace}:{at.port}"
        return beside_collector(metrics, url)
    return metrics
