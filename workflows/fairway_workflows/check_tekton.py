"""Whether a Tekton Task or StepAction holds together: every ``$(…)`` is declared, and no value can become code.

Source: https://tekton.dev/docs/pipelines/variables/.
"""

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from fairway_steps.cli import nearest
from fairway_workflows.check_command import Line, line, refusal
from fairway_workflows.check_names import name_problems, tekton_names, word_problems
from fairway_workflows.findings import (
    Document,
    Finding,
    items,
    names,
    repeated,
    runs_a_shell_line,
    section,
    strings,
    text,
)

WHOLE = re.compile(r"\$\(params\.([-\w]+)\)")
VARIABLE = re.compile(
    r"""\$\((?P<root>params|results|step\.results|workspaces)(?:\.(?P<plain>[\w-]+)|\[\s*['"](?P<quoted>[^'"]+)['"]\s*\])(?P<rest>[^)]*)\)"""
)


def check_tekton(document: Document) -> Iterator[Finding]:
    """What is wrong in one document."""
    spec = section(document.body, "spec")
    for sentence in (*name_problems(document), *word_problems(spec), *task_problems(document.kind, spec)):
        yield Finding(document.source, f"{document.kind} {document.name}", sentence)


def task_problems(kind: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong in the spec of a Task or StepAction; a Pipeline may hold one of the former."""
    params, results = items(spec, "params"), items(spec, "results")
    yield from tekton_names(spec)
    yield from (f"there is more than one param {name!r}" for name in repeated(names(params)))
    yield from (f"there is more than one result {name!r}" for name in repeated(names(results)))
    for param in params:
        choices = [text(choice) for choice in param.get("enum") or []]
        if choices and param.get("default") is not None and text(param["default"]) not in choices:
            yield f"param {param.get('name')!r} has the default {text(param['default'])!r}, which is not one of {', '.join(choices)}"
    known = {"params": names(params), "workspaces": names(items(spec, "workspaces"))}
    known |= {"results": names(results)} if kind == "Task" else {"step.results": names(results)}
    steps = items(spec, "steps") if kind == "Task" else [spec]
    if not steps:
        yield "it has no steps"
    for step in steps:
        where = f"step {step.get('name', '?')}" if kind == "Task" else "it"
        of_step = known | ({"step.results": names(items(step, "results"))} if kind == "Task" else {})
        yield from (f"{where}: {problem}" for problem in _step(step, of_step))
        ours = line(step)
        if ours is not None:
            yield from (f"{where}: {problem}" for problem in _command(ours, params))
    lines = [ours for step in steps if (ours := line(step))]
    if lines and len(lines) == len(steps):
        of_kind = "results" if kind == "Task" else "step.results"
        yield from _unwritten(results, lines, of_kind)
    rest = (
        {key: value for key, value in spec.items() if key not in ("steps", "params", "description")}
        if kind == "Task"
        else {}
    )
    yield from _variables(rest, known)
    volumes = names(items(spec, "volumes"))
    for mount in (mount for step in steps for mount in items(step, "volumeMounts") if kind == "Task"):
        if mount.get("name") not in volumes and "$(" not in str(mount.get("name")):
            yield f"volume {mount.get('name')!r} is mounted but not declared"


def _command(ours: Line, params: list[Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with a call of one of our own commands, the defaults that it would get included."""
    yield from ours.problems()
    yield from ours.unpassed(names(params), "$(params.{})")
    defaults = {str(param.get("name")): param.get("default") for param in params}
    for name, value in ours.options:
        whole = WHOLE.fullmatch(value)
        default = defaults.get(whole[1]) if whole else None
        if whole and ours.command and isinstance(default, str) and (reason := refusal(ours.command, name, default)):
            yield f"param {whole[1]!r} has the default {default!r}, which {ours.name} refuses as --{name}: {reason}"


def _unwritten(results: list[Mapping[str, Any]], lines: list[Line], of_kind: str) -> Iterator[str]:
    written = [value for ours in lines for value in ours.values("result")]
    for name in names(results):
        path = f"$({of_kind}.{name}.path)"
        if not any(value.endswith("=" + path) for value in written):
            yield f"result {name!r} is not written: no step has --result={name}={path}"
    for value in written:
        output, _, path = value.partition("=")
        if path.startswith(f"$({of_kind}.") and path != f"$({of_kind}.{output}.path)" and output in names(results):
            yield f"--result={value} writes {output!r} into another result"


def _step(step: Mapping[str, Any], known: Mapping[str, Container[str]]) -> Iterator[str]:
    if not (step.get("command") or step.get("script") or step.get("ref")):
        yield "it has no command: Tekton would have to ask the image's registry for it"
    if runs_a_shell_line(step):
        yield "it runs a shell line (sh -c), in which a param's value can become code"
    if "$(params." in str(step.get("script", "")) or "$(params[" in str(step.get("script", "")):
        yield "its script has $(params…), where a value can become code"
    yield from _variables(
        {key: value for key, value in step.items() if key not in ("params", "results", "description")}, known
    )


def _variables(value: Any, known: Mapping[str, Container[str]]) -> Iterator[str]:
    for found in strings(value):
        for match in VARIABLE.finditer(found):
            root, name = match["root"], match["plain"] or match["quoted"]
            declared = known.get(root, ())
            if name not in declared:
                near = nearest(name, sorted(declared)) if isinstance(declared, list) else ""
                yield f"{match[0]} does not resolve: {name!r} is not declared in {root.replace('step.', '')}{near}"
