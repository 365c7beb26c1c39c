"""The words of a release, as values: no I/O, no third party.

A *service* is what clients call (one host, one route). A *version* is one deployed model server of it: the
*primary* (stable) or a *candidate*. A *stage* is one set of weights held for a while. A *verdict* says what
happens next. All durations and latencies are seconds, all rates and shares are fractions of one, all weights
are whole percents, and all moments are Unix seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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


class Policy(StrEnum):
    """What becomes of a version that has lost its traffic."""

    KEEP = "keep"
    SCALE = "scale"
    DELETE = "delete"


class Promotion(StrEnum):
    """Which workload is the stable one after a promotion: the candidate's where it stands, or the primary's own.

    With ``copy`` the primary takes over what the candidate runs, and gets the traffic back once it is ready.
    """

    ROUTE = "route"
    COPY = "copy"


class Result(StrEnum):
    """What the evidence says of one SLO. Only FAIL and PASS are evidence; the other two are its absence."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no-data"


class Doubt(StrEnum):
    """Why evidence is inconclusive: too FEW requests, BUCKETS too far apart, UNPROVABLE by any number, half a proof of HARM, no PROOF of health.

    OVER is a value over its limit without as much as half a proof: mode GUARD goes on.
    """

    FEW = "few"
    BUCKETS = "buckets"
    UNPROVABLE = "unprovable"
    HARM = "harm"
    PROOF = "proof"
    OVER = "over"

    @property
    def is_lack(self) -> bool:
        """Whether what there was could not answer the question, whatever it said: a lack of evidence, which never promotes."""
        return self in (Doubt.FEW, Doubt.BUCKETS, Doubt.UNPROVABLE)


class Direction(StrEnum):
    """Which way a metric is better."""

    LOWER = "lower"
    HIGHER = "higher"


class Metric(StrEnum):
    """What an SLO may limit."""

    ERROR_RATE = "error-rate"
    SUCCESS_RATE = "success-rate"
    LATENCY = "latency"
    LATENCY_MEAN = "latency-mean"
    DIFFERENCE_RATE = "difference-rate"
    REWARD = "reward"
    SERIES = "series"

    @property
    def direction(self) -> Direction:
        """What an SLO takes that says none."""
        return Direction.HIGHER if self in (Metric.SUCCESS_RATE, Metric.REWARD) else Direction.LOWER

    @property
    def is_share(self) -> bool:
        """Whether its values are shares, of requests or of comparisons."""
        return self in (Metric.ERROR_RATE, Metric.SUCCESS_RATE, Metric.DIFFERENCE_RATE)

    @property
    def is_time(self) -> bool:
        """Whether its values are seconds; a reward and a series have units of their own."""
        return self in (Metric.LATENCY, Metric.LATENCY_MEAN)

    @property
    def witness(self) -> str:
        """What is counted for it, in a word."""
        other = {Metric.DIFFERENCE_RATE: "comparison", Metric.REWARD: "user", Metric.SERIES: "value"}
        return other.get(self, "request")


class Unit(StrEnum):
    """What is one witness: each REQUEST, or each STRATUM of time, where requests fail in bursts; of a reward each USER."""

    REQUEST = "request"
    STRATUM = "stratum"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Knobs:
    """How two series are compared by ranks: the settings of Kayenta's judge, with its defaults (``stats.mann_whitney``).

    A change counts if its interval lies beyond ``tolerance`` times its estimate, and its ``effect`` (``mean-ratio`` or ``cles``) beyond
    ``allowed_increase`` or ``allowed_decrease``; it is harm, and no doubt, if that lies beyond the ``critical_`` ones, too.
    """

    confidence: float = 0.98
    tolerance: float = 0.25
    effect: str = "mean-ratio"
    allowed_increase: float | None = None
    allowed_decrease: float | None = None
    critical_increase: float | None = None
    critical_decrease: float | None = None
    replace_missing: bool = False
    remove_outliers: bool = False
    outlier_factor: float = 3.0


class Mode(StrEnum):
    """What a promotion needs: GUARD, no evidence of harm; PROVE, evidence of health."""

    GUARD = "guard"
    PROVE = "prove"


@dataclass(frozen=True, slots=True)
class Version:
    """One deployed model server.

    ``uri`` is ``http://host:port``, or a cluster reference such as ``deployment/NAMESPACE/NAME``.
    """

    name: str
    uri: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One way in which traffic meets the candidate, held for ``duration`` seconds.

    ``weight`` percent of the traffic goes to it. Before its first weight it may have the requests of testers alone, those with
    a ``header`` (``NAME=VALUE``), or copies of ``mirror`` percent of the requests, whose answers reach nobody: its weight
    is then 0. Copies go ``through`` a collector (its URI) in front of the candidate, if there is one. In an A/B/n split each of
    several candidates has its own share in ``weights``, and ``weight`` is what they have together.
    """

    weight: int
    duration: float
    header: str = ""
    mirror: int = 0
    through: str = ""
    weights: Mapping[str, int] = field(default_factory=dict)

    @property
    def how(self) -> str:
        """As it is written in a schedule: ``10``, ``v2=30+v3=30``, ``header:NAME=VALUE``, ``mirror:30``, ``mirror:30:http://HOST:PORT``."""
        if self.weights:
            return "+".join(f"{name}={weight}" for name, weight in self.weights.items())
        if self.header:
            return f"header:{self.header}"
        through = f":{self.through}" if self.through else ""
        return f"mirror:{self.mirror}{through}" if self.mirror else str(self.weight)

    @property
    def label(self) -> str:
        """As a person reads it: ``10 %``, ``v2 30 %, v3 30 %``, ``header NAME=VALUE``, ``mirror 30 %``."""
        if self.weights:
            return ", ".join(f"{name} {weight} %" for name, weight in self.weights.items())
        if self.header:
            return f"header {self.header}"
        return f"mirror {self.mirror} %" if self.mirror else f"{self.weight} %"

    @property
    def share(self) -> float:
        """The part of the traffic that the candidate sees, of several the one with the least; 0 where testers decide."""
        return (min(self.weights.values(), default=0) or self.weight or self.mirror) / 100


@dataclass(frozen=True, slots=True)
class Slo:
    """A limit on one metric of the candidate.

    ``limit`` is a fraction for rates and seconds for latencies: the most, or for ``success-rate`` the least, that keeps
    the SLO. If it is ``relative``, it is a margin instead, a fraction: the candidate may be so much worse than the primary
    at the same time (in odds of a failure, or in latency). ``quantile`` (0 < q < 1) is set for ``latency`` alone: at most
    ``1 - quantile`` of the requests may take longer than ``limit``. With fewer than ``min_requests`` observed requests in
    a stage there is no verdict but hold, nor is there at a release's end with fewer than ``min_in_all`` of all its stages. A
    ``critical`` SLO is also judged alone, and not only with the others, among which it has its ``weight``. With the ``unit`` STRATUM each window of time counts once, by its own share.

    The mean ``reward`` of a user has a margin, a fraction of the primary's, and a ``direction`` in which it is better. A ``series`` is the one
    called ``of``, compared by ``knobs``; without a ``direction`` neither way is. A ``latency`` may be ``of`` another one than the request's.
    No request takes longer than ``timeout`` seconds: without one, no number of them proves that a ``latency-mean`` is kept.
    """

    metric: Metric
    limit: float
    quantile: float | None = None
    min_requests: int = 50
    relative: bool = False
    critical: bool = False
    weight: float = 1.0
    unit: Unit = Unit.REQUEST
    of: str = ""
    direction: Direction | None = None
    knobs: Knobs | None = None
    min_in_all: int = 0
    timeout: float | None = None

    @property
    def better(self) -> Direction:
        return self.direction or self.metric.direction

    @property
    def alone(self) -> bool:
        """Whether a load test of one version tells it: a limit on its requests' errors or latencies."""
        told = (Metric.ERROR_RATE, Metric.SUCCESS_RATE, Metric.LATENCY, Metric.LATENCY_MEAN)
        return self.metric in told and not (self.relative or self.of)

    @property
    def one_look(self) -> bool:
        """Whether it is judged at the end of a stage alone: no risk holds for repeated looks at it."""
        return self.metric is Metric.SERIES

    @property
    def allowed(self) -> float:
        """The share of requests (or comparisons) that may break a limit on a rate, or on a latency quantile."""
        if self.metric is Metric.LATENCY:
            assert self.quantile is not None
            return round(1 - self.quantile, 12)
        return round(1 - self.limit, 12) if self.metric is Metric.SUCCESS_RATE else self.limit


LATE = 0.2
"""The share of the evidence that waits for later stages.

What went well for hours must not outweigh harm that only a higher weight brings. So the e-value of harm is a mixture, fixed
before the first request: ``1 - LATE`` on all windows, the rest in halves on those from each change of weights on. It costs
the first stage a factor of 0.8.
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """How evidence becomes a verdict.

    A candidate that keeps every SLO is rolled back with probability at most ``alpha``, however often one looks; in mode
    PROVE one that breaks any at the last weight is promoted with probability at most ``beta``. What is counted within the first
    ``burn_in`` looks after a change of weights is no evidence. With ``early_end`` a stage ends as soon as its own evidence proves every SLO kept.
    """

    mode: Mode = Mode.GUARD
    alpha: float = 0.05
    beta: float = 0.05
    burn_in: int = 1
    early_end: bool = True

    def each_of(self, candidates: int) -> "Rules":
        """Those of each of so many candidates (M8's family of an experiment), by which both risks hold for all of them together."""
        return replace(self, alpha=self.alpha / candidates, beta=self.beta / candidates)


DEFAULT_RULES = Rules()


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

    @property
    def how(self) -> str:
        """As it is written: ``cookie:NAME`` or ``header:NAME``."""
        return f"cookie:{self.cookie}" if self.cookie else f"header:{self.header}"


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
    the sum of all latencies that ``latency`` counts. A source that cannot tell latencies leaves both empty. What was
    counted while new weights were ``settling`` is shown, but is no evidence. Of mirrored requests ``comparisons`` of its
    answers with the primary's were made, of ``attempts`` (0: not told), and ``differences`` maps the kind of each that differed to its count.
    The windows of ``users`` users were closed: ``reward`` and ``squares`` are the sums of what each was worth, and of its square.
    ``series`` are further figures by name, as they were at its end, and ``latencies`` further latencies of the same requests.
    """

    version: str
    start: float
    end: float
    weight: int
    requests: int
    failures: Mapping[str, int] = field(default_factory=dict)
    latency: Histogram | None = None
    seconds: float = 0.0
    settling: bool = False
    comparisons: int = 0
    differences: Mapping[str, int] = field(default_factory=dict)
    users: int = 0
    reward: float = 0.0
    squares: float = 0.0
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    latencies: Mapping[str, Histogram] = field(default_factory=dict)
    attempts: int = 0

    @property
    def errors(self) -> int:
        return sum(self.failures.values())

    @property
    def differing(self) -> int:
        return sum(self.differences.values())


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the data say of one SLO, and why.

    ``observed`` is in the unit of the metric, None without data. ``exceeded`` of ``requests`` broke the limit.
    ``low`` and ``high`` bound the true exceedance rate (95 %, valid at any look). ``log_e`` is the natural
    logarithm of the e-value against "the SLO is kept", ``log_e_met`` of that against "it is broken". ``missing`` requests
    are still needed for a verdict. Of a margin, ``reference`` is the primary's value at the same time, and the bounds are
    those of the odds ratio; of a reward and of a series those of the difference. ``doubt`` says why what is INCONCLUSIVE is.
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
    log_e_met: float = 0.0
    reference: float | None = None
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One of several candidates: what becomes of it, and why, in one sentence. PROMOTE is the winner's verdict alone."""

    version: str
    verdict: Verdict
    sentence: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """A verdict on the candidate, with the evidence for each SLO and one sentence for a person.

    ``log_e`` is the natural logarithm of the e-value of harm, all SLOs together. Of several candidates each is one of the ``arms``;
    the evidence is then that of the ``winner``, or of the one that came nearest.
    """

    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...] = ()
    log_e: float = 0.0
    arms: tuple[Arm, ...] = ()
    winner: str = ""
