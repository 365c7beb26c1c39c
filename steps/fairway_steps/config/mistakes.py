"""What pydantic finds wrong, said in Fairway's own words."""

import re
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from fairway_steps.config.text import Misfit, Where
from fairway_steps.config.units import nearest

T = TypeVar("T")

BOUNDS = {
    "greater_than": ("not above", "gt"),
    "greater_than_equal": ("less than", "ge"),
    "less_than": ("not below", "lt"),
}
TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of fields",
    "model_type": "a mapping of fields",
}


def validate(adapter: TypeAdapter[T], data: Any, prefix: Where) -> T:
    """``data`` as what ``adapter`` describes. Raises Misfit, whose path starts with ``prefix``, for the first mistake."""
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Misfit((*prefix, *_where(first)), _sentence(first)) from error


def shown(value: Any) -> str:
    """A value as it may stand in a sentence: short, and as YAML would write it."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _where(error: ErrorDetails) -> Where:
    if error["type"] == "unknown_field":
        return (*error["loc"], error["ctx"]["key"])
    return error["loc"][:-1] if error["type"] == "missing" else error["loc"]


def _sentence(error: ErrorDetails) -> str:
    kind, given, context = error["type"], shown(error["input"]), error.get("ctx", {})
    sentence = f"{given} does not fit here"
    if kind == "unknown_field":
        sentence = f"there is no such field{context['hint']}"
    elif kind == "missing":
        sentence = f"{error['loc'][-1]} is missing"
    elif kind == "value_error":
        sentence = str(context["error"])
    elif kind == "literal_error":
        known = re.findall(r"'([^']*)'", str(context["expected"]))
        sentence = f"{given} is none of {', '.join(known)}{nearest(str(error['input']), known)}"
    elif kind in TYPES:
        sentence = f"{given} is not {TYPES[kind]}"
    elif kind in BOUNDS:
        side, bound = BOUNDS[kind]
        sentence = f"{given} is {side} {context[bound]:g}"
    elif kind == "finite_number":
        sentence = f"{given} is not a finite number"
    elif kind in ("string_too_short", "too_short"):
        sentence = "there is nothing in it"
    return sentence
