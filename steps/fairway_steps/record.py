"""The record: a release's durable state, from which any step can go on and every report is made.

One record per service. Locally it is a file; every change is one locked read-modify-write that replaces the file
atomically, so a reader never sees half a record and a killed writer leaves the one before. ``token`` is a
fencing token (Kleppmann, "How to do distributed locking", 2016): it grows with every change of holder, and a
change made with a lower one is refused.
"""

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from fairway_steps.codec import decode, encode
from fairway_steps.errors import DomainError, Fenced, UsageError
from fairway_steps.intervention import Intervention
from fairway_steps.model import (
    DEFAULT_RULES,
    Assessment,
    Outcome,
    Policy,
    Promotion,
    Rules,
    Slo,
    Stage,
    Stickiness,
    Stratum,
    Verdict,
    Version,
)
from fairway_steps.schedule import Position, collectors, position
from fairway_steps.strategy import Strategy
from fairway_steps.windows import Ends, added

FORMAT = 1


@dataclass(frozen=True, slots=True)
class WeightChange:
    """One change of the routes: what was asked for, what the proxy was seen to do (shares of ``counted`` requests).

    ``stage`` is the index in the schedule, -1 for the ends (promotion, rollback). ``began`` says when the weights before may first have
    ceased to be served: an attempt that was cut off came before ``at``.
    """

    at: float
    stage: int
    asked: Mapping[str, int]
    measured: Mapping[str, float] | None = None
    counted: int = 0
    settled_after: float | None = None
    why: str = ""
    began: float | None = None

    @property
    def left(self) -> float:
        """Until when the weights before were served for certain."""
        return self.at if self.began is None else min(self.began, self.at)

    @property
    def served(self) -> float:
        """From when on its own were."""
        return self.at + (self.settled_after or 0.0)


@dataclass(frozen=True, slots=True)
class Basis:
    """What an assessment rests on beside the strata: with both, it can be made again.

    ``over`` says whether the stage's time was. ``problem`` says why the source could not be read at the end, ``gone``
    why the candidate could not be reached, ``dropped`` why each of several that had lost its traffic before had, ``intervention``
    what a person said instead.
    """

    rules: Rules = DEFAULT_RULES
    over: bool = True
    is_last: bool = False
    on_inconclusive: Verdict = Verdict.HOLD
    problem: str = ""
    gone: str = ""
    dropped: Mapping[str, str] = field(default_factory=dict)
    intervention: Intervention | None = None


@dataclass(frozen=True, slots=True)
class StageResult:
    """One assessment at one stage, with the share of requests each version really got meanwhile.

    It rests on the record's strata that end at ``until`` or before, those of latencies alone at ``latencies_until`` (if it is told),
    and on its ``basis``.
    """

    at: float
    stage: int
    weight: int
    assessment: Assessment
    measured: Mapping[str, float] | None = None
    samples: Mapping[str, int] = field(default_factory=dict)
    waited: float = 0.0
    until: float = -math.inf
    latencies_until: float | None = None
    basis: Basis = Basis()

    @property
    def ends(self) -> Ends:
        return Ends(self.until, self.until if self.latencies_until is None else self.latencies_until)


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling: a step's failure, a takeover, an undelivered notice."""

    at: float
    step: str
    message: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one release. ``outcome`` is None while it runs.

    ``original`` is the router's snapshot from before the release, ``cursor`` where the metric source ``metrics`` (empty: the route's proxy) is to be read
    on, ``baseline`` and ``counted`` the proxy's counters at the start and so far (``Served`` as JSON). ``interrupted`` says that the
    run died and its route was put back, not that a verdict was taken: such a release can be resumed. ``copied`` is what the
    primary ran before a promotion by copy began to replace it, ``retired`` says that the policies are done with, ``size`` how many replicas it had at the start (0: not known). ``rehearsal`` is the judgement on a load
    test of the candidate while it had no users, ``intervention`` a person's verdict that is still to be carried out. In an A/B/n split
    the ``candidate`` has ``rivals``; those ``dropped`` have lost their traffic for a reason. ``sticky`` says how users are kept on their version.
    From ``changing_since`` until ``changing_until`` the weights may be other than the timeline says: they are being changed.
    """

    release_id: str
    service: str
    route: str
    primary: Version
    candidate: Version
    stages: tuple[Stage, ...]
    slos: tuple[Slo, ...]
    holder: str
    token: int
    lease_until: float
    lease_for: float
    created: float
    original: str
    format: int = FORMAT
    rules: Rules = DEFAULT_RULES
    strategy: Strategy = Strategy.CANARY
    rehearsal: StageResult | None = None
    intervention: Intervention | None = None
    stage: int = -1
    timeline: tuple[WeightChange, ...] = ()
    results: tuple[StageResult, ...] = ()
    strata: tuple[Stratum, ...] = ()
    cursor: str = ""
    cursor_stage: int = -1
    metrics: str = ""
    baseline: Mapping[str, int] = field(default_factory=dict)
    counted: Mapping[str, int] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    outcome: Outcome | None = None
    reason: str = ""
    finished: float | None = None
    interrupted: bool = False
    promotion: Promotion = Promotion.ROUTE
    primary_policy: Policy = Policy.SCALE
    candidate_policy: Policy = Policy.SCALE
    copied: str = ""
    retired: bool = False
    size: int = 0
    rivals: tuple[Version, ...] = ()
    sticky: Stickiness | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)
    changing_until: float = 0.0
    changing_since: float | None = None

    @property
    def first(self) -> bool:
        """Whether it is the service's first version: there is no other."""
        return self.primary == self.candidate

    @property
    def stable(self) -> Version:
        """The version that has, or is to have, all of the traffic in the end."""
        promoted = self.outcome is Outcome.PROMOTED and self.promotion is Promotion.ROUTE
        return self.chosen if promoted else self.primary

    @property
    def candidates(self) -> tuple[Version, ...]:
        return (self.candidate, *self.rivals)

    @property
    def chosen(self) -> Version:
        """The candidate that is to be promoted: of several the one that the last assessment says has won, or else the first."""
        won = self.results[-1].assessment.winner if self.results else ""
        return next((version for version in self.candidates if version.name == won), self.candidate)

    @property
    def versions(self) -> dict[str, Version]:
        return {version.name: version for version in (self.primary, *self.candidates)}

    def position(self, index: int) -> Position:
        """The stage ``index`` as it is to be served now."""
        names = self.primary.name, self.candidate.name
        return position(self.stages, index, *names, sticky=self.sticky, without=self.dropped)

    @property
    def routed(self) -> dict[str, Version]:
        """All that the route may point at: the versions, and the collector if there is one."""
        return self.versions | {one.name: one for one in collectors(self.stages)}

    def renewed(self, now: float) -> "Record":
        """The record with its lease extended from ``now``: each sign of life of the holder does it."""
        return replace(self, lease_until=now + self.lease_for)

    @property
    def aborted(self) -> Intervention | None:
        """A person's word to abort that is still to be carried out: until it is, no more users may reach a candidate."""
        word = self.intervention
        return word if word and word.verdict is Verdict.ROLLBACK else None

    @property
    def resumable(self) -> bool:
        """Whether it can go on: it runs, or it was put back without a verdict or a person's word against the candidate."""
        judged = any(result.assessment.verdict is Verdict.ROLLBACK for result in self.results)
        return self.outcome is None or (self.interrupted and not judged and not self.aborted)

    @property
    def next_stage(self) -> int:
        """The stage to go on with: the one under way, or the one after it if that one was passed."""
        passed = {result.stage for result in self.results if result.assessment.verdict is Verdict.ADVANCE}
        return min(self.stage + 1, len(self.stages) - 1) if self.stage in passed else max(0, self.stage)

    def noted(self, at: float, step: str, message: str, *, failed: bool = False) -> "Record":
        return replace(self, events=(*self.events, Event(at, step, message, failed)))

    def with_strata(self, more: Sequence[Stratum]) -> "Record":
        """Add a reading's strata, as windows; those on which a verdict rests stay as they are."""
        ends = [result.ends for result in self.results]
        closed = Ends(*map(max, zip(*ends, strict=True))) if ends else Ends()
        return replace(self, strata=added(self.strata, more, closed))

    def changed(self, change: WeightChange) -> "Record":
        """The record with one more change of its weights, which is done."""
        timeline = (*self.timeline, replace(change, began=self.changing_since))
        return replace(self.unchanged(), timeline=timeline)

    def unchanged(self) -> "Record":
        """The record of which the weights are not being changed any more."""
        return replace(self, changing_until=0.0, changing_since=None)

    def ended(self, at: float, outcome: Outcome, reason: str) -> "Record":
        """The record closed. The first outcome stands: an end is not rewritten by a retry."""
        if self.outcome is not None:
            return self
        return replace(self, outcome=outcome, reason=reason, finished=at)


@dataclass(frozen=True, slots=True)
class Lease:
    """What a step proves before it writes: which release it works for, and under which token.

    An empty ``release_id`` and a ``token`` of 0 mean a person at a terminal, who works on whatever the record holds. ``holder`` does
    where a step is not told the token: a run's own name, which nobody else begins with.
    """

    release_id: str = ""
    token: int = 0
    holder: str = ""

    def check(self, record: Record) -> None:
        """Raise UsageError for a record of another release or a token it never had, Fenced for one whose holder has changed."""
        if self.release_id and self.release_id != record.release_id:
            raise UsageError(
                f"the record of service {record.service} is of release {record.release_id}, not {self.release_id}",
                mend="give the --release-id that `fairway begin` printed, or leave it out",
            )
        if self.token > record.token:
            raise UsageError(
                f"token {self.token} was never given for release {record.release_id}, whose is {record.token}",
                mend="give the --token that `fairway begin` printed, or leave it out",
            )
        if (self.token and self.token < record.token) or (self.holder and self.holder != record.holder):
            raise Fenced(f"release {record.release_id} was taken over by {record.holder} (token {record.token})")


class RecordStore(Protocol):
    """Where records are kept."""

    uri: str

    def load(self) -> Record | None:
        """The record, or None if there is none yet. Raises UsageError for one that cannot be read."""

    def remains(self) -> str:
        """What can still be read of a record that `load` cannot: JSON in which its fields stand, or what is left of that."""

    def update(self, change: Callable[[Record | None], Record]) -> Record:
        """Replace the record by ``change`` of it, with nobody else in between, and return the new one.

        ``change`` may be called more than once and must do nothing but compute. What it raises leaves the record as
        it was.
        """


def written(fields: Mapping[str, object]) -> str:
    """Fields of a record as text, each on lines of its own: of a text that is spoilt the others can still be told."""
    return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"


class FileStore:
    """A record in a JSON file, for a release on one machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.uri = f"file:{path}"

    def load(self) -> Record | None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            wrong = f"record {self.path} cannot be read: {self.path.parent} is no folder"
            raise UsageError(wrong, mend="name a file in a folder") from error
        except OSError as error:
            raise UsageError(f"record {self.path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise self._not_ours("it is not text") from error
        try:
            data = json.loads(text)
            if data.get("format") != FORMAT:
                raise ValueError(f"its format is {data.get('format')!r}, this Fairway writes {FORMAT}")
            return decode(Record, data)
        except RecursionError as error:
            raise self._not_ours("it is nested too deeply") from error
        except (ValueError, AttributeError) as error:
            raise self._not_ours(str(error)) from error

    def remains(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _not_ours(self, why: str) -> UsageError:
        return UsageError(
            f"record {self.path} is not a Fairway record: {why}", mend="name another file, or move this one away"
        )

    def update(self, change: Callable[[Record | None], Record]) -> Record:
        with self._locked():
            record = change(self.load())
            self._replace(written(encode(record)))
            return record

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.path.with_name(self.path.name + ".lock").open("w")
        except OSError as error:
            raise UsageError(
                f"record {self.path} cannot be written: {error.strerror}", mend="name a folder that you may write to"
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _replace(self, text: str) -> None:
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise DomainError(f"record {self.path} cannot be written: {error.strerror}") from error


def required(store: RecordStore, lease: Lease) -> Record:
    """The record that a step needs, checked against its lease."""
    record = store.load()
    if record is None:
        raise UsageError(f"there is no record at {store.uri}", mend="begin the release first: `fairway begin --help`")
    lease.check(record)
    return record


def amend(store: RecordStore, lease: Lease, change: Callable[[Record], Record]) -> Record:
    """Change an existing record under a lease."""

    def checked(record: Record | None) -> Record:
        if record is None:
            raise UsageError(
                f"there is no record at {store.uri}", mend="begin the release first: `fairway begin --help`"
            )
        lease.check(record)
        return change(record)

    return store.update(checked)
