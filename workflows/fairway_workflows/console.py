"""What a person sees of a release on a terminal: steps as they start and end, progress in place, one line each.

On a pipe or in a log there is no drawing in place: progress is thinned out to a line every few seconds.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from fairway_steps.log import PROGRESS_MARK
from fairway_workflows.local import Node, NodeType, Phase, Question

ERROR = "error: "
QUIET = 5.0
"""Seconds between two progress lines where they cannot be drawn in place."""


class Console:
    """An observer of a workflow that writes to a stream (stderr: stdout is for data).

    ``titles`` maps the templates of pods to what a person calls them; one without a title is not announced.
    """

    def __init__(self, stream: TextIO = sys.stderr, *, now: Callable[[], float], titles: Mapping[str, str]) -> None:
        self.stream, self.now, self.titles = stream, now, titles
        self.in_place = stream.isatty()
        self.drawn, self.said_at = False, 0.0
        self.last_error = ""
        self.errors: dict[str, str] = {}
        self.last_words: dict[str, str] = {}

    def say(self, text: str) -> None:
        """One whole line."""
        self._clear()
        print(text, file=self.stream, flush=True)

    def node_started(self, node: Node) -> None:
        title = self.titles.get(node.template)
        if title and node.type is NodeType.POD and node.phase is Phase.RUNNING:
            self.say(f"▸ {title}")

    def node_finished(self, node: Node) -> None:
        if node.type is not NodeType.POD or node.template not in self.titles:
            return
        if node.phase.unsuccessful:
            # What went wrong was told as a line of the step's own, if it had one.
            self.say(f"  ✗ {node.template}" + ("" if node.template in self.errors else f": {node.message or 'failed'}"))
        elif summary := node.outputs.get("summary"):
            self.say(f"  ✓ {_told(summary)}")

    def line(self, node: Node, text: str) -> None:
        if text.startswith(ERROR):
            self.last_error = self.errors[node.template] = text.removeprefix(ERROR)
        if not text.startswith(PROGRESS_MARK):
            self.last_words[node.template] = text.strip()
            self.say(f"  {text}")
        elif self.in_place:
            self._clear()
            self.stream.write(f"  {text}")
            self.stream.flush()
            self.drawn = True
        elif self.now() - self.said_at >= QUIET:
            self.said_at = self.now()
            self.say(f"  {text}")

    def suspended(self, node: Node, parameters: Sequence[Question]) -> None:
        wanted = ", ".join(question.name for question in parameters) or "go on"
        self.say(f"  waiting for a person ({node.display_name}: {wanted}): answer here, or with `fairway approve`")

    def _clear(self) -> None:
        if self.drawn:
            self.stream.write("\r\033[K")
            self.drawn = False


def _told(summary: str) -> str:
    """What an assessment or a load test says of itself, in a line."""
    try:
        told = json.loads(summary)
        if "requests" in told:
            return f"{told['requests']} requests, {sum(told['errors'].values())} failed, p95 {told['response_ms']['p95']:.0f} ms"
        return f"{told['verdict']}: {told['reason']}"
    except (ValueError, LookupError, TypeError):
        return summary
