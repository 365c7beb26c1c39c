"""``fairway collector``."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairway_steps.cli.params import DURATION_TYPE, VERSION, option
from fairway_steps.config.units import SHARE
from fairway_steps.errors import UsageError
from fairway_steps.model import Version

if TYPE_CHECKING:
    from fairway_steps.collector.upstream import Upstream

MEGABYTE = 1_048_576
LARGEST = 16 * MEGABYTE
"""How large a mirrored request may be, and an answer that is compared."""


class Share(click.ParamType[float]):
    """``10%`` or ``0.1``, up to the whole, as a fraction."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = SHARE.fullmatch(value.strip())
        share = float(match["number"]) / (100 if match["unit"] else 1) if match else math.nan
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share from 0% to 100%", param, ctx)
        return share


SHARE_TYPE = Share()


@click.command(
    "collector",
    epilog="\b\nExit codes: 1 it could not go on, 2 usage or configuration, 130/143 signals.\n\n"
    "\b\nExample:\n  fairway collector --primary v1=http://127.0.0.1:8001 --candidate v2=http://127.0.0.1:8002 \\\n"
    "    --listen 127.0.0.1:8090 --compare 10% --samples disagreements.jsonl",
)
@option("primary", VERSION, required=True, help="The version that answers users: NAME=http://HOST:PORT.")
@option("candidate", VERSION, required=True, help="The version that gets the mirrored requests: NAME=http://HOST:PORT.")
@option("listen", default="127.0.0.1:8090", help="Where the proxy mirrors to, and where /metrics is.")
@option("compare", SHARE_TYPE, default="10%", help="Of which share of them the primary is asked, too.")
@option("max-rate", float, default="10", help="At most so many comparisons a second, whatever the share.")
@option("absolute-tolerance", float, default="0.000001", help="How far a number may be from the primary's …")
@option("relative-tolerance", SHARE_TYPE, default="0.1%", help="… and how far besides, as a part of it.")
@option(
    "allow-path",
    multiple=True,
    metavar="'[METHOD ]/PATH'",
    help="What may be passed on, POST if no method is named; * stands within one segment; repeatable.  "
    "[default: inference of Open Inference V2 and of OpenAI's API that writes nothing]",
)
@option(
    "samples",
    click.Path(dir_okay=False, path_type=Path),
    help="Keep pairs that differ in this file: JSON lines, without headers and queries.",
)
@option("samples-size", int, default="4", help="The most megabytes of it; the oldest go first.")
@option("timeout", DURATION_TYPE, default="30s", help="How long an answer may take.")
@option("max-in-flight", int, default="64", help="At most so many mirrored requests at once; more are dropped.")
@option("grace", DURATION_TYPE, default="5s", help="How long those under way have after a signal.")
def collector(
    primary: Version,
    candidate: Version,
    listen: str,
    compare: float,
    max_rate: float,
    absolute_tolerance: float,
    relative_tolerance: float,
    allow_path: Sequence[str],
    samples: Path | None,
    samples_size: int,
    timeout: float,
    max_in_flight: int,
    grace: float,
) -> int:
    """Be the backend of a mirror: pass what a proxy mirrors on to the candidate, and compare answers with the primary's.

    No user is ever answered by it. What it counts is at /metrics, for the preset `collector`; name it in a stage:
    mirror:50:http://127.0.0.1:8090@60s.
    """
    from fairway_steps import log
    from fairway_steps.collector.apart import Apart
    from fairway_steps.collector.collect import Budget, Collector
    from fairway_steps.collector.counts import Counts
    from fairway_steps.collector.paths import INFERENCE, Allowed
    from fairway_steps.collector.ring import Ring
    from fairway_steps.collector.server import Server, until_signal
    from fairway_steps.collector.tensors import Tolerance
    from fairway_steps.collector.upstream import Upstream
    from fairway_steps.loadtest.loops import run_in_loop
    from fairway_steps.routing.bootstrap import parse_address
    from fairway_steps.words import share

    log.configure()
    numbers = {"--max-rate": max_rate, "--samples-size": samples_size, "--timeout": timeout}
    for name, value in {**numbers, "--max-in-flight": max_in_flight}.items():
        if not 0 < value < math.inf:
            raise UsageError(f"{name} {value:g} is no number above 0")
    if not 0 <= absolute_tolerance < math.inf:
        raise UsageError(f"--absolute-tolerance {absolute_tolerance:g} is none", mend="write 0 or more")
    host, port = parse_address(listen, "--listen")
    stable, tried = Upstream(primary, timeout, LARGEST), Upstream(candidate, timeout, LARGEST)
    _distinct(stable, tried, host, port)
    counts = Counts(primary.name, candidate.name, time.time())
    apart = Apart(Tolerance(absolute_tolerance, relative_tolerance))
    made = Collector(
        stable,
        tried,
        counts,
        allowed=Allowed.of(allow_path or INFERENCE),
        share=compare,
        budget=Budget(max_rate),
        compare=apart,
        samples=Ring(samples, samples_size * MEGABYTE) if samples else None,
    )
    said = f"collecting at http://{listen} for {candidate.name}; {share(compare)} of the requests are compared with {primary.name}"
    server = Server(made, most=max_in_flight, largest=LARGEST)
    try:
        number = run_in_loop(until_signal(server, host, port, grace=grace, ready=lambda _: click.echo(said, err=True)))
    finally:
        apart.close()
    click.echo(f"ended: {counts.summary}", err=True)
    return 128 + number


def _distinct(primary: "Upstream", candidate: "Upstream", host: str, port: int) -> None:
    if primary.name == candidate.name or (primary.host, primary.port) == (candidate.host, candidate.port):
        raise UsageError("--primary and --candidate are the same version", mend="give each its own name and address")
    for version in (primary, candidate):
        if (version.host, version.port) == (host, port):
            raise UsageError(f"--listen {host}:{port} is the address of {version.name}", mend="name another port")
