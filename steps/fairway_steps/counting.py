"""What versions have served so far, by a source of metrics: how the split at a gateway is measured that counts nothing itself."""

import math
from collections.abc import Sequence

from fairway_steps.clock import Clock
from fairway_steps.errors import TransientError
from fairway_steps.metrics.base import MetricSource
from fairway_steps.routing.base import Served


class Counting:
    """Counts from the first call on. While a source is away they stand still, and nothing follows from that (``every`` is infinite)."""

    def __init__(self, source: MetricSource, versions: Sequence[str], clock: Clock) -> None:
        self._source, self._versions, self._clock = source, tuple(versions), clock
        self._cursor, self._counts = "", dict.fromkeys(self._versions, 0)

    def __call__(self) -> Served | None:
        try:
            reading = self._source.read(self._versions, {}, self._cursor, self._clock.now())
        except TransientError:
            return self._served(math.inf)
        if reading.complete:
            return None
        if reading.problem:
            return self._served(math.inf)
        self._cursor = reading.cursor
        for stratum in reading.strata:
            self._counts[stratum.version] = self._counts.get(stratum.version, 0) + stratum.requests
        return self._served(reading.every)

    def _served(self, every: float) -> Served:
        return Served(dict(self._counts), sum(self._counts.values()), 0, lasting=False, every=every)
