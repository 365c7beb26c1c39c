"""Helpers for tests of the local runner: scenarios from files, a clock that does not wait, an observer that remembers."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fairway_workflows.local import Engine, Node, Question, Silent, WorkflowResult, answer, waiting

SCENARIOS = Path(__file__).parent / "workflows" / "scenarios"


def scenario(name: str) -> dict[str, Any]:
    """A scenario as Argo would get it."""
    loaded: dict[str, Any] = yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


def workflow(*templates: Mapping[str, Any], entrypoint: str = "main", **spec: Any) -> dict[str, Any]:
    """A Workflow of these templates."""
    return {
        "kind": "Workflow",
        "metadata": {"name": "test"},
        "spec": {"entrypoint": entrypoint, "templates": [*templates], **spec},
    }


def python(code: str, *args: str, name: str = "main", **template: Any) -> dict[str, Any]:
    """A container template that runs Python code."""
    return {"name": name, "container": {"command": ["python3", "-c"], "args": [code, *args]}, **template}


class QuickClock:
    """Real time, plus all that was slept: nobody waits, and deadlines of real processes still pass."""

    def __init__(self) -> None:
        self.slept = 0.0

    def now(self) -> float:
        return time.time() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += max(0.0, seconds)


class Diary(Silent):
    """Remembers what it was told, and may act on it."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.lines: list[tuple[str, str]] = []
        self.asked: list[tuple[str, Sequence[Question]]] = []
        self.on_suspended: Callable[[Node], None] = lambda node: None
        self.on_started: Callable[[Node], None] = lambda node: None
        self.on_line: Callable[[Node, str], None] = lambda node, text: None

    def node_started(self, node: Node) -> None:
        self.started.append(node.name)
        self.on_started(node)

    def node_finished(self, node: Node) -> None:
        self.finished.append(node.name)

    def line(self, node: Node, text: str) -> None:
        self.lines.append((node.display_name, text))
        self.on_line(node, text)

    def suspended(self, node: Node, parameters: Sequence[Question]) -> None:
        self.asked.append((node.display_name, parameters))
        self.on_suspended(node)


def engine(
    document: Mapping[str, Any], folder: Path, arguments: Mapping[str, str] | None = None, **options: Any
) -> Engine:
    """An engine over a folder of the test, with a clock that does not wait."""
    (folder / "work").mkdir(exist_ok=True)
    defaults = {
        "workdir": folder / "work",
        "observer": Diary(),
        "control": folder / "control",
        "locks": folder / "locks",
        "clock": QuickClock(),
        "name": "test",
        "grace": 5.0,
    }
    return Engine(document, arguments or {}, **{**defaults, **options})


def run_scenario(name: str, folder: Path) -> WorkflowResult:
    """Run a scenario with what its annotations say a person does meanwhile."""
    document = scenario(name)
    notes = document["metadata"].get("annotations") or {}
    answers = json.loads(notes.get("fairway.test/answers", "{}"))
    diary, control = Diary(), folder / "control"

    def reply(node: Node) -> None:
        if node.display_name in answers:
            (waits,) = waiting(control)
            answer(control, waits.node, answers[node.display_name], "a test")
        stop(node)

    def stop(node: Node) -> None:
        if node.display_name == notes.get("fairway.test/stop-at"):
            runner.stop("the scenario says so")

    diary.on_suspended, diary.on_started = reply, stop
    runner = engine(document, folder, observer=diary, name=name)
    return runner.run()


def summary(result: WorkflowResult) -> dict[str, Any]:
    """Phases and outputs by node name without the workflow's, as they can be read from Argo's ``status.nodes``, too."""
    nodes = {name.removeprefix(result.name) or "entry": node for name, node in result.nodes.items()}
    return {
        "phase": result.phase.value,
        "nodes": {name: f"{node.type.value} {node.phase.value}" for name, node in nodes.items()},
        "outputs": {name: dict(node.outputs) for name, node in nodes.items() if node.outputs},
    }


def until(condition: Callable[[], object], seconds: float = 180.0) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
