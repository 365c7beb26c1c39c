"""What an assessment is about, from options and the record, and how it is carried out."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairway_steps.cli.mirroring import judged_by, placed_stages
from fairway_steps.cli.told import Progress
from fairway_steps.cli.wiring import (
    CLOCK,
    Release,
    alive,
    ending,
    evidence,
    lease,
    needed,
    placed_all,
    router,
    source,
)
from fairway_steps.config import Objectives
from fairway_steps.errors import UsageError
from fairway_steps.model import Rules, Slo, Stage, Verdict, Version
from fairway_steps.record import StageResult
from fairway_steps.routing.base import Router
from fairway_steps.schedule import collectors

if TYPE_CHECKING:
    from fairway_steps.metrics.base import MetricSource


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be judged, by what, and from where; the record's word where no option says otherwise."""

    service: str
    metrics: str
    router: Router | None
    primary: Version | None
    candidate: Version
    slos: Sequence[Slo]
    rules: Rules
    stages: Sequence[Stage]
    scheduled: bool
    rivals: Sequence[Version] = ()

    def source(self) -> "MetricSource":
        return source(self.metrics, self.service, self.primary, self.candidate, *self.rivals, slos=self.slos)

    def judging(
        self,
        release: Release | None,
        *,
        interval: float,
        patience: float | None,
        on_inconclusive: Verdict,
        is_last: bool | None = None,
        ready_path: str = "/v2/health/ready",
    ) -> Callable[[int], StageResult]:
        """What judges a stage, with its progress in the log and in Argo's progress file.

        It is at hand once this returns: what takes seconds to import is not imported while a stage is served with nobody looking.
        """
        import requests  # noqa: F401 - what asks whether a version is alive

        from fairway_steps.judge import judge
        from fairway_steps.release import withdraw
        from fairway_steps.weights import Confirmation

        def judged(stage: int) -> StageResult:
            result = judge(
                release.store if release else None,
                release.lease if release else lease("", 0),
                self.source(),
                self.router,
                self._looked_after(release, alive(self.candidate, ready_path, release)),
                CLOCK,
                slos=self.slos,
                rules=self.rules,
                primary=self.primary.name if self.primary else "",
                candidate=self.candidate.name,
                stages=self.stages,
                index=stage,
                interval=interval,
                patience=patience,
                on_inconclusive=on_inconclusive,
                is_last=is_last,
                progress=Progress(os.environ.get("ARGO_PROGRESS_FILE", "")),
                rivals={one.name: alive(one, ready_path, release) for one in self.rivals},
                drop=self.dropping(release),
            )
            if release and self.router and result.assessment.verdict is Verdict.ROLLBACK:
                withdraw(
                    release.store,
                    release.lease,
                    self.router,
                    CLOCK,
                    confirm=Confirmation(),
                    ending=ending(release.record.versions.values()),
                )
            return result

        return judged

    def dropping(self, release: Release | None) -> Callable[[str, str], None]:
        """What takes one of several candidates off the traffic."""
        from fairway_steps.release import drop

        def now(name: str, why: str) -> None:
            if release and self.router:
                drop(release.store, release.lease, self.router, CLOCK, name=name, why=why)

        return now

    def drift(self, release: Release | None) -> Callable[[], None]:
        """What looks after the route of a release, and puts right what somebody else changes."""
        from fairway_steps.drift import Drift

        if release is None or self.router is None:
            return lambda: None
        return Drift(release.store, release.lease, self.router, CLOCK)

    def _looked_after(self, release: Release | None, alive: Callable[[], str]) -> Callable[[], str]:
        """Whether the candidate is alive, with a look at the route each time."""
        drift = self.drift(release)

        def look() -> str:
            drift()
            return alive()

        return look


def task_of(
    release: Release | None,
    slos: Objectives | None = None,
    metrics: str | None = None,
    service: str | None = None,
    route: str | None = None,
    primary: Version | None = None,
    candidate: Version | None = None,
    stages: Sequence[Stage] | None = None,
    duration: float = 0.0,
) -> Task:
    """The task that options and record describe. Raises UsageError for what neither has."""
    held = release.record if release else None
    candidate = candidate or (held.candidate if held else None)
    primary = primary or (held.primary if held else None)
    route = route or (held.route if held else "")
    service = service or (held.service if held else needed(service, "service") if route else "")
    if candidate is None:
        raise UsageError("--candidate is missing", mend="give it, or a --record that has it")
    if not (metrics or route):
        raise UsageError("there is nothing to read evidence from", mend="give --metrics, --route or a --record")
    asked = slos or (Objectives(held.slos, held.rules) if held else needed(slos, "slos"))
    users = evidence(metrics, route, held)
    if not held:
        primary, (candidate,) = placed_all(route, primary, candidate)
    rivals = held.rivals if held else ()
    versions = [version for version in (primary, candidate, *rivals) if version]
    schedule = (held.stages if held else ()) if not stages else placed_stages(route, stages)
    opened = router(route, service, versions, users, collectors(schedule)) if route else None
    return Task(
        service=service,
        metrics=judged_by(users, schedule),
        router=opened,
        primary=primary,
        candidate=candidate,
        slos=asked.slos,
        rules=asked.rules,
        stages=schedule or (Stage(opened.read().weights.get(candidate.name, 0) if opened else 0, duration),),
        scheduled=bool(schedule),
        rivals=rivals,
    )
