"""A step that waits for a person: asked on the terminal, or answered from another one through the control folder.

The engine writes ``NODE.waiting.json`` there and watches for ``NODE.answer.json`` with ``{"outputs": {…}, "by": "…"}``. Outputs
that an answer leaves out take their defaults, as ``argo resume`` has it; when the time is up, all of them do.
"""

import json
import os
import queue
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairway_steps.cli.wiring import somebody
from fairway_steps.errors import UsageError
from fairway_workflows.local.model import Phase, Question, TemplateError
from fairway_workflows.local.references import parameters, text
from fairway_workflows.local.retry import seconds
from fairway_workflows.local.run import BREATH, Live, Run

WAITING, ANSWER = ".waiting.json", ".answer.json"
BY = "by"
"""The output that is told who answers, unless the answer itself says it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One step that waits. ``node`` is what ``answer`` wants; ``until`` is a Unix time, None for as long as it takes."""

    node: str
    step: str
    template: str
    since: float
    until: float | None
    pid: int
    parameters: tuple[Question, ...] = ()


def waiting(control: Path) -> list[Waiting]:
    """The steps that wait for an answer in a control folder, the oldest first. What a dead run left behind is not shown."""
    found = []
    for path in control.glob(f"*{WAITING}"):
        data = _read(path)
        if data is not None and _alive(data.get("pid", 0)):
            questions = tuple(Question(**(q | {"choices": tuple(q["choices"])})) for q in data.pop("parameters"))
            found.append(Waiting(**data, parameters=questions))
    return sorted(found, key=lambda one: (one.since, one.node))


def answer(control: Path, node: str, outputs: Mapping[str, str], by: str) -> None:
    """Answer a waiting step, once. Raises UsageError if it does not wait, or does not wait for this."""
    asked = {one.node: one for one in waiting(control)}
    if node not in asked:
        raise UsageError(f"{node!r} does not wait for an answer", mend=f"waiting are: {', '.join(asked) or 'none'}")
    completed(asked[node].parameters, outputs)
    path = control / f"{node}{ANSWER}"
    if path.exists():
        raise UsageError(f"{node!r} has been answered already")
    _write(path, {"outputs": dict(outputs), "by": by})


def completed(questions: Sequence[Question], given: Mapping[str, str]) -> dict[str, str]:
    """The outputs that an answer means, defaults filled in. Raises UsageError for one that cannot be taken."""
    if unknown := sorted(set(given) - {question.name for question in questions}):
        raise UsageError(f"this step does not ask for {unknown[0]!r}")
    outputs = {}
    for question in questions:
        value = given.get(question.name, question.default)
        if value is None:
            raise UsageError(f"{question.name!r} has no default and needs a value")
        if question.name in given and question.choices and value not in question.choices:
            raise UsageError(f"{question.name} cannot be {value!r}", mend=f"use {', '.join(question.choices)}")
        outputs[question.name] = value
    return outputs


def run_suspend(run: Run, node: Live, template: Mapping[str, Any], *, exit_handler: bool) -> Live:
    """Wait as a bound ``suspend`` template says. Raises TemplateError when the time is up and an output has no default."""
    asked = _questions(template)
    duration = text((template["suspend"] or {}).get("duration") or "")
    until = run.clock.now() + seconds(duration) if duration else None
    name = re.sub(r"[^A-Za-z0-9.]+", "-", node.name).strip("-")
    paths = (run.control / f"{name}{WAITING}", run.control / f"{name}{ANSWER}")
    waits = Waiting(name, node.display_name, node.template, run.clock.now(), until, os.getpid(), asked)
    _write(paths[0], asdict(waits))
    desk = _Desk(run, node, asked)
    try:
        run.watch.suspended(node, asked)
        while True:
            if why := run.halted(exit_handler):
                return run.close(node, Phase.FAILED, why)
            if found := (desk.answered() or _answered(run, node, asked, paths[1])):
                node.outputs.update(found[0])
                if not found[0].get(BY, "unasked"):
                    node.outputs[BY] = found[1]
                return run.close(node, Phase.SUCCEEDED, f"answered by {found[1]}")
            if until is not None and run.clock.now() >= until:
                node.outputs.update(_defaults(asked))
                return run.close(node, Phase.SUCCEEDED, "nobody answered in time")
            run.clock.sleep(BREATH)
    finally:
        desk.closed.set()
        for path in paths:
            path.unlink(missing_ok=True)


class _Desk:
    """Asks on the terminal, in a thread, until there is an answer from anywhere."""

    def __init__(self, run: Run, node: Live, asked: tuple[Question, ...]) -> None:
        self.closed = threading.Event()
        self._answers: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
        if run.ask is not None:
            threading.Thread(target=self._ask, args=(run, node, asked), daemon=True).start()

    def _ask(self, run: Run, node: Live, asked: tuple[Question, ...]) -> None:
        while not run.terminal.acquire(timeout=BREATH):
            if self.closed.is_set():
                return
        try:
            self._ask_until_answered(run, node, asked)
        finally:
            run.terminal.release()

    def _ask_until_answered(self, run: Run, node: Live, asked: tuple[Question, ...]) -> None:
        while run.ask is not None and not self.closed.is_set():
            given = run.ask(node.freeze(), [one for one in asked if one.name != BY], self.closed.is_set)
            if given is None:
                return
            try:
                self._answers.put(completed(asked, given))
            except UsageError as error:
                run.watch.line(node, str(error))
            else:
                return

    def answered(self) -> tuple[Mapping[str, str], str] | None:
        return None if self._answers.empty() else (self._answers.get(), somebody())


def _answered(run: Run, node: Live, asked: tuple[Question, ...], path: Path) -> tuple[Mapping[str, str], str] | None:
    data = _read(path)
    if data is None:
        return None
    try:
        return completed(asked, data.get("outputs") or {}), str(data.get("by") or "somebody")
    except UsageError as error:
        path.unlink()
        run.watch.line(node, str(error))
        return None


def _questions(template: Mapping[str, Any]) -> tuple[Question, ...]:
    """The outputs to be supplied; the input of the same name, if there is one, tells what may be chosen (Argo's convention)."""
    inputs = {parameter["name"]: parameter for parameter in parameters(template.get("inputs"))}
    return tuple(
        Question(
            name=output["name"],
            description=text(inputs.get(output["name"], {}).get("description") or ""),
            default=None if (default := output["valueFrom"].get("default")) is None else text(default),
            choices=tuple(text(choice) for choice in inputs.get(output["name"], {}).get("enum") or []),
        )
        for output in parameters(template.get("outputs"))
    )


def _defaults(asked: tuple[Question, ...]) -> dict[str, str]:
    try:
        return completed(asked, {})
    except UsageError as error:
        raise TemplateError(str(error)) from error


def _alive(pid: int) -> bool:
    return pid > 0 and Path(f"/proc/{pid}").exists()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or not yet whole
        return None
    return data if isinstance(data, dict) else None


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    fresh.write_text(json.dumps(data), encoding="utf-8")
    fresh.replace(path)
