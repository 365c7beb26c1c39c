"""The demo: put two model servers and an Envoy in place, write a release file, and run it as anybody would."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairway_steps.clock import Clock
from fairway_steps.config import load_release
from fairway_steps.errors import UsageError
from fairway_steps.model import Version
from fairway_steps.routing import process
from fairway_steps.routing.bootstrap import write_folder
from fairway_workflows.console import Console
from fairway_workflows.demo.servers import await_primary, free_ports, model_servers
from fairway_workflows.local import Signals
from fairway_workflows.run import Ending, run_release

SERVICE = MODEL = "digits"
MOST = 500
"""Requests per second that two model servers and their client can do on a small machine."""
READY_WITHIN = {"never-ready": "20s"}
PAYLOAD = json.dumps(
    {"inputs": [{"name": "pixels", "shape": [1, 64], "datatype": "FP64", "data": [float(i % 17) for i in range(64)]}]}
)
RELEASE = """\
# Written by `fairway demo`: what it released, in the form that `fairway run` takes.
service: {service}
route: envoy:{route}
primary: v1={primary}
candidate: v2={candidate}
stages:
  - {{weight: 10, duration: 12s}}
  - {{weight: 25, duration: 10s}}
  - {{weight: 50, duration: 10s}}
slos:
  - {{metric: error-rate, limit: 1%}}
  - {{metric: latency, quantile: p95, limit: 1s}}
inference:
  model: {service}
  payload: '{payload}'
ready: {{timeout: {ready}}}
record: file:{folder}/record.json
report: {folder}/report.html
traffic:
  url: http://127.0.0.1:{port}
  path: /v2/models/{service}/infer
  rate: {rate}
  payload: '{payload}'
"""


def play(
    folder: Path, *, candidate: str, port: int | None, rate: float, console: Console, clock: Clock, signals: Signals
) -> Ending:
    """Play the whole demo in ``folder``; nothing it started is left when it returns or raises."""
    folder = folder.absolute()
    if not 0 < rate <= MOST:
        raise UsageError(f"--rate {rate:g} is not above 0 and at most {MOST} requests per second")
    if port is not None and not 0 < port < 65536:
        raise UsageError(f"--port {port} is not between 1 and 65535")
    process.find_envoy()
    if port is not None:
        process.check_free([("127.0.0.1", port)])
    _prepare(folder)
    front, admin, first, second = free_ports(4)
    front = port or front
    ports = {"v1": first, "v2": second}
    console.say(f"starting two versions of a real model (KServe's server): v1 good, v2 {candidate}")
    with model_servers(folder, {"v1": "good", "v2": candidate}, ports) as versions:
        took = await_primary(versions["v1"], MODEL, clock, folder / "v1.log")
        console.say(
            f"v1 is ready after {took:.1f} s; starting Envoy at http://127.0.0.1:{front}, users send {rate:g} requests/s"
        )
        with _envoy(folder / "route", versions["v1"], front, admin, clock):
            path = _write_release(folder, versions, front, rate, READY_WITHIN.get(candidate, "90s"))
            return run_release(
                load_release(path), resume=False, console=console, clock=clock, ask=None, folder=folder, signals=signals
            )


@contextmanager
def _envoy(folder: Path, primary: Version, listen: int, admin: int, clock: Clock) -> Iterator[None]:
    write_folder(folder, SERVICE, primary, f"127.0.0.1:{listen}", f"127.0.0.1:{admin}")
    proxy = process.start(folder, clock)
    try:
        yield
    finally:
        process.stop(proxy)


def _prepare(folder: Path) -> None:
    """An empty place to play in; what an earlier demo left there is removed, anything else is left alone."""
    ours = ("release.yaml", "record.json", "report.html", "client.json", "client.npz", "client.log", "v1.log", "v2.log")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", mend="name a folder with --dir")
    if folder.exists() and any(folder.iterdir()) and not _is_ours(folder / "release.yaml"):
        raise UsageError(f"{folder} holds something that is no demo", mend="name another --dir")
    try:
        (folder / "route").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}", mend="name a folder with --dir") from error
    for name in ours:
        (folder / name).unlink(missing_ok=True)
    for path in (folder / "route").rglob("*"):
        if path.is_file():
            path.unlink()


def _is_ours(release: Path) -> bool:
    """Whether a demo wrote this release file: a user's own, of the same name, must never be taken for one."""
    try:
        return release.read_text(encoding="utf-8").startswith(RELEASE.splitlines()[0])
    except (OSError, UnicodeDecodeError):
        return False


def _write_release(folder: Path, versions: dict[str, Version], port: int, rate: float, ready: str) -> Path:
    path = folder / "release.yaml"
    text = RELEASE.format(
        service=SERVICE,
        route=folder / "route",
        primary=versions["v1"].uri,
        candidate=versions["v2"].uri,
        payload=PAYLOAD,
        ready=ready,
        folder=folder,
        port=port,
        rate=rate,
    )
    path.write_text(text, encoding="utf-8")
    return path
