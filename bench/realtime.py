"""A machine fit to measure on: scheduling in real time, so that what else runs takes no turn from client and server, and cores that stay awake."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SPIN = "import os; os.sched_setaffinity(0, {%d}); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"


def real_time(*, on: bool) -> bool:
    """Whether this process, and what it starts from now on, is scheduled before all that is not (SCHED_FIFO; root may)."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO if on else os.SCHED_OTHER, os.sched_param(1 if on else 0))
    except PermissionError:
        return False
    return on


@contextmanager
def awake() -> Iterator[None]:
    """No core sleeps meanwhile: a virtual one that has halted comes back when its host finds the time, up to milliseconds later.

    It is kept busy by a process that yields to all others (SCHED_IDLE), as `idle=poll` would on a machine of one's own.
    """
    spinners = [subprocess.Popen([sys.executable, "-c", SPIN % core]) for core in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def told(*, on: bool) -> str:
    """What the output says of it."""
    if on:
        return "scheduled in real time"
    return "may not be scheduled in real time: what else runs will show"
