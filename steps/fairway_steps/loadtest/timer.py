"""An alarm of the event loop that is late by tens of microseconds, not by a millisecond.

The loop's own timers wait in epoll, which counts whole milliseconds. A timerfd (Linux, ``timerfd_create(2)``) counts
nanoseconds and wakes the loop like any readable file; Python has it in ``os`` from 3.13 on, before that it is a call
into the C library. Where there is none, the loop's timers must do.
"""

import asyncio
import ctypes
import os
import struct
import sys
import time
from collections.abc import Callable
from typing import Protocol

SECOND = 1_000_000_000
_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class Timer(Protocol):
    """Calls back once, at or after the moment it was last set to; never before."""

    def set(self, at: int) -> None:
        """Be due at ``at``, nanoseconds of ``time.monotonic_ns``; 0 is never."""

    def close(self) -> None:
        """Never call back again."""


def timer(loop: asyncio.AbstractEventLoop, due: Callable[[], None]) -> Timer:
    """The best timer this machine has. ``due`` must set it anew."""
    return _TimerFd(loop, due) if sys.platform == "linux" else _LoopTimer(loop, due)


_SPEC = struct.Struct("@llll")
"""``struct itimerspec``: an interval (none here) and a first expiry, each seconds and nanoseconds."""


class _TimerFd:
    """The file is never read: setting the time anew takes back that it was readable.

    It is set once a request, and never waits: to let other threads run meanwhile (``CDLL``) would take twice as long.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[], None]) -> None:
        self._loop = loop
        libc = ctypes.PyDLL(None, use_errno=True)
        self._fd = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._settime = ctypes.PyDLL(None).timerfd_settime
        self._spec = ctypes.create_string_buffer(_SPEC.size)
        loop.add_reader(self._fd, due)

    def set(self, at: int) -> None:
        _SPEC.pack_into(self._spec, 0, 0, 0, at // SECOND, at % SECOND)
        self._settime(self._fd, _ABSOLUTE, self._spec, None)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class _LoopTimer:
    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[], None]) -> None:
        self._loop, self._due = loop, due
        self._at = 0
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: int) -> None:
        self.close()
        if at:
            self._at = at
            self._handle = self._loop.call_later(max(0.0, (at - time.monotonic_ns()) / SECOND), self._wake)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _wake(self) -> None:
        if time.monotonic_ns() < self._at:  # a loop may wake a little early
            self.set(self._at)
        else:
            self._due()
