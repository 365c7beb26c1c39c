"""A release's rendered workflow, run once with a program in place of its steps that answers as it is told."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairway_workflows.local import Node, Question, Silent, run_workflow
from fairway_workflows.options import ReleaseOptions
from fairway_workflows.run import declared
from fairway_workflows.strategies import build
from local_runs import QuickClock
from stub_steps import calls, environment, script, stubbed

GIVEN = {
    "service": "iris",
    "route": "envoy:/abs/route",
    "primary": "v1=http://127.0.0.1:1",
    "candidate": "v2=http://127.0.0.1:2",
    "slos": '[{metric: error-rate, limit: "1%"}]',
    "record": "file:/abs/record.json",
    "hold-timeout": "30s",
}
BEGUN = {"release-id": "iris-1", "token": "7", "stage": "0"}
STAGES = [{"next-index": "1"}, {"next-index": "2"}, {"next-index": "-1", "is-last": "true"}]
END = ["report", "ensure-safe"]

STAGE = ["set-weights", "assess"]
START = ["begin", "wait-for-ready"]
ADVANCE, PROMOTE, ROLLBACK, HOLD = ({"verdict": v, "summary": v} for v in ("advance", "promote", "rollback", "hold"))
"""Answers of a step that judges, by verdict."""


class Release:
    """Runs a release once and tells what was called."""

    def __init__(
        self,
        folder: Path,
        answers: Mapping[str, Sequence[Mapping[str, str]]],
        options: ReleaseOptions | None = None,
        asked: Sequence[str] | None = None,
        **given: str,
    ) -> None:
        script(folder, **{"begin": [BEGUN], "set_weights": STAGES} | answers)
        self.questions: list[Node] = []
        self.answers: Iterator[str] = iter(asked or ())
        template = build(options or ReleaseOptions()).to_dict()
        self.result = run_workflow(
            stubbed(template),
            declared(template, GIVEN) | given,
            workdir=folder,
            observer=Silent(),
            control=folder / "control",
            locks=folder / "locks",
            clock=QuickClock(),
            name="release",
            environment=environment(folder),
            ask=self.ask if asked else None,
        )
        self.calls = calls(folder)

    def ask(self, node: Node, questions: Sequence[Question], over: Any) -> dict[str, str]:
        del over
        self.questions.append(node)
        return {questions[0].name: next(self.answers)}

    @property
    def order(self) -> list[str]:
        return [name for name, _ in self.calls]

    def given(self, name: str) -> list[dict[str, str]]:
        return [options for called, options in self.calls if called == name]
