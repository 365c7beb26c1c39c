"""One stage under watch: what each look reads, keeps and says, until it decides.

Every look is one atomic change of the record: the strata it found and the cursor from which the next one goes on. A step
that was killed and started again therefore loses no count, takes none twice, and keeps the stage's own clock.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from fairway_steps.assess import Weighed
from fairway_steps.assess.contest import Contest
from fairway_steps.clock import Clock
from fairway_steps.config.spec import patience_for
from fairway_steps.errors import TransientError, Unassessable
from fairway_steps.intervention import Intervention
from fairway_steps.metrics.base import MetricSource
from fairway_steps.model import Assessment, Doubt, Evidence, Rules, Slo, Stage, Stratum, Verdict
from fairway_steps.record import Basis, Lease, Record, RecordStore, StageResult, amend
from fairway_steps.schedule import routes_of
from fairway_steps.stage_results import as_served, changes, concluded, final, served_since
from fairway_steps.verdict import decided, weighed
from fairway_steps.windows import Ends, added
from fairway_steps.words import count, number, seconds, value_of

LAG = 0.2
"""Seconds after a scrape in which what it saw can be read for certain."""
GONE_AFTER = 2
"""So many looks in a row at which the candidate cannot be reached, and it is gone: one may be a hiccup."""


class Progress(Protocol):
    """Told once a look, in words and as fields."""

    def __call__(self, text: str, /, **fields: object) -> None: ...


def silent(text: str, /, **fields: object) -> None:
    del text, fields


def kept(name: str, why: str, /) -> None:
    """Where no candidate is taken off the traffic alone."""
    del name, why


@dataclass(slots=True, kw_only=True)
class StageWatch:
    """One stage under watch. ``alive`` tells of each candidate why it cannot be reached; ``drop`` takes one of several off the traffic."""

    store: RecordStore | None
    lease: Lease
    source: MetricSource
    alive: Mapping[str, Callable[[], str]]
    clock: Clock
    slos: Sequence[Slo]
    primary: str
    stages: Sequence[Stage]
    index: int
    rules: Rules
    progress: Progress
    began: float
    strata: tuple[Stratum, ...] = ()
    cursor: str = ""
    start: float = 0.0
    changed: float | None = None
    interval: float = 1.0
    deadline: float = 0.0
    problem: str = ""
    complete: bool = False
    was_read: bool = False
    newest: float = 0.0
    known: float = -math.inf
    every: float = 0.0
    proved: float = math.inf
    lag: float = -math.inf
    gone: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    drop: Callable[[str, str], None] = kept
    intervention: Intervention | None = None

    @property
    def stage(self) -> Stage:
        return self.stages[self.index]

    @property
    def candidate(self) -> str:
        """The first one, and mostly the only one."""
        return next(iter(self.alive))

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(name for name in (self.primary, *self.alive) if name)

    @property
    def horizon(self) -> float:
        return self.start + self.stage.duration

    def open(self, record: Record | None, patience: float | None) -> None:
        """Take up the stage where the record left it; its clock started when its weights were set."""
        self.start = self.began
        resumed = False
        if record:
            self.changed = served_since(record, self.index)
            held = [result.at for result in record.results if result.stage == self.index]
            self.start = min(self.began, max([*changes(record, self.index)[-1:], *held], default=self.began))
            self.strata, self.cursor, self.dropped = record.strata, record.cursor, dict(record.dropped)
            self.intervention = record.aborted
            resumed = record.cursor_stage == self.index and not held
        late = self.horizon if resumed else max(self.horizon, self.began)
        self.deadline = late + patience_for(self.stage, patience)

    def run(self, *, is_last: bool, otherwise: Verdict) -> tuple[Assessment, Basis]:
        basis = Basis(self.rules, over=False, is_last=is_last, on_inconclusive=otherwise)
        if (known := self._weigh(is_last=is_last)).harm and (verdict := decided(known, self.candidate, basis)):
            return verdict, basis  # found by a look whose step was killed before it could say so
        aborted = replace(basis, dropped=dict(self.dropped), intervention=self.intervention)
        if self.intervention and (verdict := decided(known, self.candidate, aborted)):
            return verdict, aborted  # said before the stage was entered: it may never have been
        while True:
            now = self.clock.now()
            self._read(now)
            found = self._weigh(is_last=is_last)
            if not self.complete:
                self._listen()
            self._tell(now, found)
            over = self._over(now, found)
            gone = {name: why[-1] for name, why in self.gone.items() if len(why) >= GONE_AFTER}
            if isinstance(found, Contest):
                self._drop({name: f"it cannot be reached: {why}" for name, why in gone.items()} | {**found.harmful})
            if over and not (gone or self.was_read or self.intervention):
                if self.store and self.changed is None:
                    raise Unassessable(
                        f"stage {self.index} was never set, and there is no evidence on it",
                        mend=f"set its weights first: `fairway set-weights --stage {self.index}`",
                    )
                raise Unassessable(f"no evidence could be read: {self.problem}")
            basis = replace(
                basis,
                over=over,
                problem=self.problem or self._late(over=over),
                gone=gone.get(self.candidate, ""),
                dropped=dict(self.dropped),
                intervention=self.intervention,
            )
            verdict = decided(found, self.candidate, basis)
            self.proved = min(self.proved, now) if verdict else math.inf
            if verdict and (over or self._stands(verdict)):
                return verdict, basis
            self._pause(now)

    def _late(self, *, over: bool) -> str:
        """Why a stage is over before what came in its time is known."""
        if not over or self.known >= self.horizon:
            return ""
        late = f"what came in the last {seconds(self.horizon - self.known)} of the stage is not known yet"
        return f"{late}: the source tells it later than the patience lasts"

    def _stands(self, found: Assessment) -> bool:
        """Whether what is found before its time ends a stage: a proof of health once what is known reaches the look that found it."""
        healthy = found.verdict in (Verdict.ADVANCE, Verdict.PROMOTE) and not self.intervention
        return not healthy or self.known >= self.proved

    def _pause(self, now: float) -> None:
        """An interval from look to look, less where something ends, and once so that what is scraped is read just after each scrape.

        A source that is as late at each look has no scrapes: it tells, with a delay, what was.
        """
        lag, before = now - self.newest, self.lag
        late = 0.0 if abs(lag - before) < LAG / 2 else max(0.0, lag - LAG) % self.interval
        self.lag = lag
        served = (self.changed or 0.0) + self.rules.burn_in * self.interval
        ends = (served, self.horizon, self.deadline)
        left = min([now + self.interval - late, *(end for end in ends if end > now)]) - self.clock.now()
        self.clock.sleep(left if left > 0 else LAG)

    def close(self, assessment: Assessment, basis: Basis, measured: Mapping[str, float] | None) -> StageResult:
        now, ends = self.clock.now(), Ends.of(self.strata)
        result = StageResult(
            at=now,
            stage=self.index,
            weight=self.stage.weight,
            assessment=assessment,
            measured=measured,
            samples=self.samples(),
            waited=now - self.start,
            until=ends.counts,
            latencies_until=ends.latencies,
            basis=basis,
        )
        if self.store:
            amend(
                self.store,
                self.lease,
                lambda r: r if final(r, self.index) else concluded(r, result).renewed(now),
            )
        return result

    def samples(self) -> dict[str, int]:
        """The requests of each version at this stage."""
        weights = dict(self._shares(self.stage, ()))
        # In a split the primary's share grows as candidates are dropped; before, it had all.
        grown = range(weights.get(self.primary, 0) + 1, 100) if self.stage.weights else ()
        here = [s for s in self.strata if s.weight == weights.get(s.version, 0) or s.weight in grown]
        return {name: sum(s.requests for s in here if s.version == name) for name in self.named}

    def _shares(self, stage: Stage, without: Collection[str]) -> Mapping[str, int]:
        weights = routes_of(stage, self.primary, self.candidate, without=without).weights
        return {name: weight for name, weight in weights.items() if name}  # without a primary nobody has the rest

    def _drop(self, found: Mapping[str, str]) -> None:
        """Take candidates off the traffic one by one; the last one goes with the verdict."""
        for name, why in found.items():
            if name not in self.dropped:
                self.dropped[name] = why
                self.gone.pop(name, None)
                if len(self.dropped) < len(self.alive):
                    self.drop(name, why)

    def _over(self, now: float, found: Weighed | Contest) -> bool:
        """Whether the stage is to be concluded now; not while the candidate's last answer is in doubt."""
        enough = not self.problem and not any(item.missing or item.doubt is Doubt.FEW for item in self._asked(found))
        return not any(self.gone.values()) and (
            self.complete
            or now >= max(self.deadline, self.horizon + self.every)
            or (min(now, self.known) >= self.horizon and enough)
        )

    def _asked(self, found: Weighed | Contest) -> Sequence[Evidence]:
        """The evidence on those that are still to be decided on."""
        return found.left(self.dropped) if isinstance(found, Contest) else found.evidence

    def _read(self, now: float) -> None:
        self.newest = now
        try:
            reading = self.source.read(self.named, self._shares(self.stage, self.dropped), self.cursor, now)
        except TransientError as error:
            self.problem = error.message
            held = self.store.load() if self.store else None
            self.intervention = held.intervention if held else None
            return
        self.was_read, self.problem, self.complete = True, reading.problem, reading.complete
        strata = () if reading.problem else reading.strata
        self.known = math.inf if reading.complete else now if reading.until is None else reading.until
        self.every = max(self.every, reading.every)
        self.newest = max((stratum.end for stratum in strata if stratum.requests), default=now)
        self._save(strata, reading.cursor or self.cursor, now)

    def _save(self, strata: Sequence[Stratum], cursor: str, now: float) -> None:
        before = self.cursor
        if self.store is None:
            self.strata, self.cursor = added(self.strata, strata), cursor
            return

        def add(record: Record) -> Record:
            if record.cursor != before:  # somebody else looked meanwhile: theirs stands, and no count is taken twice
                return record.renewed(now)
            # A file has no time; of a stage that was never set nothing says when it began.
            timed = self.changed is not None and not self.complete
            told = as_served(record, strata, self.rules.burn_in, self.interval) if timed else strata
            return replace(record.with_strata(told), cursor=cursor, cursor_stage=self.index).renewed(now)

        held = amend(self.store, self.lease, add)
        self.strata, self.cursor, self.intervention = held.strata, held.cursor, held.intervention

    def _weigh(self, *, is_last: bool) -> Weighed | Contest:
        return weighed(
            self.slos,
            self.strata,
            self.stage,
            candidate=self.candidate,
            primary=self.primary,
            weight=self.stage.weight,
            rules=self.rules,
            is_last=is_last,
        )

    def _listen(self) -> None:
        for name, alive in self.alive.items():
            if name not in self.dropped:
                why = alive()
                self.gone[name] = [*self.gone.get(name, ()), why] if why else []

    def _tell(self, now: float, found: Weighed | Contest) -> None:
        elapsed, served = max(0.0, now - self.start), self.samples()
        place = f"stage {self.index + 1}/{len(self.stages)} {self.stage.label}"
        weights = dict(self.stage.weights) or {self.candidate: self.stage.weight}
        settles = {s.settling for s in self.strata if s.weight == weights.get(s.version)}
        settling = ["settling"] if settles == {True} else []
        values = [] if isinstance(found, Contest) else [value_of(item) for item in found.evidence]
        parts = [f"{elapsed:.0f}/{number(self.stage.duration)} s"]
        parts += [f"{name} {count(served[name])}" for name in self.alive if name not in self.dropped]
        parts += [*settling, *values, *(why[-1] for why in self.gone.values() if why)]
        self.progress(
            f"{place}: {', '.join(part for part in [*parts, self.problem] if part)}",
            stage=self.index,
            weight=self.stage.weight,
            elapsed=round(elapsed, 3),
            duration=self.stage.duration,
            requests=sum(served[name] for name in self.alive),
            missing=max((item.missing for item in self._asked(found)), default=0),
            problem=self.problem,
        )
