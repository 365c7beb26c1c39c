"""YAML or JSON text to plain data that remembers its lines.

Read as YAML 1.2's core schema (yaml.org/spec/1.2.2, 10.3.2) reads scalars, of which JSON is a part: ``on`` is a word,
``010`` is ten, ``1:30`` and a date are text. What a release file never needs and what only hides mistakes is
refused: the same key twice, aliases, tags, several documents.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from fairway_steps.errors import UsageError

Where = tuple[str | int, ...]

TAG = "tag:yaml.org,2002:"
SCALARS = {
    "null": re.compile(r"~|null|Null|NULL|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
}


class Misfit(ValueError):
    """A value that cannot be, and where in the document it stands."""

    def __init__(self, path: Where, sentence: str) -> None:
        super().__init__(sentence)
        self.path, self.sentence = path, sentence


@dataclass(frozen=True, slots=True)
class Document:
    """Parsed text, with the line on which each value's key (or list item) starts."""

    name: str
    data: Any
    lines: Mapping[Where, int] = field(default_factory=dict)

    def error(self, misfit: Misfit) -> UsageError:
        """``NAME:LINE: FIELD: sentence``, with the line of the nearest value that is written out."""
        path = misfit.path
        while path not in self.lines and path:
            path = path[:-1]
        where = f"{self.name}:{self.lines.get(path, 1)}: "
        return UsageError(where + (f"{spell(misfit.path)}: " if misfit.path else "") + misfit.sentence)


def spell(path: Where) -> str:
    """``stages[1].weight``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def parse(text: str, name: str) -> Document:
    """The one document in ``text``. Raises UsageError with ``name`` and the line of what cannot be read."""
    lines: dict[Where, int] = {}
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = None if node is None else _build(node, (), lines)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UsageError(f"{name}:{line}: a character stands there that YAML does not allow") from error
    except _Refused as error:
        raise UsageError(f"{name}:{error.line}: {error.problem}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UsageError(f"{name}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}") from error
    except RecursionError as error:
        raise UsageError(f"{name}:1: nested too deeply") from error
    if data is None:
        raise UsageError(f"{name}:1: there is nothing in it")
    return Document(name, data, lines)


class _Refused(Exception):
    """What YAML allows and Fairway does not."""

    def __init__(self, mark: yaml.Mark, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = mark.line + 1, problem


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way to say which scalars are not text

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark: yaml.Mark = self.get_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
            raise _Refused(mark, "an alias (*name) is not taken here; write the value out")
        return super().compose_node(parent, index)


for _kind, _pattern in SCALARS.items():
    _Loader.add_implicit_resolver(TAG + _kind, re.compile(f"(?:{_pattern.pattern})$"), None)


def _build(node: yaml.Node, path: Where, lines: dict[Where, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
        return [_build(item, (*path, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    raise _Refused(node.start_mark, f"the tag {node.tag.replace(TAG, '!!')} is not taken here")


def _mapping(node: yaml.MappingNode, path: Where, lines: dict[Where, int]) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Refused(key.start_mark, "a field's name is a word")
        if key.value in built:
            raise _Refused(key.start_mark, f"{key.value!r} stands here a second time")
        lines[*path, key.value] = key.start_mark.line + 1
        built[key.value] = _build(value, (*path, key.value), lines)
    return built


def _scalar(node: yaml.ScalarNode) -> Any:
    kind, text = node.tag.removeprefix(TAG), str(node.value)
    if kind == "str":
        return text
    pattern = SCALARS.get(kind)
    if pattern is None or not pattern.fullmatch(text):
        raise _Refused(node.start_mark, f"the tag {node.tag.replace(TAG, '!!')} is not taken here")
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        raise _Refused(node.start_mark, "the number is too long") from None
