"""When a client did not run: its event loop has a beat, and one that comes late says that nothing was read since the one before."""

import asyncio
from array import array
from collections.abc import Callable

BEAT = 10_000_000
LATE = 3 * BEAT
"""Nanoseconds between two beats from which on the client was held up; less is what any machine does."""


class Pulse:
    """Beats until it is closed, and adds to ``pauses`` when each began and ended, by ``now`` (nanoseconds).

    A pause begins with the last beat in time and ends with the next one in time: until then answers that came meanwhile may be read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], int], pauses: "array[int]") -> None:
        self._loop, self._now, self._pauses = loop, now, pauses
        self._last, self._paused = now(), False
        self._schedule()

    def missed(self, since: int) -> int:
        """For how long of the time since then the client did not run."""
        now, found = self._now(), 0
        if self._paused:
            found = now - max(self._pauses[-1], since)
        elif now - self._last > LATE:
            found = now - max(self._last, since)
        for place in range(len(self._pauses) - 2, -1, -2):
            begin, end = self._pauses[place], self._pauses[place + 1]
            if end <= since:
                break
            found += end - max(begin, since)
        return max(0, found)

    def close(self) -> None:
        self._handle.cancel()
        self._notice()

    def _schedule(self) -> None:
        self._handle = self._loop.call_later(BEAT / 1e9, self._beat)

    def _beat(self) -> None:
        self._notice()
        self._schedule()

    def _notice(self) -> None:
        now = self._now()
        late = now - self._last > LATE
        if self._paused:
            self._pauses[-1] = now
        elif late:
            self._pauses.extend((self._last, now))
        self._last, self._paused = now, late
