"""The processes of the demo: two model servers, Envoy in front, each on a free loopback port, all gone at the end."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from fairway_steps import processes
from fairway_steps.clock import Clock
from fairway_steps.errors import DomainError
from fairway_steps.model import Version
from fairway_steps.ready import HttpProbe, wait_for_ready

STARTED_WITHIN = 90.0


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def model_servers(folder: Path, behave: dict[str, str], ports: dict[str, int]) -> Iterator[dict[str, Version]]:
    """Start a model server for each version in ``behave``; their logs go to ``folder``."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        for (name, how), grpc_port in zip(behave.items(), free_ports(len(behave)), strict=True):
            with (folder / f"{name}.log").open("wb") as log:
                command = [
                    sys.executable,
                    "-m",
                    "fairway_workflows.demo.model_server",
                    "--version",
                    name,
                    "--behave",
                    how,
                ]
                started.append(
                    processes.start(
                        [*command, "--http_port", str(ports[name]), "--grpc_port", str(grpc_port)], stdout=log
                    )
                )
        yield {name: Version(name, f"http://127.0.0.1:{ports[name]}") for name in behave}
    finally:
        for process in started:
            processes.stop(process, grace=3.0)


def await_primary(version: Version, model: str, clock: Clock, log: Path) -> float:
    """Wait until the primary serves its model: before that there are no users to lose. Returns the seconds it took."""
    with requests.Session() as session:
        try:
            return wait_for_ready([version], HttpProbe(session, model), clock, timeout=STARTED_WITHIN, interval=0.2)[
                version.name
            ]
        except DomainError as error:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise DomainError(
                f"the demo's primary did not start: {error.message}", mend=f"its log ends: {tail}"
            ) from error
