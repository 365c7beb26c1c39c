"""Whether Tekton Pipelines, their runs and calls of StepActions hold together: params, results, order, what ``finally`` may see.

Tekton's webhook looks at one document at a time: that a Task has the params it is given, and the results it is asked for,
is found out when it runs. Sources: https://tekton.dev/docs/pipelines/pipelines/ and .../variables/.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairway_steps.cli import nearest
from fairway_workflows.check_calls import cycles
from fairway_workflows.check_command import line, refusal
from fairway_workflows.check_names import name_problems, tekton_names, word_problems
from fairway_workflows.check_tekton import WHOLE, task_problems
from fairway_workflows.findings import Document, Finding, items, names, repeated, section, strings

Body = Mapping[str, Any]
Library = Mapping[tuple[str, str], Body]
"""The specs of the Tasks, StepActions and Pipelines at hand, by kind and name."""
VARIABLE = re.compile(r"\$\((?P<root>params|tasks|finally|context|workspaces)\.(?P<path>[\w.-]+)[^)]*\)")
CONTEXT = ("pipelineRun.name", "pipelineRun.namespace", "pipelineRun.uid", "pipeline.name", "pipelineTask.retries")


def check_pipeline(document: Document, library: Library) -> Iterator[Finding]:
    """What is wrong in a Pipeline or a PipelineRun."""
    spec = section(document.body, "spec")
    found = _pipeline(spec, library) if document.kind == "Pipeline" else _run(spec, library)
    for sentence in (*name_problems(document), *word_problems(spec), *found):
        yield Finding(document.source, f"{document.kind} {document.name}", sentence)


def check_references(document: Document, library: Library) -> Iterator[Finding]:
    """What is wrong in a Task's calls of StepActions."""
    for sentence in _references(section(document.body, "spec"), library):
        yield Finding(document.source, f"{document.kind} {document.name}", sentence)


def _run(spec: Body, library: Library) -> Iterator[str]:
    if embedded := section(spec, "pipelineSpec"):
        yield from _pipeline(embedded, library)
        return
    name = str(section(spec, "pipelineRef").get("name") or "")
    called = library.get(("Pipeline", name))
    if called is not None:
        yield from _given(f"pipeline {name!r}", items(spec, "params"), items(called, "params"))


def _pipeline(spec: Body, library: Library) -> Iterator[str]:
    tasks, final = items(spec, "tasks"), items(spec, "finally")
    for what, listed in {"param": items(spec, "params"), "result": items(spec, "results")}.items():
        yield from (f"there is more than one {what} {name!r}" for name in repeated(names(listed)))
    yield from (f"there is more than one task {name!r}" for name in repeated(names([*tasks, *final])))
    yield from tekton_names(spec)
    if not tasks:
        yield "it has no tasks"
    for task in (*tasks, *final):
        yield from (f"task {task.get('name', '?')}: {problem}" for problem in _task(task, spec, library))
    order = {str(task.get("name")): _before(task) for task in tasks}
    ended: set[str] = set()
    for name in order:
        yield from (f"tasks wait for one another: {' -> '.join(path)}" for path in cycles(order, name, (), ended))
    for result in items(spec, "results"):
        for problem in _variables(result.get("value"), spec, library, sees=("tasks", "finally")):
            yield f"result {result.get('name', '?')}: {problem}"


def _task(task: Body, spec: Body, library: Library) -> Iterator[str]:
    is_final = task in items(spec, "finally")
    known = names(items(spec, "tasks"))
    after = [str(name) for name in task.get("runAfter") or []]
    if is_final and after:
        yield "a finally task has no runAfter: all of them start at once"
    yield from (f"runAfter: there is no task {name!r}{nearest(name, known)}" for name in after if name not in known)
    for guard in items(task, "when"):
        if not guard.get("cel") and guard.get("operator") not in ("in", "notin"):
            yield f"when: the operator {guard.get('operator')!r} is not one of in, notin"
    here = {key: value for key, value in task.items() if key != "taskSpec"}
    yield from _variables(here, spec, library, sees=("tasks",), status=is_final)
    called = _called(task, library)
    if embedded := section(task, "taskSpec"):
        yield from task_problems("Task", embedded)
        yield from _references(embedded, library)
    elif called is None and not task.get("taskRef") and not task.get("pipelineRef"):
        yield "it names no taskRef and has no taskSpec"
    if called is not None:
        who = f"Task {section(task, 'taskRef').get('name', '')!r}" if task.get("taskRef") else "taskSpec"
        yield from _given(who, items(task, "params"), items(called, "params"))
        yield from _refused(items(task, "params"), items(called, "steps"))


def _called(task: Body, library: Library) -> Body | None:
    """The spec of what a task runs; None if it is not at hand."""
    if embedded := section(task, "taskSpec"):
        return embedded
    return library.get(("Task", str(section(task, "taskRef").get("name") or "")))


def _before(task: Body) -> list[str]:
    """The tasks that one waits for: those it names, and those whose results it takes."""
    found = [str(name) for name in task.get("runAfter") or []]
    for text in strings([task.get("params"), task.get("when"), task.get("matrix")]):
        found += [match["path"].partition(".")[0] for match in VARIABLE.finditer(text) if match["root"] == "tasks"]
    return found


def _given(who: str, given: Sequence[Body], declared: Sequence[Body]) -> Iterator[str]:
    known, passed = names([*declared]), names([*given])
    yield from (f"{who} has no param {name!r}{nearest(name, known)}" for name in passed if name not in known)
    yield from (f"param {name!r} is given more than once" for name in repeated(passed))
    needed = [str(one.get("name")) for one in declared if "default" not in one]
    yield from (f"{who} needs the param {name!r}" for name in needed if name not in passed)


def _refused(given: Sequence[Body], steps: Sequence[Body]) -> Iterator[str]:
    """Values that the command behind a Task or StepAction would refuse."""
    values = {str(one.get("name")): one.get("value") for one in given}
    for ours in (found for step in steps if (found := line(step))):
        for option, passed in ours.options:
            whole = WHOLE.fullmatch(passed)
            value = values.get(whole[1]) if whole else None
            if whole and ours.command and isinstance(value, str) and (reason := refusal(ours.command, option, value)):
                yield f"param {whole[1]!r} is {value!r}, which {ours.name} refuses as --{option}: {reason}"


def _references(spec: Body, library: Library) -> Iterator[str]:
    """What is wrong in a Task's steps that are StepActions, and in results taken from steps."""
    steps = {str(step.get("name", "")): step for step in items(spec, "steps")}
    actions = {
        name: library.get(("StepAction", str(section(step, "ref").get("name") or ""))) for name, step in steps.items()
    }
    for name, step in steps.items():
        action = actions[name]
        if action is not None:
            who = f"StepAction {section(step, 'ref').get('name')!r}"
            problems = [*_given(who, items(step, "params"), items(action, "params"))]
            problems += _refused(items(step, "params"), [action])
            yield from (f"step {name}: {problem}" for problem in problems)
            told = [one.get("value") for one in items(step, "params")]
            yield from _of_steps(f"step {name}", told, actions, [*steps][: [*steps].index(name)])
    for result in items(spec, "results"):
        yield from _of_steps(f"result {result.get('name')!r}", [result.get("value")], actions, [*steps])


def _of_steps(
    who: str, values: Sequence[Any], actions: Mapping[str, Body | None], ended: Sequence[str]
) -> Iterator[str]:
    """What is wrong in results taken from the steps that have ``ended`` by then."""
    for step, of in re.findall(r"\$\(steps\.([\w-]+)\.results\.([\w-]+)\)", " ".join(map(str, values))):
        action = actions.get(step)
        if step not in actions:
            yield f"{who}: there is no step {step!r}{nearest(step, list(actions))}"
        elif step not in ended:
            yield f"{who}: step {step!r} has not run before it"
        elif action is not None and of not in names(items(action, "results")):
            known = names(items(action, "results"))
            yield f"{who}: step {step!r} has no result {of!r}{nearest(of, known)}"


def _variables(value: Any, spec: Body, library: Library, *, sees: Sequence[str], status: bool = False) -> Iterator[str]:
    for text in strings(value):
        for match in VARIABLE.finditer(text):
            if problem := _unresolved(match["root"], match["path"].split("."), spec, library, sees, status):
                yield f"{match[0]} does not resolve: {problem}"


def _unresolved(root: str, path: Sequence[str], spec: Body, library: Library, sees: Sequence[str], status: bool) -> str:
    """Why a variable means nothing; empty if it does."""
    if root == "context":
        whole = ".".join(path)
        return "" if whole in CONTEXT else f"there is no such context{nearest(whole, CONTEXT)}"
    if root in ("params", "workspaces"):
        known = names(items(spec, root))
        return "" if path[0] in known else f"{path[0]!r} is not declared in {root}{nearest(path[0], known)}"
    return _of_task(root, path, spec, library, status) if root in sees else f"only the pipeline's results see {root}"


def _of_task(root: str, path: Sequence[str], spec: Body, library: Library, status: bool) -> str:
    if path[-1] in ("status", "reason") and len(path) <= 2:
        return "" if status else "only finally tasks see how tasks ended"
    task = next((one for one in items(spec, root) if one.get("name") == path[0]), None)
    if task is None:
        return f"there is no task {path[0]!r}{nearest(path[0], names(items(spec, root)))}"
    called = _called(task, library)
    if called is None or len(path) < 3 or path[1] != "results":
        return ""
    known = names(items(called, "results"))
    return "" if path[2] in known else f"task {path[0]!r} has no result {path[2]!r}{nearest(path[2], known)}"
