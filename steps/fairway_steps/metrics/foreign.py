"""Another load tester's file as a metric source: what it counted is taken, what it left out is never made up."""

import logging
from collections.abc import Mapping, Sequence

from fairway_steps.loadtest.adapters.foreign import Foreign, cells, edges
from fairway_steps.loadtest.adapters.registry import open_foreign, parse
from fairway_steps.loadtest.client import CANCELLED
from fairway_steps.metrics.base import Reading, untold
from fairway_steps.metrics.samples import EDGES
from fairway_steps.model import Histogram, Stratum

logger = logging.getLogger("fairway_steps")


class ForeignSource:
    """The run in ``uri``, ``TOOL:PATH``, which was of one version.

    ``limits`` are the SLOs' latencies in seconds: each is an edge of the histograms, and a file that cannot tell how many
    requests were over one of them is refused. ``version`` (``#version=NAME`` in the URI) is the one that was tested; without
    it, the only one asked for.
    Strata are one a second where every request is known, and one for the run where not.
    """

    def __init__(self, uri: str, limits: Sequence[float] = (), version: str = "") -> None:
        self._uri, self._limits = uri, tuple(limits)
        self._version = version or parse(uri)[2].get("version", "")
        self._run: Foreign | None = None

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        """All strata at once; none if ``cursor`` says that this run has been read.

        Raises UsageError for a file that is none, or a limit that it cannot tell the count of.
        """
        del now
        run = self._open()
        identity = f"{run.tool}:{run.started!r}:{run.requests}"
        if cursor == identity:
            return Reading((), identity, complete=True)
        version = self._version or (versions[0] if len(versions) == 1 else "")
        if version not in versions:
            what = f"it tested {version!r}" if version else "say which version it tested (#version=NAME)"
            return Reading((), cursor, complete=True, problem=f"{self._uri} does not tell versions apart: {what}")
        if run.limited:
            problem = f"the load test was limited by its own client, so it is evidence of nothing: {run.limited}"
            return Reading((), identity, complete=True, problem=problem)
        blind = run.rows is None and not run.buckets and run.successes > 0
        known = (
            () if blind and not self._limits else tuple(sorted({*(EDGES if run.exact else edges(run)), *self._limits}))
        )
        strata = tuple(
            Stratum(
                version=version,
                start=start,
                end=end,
                weight=weights.get(version, 0),
                requests=requests,
                failures=failures,
                latency=Histogram((*known, float("inf")), tuple(counts)) if known else None,
                seconds=spent,
            )
            for start, end, requests, failures, counts, spent in cells(run, known, self._limits)
        )
        if run.rows is None and known:
            cut = run.failures.get(CANCELLED, 0)
            strata += untold(version, run.started, run.started + max(run.seconds, 1.0), weights.get(version, 0), cut)
        return Reading(strata, identity, complete=True)

    def _open(self) -> Foreign:
        if self._run is None:
            self._run = open_foreign(self._uri)
            if not self._run.corrected:
                logger.warning(
                    "%s counts latencies from the sending, not from the moment a request was due: "
                    "what requests waited for their turn is not in them",
                    self._run.tool,
                )
        return self._run
