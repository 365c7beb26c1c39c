"""Users that wait for their answers: the loop of tools that know nothing else, for comparison with them."""

import math

from fairway_steps.loadtest.client import Answer
from fairway_steps.loadtest.open_loop import OpenLoop
from fairway_steps.loadtest.plan import MAX_REQUESTS, SECOND, Closed
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Progress

UNREACHED_PAUSE = 0.02
"""Seconds that a user of a closed loop waits after a connection could not be opened."""


class ClosedLoop(OpenLoop):
    """Each of a few users sends the next request when the last one has ended."""

    records: Records

    def _begin(self) -> None:
        assert isinstance(self.records.plan, Closed)
        self._plan = self.records.plan
        self._until: float = math.inf if self._plan.warm_up else self._plan.end
        self._last = self._plan.limit
        self._measuring = False
        self._timer.set(self._zero)

    def progress(self) -> Progress:
        planned = 0 if math.isinf(self._last) else int(self._last)
        return Progress(planned, self._next, self._next - len(self._pending), self._failed)

    def _exhausted(self) -> bool:
        return self._next >= min(self._last, MAX_REQUESTS) or self._now() >= self._until

    def _due(self) -> None:
        self._timer.set(0)
        self._pulse.beat(0, self._now())
        for _ in range(self._plan.users):
            self._again()

    def _again(self) -> None:
        """A user is free."""
        try:
            if self._ended or self._exhausted():
                full = self._last > self._next >= MAX_REQUESTS  # before its time
                self.records.stopped = self.records.stopped or full
                self._ended = True
                self._account()
                self._settle()
                return
            index = self._next
            self._next += 1
            self.records.grow(now := self._now())
            if not self._measuring:
                self._warm(index, now)
            self._start(index)
        except Exception as error:  # noqa: BLE001 - see OpenLoop._due
            self.fail(error)

    def _warm(self, index: int, now: int) -> None:
        """What is to be measured counts from the end of the warm-up: the first request after it is ``index``, if ``now`` is not within it."""
        plan = self._plan
        self._measuring = index >= plan.warm_up and now >= round(plan.warm_up_seconds * SECOND)
        if not self._measuring:
            return
        if plan.warm_up:
            self._until = now + plan.end
        if plan.requests is not None:
            self._last = index + plan.requests

    def _end(self, index: int, answer: Answer, at: int = 0) -> None:
        super()._end(index, answer, at)
        if self._ended:
            return
        if answer.status == 0 and answer.error:
            self._loop.call_later(UNREACHED_PAUSE, self._again)
        else:
            self._loop.call_soon(self._again)
