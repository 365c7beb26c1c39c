"""Paths into JSON, in the small part of jq's language that picks a figure out of an answer. Pure and strict.

    .rows[0].count        a field, an item          .rows[].count       of every item
    .a["b c"]             any field                 | select(.v == "x") those of which it is true
    | tonumber  | length  one value to another      | add               all values to their sum

https://jqlang.org/manual/ A path that leads nowhere is an error, and never null.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

STRING = r'"(?:[^"\\]|\\.)*"'
STEP = re.compile(rf"\.?\[(?P<index>-?\d+)\]|\.?\[(?P<key>{STRING})\]|(?P<every>\.?\[\])|\.(?P<name>[A-Za-z_]\w*)")
SELECT = re.compile(rf"select\(\s*(?P<path>[^=]*?)\s*==\s*(?P<value>{STRING}|-?\d+(?:\.\d+)?|true|false|null)\s*\)")
PIPE = re.compile(rf"((?:{STRING}|[^|\"])+)(?:\||$)")

Stage = Callable[[Iterable[Any]], Iterable[Any]]


class Unfit(ValueError):
    """A path that is none, or a document that is not as it expects."""


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; ``text`` is how it was written."""

    text: str
    stages: Sequence[Stage]

    def all(self, document: Any) -> list[Any]:
        """Every value it leads to. Raises Unfit where it leads nowhere."""
        values: Iterable[Any] = [document]
        for stage in self.stages:
            values = list(stage(values))
        return list(values)

    def one(self, document: Any) -> Any:
        """The value it leads to. Raises Unfit if there is none, or more than one."""
        found = self.all(document)
        if len(found) != 1:
            raise Unfit(f"{self.text} gives {len(found)} values where one is expected")
        return found[0]


def parse_path(text: str) -> Path:
    """Raises Unfit naming the part that is no path."""
    parts, at = [], 0
    while at < len(text):
        match = PIPE.match(text, at)
        if not match:
            raise Unfit(f"{text!r} is no path: a string in it does not end")
        parts.append(match[1].strip())
        at = match.end()
    if not all(parts) or not parts or text.rstrip().endswith("|"):
        raise Unfit(f"{text!r} is no path; write for example .rows[0].count")
    return Path(text, [_stage(part, text) for part in parts])


def _stage(part: str, text: str) -> Stage:
    if part == "add":
        return lambda values: [_sum(list(values), text)]
    if part in ("tonumber", "length"):
        one = _number if part == "tonumber" else _length
        return lambda values: [one(value, text) for value in values]
    if match := SELECT.fullmatch(part):
        inner, wanted = parse_path(match["path"]), json.loads(match["value"])
        return lambda values: [value for value in values if inner.one(value) == wanted]
    return _steps(part, text)


def _steps(part: str, text: str) -> Stage:
    if part == ".":
        return lambda values: values
    found, at = [], 0
    while at < len(part):
        match = STEP.match(part, at)
        if not match:
            raise Unfit(f"{text!r} is no path: {part[at:]!r} is not understood; write for example .rows[0].count")
        found.append(match)
        at = match.end()

    def follow(values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            reached = [value]
            for step in found:
                reached = [after for before in reached for after in _follow(before, step, text)]
            yield from reached

    return follow


def _follow(value: Any, step: re.Match[str], text: str) -> Sequence[Any]:
    if step["every"]:
        if not isinstance(value, list):
            raise Unfit(f"{text} expects a list, and finds {_kind(value)}")
        return value
    if step["index"]:
        index = int(step["index"])
        if not isinstance(value, list) or not -len(value) <= index < len(value):
            raise Unfit(f"{text} leads nowhere: there is no item {index} in {_kind(value)}")
        return [value[index]]
    name = json.loads(step["key"]) if step["key"] else step["name"]
    if not isinstance(value, dict) or name not in value:
        raise Unfit(f"{text} leads nowhere: there is no {name!r} in {_kind(value)}")
    return [value[name]]


def _sum(values: Sequence[Any], text: str) -> float:
    values = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise Unfit(f"{text} adds up what is no number")
    total: float = sum(values)
    return total


def _number(value: Any, text: str) -> float:
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", value.strip()):
        return int(value) if value.strip().isdecimal() else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit(f"{text} finds {_kind(value)} where a number is expected")
    return value


def _length(value: Any, text: str) -> int:
    if not isinstance(value, list | dict | str):
        raise Unfit(f"{text} asks for the length of {_kind(value)}")
    return len(value)


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "nothing"}
    return kinds.get(type(value), "a number")
