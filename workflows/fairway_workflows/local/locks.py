"""What a run has to itself: its mutexes and its control folder, as locked files that are gone when the run is.

Argo lets the second one wait; here it is refused at once, with the holder's name, for somebody sits in front of it. The
system takes the lock back when the holder dies, however it dies.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from fairway_steps.errors import DomainError, Refused
from fairway_workflows.local.suspend import ANSWER, WAITING

ATTEMPTS = 100
"""How often a folder is made anew that another holder removes as it ends; one that cannot be made is gone each time."""


@contextmanager
def held(folder: Path, names: Sequence[str], holder: str) -> Iterator[None]:
    """Hold all the mutexes ``names`` for ``holder``. Raises Refused if another run holds one of them."""
    with ExitStack() as stack:
        for name in sorted(set(names)):
            path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock"
            stack.enter_context(_locked(path, holder, f"mutex {name!r}"))
        yield


@contextmanager
def own(control: Path) -> Iterator[None]:
    """Have the control folder for one run alone, without what a killed run left in it; it is removed at the end."""
    with _locked(control / "run.lock", "this one", f"control folder {control}"):
        _clear(control)
        yield
        _clear(control)


def _clear(control: Path) -> None:
    for stale in (*control.glob(f"*{WAITING}"), *control.glob(f"*{ANSWER}")):
        stale.unlink(missing_ok=True)
    shutil.rmtree(control / "pods", ignore_errors=True)


@contextmanager
def _locked(path: Path, holder: str, what: str) -> Iterator[None]:
    """Hold a file, which says by whom; it and its folder, if nothing else is in there, go with the holder."""
    file = _take(path, what)
    try:
        _sign(file, path, f"workflow {holder} (process {os.getpid()})")
        yield
    finally:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()
        with suppress(OSError):  # a full disk once more: what could not be written is still in its buffer
            file.close()


def _sign(file: IO[str], path: Path, text: str) -> None:
    try:
        file.seek(0)
        file.truncate()
        file.write(text)
        file.flush()
    except OSError as error:
        raise DomainError(f"{path} cannot be written: {error.strerror}") from error


def _take(path: Path, what: str) -> IO[str]:
    while True:
        file = _open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            who = file.read().strip() or "another run"
            file.close()
            raise Refused(f"{what} is held by {who}", mend="wait for it to end, or stop it") from error
        if _is(path, file):
            return file
        file.close()  # its holder has just ended and removed it: this lock is of a file that nobody else will find


def _open(path: Path) -> IO[str]:
    for _ in range(ATTEMPTS):
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.parent.stat().st_uid != os.getuid():  # somebody else's links could lead anywhere
                raise DomainError(f"folder {path.parent} belongs to another user; locks cannot be kept there")
            return path.open("a+", encoding="utf-8")
        except FileNotFoundError:
            continue  # the folder was removed in between
        except OSError as error:
            raise DomainError(f"{path} cannot be written: {error.strerror}") from error
    raise DomainError(f"{path} cannot be written: its folder cannot be made, or is removed again and again")


def _is(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
