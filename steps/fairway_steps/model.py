"""The words of a release, as values: no I/O, no third party.

A *service* is what clients call (one host, one route). A *version* is one deployed model server of it: the
*primary* (stable) or a *candidate*. A *stage* is one set of weights held for a while. A *verdict* says what
happens next. All durations and latencies are seconds, all rates and shares are fractions of one, all weights
are whole percents, and all moments are Unix seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
"""What services and versions may be called: a DNS subdomain (RFC 1123), so that any back end can carry it."""


class Verdict(StrEnum):
    """What an assessment says should happen next."""

    ADVANCE = "advance"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    HOLD = "hold"


class Outcome(StrEnum):
    """How a release ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    HELD = "held"
    BROKEN = "broken"


class Result(StrEnum):
    """What the evidence says of one SLO. Only FAIL and PASS are evidence; the other two are its absence."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no-data"


class Metric(StrEnum):
    """What an SLO may limit."""

    ERROR_RATE = "error-rate"
    LATENCY = "latency"
    LATENCY_MEAN = "latency-mean"


@dataclass(frozen=True, slots=True)
class Version:
    """One deployed model server.

    ``uri`` is ``http://host:port``, or a cluster reference such as ``deployment/NAMESPACE/NAME``.
    """

    name: str
    uri: str


@dataclass(frozen=True, slots=True)
class Stage:
    """``weight`` percent of the traffic to the candidate, held for ``duration`` seconds."""

    weight: int
    duration: float


@dataclass(frozen=True, slots=True)
class Slo:
    """A limit on one metric of the candidate.

    ``limit`` is a fraction for the error rate and seconds for latencies. ``quantile`` (0 < q < 1) is set for
    ``latency`` alone: at most ``1 - quantile`` of the requests may take longer than ``limit``. With fewer than
    ``min_requests`` observed requests there is no verdict but hold.
    """

    metric: Metric
    limit: float
    quantile: float | None = None
    min_requests: int = 50


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """Requests whose header ``name`` equals ``value`` go to ``version``, whatever the weights."""

    name: str
    value: str
    version: str


@dataclass(frozen=True, slots=True)
class Mirror:
    """``percent`` of the requests are copied to ``version``; its answers reach nobody."""

    version: str
    percent: int


@dataclass(frozen=True, slots=True)
class Stickiness:
    """The same user keeps the same version: users are told apart by a ``cookie`` or a ``header`` (one of the two)."""

    cookie: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Routes:
    """How one service's traffic meets its versions: everything a route back end may have to carry, as one value.

    ``weights`` maps the names of the versions that get traffic to whole percents: each at least 1, together 100.
    A version at 0 is not in the map, for weight 0 is not off in every gateway.
    """

    weights: Mapping[str, int]
    matches: tuple[HeaderMatch, ...] = ()
    mirror: Mirror | None = None
    sticky: Stickiness | None = None

    def versions(self) -> frozenset[str]:
        """The names of all versions that get a request of any kind."""
        named = set(self.weights) | {match.version for match in self.matches}
        return frozenset(named | ({self.mirror.version} if self.mirror else set()))


@dataclass(frozen=True, slots=True)
class Histogram:
    """Latency counts between edges.

    ``edges`` are upper bounds in seconds, rising; ``counts[i]`` is the number of observations at or below
    ``edges[i]`` and above the edge before (not cumulative). The last edge is ``inf``.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Stratum:
    """What one version did between two looks at one weight: whole counts, the unit of all evidence.

    ``failures`` maps the class of each failed request (``http-500``, ``connect``, …) to its count. ``seconds`` is
    the sum of all latencies that ``latency`` counts. A source that cannot tell latencies leaves both empty.
    """

    version: str
    start: float
    end: float
    weight: int
    requests: int
    failures: Mapping[str, int] = field(default_factory=dict)
    latency: Histogram | None = None
    seconds: float = 0.0

    @property
    def errors(self) -> int:
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the data say of one SLO, and why.

    ``observed`` is in the unit of the limit, None without data. ``exceeded`` of ``requests`` broke the limit.
    ``low`` and ``high`` bound the true exceedance rate (95 %, valid at any look). ``log_e`` is the natural
    logarithm of the e-value against "the limit is met". ``missing`` requests are still needed for a verdict.
    """

    slo: Slo
    result: Result
    sentence: str
    requests: int = 0
    exceeded: int = 0
    observed: float | None = None
    low: float | None = None
    high: float | None = None
    log_e: float = 0.0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Assessment:
    """A verdict on the candidate, with the evidence for each SLO and one sentence for a person."""

    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...] = ()
