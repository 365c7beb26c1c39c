"""What a run has to itself: its mutexes and its control folder, as locked files.

Argo lets the second one wait; here it is refused at once, with the holder's name, for somebody sits in front of it. The
system takes the lock back when the holder dies, however it dies.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from fairway_steps.errors import DomainError, Refused
from fairway_workflows.local.suspend import ANSWER, WAITING


@contextmanager
def held(folder: Path, names: Sequence[str], holder: str) -> Iterator[None]:
    """Hold all the mutexes ``names`` for ``holder``. Raises Refused if another run holds one of them."""
    with ExitStack() as stack:
        for name in sorted(set(names)):
            file = stack.enter_context(_open(folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock"))
            _take(file, name)
            file.seek(0)
            file.truncate()
            file.write(f"workflow {holder} (process {os.getpid()})")
            file.flush()
        yield


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.parent.stat().st_uid != os.getuid():  # somebody else's links could lead anywhere
            raise DomainError(f"folder {path.parent} belongs to another user; locks cannot be kept there")
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise DomainError(f"lock {path} cannot be opened: {error.strerror}") from error


def _take(file: IO[str], name: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        who = file.read().strip() or "another run"
        raise Refused(f"mutex {name!r} is held by {who}", mend="wait for it to end, or stop it") from error


@contextmanager
def own(control: Path) -> Iterator[None]:
    """Have the control folder for one run alone, without what a killed run left in it."""
    try:
        control.mkdir(parents=True, exist_ok=True)
        lock = (control / "run.lock").open("w", encoding="utf-8")
    except OSError as error:
        raise DomainError(f"control folder {control} cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"control folder {control} belongs to a workflow that still runs") from error
        for stale in (*control.glob(f"*{WAITING}"), *control.glob(f"*{ANSWER}")):
            stale.unlink(missing_ok=True)
        shutil.rmtree(control / "pods", ignore_errors=True)
        yield
