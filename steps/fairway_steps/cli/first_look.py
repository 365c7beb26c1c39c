"""The look at a source of metrics before a release begins: whether it will do, and where its evidence begins."""

import math
from collections.abc import Sequence
from dataclasses import replace
from logging import DEBUG, WARNING

from fairway_steps.cli.check_metrics import inspected
from fairway_steps.cli.step import logger
from fairway_steps.cli.wiring import CLOCK, source
from fairway_steps.config import Objectives
from fairway_steps.config.spec import patience_for
from fairway_steps.errors import Refused, TransientError
from fairway_steps.metrics.preflight import LATENCY, Inspection, findings, requests_per_second, slowest
from fairway_steps.model import Metric, Slo, Stage, Unit, Version
from fairway_steps.record import Record
from fairway_steps.routing.base import Router
from fairway_steps.undecidable import undecidable
from fairway_steps.words import number, seconds

LOOK = 1.0
"""How many seconds pass between two looks, if nobody says otherwise."""


def first_look(
    metrics: str,
    service: str,
    versions: Sequence[Version],
    asked: Objectives,
    stages: Sequence[Stage],
    route: Router,
    before: Record | None,
) -> tuple[str, tuple[str, ...]]:
    """Where the metric source stands now, after a look at whether it will do; and which SLOs it cannot decide in time.

    ``before`` is the record of the release before. Empty for a proxy or an endpoint that cannot be read yet: its first look is then
    its beginning. A metrics server must be there. Raises Refused for one that could not judge this release.
    """
    names = [version.name for version in versions]
    opened = source(metrics, service, *versions, slos=asked.slos)
    try:
        shown = inspected(opened, names)
        found = findings(shown, asked.slos, expected=names[:1], weights=route.read().weights, steady=_steady(before))
        reading = opened.read(names, {}, "", CLOCK.now())
    except TransientError as error:
        if metrics.startswith(("envoy:", "scrape:")):
            logger().warning("no evidence yet: %s", error.message)
            return "", ()
        raise
    for one in found:
        if one.level.value == "refused":
            raise Refused(one.sentence, mend=one.mend)
        logger().log(WARNING if one.level.value == "warning" else DEBUG, "metrics: %s", one.sentence)
    rate, waits = requests_per_second(shown), [patience_for(stage, None) for stage in stages]
    looks = max(LOOK, slowest(shown))
    told = undecidable(_as_counted(asked.slos, shown), stages, rate, rules=asked.rules, patience=waits, interval=looks)
    for sentence in told:
        logger().warning("%s%s", f"at {number(rate)} requests/s: " if rate else "", sentence)
    late = CLOCK.now() - reading.until if reading.until is not None else 0.0
    if waits and late > min(waits):
        unheard = f"the metrics are told {seconds(late)} late, so a stage is held whose patience is shorter: its end is not known by then"
        logger().warning(unheard)
        told = (*told, unheard)
    return "" if reading.complete else reading.cursor, told


def _as_counted(slos: Sequence[Slo], shown: Sequence[Inspection]) -> Sequence[Slo]:
    """The SLOs, a mean latency that neither edges nor a timeout bound by windows of time: it is judged by those."""
    bounded = not any(one.mean for one in shown if LATENCY in one.parts)
    return [
        slo if bounded or slo.metric is not Metric.LATENCY_MEAN or slo.timeout else replace(slo, unit=Unit.STRATUM)
        for slo in slos
    ]


def _steady(before: Record | None) -> float:
    """For how many seconds the route's weights have been no others, as far as the release before tells."""
    return CLOCK.now() - (before.finished or CLOCK.now()) if before else math.inf
