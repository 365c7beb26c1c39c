"""``{{…}}`` references: filling them in, and finding those that nothing will ever fill.

Argo replaces in passes over the whole template (``common.SubstituteParams``): first what holds for the workflow, then the
template's inputs, and once more in the pod. A reference that has no value yet stays as it is, braces and all.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fairway_workflows.local.model import TemplateError

TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def text(value: Any) -> str:
    """A parameter's value as Argo keeps it (``AnyString``): YAML's numbers and booleans become their JSON text."""
    return value if isinstance(value, str) else json.dumps(value)


def substitute(value: Any, known: Mapping[str, str]) -> Any:
    """``value`` with every known reference in every string replaced; unknown ones are left."""
    if isinstance(value, str):
        return TAG.sub(lambda match: known.get(match[1].strip(), match[0]), value)
    if isinstance(value, Mapping):
        return {key: substitute(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, known) for item in value]
    return value


def tags(value: Any) -> Iterator[str]:
    """Every reference in every string of ``value``, without its braces."""
    if isinstance(value, str):
        yield from (match[1].strip() for match in TAG.finditer(value))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tags(item)
    elif isinstance(value, list):
        for item in value:
            yield from tags(item)


def parameters(section: Any) -> list[Mapping[str, Any]]:
    """The parameters of an ``inputs``, ``outputs`` or ``arguments`` section, which may be missing."""
    return list((section or {}).get("parameters") or [])


def values(arguments: Any) -> dict[str, str]:
    """The arguments of a step, or of a workflow, that have a value."""
    return {p["name"]: text(p["value"]) for p in parameters(arguments) if p.get("value") is not None}


def bind(
    template: Mapping[str, Any], arguments: Mapping[str, str], known: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The template as called with ``arguments``, and what its inputs are now (keys ``inputs.parameters.NAME``).

    Raises TemplateError for an input without a value.
    """
    inputs: dict[str, str] = {}
    for parameter in parameters(template.get("inputs")):
        name = parameter["name"]
        own = parameter.get("value", parameter.get("default"))
        if name not in arguments and own is None:
            raise TemplateError(f"inputs.parameters.{name} had no value")
        inputs[f"inputs.parameters.{name}"] = substitute(arguments.get(name, text(own)), known)
    filled = {**known, **inputs}
    bound = substitute(substitute(dict(template), known), filled)
    return (bound if "steps" in template else substitute(bound, filled)), inputs
