"""What a check looks at and what it says."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed manifest and the file it is from."""

    source: str
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.body.get("kind") or "")

    @property
    def name(self) -> str:
        metadata = section(self.body, "metadata")
        return str(metadata.get("name") or metadata.get("generateName") or "")


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one template of one file. A ``note`` is no fault."""

    source: str
    template: str
    sentence: str
    note: bool = False

    def __str__(self) -> str:
        return f"{self.source}: {self.template}: {'note: ' if self.note else ''}{self.sentence}"


def section(body: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at a path; an empty one if there is none, for whatever is missing is somebody else's finding."""
    for key in path:
        body = body.get(key) if isinstance(body, Mapping) else None
    return body if isinstance(body, Mapping) else {}


def items(body: Any, *path: str) -> list[Mapping[str, Any]]:
    """The mappings in the list at a path."""
    found = section(body, *path[:-1]).get(path[-1]) if path else body
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def names(listed: list[Mapping[str, Any]]) -> list[str]:
    return [str(item.get("name", "")) for item in listed]


def repeated(listed: list[str]) -> list[str]:
    """Those that occur more than once, in order of their first occurrence."""
    return [name for name in dict.fromkeys(listed) if listed.count(name) > 1]


def strings(value: Any) -> Iterator[str]:
    """Every string in a value, keys of mappings left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def text(value: Any) -> str:
    """A scalar as the controllers keep it."""
    return value if isinstance(value, str) else json.dumps(value)


SHELLS = ("sh", "bash", "ash", "dash", "zsh")


def runs_a_shell_line(container: Mapping[str, Any]) -> bool:
    """Whether a container's command line is that of a shell with ``-c``."""
    line = [*(container.get("command") or []), *(container.get("args") or [])]
    words = [str(word) for word in line]
    return (
        bool(words)
        and words[0].rpartition("/")[2] in SHELLS
        and any(w.startswith("-") and "c" in w for w in words[1:3])
    )
