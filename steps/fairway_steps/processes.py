"""Child processes that leave nothing behind: each in a session of its own, ended with its starter, stopped with grace."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def start(
    command: Sequence[str],
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int = subprocess.STDOUT,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own; the kernel ends it if the starting thread dies (prctl(2)).

    Raises OSError where the program cannot be started. Call it from the main thread: another one's end would end the child.
    """
    starter = os.getpid()

    def die_with_starter() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != starter:  # it died before the call above
            os.kill(os.getpid(), signal.SIGKILL)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        start_new_session=True,
        preexec_fn=die_with_starter,  # noqa: PLW1509 - prctl and getppid alone, safe after fork
    )


def stop(process: subprocess.Popen[bytes], *, grace: float = 10.0) -> int:
    """End a process started by ``start`` and all it started: SIGTERM, then SIGKILL after ``grace`` seconds."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
    code = process.wait()
    _signal_group(process, signal.SIGKILL)  # whatever of its session outlived it
    return code


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
