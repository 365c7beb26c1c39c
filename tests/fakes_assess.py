"""A service in miniature for tests of the assess step: traffic as a function of time, and what is seen of it."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairway_steps.errors import TransientError
from fairway_steps.metrics.base import Counters, Reading, difference
from fairway_steps.model import Histogram, Stratum
from fairway_steps.routing.base import Capabilities, Served

EDGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, math.inf)


def stratum(requests, errors=0, *, slow=0, weight=10, version="v2", start=0.0, edges=EDGES, edge=0.25, seconds=None):
    """``slow`` of the requests took longer than ``edge`` seconds, the others at most the first edge."""
    at = edges.index(edge) + 1
    counts = [0] * len(edges)
    counts[0], counts[at] = requests - slow, slow
    failures = {"http-500": errors} if errors else {}
    total = 0.005 * requests if seconds is None else seconds
    return Stratum(version, start, start + 1, weight, requests, failures, Histogram(tuple(edges), tuple(counts)), total)


@dataclass
class Version:
    """Requests per second from its source's ``zero`` on, the share that fails and the share that takes 0.4 s instead of 5 ms."""

    rate: float
    failing: float = 0.0
    slow: float = 0.0

    def counters(self, elapsed: float) -> Counters:
        requests = math.floor(self.rate * max(0.0, elapsed) + 1e-9)
        failed, slow = math.floor(requests * self.failing + 1e-9), math.floor(requests * self.slow + 1e-9)
        latency = {edge: requests if edge >= 0.4 else requests - slow for edge in EDGES}
        seconds = 0.005 * (requests - slow) + 0.4 * slow
        return Counters(requests, {"http-500": failed} if failed else {}, latency, seconds)


@dataclass
class FakeSource:
    """Cumulative counters of ``versions`` since ``zero``; ``problem`` says at which moments it is away."""

    versions: Mapping[str, Version]
    zero: float
    problem: Callable[[float], str] = lambda now: ""
    never_there: bool = False
    reads: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        self.reads.append((now, dict(weights)))
        if self.never_there:
            raise TransientError("no metrics at http://127.0.0.1:9901")
        if said := self.problem(now):
            return Reading((), cursor, problem=said)
        fresh = json.dumps({"at": now})
        if not cursor:
            return Reading((), fresh)
        before = json.loads(cursor)["at"]
        strata = tuple(
            difference(name, weights.get(name, 0), self._at(name, before), self._at(name, now), before, now)
            for name in versions
        )
        return Reading(strata, fresh)

    def _at(self, name: str, moment: float) -> Counters:
        return self.versions[name].counters(moment - self.zero)


@dataclass
class FileSource:
    """All at once, as a file of samples gives it."""

    strata: Sequence[Stratum]
    problem: str = ""

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        strata = [replace(stratum, weight=weights.get(stratum.version, 0)) for stratum in self.strata]
        return Reading(() if cursor == "file" else tuple(strata), "file", complete=True, problem=self.problem)


@dataclass
class FakeRouter:
    """The proxy's counters, from a source's versions."""

    source: FakeSource
    now: Callable[[], float]
    capabilities: Capabilities = field(default_factory=Capabilities)

    def served(self) -> Served | None:
        by = {name: self.source._at(name, self.now()).requests for name in self.source.versions}
        return Served(by, sum(by.values()), 0)
