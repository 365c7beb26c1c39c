"""Which ``{{…}}`` of an Argo template resolve, and why the others do not.

Source: https://argo-workflows.readthedocs.io/en/release-3.7/variables/.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairway_steps.cli import nearest
from fairway_workflows.findings import strings

TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
WORKFLOW = re.compile(
    r"name|namespace|uid|mainEntrypoint|serviceAccountName|priority|duration|scheduledTime|parameters(\.json)?"
    r"|creationTimestamp(\..+)?|labels(\.json|\..+)?|annotations(\.json|\..+)?"
)
ENDED = re.compile(r"status|failures")
OF_POD = re.compile(
    r"pod\.name|retries|lastRetry\.(exitCode|status|duration|message)|node\.name|(steps|tasks)\.name|cronworkflow\..+"
)
OWN_OUTPUT = re.compile(
    r"outputs\.(parameters|artifacts)\.[^.]+(\.path)?|outputs\.(result|exitCode)|status|duration|exitCode|resourcesDuration\..+"
)
NODE = re.compile(r"id|ip|status|exitCode|startedAt|finishedAt|hostNodeName|outputs\.result|outputs\.parameters")
IN_EXPRESSION = re.compile(r"(inputs|workflow)\.parameters(?:\.(\w+)|\[\s*['\"]([^'\"]+)['\"]\s*\])")
ITEM = re.compile(r"item(\..+|\[.+\])?")


@dataclass(frozen=True, slots=True)
class Node:
    """A step or task that comes before: its outputs by ``parameters`` and ``artifacts``, None where nobody knows them."""

    template: str
    outputs: Mapping[str, Container[str]] | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be referred to in one place of one template.

    ``nodes`` are those that have ended by then, ``later`` the names of those that have not. ``ended`` is true where the
    workflow's end is known: in exit handlers. ``exported`` are the workflow's outputs with a global name.
    """

    parameters: Container[str] = ()
    artifacts: Container[str] = ()
    workflow: Container[str] = ()
    exported: Container[str] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    later: Container[str] = ()
    ended: bool = False
    items: bool = False

    def problems(self, value: Any) -> Iterator[str]:
        """A sentence for each reference in ``value`` that does not resolve."""
        for text in strings(value):
            if "{{" in TAG.sub("", text):
                yield f"{text!r} opens a {{{{ that it does not close; write }}}} behind the name"
            for match in TAG.finditer(text):
                tag = match[1].strip()
                for problem in self._expression(tag[1:]) if tag.startswith("=") else self._tag(tag):
                    yield f"{{{{{tag}}}}} does not resolve: {problem}"

    def _tag(self, tag: str) -> Iterator[str]:
        root, _, rest = tag.partition(".")
        if root == "inputs":
            yield from self._input(rest)
        elif root == "workflow":
            yield from self._workflow(rest)
        elif OF_POD.fullmatch(tag) or OWN_OUTPUT.fullmatch(tag):
            return
        elif root in ("steps", "tasks") and rest:
            yield from self._node(root, rest)
        elif not (self.items and ITEM.fullmatch(tag)):
            yield "it stands for nothing here"

    def _input(self, rest: str) -> Iterator[str]:
        kind, _, name = rest.partition(".")
        if kind == "parameters":
            yield from _declared(name, self.parameters, "input") if name else ()
        elif kind == "artifacts":
            yield from _declared(name.partition(".")[0], self.artifacts, "input artifact")
        else:
            yield "inputs have parameters and artifacts"

    def _workflow(self, rest: str) -> Iterator[str]:
        if rest.startswith("parameters.") and rest != "parameters.json":
            yield from _declared(rest.removeprefix("parameters."), self.workflow, "parameter of the workflow")
        elif rest.startswith("outputs."):
            yield from _declared(rest.rpartition(".")[2], self.exported, "output with a globalName")
        elif ENDED.fullmatch(rest):
            if not self.ended:
                yield "it is known only in an exit handler"
        elif not WORKFLOW.fullmatch(rest):
            yield "the workflow has no such variable"

    def _node(self, root: str, rest: str) -> Iterator[str]:
        name, _, of = rest.partition(".")
        node = self.nodes.get(name)
        if node is None:
            ended = f"{root[:-1]} {name} has not ended by then" if name in self.later else ""
            yield ended or f"there is no {root[:-1]} {name} before it{_near(name, self.nodes)}"
        elif not NODE.fullmatch(of):
            kind, _, output = of.removeprefix("outputs.").partition(".")
            if not of.startswith("outputs.") or kind not in ("parameters", "artifacts"):
                yield f"a {root[:-1]} has no {of!r}"
            elif node.outputs is not None:
                told = f"output {kind.removesuffix('s')} of template {node.template}"
                yield from _declared(output, node.outputs[kind], told)

    def _expression(self, expression: str) -> Iterator[str]:
        for root, plain, quoted in IN_EXPRESSION.findall(expression):
            known = self.parameters if root == "inputs" else self.workflow
            if (plain or quoted) != "json":
                yield from _declared(
                    plain or quoted, known, "input" if root == "inputs" else "parameter of the workflow"
                )


def _declared(name: str, known: Container[str], what: str) -> Iterator[str]:
    if name not in known:
        yield f"no {what} is called {name!r}{_near(name, known)}"


def _near(name: str, known: Container[str]) -> str:
    return nearest(name, sorted(known)) if isinstance(known, Iterable) else ""
