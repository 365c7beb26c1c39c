"""Scheduling in real time, for measuring on a machine that has other work: what else runs takes no turn from client and server."""

import os


def real_time(*, on: bool) -> bool:
    """Whether this process, and what it starts from now on, is scheduled before all that is not (SCHED_FIFO; root may)."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO if on else os.SCHED_OTHER, os.sched_param(1 if on else 0))
    except PermissionError:
        return False
    return on


def told(*, on: bool) -> str:
    """What the output says of it."""
    if on:
        return "scheduled in real time"
    return "may not be scheduled in real time: what else runs will show"
