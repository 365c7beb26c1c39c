"""Asking a person at a terminal, in a way that can be called off at any moment.

Reads the terminal's descriptor with ``select`` and not through ``input``: a thread that hangs in ``input`` cannot be ended, and
keeps the interpreter from leaving in good order.
"""

import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from fairway_workflows.local.model import Ask, Node, Question


def ask_on_terminal(
    node: Node, parameters: Sequence[Question], called_off: Callable[[], bool]
) -> Mapping[str, str] | None:
    """An ``Ask`` on this process's own terminal: questions on stderr, for stdout is for data."""
    return ask_on(sys.stdin, sys.stderr)(node, parameters, called_off)


def ask_on(source: TextIO, shown: TextIO, look: float = 0.2) -> Ask:
    """An ``Ask`` that reads lines from ``source`` (a terminal or pipe) and writes its questions to ``shown``.

    An empty line means the default. At the end of ``source`` there is no answer from here.
    """
    lines = _Lines(source.fileno(), look)

    def ask(node: Node, parameters: Sequence[Question], called_off: Callable[[], bool]) -> Mapping[str, str] | None:
        given: dict[str, str] = {}
        for question in parameters or [Question("continue", default="")]:
            line: str | None = ""
            while not line:
                shown.write(f"{node.display_name}: {_prompt(question)} ")
                shown.flush()
                if (line := lines.next(called_off)) is None:
                    return None
                if (line := line.strip()) or question.default is not None:
                    break
            if line and parameters:
                given[question.name] = line
        return given

    return ask


def _prompt(question: Question) -> str:
    choices = f" ({'/'.join(question.choices)})" if question.choices else ""
    default = f" [{question.default}]" if question.default else ""
    return f"{question.description or question.name}{choices}{default}?"


class _Lines:
    """Lines of a descriptor, as they come; what was read past one line is kept for the next."""

    def __init__(self, descriptor: int, look: float) -> None:
        self._descriptor, self._look, self._rest = descriptor, look, b""

    def next(self, called_off: Callable[[], bool]) -> str | None:
        while b"\n" not in self._rest:
            if called_off():
                return None
            if select.select([self._descriptor], [], [], self._look)[0]:
                read = os.read(self._descriptor, 4096)
                if not read:
                    return None
                self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")
