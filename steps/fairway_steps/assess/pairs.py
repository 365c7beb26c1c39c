"""What the candidate and the primary beside it did, window by window, as pairs of counts for the test of odds. Pure.

Error rates are compared as they are. A latency quantile q is compared where the primary's own q quantile lies: what is asked is
whether a share 1 - q of the candidate's requests takes longer than that, lengthened by the margin. Which edge of the histogram that
is, and what share of the primary's requests lies above it, its *earlier* windows tell: a choice that foresees nothing keeps the
test valid. Between two edges, harm is read at the upper one and health at the lower one, and as the primary's share there is not
1 - q, the odds that are allowed are those of 1 - q to that share: a histogram can hide a difference, and never make one up.
"""

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from fairway_steps.assess.counts import ROUNDING, over
from fairway_steps.assess.rest import Scene
from fairway_steps.model import Stratum
from fairway_steps.stats.comparison import FARTHEST
from fairway_steps.windows import Window

FIRST, RECENT = 10, 200
"""The primary's quantile is told by its last requests: so many, and at least so many, of them above it."""


@dataclass(frozen=True, slots=True)
class Count:
    """``x`` of the candidate's ``n`` requests and ``y`` of the primary's ``m`` are over their line, at ``allowed`` odds."""

    x: int
    n: int
    y: int
    m: int
    allowed: float = 1.0


@dataclass(frozen=True, slots=True)
class Pair:
    """One window. ``harm`` reads histograms in the candidate's favour, ``health`` against it; None: it cannot be read.

    ``weight`` is the candidate's, ``line`` the edge in seconds at which harm is read.
    """

    weight: int
    harm: Count | None
    health: Count | None
    line: float | None = None


def known(scene: Scene) -> list[list[Window]]:
    """The windows of both versions that are closed after each window of the scene: one still open is once it is followed."""
    found: list[list[Window]] = []
    waiting: list[Window] = []
    for window in scene.windows:
        now, waiting = waiting, []
        if scene.primary in window.strata:
            (waiting if window.is_open else now).append(window)
        found.append(now)
    return found


def of_failures(scene: Scene) -> list[list[Pair]]:
    """The pairs that became known after each window of the scene."""
    return [[_failures(*_both(scene, window)) for window in now] for now in known(scene)]


def of_quantile(scene: Scene, quantile: float, margin: float) -> list[list[Pair]]:
    """The same, of the requests slower than the primary's ``quantile``, the candidate's lengthened by ``margin``."""
    above, found = round(1 - quantile, 12), []
    memory = Memory(FIRST / above, RECENT / above)
    for now in known(scene):
        edges = memory.edges(above)
        found.append([_slower(*_both(scene, window), edges, margin) for window in now])
        memory.keep(window.strata[scene.primary] for window in now)
    return found


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge of the histogram, in seconds, and how many times the primary's odds above it are allowed."""

    at: float
    allowed: float


@dataclass(slots=True)
class Memory:
    """The primary's latest windows: ``most`` requests or a little more; with fewer than ``least`` it knows nothing."""

    least: float
    most: float
    kept: deque[Stratum] = field(default_factory=deque)
    edges_: tuple[float, ...] = ()
    counts: list[int] = field(default_factory=list)
    requests: int = 0
    errors: int = 0

    def keep(self, strata: Iterable[Stratum]) -> None:
        for stratum in strata:
            if stratum.latency is None:
                continue
            if stratum.latency.edges != self.edges_:
                self.kept.clear()
                self.edges_, self.counts = stratum.latency.edges, [0] * len(stratum.latency.edges)
                self.requests = self.errors = 0
            self._add(stratum, 1)
            self.kept.append(stratum)
            while self.requests - size(self.kept[0]) >= self.most:
                self._add(self.kept.popleft(), -1)

    def _add(self, stratum: Stratum, sign: int) -> None:
        assert stratum.latency is not None
        self.counts = [old + sign * new for old, new in zip(self.counts, stratum.latency.counts, strict=True)]
        self.requests += sign * size(stratum)
        self.errors += sign * stratum.errors

    def edges(self, above: float) -> tuple[Edge | None, Edge | None]:
        """Where harm and where health is read: the edges around the point that a share ``above`` of the requests exceeds."""
        timed = sum(self.counts)
        if not timed or self.requests < self.least:
            return None, None
        whole = min(self.requests, timed + self.errors)
        most = [min(1.0, (timed - below + self.errors) / whole) for below in accumulate(self.counts)]
        least = [max(timed - below, self.errors) / max(self.requests, timed) for below in accumulate(self.counts)]
        upper = bisect_left([-share for share in most], -above * (1 + ROUNDING))
        lower = bisect_right([-share for share in least], -above * (1 - ROUNDING)) - 1
        harm = _edge(self.edges_[upper], most[upper], above) if upper < len(most) else None
        return harm, _edge(self.edges_[lower], least[lower], above) if lower >= 0 else None


def _edge(at: float, share: float, above: float) -> Edge | None:
    if not math.isfinite(at) or not 0 < share < 1:
        return None
    allowed = above / (1 - above) / (share / (1 - share))
    return Edge(at, allowed) if 1 / FARTHEST <= allowed <= FARTHEST else None


def _both(scene: Scene, window: Window) -> tuple[Stratum, Stratum]:
    return window.strata[scene.candidate], window.strata[scene.primary]


def _failures(own: Stratum, other: Stratum) -> Pair:
    count = Count(own.errors, own.requests, other.errors, other.requests)
    return Pair(own.weight, count, count)


def _slower(own: Stratum, other: Stratum, edges: tuple[Edge | None, Edge | None], margin: float) -> Pair:
    """How many of both took longer than the edges, the candidate's lengthened by the margin; a failed request did."""
    if own.latency is None or other.latency is None:
        return Pair(own.weight, None, None)
    harm, health = edges
    read = {}
    for edge, which in ((harm, "harm"), (health, "health")):
        if edge is not None:
            mine, theirs = surely_and_perhaps(own, edge.at * (1 + margin)), surely_and_perhaps(other, edge.at)
            pair = (*mine[:2], *theirs[2:]) if which == "harm" else (*mine[2:], *theirs[:2])
            read[which] = Count(*pair, edge.allowed)
    return Pair(own.weight, read.get("harm"), read.get("health"), harm.at if harm else None)


def surely_and_perhaps(stratum: Stratum, line: float) -> tuple[int, int, int, int]:
    """At least so many of at most so many, and at most so many of at least so many requests took longer than ``line``."""
    assert stratum.latency is not None
    found, errors, requests = over(stratum.latency, line), stratum.errors, size(stratum)
    fewest = min(requests, found.total + errors)
    return max(found.least, errors), max(requests, found.total), min(fewest, found.most + errors), fewest


def size(stratum: Stratum) -> int:
    """Its requests; where a source of its own tells latencies (``metrics.combined``) those it timed."""
    return stratum.requests or (stratum.latency.total if stratum.latency else 0)
