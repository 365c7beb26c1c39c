"""The assess step: look at a stage again and again until there is a verdict on the candidate."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from fairway_steps.clock import Clock
from fairway_steps.errors import FairwayError, UsageError
from fairway_steps.metrics.base import MetricSource
from fairway_steps.model import DEFAULT_RULES, Mode, Rules, Slo, Stage, Verdict
from fairway_steps.record import Lease, RecordStore, StageResult, required
from fairway_steps.routing.base import Router, Served
from fairway_steps.schedule import COLLECTOR, position
from fairway_steps.stage_results import final
from fairway_steps.stage_watch import Progress, StageWatch, kept, silent


def judge(
    store: RecordStore | None,
    lease: Lease,
    source: MetricSource,
    router: Router | None,
    alive: Callable[[], str],
    clock: Clock,
    *,
    slos: Sequence[Slo],
    primary: str,
    candidate: str,
    stages: Sequence[Stage],
    index: int,
    interval: float = 1.0,
    patience: float | None = None,
    on_inconclusive: Verdict = Verdict.HOLD,
    is_last: bool | None = None,
    rules: Rules = DEFAULT_RULES,
    progress: Progress = silent,
    rivals: Mapping[str, Callable[[], str]] = MappingProxyType({}),
    drop: Callable[[str, str], None] = kept,
) -> StageResult:
    """The result of stage ``index``, once there is one; with a ``store`` it is in the record, too.

    Proof of harm, or a candidate that ``alive`` cannot reach at two looks in a row (it returns why), is a rollback at once,
    and proof of health ends the stage early where ``rules`` allow it. All else waits until the stage's ``duration`` is over,
    and up to ``patience`` seconds more for the minimum sample, for a proof that the last stage needs, or for a source that is
    away. A stage that was passed or failed is not looked at again, unless its weights were set anew; one that
    was held is, with new patience and all the counts that came in meanwhile. Without a ``primary`` (empty) only the candidate
    is read. In an A/B/n split the ``rivals`` are judged as well, by name and whether each is alive, and ``drop`` takes one that does harm off
    the traffic while the others go on. ``is_last`` overrides what the schedule says. Raises Unassessable if the source was never there, and Fenced.
    """
    if interval <= 0:
        raise UsageError(f"an interval of {interval:g} s is not above zero")
    if rules.mode is Mode.PROVE and on_inconclusive is Verdict.PROMOTE:
        raise UsageError("mode prove promotes on proof alone", mend="let on-inconclusive be hold or rollback")
    if not primary and any(slo.relative for slo in slos):
        raise UsageError("an SLO compares with the primary, which is not named", mend="give --primary")
    place = position(stages, index, primary, candidate)
    record = required(store, lease) if store else None
    if record and (known := final(record, index)):
        return known
    watch = StageWatch(
        store=store,
        lease=lease,
        source=source,
        alive={candidate: alive, **rivals},
        clock=clock,
        slos=slos,
        primary=primary,
        stages=stages,
        index=index,
        rules=rules,
        progress=progress,
        began=clock.now(),
        interval=interval,
        drop=drop,
    )
    watch.open(record, patience)
    before = _served(router)
    assessment = watch.run(is_last=place.is_last if is_last is None else is_last, otherwise=on_inconclusive)
    # Copies are samples, but nobody was answered by them.
    seen = {} if place.stage.mirror else watch.samples()
    return watch.close(*assessment, _shares(before, _served(router), seen))


def _served(router: Router | None) -> Served | None:
    """The proxy's counters; that they cannot be read is no reason to stop: they only illustrate."""
    try:
        return router.served() if router else None
    except FairwayError:
        return None


def _shares(before: Served | None, after: Served | None, samples: Mapping[str, int]) -> dict[str, float] | None:
    """The share of requests each version got, by the proxy's own counters, or else by the source's."""
    counts = dict(samples)
    if before and after:
        served = {name: n for name, n in after.by_version.items() if name != COLLECTOR}
        since = {name: n - before.by_version.get(name, 0) for name, n in served.items()}
        # Whoever saw more of the stage: the proxy is asked from when we began, the source from when the weights were served.
        if sum(since.values()) > sum(samples.values()) and min(since.values()) >= 0:
            counts = since
    total = sum(counts.values())
    return {name: n / total for name, n in counts.items()} if total else None
