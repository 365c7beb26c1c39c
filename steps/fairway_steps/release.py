"""The ends of a release: promote, roll back, and make safe what was left behind.

Always in this order: on promotion the candidate is seen ready, then gets the traffic, then the record is closed; on
rollback the traffic goes first (``back``). What has lost its traffic is scaled down or deleted after that.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from fairway_steps.back import GivenBack, give_back, holds, refuse_unlike
from fairway_steps.clock import Clock
from fairway_steps.errors import DomainError, FairwayError, Fenced, NotReady, UsageError
from fairway_steps.heartbeat import heartbeat
from fairway_steps.model import Outcome, Promotion, Routes, Verdict, Version
from fairway_steps.overtaken import BACK, Aborted, Overtaken, kept_to_its_end, unaborted, unended
from fairway_steps.record import Lease, Record, RecordStore, WeightChange, amend, required
from fairway_steps.retire import retire
from fairway_steps.routing.base import Router
from fairway_steps.settled import await_settled
from fairway_steps.strategy import Strategy
from fairway_steps.takeover import Lost, is_lost, take_over
from fairway_steps.weights import Confirmation, announced, set_weights
from fairway_steps.words import shares
from fairway_steps.workload.base import Workloads

LOG = logging.getLogger(__name__)
UNFINISHED = "the run ended before the release did"
NOT_PROMOTED = "is not promoted"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the versions themselves are treated; without ``workloads`` they are not.

    ``ready`` seconds are given to a primary that takes over another spec, ``drain`` to the last requests of a version
    that is scaled down or deleted.
    """

    workloads: Workloads | None = None
    ready: float = 600.0
    drain: float = 5.0


UNTOUCHED = Ending()


def promote(
    store: RecordStore,
    lease: Lease,
    router: Router,
    clock: Clock,
    *,
    alive: Callable[[], str],
    confirm: Confirmation,
    by: str = "",
    ending: Ending = UNTOUCHED,
) -> Record:
    """Give the candidate all of the traffic and close the record. Raises NotReady if it cannot answer now.

    ``by`` is the person on whose word it is done, if there is one. A release that a person has aborted is rolled back instead, which
    DomainError tells; of one that has ended otherwise meanwhile the route is given back, which Overtaken tells.

    In a promotion by copy the primary then takes over what the candidate runs, and gets the traffic back when it is ready;
    if it does not get ready the record stays open, the traffic on the candidate, and ``rollback`` undoes both.
    """
    record = unended(required(store, lease), Outcome.PROMOTED)
    if record.outcome is None:
        try:
            with kept_to_its_end(store, router, clock, Outcome.PROMOTED):
                record = _promoted(store, lease, router, clock, record, alive, confirm, by, ending)
        except Aborted:
            back = Outcome.ROLLED_BACK
            rollback(store, lease, router, clock, outcome=back, reason="", confirm=confirm, ending=ending)
            raise
    else:
        _refuse_changed(record, router)
    return retire(store, record, router, ending.workloads, clock, drain=ending.drain)


def _promoted(
    store: RecordStore,
    lease: Lease,
    router: Router,
    clock: Clock,
    record: Record,
    alive: Callable[[], str],
    confirm: Confirmation,
    by: str,
    ending: Ending,
) -> Record:
    unaborted(record, NOT_PROMOTED)
    if record.rivals and not (record.results and record.results[-1].assessment.winner):
        names = " and ".join(version.name for version in record.candidates)
        raise UsageError(
            f"which of {names} to promote is not said: none has won", mend="release the one you mean by itself"
        )
    if reason := alive():
        raise NotReady(f"{record.chosen.name} cannot be promoted: {reason}")
    change = _give(store, lease, router, clock, record.chosen, confirm)
    reason = _earned(record, by)
    if record.promotion is Promotion.COPY and ending.workloads is not None and not record.first:
        record = amend(store, lease, lambda r: _changed(r, change).renewed(clock.now()))
        _copy(store, lease, record, ending.workloads, ending.ready, heartbeat(store, lease, clock))
        change = _give(store, lease, router, clock, record.primary, confirm)
        reason = f"{reason}; {record.primary.name} runs what it ran"
    return _close(store, lease, router, clock, change, Outcome.PROMOTED, reason, by)


def _earned(record: Record, by: str) -> str:
    """Why the candidate is promoted, and nothing that was not seen."""
    name, last = record.chosen.name, record.results[-1].assessment.verdict if record.results else None
    if record.results and record.results[-1].assessment.winner:
        return record.results[-1].assessment.reason
    if record.first:
        return f"{name} is the first version of {record.service}: there was nothing to compare it with"
    if record.results and (said := record.results[-1].basis.intervention):
        return said.sentence
    if last is Verdict.PROMOTE:
        return f"{name} met every SLO in all stages"
    if record.strategy is Strategy.NONE:
        return f"{name} is ready; strategy none asks for no more"
    return f"{name} was promoted on the word of {by or 'a person'}, not of an assessment"


def _give(
    store: RecordStore, lease: Lease, router: Router, clock: Clock, version: Version, confirm: Confirmation
) -> WeightChange:
    record = amend(store, lease, lambda r: announced(unended(r), clock, confirm))
    return set_weights(
        router,
        clock,
        routes=Routes({version.name: 100}),
        versions=record.versions,
        fence=record.token,
        stage=-1,
        why="promoted",
        confirm=confirm,
    )


def _copy(
    store: RecordStore,
    lease: Lease,
    record: Record,
    workloads: Workloads,
    timeout: float,
    beat: Callable[[], None],
) -> None:
    """Make the primary run what the candidate runs; what it ran is written down before."""
    wanted = workloads.carried(record.chosen)
    if not record.copied:
        before = workloads.carried(record.primary)
        amend(store, lease, lambda r: replace(r, copied=before))
    workloads.carry(record.primary, wanted)
    LOG.info("%s takes over what %s runs", record.primary.name, record.chosen.name)
    workloads.await_ready(record.primary, timeout, beat)


def drop(store: RecordStore, lease: Lease, router: Router, clock: Clock, *, name: str, why: str) -> None:
    """Give the traffic of one of several candidates to the primary, and let the others go on.

    Written down first: whoever repeats the stage must not serve it again.
    """
    confirm = Confirmation(requests=0)

    def dropped(now: Record) -> Record:
        return announced(replace(unended(now), dropped={**now.dropped, name: why}), clock, confirm)

    record = amend(store, lease, dropped)
    with kept_to_its_end(store, router, clock):
        change = set_weights(
            router,
            clock,
            routes=record.position(record.stage).routes,
            versions=record.versions,
            fence=record.token,
            stage=-1,
            why=f"{name} dropped",
            confirm=confirm,
        )
        LOG.warning("%s gets no more traffic: %s", name, why)
        amend(store, lease, lambda r: _changed(unended(r), change).renewed(clock.now()))


def withdraw(
    store: RecordStore, lease: Lease, router: Router, clock: Clock, *, confirm: Confirmation, ending: Ending = UNTOUCHED
) -> None:
    """Put the primary's traffic back at once; the record stays open, for `rollback` to close.

    What assesses does this itself when harm is proved: until another step has started, users would go on being harmed.
    """
    record = required(store, lease)
    if record.outcome is None:
        with kept_to_its_end(store, router, clock, *BACK):
            change = _restore(store, lease, record, router, clock, confirm, ending, heartbeat(store, lease, clock))
            amend(store, lease, lambda r: _changed(unended(r, *BACK), change))


def rollback(
    store: RecordStore,
    lease: Lease,
    router: Router,
    clock: Clock,
    *,
    outcome: Outcome,
    reason: str,
    confirm: Confirmation,
    by: str = "",
    ending: Ending = UNTOUCHED,
) -> Record:
    """Put the primary's traffic back and close the record with ``outcome``; the reason defaults to what the record tells.

    A primary that was being made a copy first runs again what it ran, and is awaited, as is one that has been scaled to zero: until
    then the candidate answers.
    """
    record = unended(required(store, lease), *BACK)
    if record.outcome is None:
        with kept_to_its_end(store, router, clock, *BACK):
            beat = heartbeat(store, lease, clock)
            _undo_copy(record, ending, beat)
            change = _restore(store, lease, record, router, clock, confirm, ending, beat)
            if record.aborted:
                outcome, reason = Outcome.ROLLED_BACK, record.aborted.sentence
            record = _close(store, lease, router, clock, change, outcome, _why(record, outcome, reason), by)
    else:
        _refuse_changed(record, router)
    return retire(store, record, router, ending.workloads, clock, drain=ending.drain)


def _refuse_changed(record: Record, router: Router) -> None:
    """A release that has ended says nothing of what became of its route since; its version may be in use by another."""
    now = router.read()
    if now != Routes({record.stable.name: 100}):
        raise DomainError(
            f"release {record.release_id} has ended {record.outcome}, but its route has been changed since: it holds {shares(now.weights)}",
            mend=f"another release may be under way; if not, `fairway ensure-safe` gives all traffic to {record.stable.name}",
        )


def _undo_copy(record: Record, ending: Ending, beat: Callable[[], None]) -> None:
    if record.copied and ending.workloads is not None:
        ending.workloads.carry(record.primary, record.copied)
        ending.workloads.await_ready(record.primary, ending.ready, beat)


def _awake(
    record: Record, version: Version, ending: Ending, beat: Callable[[], None], give: Callable[[], None]
) -> None:
    """Give a version its traffic; one that is refused as it cannot answer is scaled up first, and awaited."""
    workloads, replicas = ending.workloads, record.size if version == record.primary else 0
    try:
        give()
    except NotReady as error:
        if workloads is None or not workloads.revive(version, replicas):
            raise
        LOG.warning("%s: waiting for it", error.message)

        def look() -> None:
            beat()
            workloads.revive(version, replicas)  # what scales to zero may do so again before it sees traffic

        with suppress(NotReady):  # some of its replicas may be enough
            workloads.await_ready(version, ending.ready, look)
        give()


def ensure_safe(
    store: RecordStore, router: Router, clock: Clock, *, holder: str, reason: str = "", ending: Ending = UNTOUCHED
) -> tuple[str, Record | None]:
    """Whatever happened: an unfinished release goes back to the primary, a finished one is held to its end state.

    Takes the release over, so that a step which is still alive somewhere is fenced off. Returns what was done
    (``restored``, ``confirmed``, or ``none`` where there was nothing to do) and the record. Raises DomainError if the route cannot be
    put right; the record of an unfinished one then says ``broken``. Where another release has claimed the route since nothing is touched,
    of which Lost is raised if this one was unfinished.
    """
    record = store.load()
    if record is None:
        return "none", None
    if record.outcome is None:
        return "restored", close_unfinished(store, router, clock, holder=holder, reason=reason, ending=ending)
    if is_lost(record, router):  # the other one may be about to use what would be retired, too
        return "none", record
    action = "confirmed"
    if record.outcome is Outcome.BROKEN or not holds(record.stable, router):
        if record.outcome is Outcome.BROKEN:
            _undo_copy(record, ending, lambda: None)
        stable, fence = record.stable, record.token
        _awake(record, stable, ending, lambda: None, lambda: router.give_all(stable, fence=fence))
        await_settled(router, clock, Confirmation().settle)
        refuse_unlike(record.stable, router)
        action, record = "restored", _mended(store, record, clock)
    return action, retire(store, record, router, ending.workloads, clock, drain=ending.drain)


def close_unfinished(
    store: RecordStore, router: Router, clock: Clock, *, holder: str, reason: str = "", ending: Ending = UNTOUCHED
) -> Record:
    """Take an unfinished release over, put the primary's traffic back and close the record as rolled back."""

    def taken(record: Record) -> Record:
        if record.outcome is not None:
            return record
        return replace(record, holder=holder, interrupted=True).renewed(clock.now())

    held = required(store, Lease())
    try:
        record = take_over(store, router, held, taken)
    except Lost as error:
        _break(store, Lease(held.release_id, held.token), clock, error.message, original="")
        raise
    except Fenced:
        raise
    except FairwayError as error:
        _awake(held, held.primary, ending, lambda: None, lambda: give_back(held, router))
        LOG.warning("all traffic is back on %s, but the record could not be written: %s", held.primary.name, error)
        raise
    if record.outcome is not None:  # meanwhile
        _refuse_changed(record, router)
        return record
    lease = Lease(record.release_id, record.token)
    try:
        return rollback(
            store,
            lease,
            router,
            clock,
            outcome=Outcome.ROLLED_BACK,
            reason=reason,
            confirm=Confirmation(requests=0),
            ending=ending,
        )
    except Overtaken:
        raise
    except FairwayError as error:
        unlike = f"the route could not be put back to {record.primary.name}: {error.message}"
        broken = error.message if isinstance(error, GivenBack) else unlike
        _break(store, lease, clock, broken)
        raise DomainError(broken, mend="put the route right by hand, then run `fairway ensure-safe` again") from error


def _break(store: RecordStore, lease: Lease, clock: Clock, why: str, **changed: Any) -> None:
    def broken(record: Record) -> Record:
        noted = record.noted(clock.now(), "ensure-safe", why, failed=True)
        return replace(noted.ended(clock.now(), Outcome.BROKEN, why), **changed)

    amend(store, lease, broken)


def _why(record: Record, outcome: Outcome, reason: str) -> str:
    """The reason to close a release with; of one that was held, what held it comes before what a person said."""
    last = record.results[-1] if record.results else record.rehearsal
    if reason and outcome is Outcome.HELD and last and last.assessment.verdict is Verdict.HOLD:
        return f"{last.assessment.reason}; {reason}"
    return reason or told(record)


def told(record: Record) -> str:
    """Why a release ends early, as far as its record tells: the last failed step, else the last verdict."""
    failed = [event for event in record.events if event.failed]
    verdicts = [r for r in record.results if r.assessment.verdict in (Verdict.ROLLBACK, Verdict.HOLD)]
    if verdicts and (not failed or verdicts[-1].at >= failed[-1].at):
        return verdicts[-1].assessment.reason
    return failed[-1].message if failed else UNFINISHED


def _restore(
    store: RecordStore,
    lease: Lease,
    record: Record,
    router: Router,
    clock: Clock,
    confirm: Confirmation,
    ending: Ending,
    beat: Callable[[], None],
) -> WeightChange:
    asked = clock.now()

    def give() -> None:
        try:
            amend(store, lease, lambda r: announced(r, clock, confirm))
        except Fenced:
            raise
        except FairwayError as error:  # users go back also while the record cannot be written
            LOG.warning("the way back could not be announced: %s", error)
        give_back(record, router)

    _awake(record, record.primary, ending, beat, give)
    await_settled(router, clock, confirm.settle)
    refuse_unlike(record.primary, router)
    LOG.info("all traffic is back on %s", record.primary.name)
    return WeightChange(asked, -1, {record.primary.name: 100}, settled_after=clock.now() - asked, why="rolled back")


def _close(
    store: RecordStore,
    lease: Lease,
    router: Router,
    clock: Clock,
    change: WeightChange,
    outcome: Outcome,
    reason: str,
    by: str,
) -> Record:
    served = router.served()

    def closed(record: Record) -> Record:
        unended(record, *((outcome,) if outcome is Outcome.PROMOTED else BACK))
        if outcome is Outcome.PROMOTED:
            unaborted(record, NOT_PROMOTED)
        counted = served.counts() if served and served.lasting else record.counted
        changed = replace(_changed(record, change), counted=counted)
        if by:
            changed = changed.noted(clock.now(), str(outcome), f"on the word of {by}")
        return changed.ended(clock.now(), outcome, reason)

    return amend(store, lease, closed)


def _changed(record: Record, change: WeightChange) -> Record:
    """The change written down, unless it changed nothing."""
    last = record.timeline[-1] if record.timeline else None
    if last is not None and (last.stage, dict(last.asked)) == (change.stage, dict(change.asked)):
        return record.unchanged()
    return record.changed(change)


def _mended(store: RecordStore, record: Record, clock: Clock) -> Record:
    if record.outcome is not Outcome.BROKEN:
        return record
    reason = f"{record.reason}; put right afterwards"
    return amend(store, Lease(), lambda r: replace(r, outcome=Outcome.ROLLED_BACK, reason=reason, finished=clock.now()))
