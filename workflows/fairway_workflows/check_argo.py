"""Whether an Argo workflow or template holds together: its templates, their calls, and what they refer to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from fairway_steps.cli import nearest
from fairway_workflows.check_calls import Call, Template, calls, circles, cycles, needs
from fairway_workflows.check_containers import container_problems
from fairway_workflows.check_names import argo_names, name_problems, word_problems
from fairway_workflows.check_scope import TAG, Node, Scope
from fairway_workflows.findings import Document, Finding, items, names, repeated, section, text
from fairway_workflows.local.expressions import parse_when
from fairway_workflows.local.lexers import ExpressionError
from fairway_workflows.local.retry import VARIABLES

LAST_RETRY = re.compile(r"\blastRetry\.\w+")
QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
KINDS = ("container", "containerSet", "script", "resource", "steps", "dag", "suspend", "http", "data", "plugin")
LIBRARY = ("WorkflowTemplate", "ClusterWorkflowTemplate")
Library = Mapping[tuple[bool, str], "ArgoDocument"]


class ArgoDocument:
    """One Workflow, WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow."""

    def __init__(self, document: Document) -> None:
        self.document, self.source, self.name = document, document.source, document.name
        self.is_template = document.kind in LIBRARY
        self.cluster_scope = document.kind == "ClusterWorkflowTemplate"
        path = ("spec", "workflowSpec") if document.kind == "CronWorkflow" else ("spec",)
        self.spec = section(document.body, *path)
        self.templates = items(self.spec, "templates")
        self.by_name: dict[str, Template] = {str(t.get("name", "")): t for t in self.templates}
        self.arguments = set(names(items(self.spec, "arguments", "parameters")))

    @cached_property
    def at_exit(self) -> set[str]:
        """The templates that run when the workflow's end is known: its exit handler and all that this calls."""
        hooked = [
            str(hook.get("template", "")) for hook in section(self.spec, "hooks").values() if isinstance(hook, Mapping)
        ]
        reached, open_ = set(), [str(self.spec.get("onExit", "")), *hooked]
        while open_:
            name = open_.pop()
            if name in self.by_name and name not in reached:
                reached.add(name)
                open_ += [str(call.node.get("template", "")) for call in calls(self.by_name[name])]
        return reached

    def home_of(self, call: Template, library: Library) -> "ArgoDocument | None":
        """The document that the template called by a step must be in, if it is among those that are checked."""
        ref = section(call, "templateRef")
        if ref:
            return library.get((bool(ref.get("clusterScope")), str(ref.get("name", ""))))
        return self if call.get("template") else None

    def called(self, call: Template, library: Library) -> Template | None:
        """The template that a step calls."""
        home = self.home_of(call, library)
        name = str(section(call, "templateRef").get("template") or call.get("template", ""))
        return home.by_name.get(name) if home else None

    def findings(self, library: Library) -> Iterator[Finding]:
        """All that is wrong; ``library`` has the templates of other documents that this one may refer to."""
        for sentence in (
            *name_problems(self.document),
            *word_problems(self.document.body.get("spec")),
            *self._spec(library),
        ):
            yield Finding(self.source, "spec", sentence)
        exported = self._exported()
        for template in self.templates:
            checked = _Template(self, template, library, exported)
            for note, sentence in checked.problems():
                yield Finding(self.source, str(template.get("name") or "?"), sentence, note=note)

    def _spec(self, library: Library) -> Iterator[str]:
        for name in repeated(names(self.templates)):
            yield f"there is more than one template {name!r}; Argo runs one of them"
        ref = section(self.spec, "workflowTemplateRef")
        if ref:
            found = library.get((bool(ref.get("clusterScope")), str(ref.get("name", ""))))
            if found and (unknown := sorted(self.arguments - found.arguments)):
                yield f"argument {unknown[0]!r} is not a parameter of {found.name}{nearest(unknown[0], sorted(found.arguments))}"
        elif not self.templates:
            yield "it has no templates"
        yield from self._ends(with_entry=not ref)
        yield from _hooks(self.spec, self.by_name)
        yield from _defaults_in_enum(items(self.spec, "arguments", "parameters"), "parameter")
        for name in repeated(names(items(self.spec, "arguments", "parameters"))):
            yield f"parameter {name!r} is there more than once; leave one of them out"
        if self.document.kind in ("Workflow", "CronWorkflow") and not ref:
            for name in sorted(_required({"inputs": section(self.spec, "arguments")})):
                yield f"parameter {name!r} has no value, and nobody is asked for one; give it a value"
        scope = Scope(workflow=self.arguments)
        yield from scope.problems(self.spec.get("synchronization"))
        for cycle in self._endless():
            yield f"template {' → '.join(cycle)} calls itself without a `when` that could end it"

    def _ends(self, *, with_entry: bool) -> Iterator[str]:
        entry, on_exit = self.spec.get("entrypoint"), self.spec.get("onExit")
        if with_entry and not entry and not self.is_template:
            yield "it has no entrypoint"
        for what, name in (("entrypoint", entry), ("onExit", on_exit)):
            if not name or section(self.spec, "workflowTemplateRef"):
                continue
            if name not in self.by_name:
                yield f"{what} {name!r} is not one of its templates{nearest(str(name), list(self.by_name))}"
                continue
            required = _required(self.by_name[str(name)]) - self.arguments
            if required:
                yield f"{what} {name} needs the input {min(required)!r}, which is not a parameter of the workflow"

    def _exported(self) -> set[str]:
        kinds = ("parameters", "artifacts")
        outputs = (output for t in self.templates for kind in kinds for output in items(t, "outputs", kind))
        return {str(output["globalName"]) for output in outputs if output.get("globalName")}

    def _endless(self) -> Iterator[tuple[str, ...]]:
        """Cycles of calls of which none has a ``when``."""
        graph = {
            name: [str(c.node["template"]) for c in calls(t) if c.node.get("template") and not c.node.get("when")]
            for name, t in self.by_name.items()
        }
        ended: set[str] = set()
        for start in graph:
            yield from cycles(graph, start, (), ended)


class _Template:
    """One template in its document. Problems come as (is only a note, sentence)."""

    def __init__(self, home: ArgoDocument, template: Template, library: Library, exported: set[str]) -> None:
        self.home, self.template, self.library = home, template, library
        self.scope = Scope(
            parameters=names(items(template, "inputs", "parameters")),
            artifacts=names(items(template, "inputs", "artifacts")),
            workflow=home.arguments,
            exported=exported,
            ended=str(template.get("name", "")) in home.at_exit,
        )

    def problems(self) -> Iterator[tuple[bool, str]]:
        for sentence in self._faults():
            yield False, sentence
        for call in calls(self.template):
            if call.node.get("templateRef") and self.home.home_of(call.node, self.library) is None:
                ref = section(call.node, "templateRef")
                yield (
                    True,
                    f"step {call.name} calls {ref.get('name')}/{ref.get('template')}, which is not among these files",
                )

    def _faults(self) -> Iterator[str]:
        kinds = [kind for kind in KINDS if self.template.get(kind) is not None]
        if len(kinds) != 1:
            yield f"it is {' and '.join(kinds) or 'nothing'}, and must be one of {', '.join(KINDS)}"
        yield from argo_names(self.template)
        yield from self._parameters()
        yield from container_problems(self.template, self.home.spec)
        leaf = {key: value for key, value in self.template.items() if key not in ("steps", "dag", "outputs", "name")}
        yield from self.scope.problems(leaf)
        nodes = {call.name: self._node(call) for call in calls(self.template)}
        for name in repeated([call.name for call in calls(self.template)]):
            yield f"there is more than one step {name!r}"
        for call in calls(self.template):
            yield from (f"step {call.name}: {problem}" for problem in self._call(call, nodes))
        for circle in circles(needs(items(self.template, "dag", "tasks"))):
            yield f"its tasks {circle} wait for one another for ever; take one of these dependencies out"
        yield from _retry(self.template)
        yield from replace(self.scope, nodes=nodes).problems(self.template.get("outputs"))

    def _parameters(self) -> Iterator[str]:
        inputs, outputs = (items(self.template, side, "parameters") for side in ("inputs", "outputs"))
        for side, listed in (("input", inputs), ("output", outputs)):
            yield from (f"there is more than one {side} {name!r}" for name in repeated(names(listed)))
        yield from _defaults_in_enum(inputs, "input")
        for output in outputs:
            if "value" not in output and section(output, "valueFrom").get("default") is None:
                yield f"output {output.get('name')!r} has no valueFrom.default for when it is not written"

    def _call(self, call: Call, nodes: Mapping[str, Node]) -> Iterator[str]:
        scope = replace(
            self.scope,
            nodes={name: node for name, node in nodes.items() if name in call.before},
            later=call.later,
            items=any(call.node.get(loop) is not None for loop in ("withItems", "withParam", "withSequence")),
        )
        yield from scope.problems({key: value for key, value in call.node.items() if key not in ("hooks", "inline")})
        for needed in call.before:
            if needed not in nodes:
                yield f"it depends on {needed!r}, which there is not{nearest(needed, list(nodes))}"
        yield from _when(call.node)
        yield from _hooks(call.node, self.home.by_name)
        if call.node.get("inline") is not None:
            return
        called = self.home.called(call.node, self.library)
        if called is None:
            yield from self._missing(call)
            return
        arguments = items(call.node, "arguments", "parameters")
        inputs = names(items(called, "inputs", "parameters"))
        given = names(arguments)
        yield from (f"argument {name!r} is given more than once" for name in repeated(given))
        for name in given:
            if name not in inputs:
                yield f"argument {name!r} is not an input of template {called.get('name')}{nearest(name, inputs)}"
        for name in sorted(_required(called) - set(given)):
            yield f"template {called.get('name')} needs the input {name!r}, which is not given"
        for argument in arguments:
            yield from _allowed(argument, called)

    def _missing(self, call: Call) -> Iterator[str]:
        home = self.home.home_of(call.node, self.library)
        ref = section(call.node, "templateRef")
        if home is not None:
            name = str(ref.get("template") if ref else call.node.get("template", ""))
            where = f"of {home.name}" if ref else "here"
            yield f"there is no template {name!r} {where}{nearest(name, list(home.by_name))}"
        elif not ref:
            yield "it names no template"

    def _node(self, call: Call) -> Node:
        called = section(call.node, "inline") or self.home.called(call.node, self.library)
        if called is None:
            return Node(str(call.node.get("template", "")))
        outputs = {kind: set(names(items(called, "outputs", kind))) for kind in ("parameters", "artifacts")}
        return Node(str(called.get("name", "")), outputs)


def _hooks(node: Template, known: Mapping[str, Template]) -> Iterator[str]:
    for name, hook in section(node, "hooks").items():
        called = section({"hook": hook}, "hook").get("template")
        if called and called not in known:
            yield f"hook {name} calls {called!r}, which is not one of its templates{nearest(str(called), list(known))}"


def _when(node: Template) -> Iterator[str]:
    """A condition that Argo would fail at when it gets there; one in its other language ({{=…}}) is left alone."""
    when = node.get("when")
    if isinstance(when, str) and when and "{{=" not in when:
        try:
            parse_when(TAG.sub("x", when))
        except ExpressionError as error:
            yield f"when: {error}; compare with == or != and put quotes around values"


def _retry(template: Template) -> Iterator[str]:
    """Names in a retry expression that stand for nothing; what is not in the part we can read is left alone."""
    expression = section(template, "retryStrategy").get("expression")
    for name in LAST_RETRY.findall(QUOTED.sub("", expression)) if isinstance(expression, str) else ():
        if name not in VARIABLES:
            yield f"retryStrategy.expression names {name}, which there is not{nearest(name, VARIABLES)}"


def _required(template: Template) -> set[str]:
    listed = items(template, "inputs", "parameters")
    return {
        str(p.get("name", ""))
        for p in listed
        if not {"default", "value", "valueFrom"} & {k for k, v in p.items() if v is not None}
    }


def _defaults_in_enum(parameters: list[Template], what: str) -> Iterator[str]:
    for parameter in parameters:
        choices = [text(choice) for choice in parameter.get("enum") or []]
        for key in ("default", "value"):
            value = parameter.get(key)
            if choices and value is not None and text(value) not in choices and "{{" not in text(value):
                yield f"{what} {parameter.get('name')!r} has the {key} {text(value)!r}, which is not one of {', '.join(map(repr, choices))}"


def _allowed(argument: Template, called: Template) -> Iterator[str]:
    """A literal argument must be one of the input's choices."""
    value = argument.get("value")
    for parameter in items(called, "inputs", "parameters"):
        choices = [text(choice) for choice in parameter.get("enum") or []]
        same = parameter.get("name") == argument.get("name")
        if same and choices and value is not None and "{{" not in text(value) and text(value) not in choices:
            yield f"argument {argument.get('name')!r} is {text(value)!r}, which is not one of {', '.join(map(repr, choices))}"
