"""What versions have served so far, by a source of metrics: how the split at a gateway is measured that counts nothing itself.

It measures what a route does and never stands in its way: a step that gives users back may run where the metrics cannot be had.
"""

import logging
import math
from collections.abc import Callable, Sequence

from fairway_steps.clock import Clock
from fairway_steps.errors import FairwayError
from fairway_steps.metrics.base import MetricSource
from fairway_steps.routing.base import Served

LOG = logging.getLogger(__name__)


class Counting:
    """Counts from the first call on, which opens the source.

    While that cannot be opened or is away they stand still, and nothing follows from that (``every`` is infinite).
    """

    def __init__(self, opened: Callable[[], MetricSource], versions: Sequence[str], clock: Clock) -> None:
        self._open, self._versions, self._clock = opened, tuple(versions), clock
        self._source: MetricSource | None = None
        self._trouble = ""
        self._cursor, self._counts = "", dict.fromkeys(self._versions, 0)

    def __call__(self) -> Served | None:
        try:
            self._source = self._source or self._open()
            reading = self._source.read(self._versions, {}, self._cursor, self._clock.now())
        except FairwayError as error:
            return self._away(error.message)
        if reading.complete:
            return None
        if reading.problem:
            return self._away(reading.problem)
        self._cursor = reading.cursor
        for stratum in reading.strata:
            self._counts[stratum.version] = self._counts.get(stratum.version, 0) + stratum.requests
        return self._served(reading.every)

    def _away(self, trouble: str) -> Served:
        if trouble != self._trouble:
            LOG.warning("where requests go is not counted: %s", trouble)
        self._trouble = trouble
        return self._served(math.inf)

    def _served(self, every: float) -> Served:
        return Served(dict(self._counts), sum(self._counts.values()), 0, lasting=False, every=every)
