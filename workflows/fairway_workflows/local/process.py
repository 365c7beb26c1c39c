"""One container as a process group of its own, from start to the last of it."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LAUNCH = str(Path(__file__).with_name("launch.py"))
ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
KEPT = 256 * 1024
"""How much of stdout is kept, in bytes: Argo's own limit for a result."""
PATIENCE = 2.0
"""Seconds to wait for the rest of an ended program's output: one that left its group may hold the other end for ever."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended. ``code`` is 128 + N for signal N; ``why`` says why it was made to end, if it was."""

    code: int
    stdout: str
    why: str = ""


def run(
    program: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    line: Callable[[str], None],
    halted: Callable[[], str],
    grace: float,
    look: float = 0.1,
) -> Ended:
    """Run ``program`` to its end, or until ``halted`` gives a reason to end it: SIGTERM, ``grace`` seconds, SIGKILL.

    ``line`` gets stderr line by line, from another thread. Must be called from the thread that waits: the system kills the
    process when the thread that started it is gone.
    """
    # -I -S: the launcher must start fast, and must not see the environment that is meant for the program.
    launcher = [sys.executable, "-I", "-S", LAUNCH, str(os.getpid()), *program]
    # Until it has a session of its own a child is in our group, and gets the signals that are meant for us: the launcher,
    # which inherits the mask, drops those. Only this thread is deaf meanwhile.
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        process = subprocess.Popen(
            launcher,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    kept: deque[bytes] = deque()
    streams = {process.stdout: _keep(kept), process.stderr: lambda raw: line(_text(raw))}
    readers = [_reader(stream, use) for stream, use in streams.items() if stream]
    try:
        why = _watched(process.pid, halted, grace, look)
    finally:
        # Not yet reaped, so the group's number is still its own: whatever the program left behind goes with it.
        with suppress(ProcessLookupError):  # it died before it had a group of its own
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    for reader in readers:
        reader.join(PATIENCE)
    return Ended(code if code >= 0 else 128 - code, b"".join(kept).decode(errors="replace"), why)


def _watched(pid: int, halted: Callable[[], str], grace: float, look: float) -> str:
    """Wait for the process to end, without reaping it; why it had to, if it had to."""
    handle = os.pidfd_open(pid)
    try:
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        while not ended.poll(look * 1000):
            if why := halted():
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGTERM)
                    if not ended.poll(grace * 1000):
                        os.killpg(pid, signal.SIGKILL)
                        ended.poll()
                return why
        return ""
    finally:
        os.close(handle)


def _reader(stream: IO[bytes], use: Callable[[bytes], None]) -> threading.Thread:
    def read() -> None:
        with stream:
            for raw in stream:
                use(raw)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _keep(kept: deque[bytes]) -> Callable[[bytes], None]:
    size = 0

    def keep(raw: bytes) -> None:
        nonlocal size
        kept.append(raw[-KEPT:])
        size += len(kept[-1])
        while size - len(kept[0]) >= KEPT:
            size -= len(kept.popleft())

    return keep


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace").rstrip("\r\n")
