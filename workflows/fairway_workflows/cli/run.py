"""``fairway run``."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from fairway_steps.cli import Terminated
from fairway_steps.cli.params import FLAG, option
from fairway_steps.errors import FairwayError


@click.command("run", epilog="Example: fairway run release.yaml --output json")
@click.argument("file", default="release.yaml")
@option("resume", FLAG, default="false", help="Go on with the release that was interrupted.")
@option("output", click.Choice(["text", "json"]), default="text", help="What to print on stdout at the end.")
@option("dir", default=".fairway", help="Where the run keeps what it needs for itself.")
def run(file: str, resume: bool, output: str, dir: str) -> int:  # noqa: A002 - the option's name
    """Release a candidate as FILE says, on this machine: the workflow of its strategy, without a cluster.

    The servers and an Envoy that reads the route's folder must run (`fairway envoy` starts one; `fairway init` writes a
    commented FILE). Ctrl-C puts all traffic back on the primary.

    Exit codes: 0 promoted (performance: passed), 1 rolled back, held or broken, 2 usage or configuration, 130/143 ended by a signal
    before it was promoted; one that comes later changes nothing.
    """
    from fairway_steps.clock import SystemClock
    from fairway_steps.config import load_release
    from fairway_workflows import run_performance
    from fairway_workflows.console import Console
    from fairway_workflows.local import Signals, ask_on_terminal
    from fairway_workflows.run import TITLES, run_release

    clock = SystemClock()
    console = Console(now=clock.now, titles=TITLES)
    ask = ask_on_terminal if sys.stdin.isatty() and sys.stderr.isatty() else None
    with Signals() as signals:
        with telling(output):
            spec = load_release(file)
            if spec.strategy.releases:
                ending = run_release(
                    spec, resume=resume, console=console, clock=clock, ask=ask, folder=Path(dir), signals=signals
                )
            else:
                console.titles = run_performance.TITLES
                ending = run_performance.run_performance(
                    spec, console=console, clock=clock, folder=Path(dir), signals=signals
                )
        if output == "json":
            click.echo(json.dumps(ending.told))
    return ending.exit_code


@contextmanager
def telling(output: str) -> Iterator[None]:
    """With ``json``, a refusal or an early signal is told on stdout as well: whoever reads it gets one object, however the run ends."""
    from fairway_workflows.run import nothing_done

    try:
        yield
    except FairwayError as error:
        if output == "json":
            click.echo(json.dumps(nothing_done(error.message)))
        raise
    except (KeyboardInterrupt, Terminated) as signalled:  # held as soon as anything may be touched
        if output == "json":
            click.echo(
                json.dumps(nothing_done("interrupted" if isinstance(signalled, KeyboardInterrupt) else "terminated"))
            )
        raise
