"""When a failed attempt is followed by another, and after how long: Argo's ``retryStrategy``.

Follows ``processNodeRetries`` of the 3.7 controller, but for one thing: an attempt that will not be repeated is not waited
for first. Source of the fields: https://argo-workflows.readthedocs.io/en/release-3.7/retries/.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairway_steps.errors import UsageError
from fairway_workflows.local.expressions import evaluate_retry, parse_retry
from fairway_workflows.local.model import Phase

POLICIES: Mapping[str, frozenset[Phase]] = {
    "Always": frozenset({Phase.FAILED, Phase.ERROR}),
    "OnFailure": frozenset({Phase.FAILED}),
    "OnError": frozenset({Phase.ERROR}),
}
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
VARIABLES = ("lastRetry.exitCode", "lastRetry.status", "lastRetry.duration", "lastRetry.message", "retries")
_GO_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def seconds(text: str) -> float:
    """A duration as Argo reads it: whole seconds, or Go's ``1h30m``, ``1.5s``, ``300ms``. Raises ValueError."""
    if re.fullmatch(r"[+-]?\d+", text):
        return float(text)
    parts = _GO_DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 30, 90s, 5m or 1h30m")
    return float(sum(float(number) * UNITS[unit] for number, unit in parts))


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended. ``exit_code`` is None where no container ``main`` ended."""

    phase: Phase
    exit_code: int | None
    duration: float
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to try again, after ``wait`` seconds; or why not."""

    again: bool
    wait: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """One ``retryStrategy``, read. Durations are seconds; ``limit`` None means without end, and then without backoff."""

    limit: int | None
    phases: frozenset[Phase]
    expression: str = ""
    duration: float = 0.0
    factor: int | None = None
    cap: float | None = None
    max_duration: float | None = None

    @classmethod
    def parse(cls, where: str, section: Mapping[str, Any]) -> "RetryStrategy":
        """Read the section of the template that ``where`` names. Raises UsageError."""
        expression = section.get("expression") or ""
        policy = section.get("retryPolicy") or ("Always" if expression else "OnFailure")
        backoff = section.get("backoff") or {}
        if policy not in POLICIES:
            raise UsageError(
                f"{where}: retryPolicy {policy!r} is not one the local runner knows ({', '.join(POLICIES)})"
            )
        if backoff and not backoff.get("duration"):
            raise UsageError(f"{where}: retryStrategy.backoff has no duration")
        try:
            if expression:
                parse_retry(expression, dict.fromkeys(VARIABLES, "0"))
            return cls(
                limit=None if section.get("limit") is None else int(section["limit"]),
                phases=POLICIES[policy],
                expression=expression,
                duration=_optional(backoff, "duration") or 0.0,
                factor=None if backoff.get("factor") is None else int(backoff["factor"]),
                cap=_optional(backoff, "cap"),
                max_duration=_optional(backoff, "maxDuration"),
            )
        except ValueError as error:
            raise UsageError(f"{where}: retryStrategy: {error}") from error

    def decide(self, attempt: Attempt, attempts: int, elapsed: float) -> Decision:
        """What follows the unsuccessful ``attempt``, the last of ``attempts``, ``elapsed`` seconds after the first began.

        Raises ExpressionError.
        """
        if attempt.phase not in self.phases:
            return Decision(again=False, why=attempt.message)
        wait = self._wait(attempts)
        if self.max_duration is not None and elapsed + wait > self.max_duration:
            return Decision(again=False, why="Backoff would exceed max duration limit")
        if self.limit is not None and attempts > self.limit:
            return Decision(again=False, why="No more retries left")
        if self.expression and not evaluate_retry(self.expression, _variables(attempt, attempts)):
            return Decision(again=False, why="retryStrategy.expression evaluated to false")
        return Decision(again=True, wait=wait if self.limit is not None else 0.0)

    def _wait(self, attempts: int) -> float:
        wait = self.duration
        if self.factor is not None and self.factor > 0:
            wait = self.duration * float(self.factor) ** (attempts - 1)
        return wait if self.cap is None else min(wait, self.cap)


def _variables(attempt: Attempt, attempts: int) -> dict[str, str]:
    code = -1 if attempt.exit_code is None else attempt.exit_code
    known = (str(code), attempt.phase.value, f"{attempt.duration:g}", attempt.message, str(attempts - 1))
    return dict(zip(VARIABLES, known, strict=True))


def _optional(section: Mapping[str, Any], field: str) -> float | None:
    return None if section.get(field) in (None, "") else seconds(str(section[field]))
