"""``fairway demo``."""

import json
from pathlib import Path

import click

from fairway_steps.cli.params import option
from fairway_workflows.cli.run import telling


@click.command("demo", epilog="Example: fairway demo --candidate failing --output json")
@option(
    "candidate",
    click.Choice(["good", "slow", "failing", "crashing", "never-ready"]),
    default="good",
    help="How the candidate behaves: 2 s slower, 20 % HTTP 500s, dying under load, never loading its model.",
)
@option("dir", default="fairway-demo", help="Where to put the release file, the record, the logs and the report.")
@option("port", int, help="The loopback port users come in at.  [default: a free one]")
@option("rate", float, default="80", help="Requests per second of the demo's users.")
@option("output", click.Choice(["text", "json"]), default="text", help="What to print on stdout at the end.")
def demo(candidate: str, dir: str, port: int | None, rate: float, output: str) -> int:  # noqa: A002 - the option's name
    """Release v2 of a real model over v1 on this machine: real model servers, a real Envoy, live traffic, no cluster.

    Two scikit-learn classifiers of hand-written digits are served by KServe's server; users send requests all the
    while. At the end there are a report, and a release file to try with your own servers.

    Exit codes: 0 promoted, 1 rolled back, held or broken, 2 usage or configuration, 130/143 ended by a signal.
    """
    from fairway_steps.clock import SystemClock
    from fairway_workflows.console import Console
    from fairway_workflows.demo.play import play
    from fairway_workflows.local import Signals
    from fairway_workflows.run import TITLES

    clock = SystemClock()
    console = Console(now=clock.now, titles=TITLES)
    with Signals() as signals:
        with telling(output):
            ending = play(
                Path(dir), candidate=candidate, port=port, rate=rate, console=console, clock=clock, signals=signals
            )
        if output == "json":
            click.echo(json.dumps(ending.told))
    return ending.exit_code
