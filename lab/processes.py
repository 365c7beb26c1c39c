"""The lab's own processes: started in its network namespace, remembered by pid and start time, ended by those alone."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.places import STATE, netns_path
from lab.progress import LabError

PIDS = STATE / "pids"
LOGS = STATE / "logs"
NICENESS = -4
"""Each weighs as two or three processes (sched(7)), all pods as twenty: else Prometheus would miss its scrapes beside them."""


def inside(*command: str) -> list[str]:
    """The command, in the lab's network namespace. Not by `ip netns exec`: that hides the cgroup mounts."""
    return ["nsenter", f"--net={netns_path()}", *command]


def start(name: str, command: list[str], env: Mapping[str, str] | None = None) -> None:
    """Start a process that outlives us, with its output in ``LOGS``."""
    PIDS.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    words, log = ["nice", "-n", str(NICENESS), *inside(*command)], str(LOGS / f"{name}.log")
    pid = os.posix_spawnp(
        words[0],
        words,
        os.environ | dict(env or {}),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            *((os.POSIX_SPAWN_CLOSE, inherited) for inherited in _inherited()),
        ],
        setsid=True,
    )
    (PIDS / name).write_text(f"{pid} {_born(pid)}\n", encoding="utf-8")


def _inherited() -> list[int]:
    """Files that whoever called us left open: a lock among them would be held as long as the lab lives."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        file = int(path.name)
        with contextlib.suppress(OSError):  # the listing's own, closed since
            if file > 2 and os.get_inheritable(file):
                found.append(file)
    return found


def known() -> dict[str, bool]:
    """Every process that was started and not ended by us, and whether it lives."""
    if not PIDS.exists():
        return {}
    return {path.name: _pid(path) is not None for path in sorted(PIDS.iterdir())}


def end(name: str, patience: float = 10) -> None:
    """Ask it to end, then make it; what is not ours any more is left alone."""
    path = PIDS / name
    if (pid := _pid(path)) is not None:
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: _pid(path) is None, patience):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: _pid(path) is None, 5)
    path.unlink(missing_ok=True)


def await_(name: str, ready: Callable[[], bool], patience: float = 60) -> None:
    """Wait until it is ready. Raises LabError with its last words if it ends, or takes too long."""
    path = PIDS / name
    wait_until(lambda: ready() or _pid(path) is None, patience, every=0.2)
    if not (_pid(path) is not None and ready()):
        log = (LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        how = f"is not ready after {patience:g} s" if _pid(path) is not None else "has ended"
        raise LabError(f"{name} {how}; the end of {LOGS / name}.log:\n" + "\n".join(log[-12:]))


def wait_until(condition: Callable[[], bool], patience: float, every: float = 0.05) -> bool:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def run(*command: str, env: Mapping[str, str] | None = None, text: str = "", timeout: float = 600) -> str:
    """Run a command outside the namespace to its end. Raises LabError with its last words."""
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        env=os.environ | dict(env or {}),
        check=False,
        timeout=timeout,
    )
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise LabError(f"`{' '.join(command)[:300]}` failed:\n{last}")
    return done.stdout


def _pid(path: Path) -> int | None:
    """The pid remembered there, if that very process still runs. Children of ours are reaped here."""
    try:
        pid, born = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    with contextlib.suppress(ChildProcessError):
        os.waitpid(int(pid), os.WNOHANG)
    return int(pid) if _born(int(pid)) == born else None


def _born(pid: int) -> str:
    """When it started, in ticks since boot; empty if it is gone, or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
