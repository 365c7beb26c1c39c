"""``fairway check-metrics``."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fairway_steps.cli.params import SLOS, VERSION, option
from fairway_steps.cli.wiring import CLOCK, source
from fairway_steps.errors import DomainError
from fairway_steps.model import Version

if TYPE_CHECKING:
    from fairway_steps.config import Objectives
    from fairway_steps.metrics.base import MetricSource
    from fairway_steps.metrics.preflight import Inspection


@click.command(
    "check-metrics",
    epilog="\b\nExit codes: 0 they will do, 1 they will not, 2 usage or configuration, 75 the source is away.\n\n"
    "\b\nExample:\n  fairway check-metrics --metrics 'prometheus:http://127.0.0.1:9090#preset=istio' --service iris \\\n"
    "    --primary deployment/default/iris-v1 --candidate deployment/default/iris-v2 \\\n"
    "    --slos '[{metric: latency, quantile: p95, limit: 250ms}]'",
)
@option(
    "metrics", required=True, help="Where the evidence comes from: an address, a mapping (YAML, JSON) or file:PATH."
)
@option("service", required=True, help="What clients call.")
@option("primary", VERSION, required=True, help="The version that has the traffic: NAME=URI.")
@option("candidate", VERSION, required=True, help="The version to release: NAME=URI.")
@option("slos", SLOS, help="SLOs as YAML, or file:PATH: what the metrics must be able to tell.")
@option("output", click.Choice(["text", "json"]), default="text", help="What to print on stdout.")
def check_metrics(
    metrics: str, service: str, primary: Version, candidate: Version, slos: "Objectives | None", output: str
) -> None:
    """See whether a source of metrics can judge a release, before there is one.

    Both versions must have had a request. Says what it has of each, which limits it can tell exactly and which edge is
    nearest to the others, and refuses what could only mislead. `begin` does the same, with the candidate still idle.
    """
    versions = (primary, candidate)
    from fairway_steps.metrics.preflight import findings

    names = [version.name for version in versions]
    asked = slos.slos if slos else ()
    shown = inspected(source(metrics, service, *versions, slos=asked), names)
    found = findings(shown, asked, expected=names, weights={})
    if output == "json":
        told = [{"level": one.level.value, "sentence": one.sentence, "mend": one.mend} for one in found]
        click.echo(json.dumps({"findings": told}, ensure_ascii=False))
    else:
        for one in found:
            click.echo(f"{one.level.value}: {one.sentence}{f'; {one.mend}' if one.mend else ''}")
    refused = [one for one in found if one.level.value == "refused"]
    if refused:
        where = " and ".join(dict.fromkeys(one.where for one in shown)) or metrics.partition("#")[0].strip()
        raise DomainError(f"{where} cannot judge this release", mend="see above")


def inspected(opened: "MetricSource", versions: Sequence[str]) -> "Sequence[Inspection]":
    """What a source shows; nothing of one that cannot be inspected, such as a file."""
    from fairway_steps.metrics.preflight import Inspectable

    return opened.inspect(versions, CLOCK.now()) if isinstance(opened, Inspectable) else ()
