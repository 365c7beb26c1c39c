"""Whether a manifest has the fields and types that Argo's API has, by Hera's generated models."""

from collections.abc import Iterator, Mapping
from typing import Any

from hera.workflows import models
from pydantic import BaseModel, ValidationError

from fairway_workflows.findings import Document, Finding

MODELS: Mapping[str, type[BaseModel]] = {
    "Workflow": models.Workflow,
    "WorkflowTemplate": models.WorkflowTemplate,
    "ClusterWorkflowTemplate": models.ClusterWorkflowTemplate,
    "CronWorkflow": models.CronWorkflow,
}


def unknown_fields(document: Document) -> Iterator[Finding]:
    """Fields that Argo does not know, and values of a wrong type.

    The models pass over what they do not know: so a field that is given but not in what they give back is unknown.
    """
    try:
        known = MODELS[document.kind].model_validate(document.body)
    except ValidationError as error:
        for wrong in error.errors():
            sentence = f"field {_path(wrong['loc'])} is not as Argo has it: {wrong['msg']}"
            yield Finding(document.source, _template(document, wrong["loc"]), sentence)
        return
    dumped = known.model_dump(by_alias=True, exclude_unset=True, warnings="none")
    for path in _missing(document.body, dumped, ()):
        yield Finding(document.source, _template(document, path), f"field {_path(path)} is not one that Argo knows")


def _missing(given: Any, known: Any, path: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        for key, value in given.items():
            if key in known:
                yield from _missing(value, known[key], (*path, key))
            elif value is not None:
                yield (*path, key)
    elif isinstance(given, list) and isinstance(known, list):
        for index, (value, kept) in enumerate(zip(given, known, strict=False)):
            yield from _missing(value, kept, (*path, index))


def _path(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in path)


def _template(document: Document, path: tuple[int | str, ...]) -> str:
    """The name of the template that a path leads into."""
    body: Any = document.body
    for i, part in enumerate(path):
        try:
            body = body[part]
        except (KeyError, IndexError, TypeError):
            break
        if i and path[i - 1] == "templates" and isinstance(body, Mapping):
            return str(body.get("name") or part)
    return document.kind
