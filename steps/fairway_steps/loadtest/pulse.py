"""When a client did not run: a moment at which it was to run, and did so late, says that nothing was read since it last did in time.

Such moments are those of its plan; where they are far apart, its event loop has a beat, as long as it waits for something.
"""

import asyncio
import math
from array import array
from collections.abc import Callable

BEAT = 10_000_000
LATE = 20_000_000
"""Nanoseconds after such a moment from which on the client was held up; less is what any machine does."""


class Pulse:
    """Adds to ``pauses`` when each began and ended, by ``now`` (nanoseconds).

    A pause begins with the last such moment in time and ends with the next one in time: until then answers that came meanwhile may be read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], int], pauses: "array[int]") -> None:
        self._loop, self._now, self._pauses = loop, now, pauses
        self._last, self._paused = now(), False
        self._expected: float = math.inf
        self._planned = 0
        self._handle: asyncio.TimerHandle | None = None

    def beat(self, planned: int, now: int) -> None:
        """The client runs ``now``, and waits for something. It will again at the moment that is ``planned``; 0: none is."""
        self._notice(now)
        self._planned = planned
        if now < planned <= now + BEAT:
            self._expected = planned
            if self._handle is not None:
                self.rest()
        else:
            self.rest()
            self._expected = now + BEAT
            self._handle = self._loop.call_later(BEAT / 1e9, lambda: self.beat(self._planned, self._now()))

    def rest(self) -> None:
        """It waits for nothing, so no beat is needed."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self._expected = None, math.inf

    def missed(self, since: int) -> int:
        """For how long of the time since then the client did not run."""
        now, found = self._now(), 0
        if self._paused:
            found = now - max(self._pauses[-1], since)
        elif now - self._expected > LATE:
            found = now - max(self._last, since)
        for place in range(len(self._pauses) - 2, -1, -2):
            begin, end = self._pauses[place], self._pauses[place + 1]
            if end <= since:
                break
            found += end - max(begin, since)
        return max(0, found)

    def close(self) -> None:
        self._notice(self._now())
        self.rest()

    def _notice(self, now: int) -> None:
        late = now - self._expected > LATE
        if self._paused:
            self._pauses[-1] = now
        elif late:
            self._pauses.extend((self._last, now))
        self._last, self._paused = now, late
