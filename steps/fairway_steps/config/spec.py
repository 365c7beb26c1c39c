"""What a release file says, as frozen values: no units left to parse, no names left to check."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from fairway_steps.errors import UsageError
from fairway_steps.model import DEFAULT_RULES, Outcome, Rules, Slo, Stage, Stickiness, Verdict, Version
from fairway_steps.strategy import Strategy

LEAST_PATIENCE = 10.0


class Approval(StrEnum):
    """Where a person is asked before the release goes on."""

    NONE = "none"
    BEFORE_TRAFFIC = "before-traffic"
    BEFORE_PROMOTION = "before-promotion"


@dataclass(frozen=True, slots=True)
class Inference:
    """The first inference (Open Inference Protocol V2) a version must answer before it is ready.

    Without a ``payload`` (JSON text) the model's own readiness is enough; without a ``model``, the server's.
    """

    model: str = ""
    payload: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A synthetic client through the proxy at ``url``: ``rate`` requests per second, at even or Poisson distances.

    With a ``payload`` (JSON text) each request is a POST, else a GET. ``timeout`` is in seconds.
    """

    url: str
    rate: float = 20.0
    path: str = "/"
    payload: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    poisson: bool = True
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class LoadTest:
    """A load test of the candidate's own ``url``; ``rate`` as `fairway load-test` takes it, None seconds for as long as that says."""

    url: str
    rate: str = "10"
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Who is told of the release's end: ``slack``, ``github`` or ``http``.

    ``url`` is an HTTP URL, or ``env:NAME`` or ``file:PATH`` that holds one, as ``token_from`` does for a token.
    ``repository`` (``OWNER/REPO``) is GitHub's, whose ``url`` may be empty.
    """

    to: str
    url: str = ""
    on: tuple[Outcome, ...] = tuple(Outcome)
    repository: str = ""
    token_from: str = ""


@dataclass(frozen=True, slots=True)
class Objectives:
    """An SLO document: what a candidate must keep, and how that is judged."""

    slos: tuple[Slo, ...]
    rules: Rules = DEFAULT_RULES


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """A whole release. All durations are seconds; ``patience`` of None means one stage's duration, 10 s at least.

    With the strategy PERFORMANCE there is no route, and the primary is the candidate. In an A/B/n split the candidate has ``rivals``.

    ``metrics`` is empty for the route's own proxy.
    """

    service: str
    route: str
    primary: Version
    candidate: Version
    stages: tuple[Stage, ...]
    slos: tuple[Slo, ...]
    rules: Rules = DEFAULT_RULES
    strategy: Strategy = Strategy.CANARY
    load_test: LoadTest | None = None
    metrics: str = ""
    inference: Inference = Inference()
    ready_timeout: float = 60.0
    ready_path: str = "/v2/health/ready"
    interval: float = 1.0
    patience: float | None = None
    on_inconclusive: Verdict = Verdict.HOLD
    approval: Approval = Approval.NONE
    hold_timeout: float | None = 3600.0
    record: str = ""
    report: str = "fairway-report.html"
    traffic: Traffic | None = None
    notify: tuple[Notice, ...] = ()
    rivals: tuple[Version, ...] = ()
    sticky: Stickiness | None = None
    lines: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """``FILE:LINE`` of each field of the file that it was read from."""

    @property
    def candidates(self) -> tuple[Version, ...]:
        """All versions that may be promoted: mostly one."""
        return (self.candidate, *self.rivals)

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Whatever usage is refused inside is the fault of the field ``name``: tell where that stands."""
        try:
            yield
        except UsageError as error:
            if name not in self.lines:
                raise
            said = error.message.removeprefix(f"{name}: ").removeprefix(f"{name} ")
            raise UsageError(f"{self.lines[name]}: {name}: {said}", mend=error.mend) from error


def patience_for(stage: Stage, patience: float | None) -> float:
    """How long after ``stage`` to wait for its minimum sample, in seconds."""
    return max(LEAST_PATIENCE, stage.duration) if patience is None else patience
