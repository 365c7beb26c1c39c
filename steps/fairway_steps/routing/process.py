"""An Envoy as a process of this machine: find one, start it, see it ready, stop it."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fairway_steps import processes
from fairway_steps.clock import Clock
from fairway_steps.envoy_admin import BOOTSTRAP
from fairway_steps.errors import DomainError, Refused, UsageError
from fairway_steps.routing.bootstrap import addresses

OLDEST = (1, 30)
LOG_FILE = "envoy.log"
MEND = "`pip install 'fairway[demo]'` brings one"


def find_envoy(search: str | None = None) -> Path:
    """The Envoy beside this Python, else the first on ``search`` (a PATH; default: the process's own).

    Raises UsageError if there is none or it is older than ``OLDEST``.
    """
    beside = Path(sys.executable).parent / "envoy"
    found = str(beside) if search is None and beside.exists() else shutil.which("envoy", path=search)
    if found is None:
        raise UsageError("there is no Envoy on this machine", mend=MEND)
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=False)
        output = done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{found} does not run: {error}", mend=MEND) from error
    version = re.search(r"/(\d+)\.(\d+)\.\d+", output)
    if not version:
        raise UsageError(f"{found} is no Envoy that runs here", mend=MEND)
    if (int(version[1]), int(version[2])) < OLDEST:
        raise UsageError(
            f"{found} is Envoy {version[1]}.{version[2]}, too old: Fairway needs {OLDEST[0]}.{OLDEST[1]}", mend=MEND
        )
    return Path(found)


def start(folder: Path, clock: Clock, *, envoy: Path | None = None, patience: float = 20.0) -> subprocess.Popen[bytes]:
    """Start an Envoy on ``folder`` and wait until it is live; it writes its log to ``DIR/envoy.log``.

    It has a session of its own, so a Ctrl-C at the terminal does not reach it, and dies with the thread that started
    it. Raises Refused if a port is in use, DomainError if it does not come up.
    """
    binary = envoy or find_envoy()
    places = addresses(folder)
    check_free(places)
    # No shared memory to restart from: any number of Envoys can run beside each other.
    command = [
        str(binary),
        "-c",
        str(folder / BOOTSTRAP),
        "--concurrency",
        "2",
        "--disable-hot-restart",
        "--log-level",
        "warning",
    ]
    try:
        with (folder / LOG_FILE).open("ab") as log:
            process = processes.start(command, stdout=log)
    except OSError as error:
        raise UsageError(f"Envoy cannot be started on {folder}: {error.strerror}: {error.filename}") from error
    try:
        _await_live(process, folder, places, clock, patience)
    except BaseException:
        stop(process)
        raise
    return process


def check_free(places: Iterable[tuple[str, int]]) -> None:
    """Raise Refused if anything listens on one of the addresses, or nothing may."""
    for host, port in places:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise Refused(
                    f"Envoy cannot listen on {host}:{port}: {error.strerror or error}",
                    mend="end what listens there, or choose another port",
                ) from error


def stop(process: "subprocess.Popen[bytes]", patience: float = 5.0) -> None:
    """End it, by force if it does not go."""
    processes.stop(process, grace=patience)


def last_words(folder: Path, lines: int = 3) -> str:
    """The end of its log."""
    with suppress(OSError):
        text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
        return " | ".join(line.strip() for line in text.splitlines()[-lines:])
    return ""


def _await_live(
    process: "subprocess.Popen[bytes]", folder: Path, places: list[tuple[str, int]], clock: Clock, patience: float
) -> None:
    import requests  # noqa: PLC0415 - the folder can be written without it

    (host, port), *listeners = places
    deadline = clock.now() + patience
    while True:
        if process.poll() is not None:
            raise DomainError(f"Envoy ended with exit code {process.returncode}: {last_words(folder)}")
        with suppress(requests.RequestException, OSError):
            if requests.get(f"http://{_bracketed(host)}:{port}/ready", timeout=1).text.strip() == "LIVE":
                for listener in listeners:
                    socket.create_connection(listener, timeout=1).close()
                return
        if clock.now() >= deadline:
            raise DomainError(f"Envoy is not live after {patience:g} s: {last_words(folder)}")
        clock.sleep(0.05)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
