"""How a verdict is told: within a result's size, as data, as text, and how a look at a stage goes on."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairway_steps import log
from fairway_steps.cli.step import logger
from fairway_steps.model import Evidence
from fairway_steps.outputs import RESULT_BYTES
from fairway_steps.record import StageResult


def summary(result: StageResult) -> str:
    """The verdict with what each SLO shows, as JSON within a result's size: the reason gives way, then the last SLOs."""
    reason, slos = result.assessment.reason, [_brief(item) for item in result.assessment.evidence]
    while True:
        told = {"verdict": result.assessment.verdict.value, "reason": reason, "slos": slos}
        text = json.dumps(told, ensure_ascii=False)
        if len(text.encode()) <= RESULT_BYTES:
            return text
        if len(reason) > 200:
            reason = reason[: max(199, len(reason) - 100)] + "…"
        else:
            slos = slos[:-1]


def _brief(item: Evidence) -> dict[str, Any]:
    from fairway_steps.words import name_of

    observed = None if item.observed is None or not math.isfinite(item.observed) else float(f"{item.observed:.4g}")
    return {
        "slo": name_of(item.slo),
        "result": item.result.value,
        "observed": observed,
        "margin" if item.slo.relative else "limit": item.slo.limit,
        "n": item.requests,
    }


def data(result: StageResult) -> dict[str, Any]:
    from fairway_steps.codec import encode

    told: dict[str, Any] = encode(result)
    assessment = told.pop("assessment")
    return (
        {"verdict": assessment["verdict"], "reason": assessment["reason"]} | told | {"evidence": assessment["evidence"]}
    )


def text(result: StageResult) -> str:
    lines = [f"{result.assessment.verdict.value}: {result.assessment.reason}"]
    lines += [f"  {arm.verdict.value}: {arm.sentence}" for arm in result.assessment.arms]
    lines += [f"  {item.result.value}: {item.sentence}" for item in result.assessment.evidence]
    return "\n".join(lines)


@dataclass(slots=True)
class Progress:
    """Each look as a line of the log, and as ``N/M`` in Argo's progress file where there is one.

    https://argo-workflows.readthedocs.io/en/latest/progress/
    """

    file: str
    failed: bool = field(default=False, init=False)

    def __call__(self, text: str, /, **fields: object) -> None:
        log.progress(logger(), text, **fields)
        if not self.file or self.failed:
            return
        total = max(1, math.ceil(float(str(fields["duration"]))))
        done = min(total, int(float(str(fields["elapsed"]))))
        try:
            Path(self.file).write_text(f"{done}/{total}\n", encoding="utf-8")
        except OSError as error:
            self.failed = True
            logger().warning("progress cannot be written to %s: %s", self.file, error.strerror)
