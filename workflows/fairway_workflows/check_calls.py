"""Who calls whom in an Argo template, in which order, and what has ended by then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway_workflows.findings import items, names

Template = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One step or task: whom it calls, and what has ended by then and what has not."""

    node: Template
    before: tuple[str, ...] = ()
    later: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.node.get("name", ""))


def needs(tasks: Sequence[Template]) -> dict[str, list[str]]:
    """Whom each task of a DAG waits for."""
    return {str(task.get("name", "")): _depends(task) for task in tasks}


def circles(graph: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """``a → b → a`` for what waits for itself."""
    ended: set[str] = set()
    for start in graph:
        yield from (" → ".join(cycle) for cycle in cycles(graph, start, (), ended))


def calls(template: Template) -> Iterator[Call]:
    """The steps or tasks of a template in their order, with those that have ended before each."""
    groups = template.get("steps") if isinstance(template.get("steps"), list) else []
    before: list[str] = []
    every = [name for group in groups or [] for name in names(items(group))]
    for group in groups or []:
        for node in items(group):
            yield Call(node, tuple(before), tuple(name for name in every if name not in before))
        before += names(items(group))
    tasks = items(template, "dag", "tasks")
    graph = needs(tasks)
    for task in tasks:
        ended = _ancestors(str(task.get("name", "")), graph)
        yield Call(task, tuple(ended), tuple(name for name in graph if name not in ended))


def _depends(task: Template) -> list[str]:
    listed = task.get("dependencies")
    words = str(task.get("depends", "")).translate(str.maketrans("&|!()", "     "))
    named = [word.partition(".")[0] for word in words.split()]
    return [str(name) for name in (listed if isinstance(listed, list) else [])] + named


def _ancestors(name: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    found: list[str] = []
    open_ = list(needs.get(name, ()))
    while open_:
        one = open_.pop()
        if one not in found and one != name:
            found.append(one)
            open_ += needs.get(one, ())
    return found


def cycles(
    graph: Mapping[str, Sequence[str]], name: str, path: tuple[str, ...], ended: set[str]
) -> Iterator[tuple[str, ...]]:
    if name in path:
        yield (*path[path.index(name) :], name)
    elif name in graph and name not in ended:
        for called in graph[name]:
            yield from cycles(graph, called, (*path, name), ended)
        ended.add(name)
