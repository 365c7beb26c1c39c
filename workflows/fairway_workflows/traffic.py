"""The synthetic client of a release: the load test, sent through the proxy for as long as the release lasts.

It is a process of its own, so that what it measures is not what the runner does meanwhile.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fairway_steps import processes
from fairway_steps.config import ReleaseSpec, Traffic
from fairway_steps.config.spec import patience_for
from fairway_steps.errors import DomainError, FairwayError
from fairway_steps.report.counts import ClientCount

MOST_REQUESTS = 2_000_000
GRACE = 30.0
UNLIMITED = 86_400.0
"""Seconds for which a client goes on where a person has no limit of time."""
NOBODY = "no version"
"""To whom a failure is put down that no version had a part in."""


@dataclass(slots=True)
class Client:
    """A running client; once it was stopped there is its ``count``, or a ``problem`` that says why there is none."""

    samples: Path
    count: ClientCount | None = field(default=None)
    problem: str = ""


@contextmanager
def client(traffic: Traffic, *, lasting: float, folder: Path) -> Iterator[Client]:
    """Send traffic while the body runs, for ``lasting`` seconds at most; then read what the client saw."""
    folder.mkdir(parents=True, exist_ok=True)
    samples, log = folder / "client.npz", folder / "client.log"
    samples.unlink(missing_ok=True)
    with log.open("wb") as written:
        process = _start(traffic, min(lasting, MOST_REQUESTS / traffic.rate), samples, written)
        running = Client(samples)
        try:
            yield running
        finally:
            processes.stop(process, grace=GRACE)
    try:
        running.count = _count(samples, log)
    except FairwayError as error:  # how the release ended stands, counted or not
        running.problem = error.message


def longest(spec: ReleaseSpec) -> float:
    """How long a release may last at most, in seconds."""
    ramp = sum(stage.duration + patience_for(stage, spec.patience) for stage in spec.stages)
    asked = UNLIMITED if spec.hold_timeout is None else spec.hold_timeout * (len(spec.stages) + 2)
    return spec.ready_timeout + ramp + asked + 120.0


def _start(traffic: Traffic, lasting: float, samples: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "fairway_steps", "load-test", "--url", traffic.url.rstrip("/") + traffic.path),
        *("--rate", str(traffic.rate), "--duration", f"{lasting:.0f}s", "--samples", str(samples)),
        *("--arrivals", "poisson" if traffic.poisson else "constant", "--timeout", f"{traffic.timeout}s"),
    ]
    for name, value in traffic.headers.items():
        command += ["--header", f"{name}: {value}"]
    if traffic.payload:
        body = samples.with_name("payload.json")
        body.write_text(traffic.payload, encoding="utf-8")
        command += ["--payload-file", str(body)]
    return processes.start(command, stdout=log)


def _count(samples: Path, log: Path) -> ClientCount:
    from fairway_steps.loadtest.samples import read  # noqa: PLC0415 - numpy only where there is traffic to count

    if not samples.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() or ["it said nothing"]
        raise DomainError(f"the client left no record: {lines[-1]}")
    result = read(samples)
    failed = {version or NOBODY: dict(classes) for version, classes in result.failures_by_version.items()}
    # What was under way when we stopped says nothing of anybody: it is left out.
    cancelled = sum(classes.pop("cancelled", 0) for classes in failed.values())
    lost = result.lost if result.lost is not None else result.unanswered
    return ClientCount(len(result) - cancelled, {v: c for v, c in failed.items() if c}, lost)
