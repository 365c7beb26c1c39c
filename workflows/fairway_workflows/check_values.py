"""Whether the values that stand in Argo manifests are ones that the options take, in which they end.

A default travels: from the workflow's parameters through the inputs of its steps to an option of a command. So each place
is joined to those it hands its value on to, and a value that stands in one is tried on all options it reaches.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway_workflows.catalog import commands
from fairway_workflows.check_argo import ArgoDocument, Library
from fairway_workflows.check_calls import calls
from fairway_workflows.check_command import is_open, line, refusal
from fairway_workflows.findings import Finding, items, section, text

WHOLE = re.compile(r"\{\{\s*(inputs|workflow)\.parameters\.([-\w]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Place:
    """A parameter: of a template's inputs or, with an empty ``template``, of a workflow."""

    document: int
    template: str
    name: str


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command: where values end."""

    command: str
    name: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A value that stands in a manifest, what it is there, and where it goes."""

    document: ArgoDocument
    template: str
    what: str
    value: str
    to: Place


def refused_values(documents: Sequence[ArgoDocument], library: Library) -> Iterator[Finding]:
    """A finding for each value that an option would refuse; values with references in them are left alone."""
    joined: dict[Place, set[Place | Option]] = {}
    for document in documents:
        for start, end in _joints(document, library):
            joined.setdefault(start, set()).add(end)
    for standing in (one for document in documents for one in _standing(document, library)):
        reached = sorted(_ends(standing.to, joined), key=lambda option: (option.command, option.name))
        for option in reached:
            command = commands().get(option.command)
            if command and (reason := refusal(command, option.name, standing.value)):
                sentence = f"{standing.what} is {standing.value!r}, which {option.command} refuses as --{option.name}: {reason}"
                yield Finding(standing.document.source, standing.template or "spec", sentence)


def _ends(place: Place, joined: Mapping[Place, set[Place | Option]]) -> set[Option]:
    seen: set[Place | Option] = set()
    open_: list[Place | Option] = [place]
    while open_:
        one = open_.pop()
        if one not in seen:
            seen.add(one)
            open_ += joined.get(one, ()) if isinstance(one, Place) else ()
    return {one for one in seen if isinstance(one, Option)}


def _joints(document: ArgoDocument, library: Library) -> Iterator[tuple[Place, Place | Option]]:
    """Who hands a whole value on to whom."""
    for template in document.templates:
        here = str(template.get("name", ""))
        single = section(template, "container")
        for container in [single] if single else items(template, "containerSet", "containers"):
            ours = line(container)
            for name, value in ours.options if ours else ():
                if ours and (start := _place(document, here, value)):
                    yield start, Option(ours.name, name)
        for call in calls(template):
            for argument, to in _arguments(document, call.node, library):
                if start := _place(document, here, text(argument.get("value"))):
                    yield start, to
    used = library.get(_reference(document))
    for parameter in items(document.spec, "arguments", "parameters") if used else ():
        name = str(parameter.get("name", ""))
        yield Place(id(document), "", name), Place(id(used), "", name)


def _standing(document: ArgoDocument, library: Library) -> Iterator[Standing]:
    for parameter in items(document.spec, "arguments", "parameters"):
        to = Place(id(document), "", str(parameter.get("name", "")))
        for value in _literals(parameter, "default", "value"):
            yield Standing(document, "", f"parameter {to.name!r}", value, to)
    for template in document.templates:
        here = str(template.get("name", ""))
        for parameter in items(template, "inputs", "parameters"):
            to = Place(id(document), here, str(parameter.get("name", "")))
            for value in _literals(parameter, "default", "value"):
                yield Standing(document, here, f"input {to.name!r}", value, to)
        for call in calls(template):
            for argument, to in _arguments(document, call.node, library):
                for value in _literals(argument, "value"):
                    yield Standing(document, here, f"step {call.name}: argument {to.name!r}", value, to)


def _arguments(
    document: ArgoDocument, call: Mapping[str, Any], library: Library
) -> Iterator[tuple[Mapping[str, Any], Place]]:
    """The arguments of a step, each with the input it is for."""
    home, called = document.home_of(call, library), document.called(call, library)
    for argument in items(call, "arguments", "parameters") if called else ():
        yield argument, Place(id(home), str(called.get("name", "")) if called else "", str(argument.get("name", "")))


def _place(document: ArgoDocument, template: str, value: str) -> Place | None:
    whole = WHOLE.fullmatch(value)
    return Place(id(document), template if whole[1] == "inputs" else "", whole[2]) if whole else None


def _literals(parameter: Mapping[str, Any], *keys: str) -> Iterator[str]:
    for key in keys:
        value = parameter.get(key)
        if value is not None and not is_open(text(value)):
            yield text(value)


def _reference(document: ArgoDocument) -> tuple[bool, str]:
    ref = section(document.spec, "workflowTemplateRef")
    return bool(ref.get("clusterScope")), str(ref.get("name", ""))
