"""The performance test on this machine: our own rendered workflow, run by the local interpreter; no route and no record."""

import json
from pathlib import Path
from typing import Any

from fairway_steps.clock import Clock
from fairway_steps.config import Objectives, ReleaseSpec, written
from fairway_workflows.console import Console
from fairway_workflows.local import Phase, Signals, WorkflowResult, run_workflow
from fairway_workflows.preflight import refuse_unusable_load
from fairway_workflows.run import SIGNALLED, Ending, declared, load_arguments

TITLES = {
    "wait-for-ready": "wait until the version is ready, first inference included",
    "load-test": "load test",
    "assess": "assess",
}


def run_performance(spec: ReleaseSpec, *, console: Console, clock: Clock, folder: Path, signals: Signals) -> Ending:
    """Run the performance test for ``spec``; it passes with exit code 0. ``folder`` takes what the run needs for itself."""
    from fairway_workflows.performance import build  # noqa: PLC0415 - Hera takes its time

    refuse_unusable_load(spec)
    template = build().to_dict()
    began = clock.now()
    signals.hold()
    result = run_workflow(
        template,
        declared(template, arguments(spec)),
        workdir=Path.cwd(),
        observer=console,
        control=folder / "control",
        clock=clock,
        name=f"{spec.strategy}-{spec.service}",
        signals=signals,
    )
    told = _told(result, console)
    code = SIGNALLED.get(result.stopped, 0 if result.phase is Phase.SUCCEEDED else 1)
    console.say(f"{'✓' if code == 0 else '✗'} {spec.candidate.name}: {told['reason']}")
    return Ending(code, told | {"wall_s": round(clock.now() - began, 3)})


def arguments(spec: ReleaseSpec) -> dict[str, str]:
    """The workflow's parameters."""
    return {
        "candidate": f"{spec.candidate.name}={spec.candidate.uri}",
        "model": spec.inference.model,
        "payload": spec.inference.payload,
        "ready-timeout": f"{spec.ready_timeout!r}s",
        "ready-path": spec.ready_path,
        "slos": written(Objectives(spec.slos, spec.rules)),
        **load_arguments(spec),
    }


def _told(result: WorkflowResult, console: Console) -> dict[str, Any]:
    """The verdict and what it rests on; of a test that was not carried out, why."""
    found = {name: dict(node.outputs) for name in ("load-test", "assess") for node in result.find(name) if node.outputs}
    if "assess" in found and found["assess"].get("summary"):
        told: dict[str, Any] = json.loads(found["assess"]["summary"])
    else:
        told = {"verdict": "hold", "reason": result.stopped or console.last_error or result.message, "slos": []}
    return told | {"load": json.loads(found.get("load-test", {}).get("summary") or "{}")}
