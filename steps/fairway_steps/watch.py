"""Assessing in the background: all through a release, also while no stage is, as when a person is asked.

A stage's own assessment looks each second. Between stages, and for as long as an approval takes, the candidate serves with nobody
looking. This watches then, from the same cursor, and never while somebody else does: the counts are taken once. While weights are being
changed it does not look, for nobody could say of what weight a count is, and leaves an abort to the step that changes them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from fairway_steps.assess import Weighed
from fairway_steps.assess.contest import Contest
from fairway_steps.clock import Clock
from fairway_steps.errors import TransientError
from fairway_steps.metrics.base import MetricSource, Reading
from fairway_steps.model import Assessment, Outcome, Rules, Verdict
from fairway_steps.record import Basis, Lease, Record, RecordStore, StageResult, amend, required
from fairway_steps.release import UNTOUCHED, Ending, drop, rollback
from fairway_steps.routing.base import Router
from fairway_steps.stage_results import as_served, concluded
from fairway_steps.stage_watch import Progress, silent
from fairway_steps.verdict import decided, weighed
from fairway_steps.weights import Confirmation
from fairway_steps.windows import Ends

QUIET = 5.0
"""Seconds without a look by anybody else, after which nobody else is looking."""


def watch(
    store: RecordStore,
    lease: Lease,
    source: MetricSource,
    router: Router,
    clock: Clock,
    *,
    interval: float = 1.0,
    quiet: float = QUIET,
    progress: Progress = silent,
    drift: Callable[[], None] = lambda: None,
    ending: Ending = UNTOUCHED,
) -> Assessment | None:
    """Look until the release has ended (None), or harm is proved or a person aborts it: it is then rolled back, and closed.

    ``drift`` is called at each look, and looks after the route. A source that is away is asked again at the next look. Raises Fenced when the release was taken over.
    """
    record = required(store, lease)
    seen, since = record.cursor, min(clock.now(), max((one.end for one in record.strata), default=math.inf))
    while True:
        record, now = required(store, lease), clock.now()
        if record.outcome is not None:
            return None
        if record.cursor != seen:
            seen, since = record.cursor, now
        elif now - since < quiet or now < record.changing_until or record.copied or record.stage < 0:
            pass
        elif record.aborted:
            if found := decided(_weighed(record), record.candidate.name, _basis(record, record.dropped)):
                _end(store, lease, router, clock, record, found, record.dropped, ending)
                return found
        elif record.timeline:
            record = _look(store, lease, source, record, now, interval)
            seen = record.cursor
            known = _weighed(record)
            # Why those of several candidates that do harm are to lose their traffic, or have lost it.
            out = {**known.harmful, **record.dropped} if isinstance(known, Contest) else {}
            if found := _harm(record, known, out):
                _end(store, lease, router, clock, record, found, out, ending)
                return found
            for name in sorted(set(out) - set(record.dropped)):
                drop(store, lease, router, clock, name=name, why=out[name])
            progress(f"watching {' and '.join(one.name for one in record.candidates)}", stage=record.stage)
        drift()
        clock.sleep(interval)


def _look(
    store: RecordStore, lease: Lease, source: MetricSource, record: Record, now: float, interval: float
) -> Record:
    try:
        reading = source.read(tuple(record.versions), record.timeline[-1].asked, record.cursor, now)
    except TransientError:
        return record
    return amend(store, lease, lambda r: _added(r, record.cursor, reading, now, interval))


def _added(record: Record, cursor: str, reading: Reading, now: float, interval: float) -> Record:
    if record.cursor != cursor or reading.problem or reading.complete or now < record.changing_until:
        return record.renewed(now)
    strata = as_served(record, reading.strata, record.rules.burn_in, interval)
    return replace(record.with_strata(strata), cursor=reading.cursor, cursor_stage=record.stage).renewed(now)


def _rules(record: Record) -> Rules:
    """Only harm ends it: health is for the stages to find."""
    return replace(record.rules, early_end=False)


def _weighed(record: Record) -> Weighed | Contest:
    return weighed(
        record.slos,
        record.strata,
        record.stages[record.stage],
        candidate=record.candidate.name,
        primary=record.primary.name,
        weight=_weight(record),
        rules=_rules(record),
        is_last=False,
    )


def _harm(record: Record, known: Weighed | Contest, out: Mapping[str, str]) -> Assessment | None:
    """The verdict, if it is harm, of several candidates by all of them."""
    found = decided(known, record.candidate.name, _basis(record, out))
    return found if isinstance(known, Contest) or (found and found.verdict is Verdict.ROLLBACK) else None


def _basis(record: Record, out: Mapping[str, str]) -> Basis:
    return Basis(_rules(record), over=False, dropped=out, intervention=record.aborted)


def _end(
    store: RecordStore,
    lease: Lease,
    router: Router,
    clock: Clock,
    record: Record,
    assessment: Assessment,
    dropped: Mapping[str, str],
    ending: Ending,
) -> None:
    ends = Ends.of(record.strata)
    result = StageResult(
        at=clock.now(),
        stage=record.stage,
        weight=_weight(record),
        assessment=assessment,
        until=ends.counts,
        latencies_until=ends.latencies,
        basis=_basis(record, dropped),
    )
    amend(store, lease, lambda r: concluded(r, result))
    back, why = Outcome.ROLLED_BACK, assessment.reason
    rollback(store, lease, router, clock, outcome=back, reason=why, confirm=Confirmation(), ending=ending)


def _weight(record: Record) -> int:
    return record.timeline[-1].asked.get(record.candidate.name, 0)
