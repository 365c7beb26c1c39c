"""Whether a candidate's answer says the same as the primary's. Pure.

Compared are the status; of Open Inference V2 the outputs' names, datatypes and shapes, labels and numbers; of any other JSON, OpenAI's
included, which fields there are and of which types; of event streams the same over all of their events. What an answer says about
itself (ids, times, the version's name) is of no matter, and neither is the text a language model has generated.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fairway_steps.collector.tensors import Tensor, Tolerance, drifted, relabelled, tensors
from fairway_steps.loadtest.sse import EventStream

EVENTS = "text/event-stream"
ITEM = None
"""The step of a path into any item of a list."""
Path = tuple[str | None, ...]
Types = Mapping[Path, frozenset[str]]
MAPS = frozenset({"top_logprobs"})
"""Fields of OpenAI's answers within which names are data: the tokens."""
UNKNOWN = "null"
"""The type of a field that says nothing: any other type is no contradiction to it."""


class Kind(StrEnum):
    """How two answers differ, the gravest first; a pair that differs in several ways is counted as the first of them."""

    STATUS = "status"
    SCHEMA = "schema"
    LABEL = "label"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version answered; ``status`` 0 is no answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Difference:
    """How the candidate's answer differs, and a sentence of where."""

    kind: Kind
    sentence: str


class Incomparable(Exception):
    """There is nothing to compare with; the message is the reason, in a word."""


def compare(primary: Answer, candidate: Answer, tolerance: Tolerance) -> Difference | None:
    """How the candidate's answer differs; None if it does not.

    Raises Incomparable where the primary gave no good answer, or none of a kind that can be compared.
    """
    if not 200 <= primary.status < 300:
        raise Incomparable("primary-failed")
    if candidate.status != primary.status:
        told = f"status {candidate.status}" if candidate.status else "no answer"
        return Difference(Kind.STATUS, f"{told}, not {primary.status}")
    if _is_stream(primary) or _is_stream(candidate):
        return _streams(primary, candidate)
    try:
        old = _json(primary.body)
    except ValueError:
        raise Incomparable("no-json") from None
    try:
        new = _json(candidate.body)
    except ValueError:
        return Difference(Kind.SCHEMA, "the body is not JSON")
    before, after = tensors(old), tensors(new)
    if before is None:
        return _fields(types(old), types(new))
    if after is None:
        return Difference(Kind.SCHEMA, "the answer has no outputs as Open Inference V2 has them")
    return _outputs(before, after, tolerance)


def types(value: Any) -> Types:
    """The types of each field in a JSON value, by its path: ``choices``, any item, ``index`` → ``number``."""
    found: dict[Path, set[str]] = {}
    left: list[tuple[Path, Any]] = [((), value)]
    while left:
        path, item = left.pop()
        found.setdefault(path, set()).add(_type(item))
        if isinstance(item, dict):
            free = not MAPS.isdisjoint(path)
            left += [((*path, ITEM if free else key), inner) for key, inner in item.items()]
        elif isinstance(item, list):
            left += [((*path, ITEM), inner) for inner in item]
    return {path: frozenset(kinds) for path, kinds in found.items()}


def _outputs(old: Mapping[str, Tensor], new: Mapping[str, Tensor], tolerance: Tolerance) -> Difference | None:
    if set(old) != set(new):
        return Difference(Kind.SCHEMA, f"the outputs are {', '.join(sorted(new))}, not {', '.join(sorted(old))}")
    for name, tensor in old.items():
        if tensor.form != new[name].form:
            return Difference(Kind.SCHEMA, f"output {name} is {new[name].form}, not {tensor.form}")
        if len(tensor.data) != len(new[name].data):
            return Difference(Kind.SCHEMA, f"output {name} has {len(new[name].data)} elements, not {len(tensor.data)}")
    if not all(tensor.whole for tensor in old.values()):
        raise Incomparable("not-its-shape")
    for kind, differs in ((Kind.LABEL, relabelled), (Kind.DRIFT, drifted)):
        for name, tensor in old.items():
            if said := differs(tensor, new[name], tolerance):
                return Difference(kind, f"output {name}: {said}")
    return None


def _fields(old: Types, new: Types) -> Difference | None:
    for path in sorted({*old, *new}, key=_named):
        was, now = (side.get(path, frozenset()) - {UNKNOWN} for side in (old, new))
        if was == now:
            continue
        if was and now:
            return Difference(Kind.SCHEMA, f"{_named(path)} is {'/'.join(sorted(now))}, not {'/'.join(sorted(was))}")
        if _lacks(new if was else old, path):
            return Difference(Kind.SCHEMA, f"{_named(path)} is {'missing' if was else 'new'}")
    return None


def _lacks(side: Types, path: Path) -> bool:
    """Whether a side has no such field although it has the object that would hold it; null is no contradiction, nor an empty list."""
    return path not in side and path[-1] is not ITEM and "object" in side.get(path[:-1], ())


def _named(path: Path) -> str:
    """``choices[].index``."""
    return "".join("[]" if step is ITEM else f".{step}" for step in path).removeprefix(".") or "the body"


def _streams(primary: Answer, candidate: Answer) -> Difference | None:
    if not (_is_stream(primary) and _is_stream(candidate)):
        told = "no event stream" if _is_stream(primary) else "an event stream"
        return Difference(Kind.SCHEMA, f"the answer is {told}")
    try:
        old = _merged(primary.body)
    except ValueError:
        raise Incomparable("no-json") from None
    try:
        return _fields(old, _merged(candidate.body))
    except ValueError:
        return Difference(Kind.SCHEMA, "an event is not JSON")


def _merged(body: bytes) -> Types:
    """The types of each field in any of a stream's events."""
    found: dict[Path, frozenset[str]] = {}
    for event in _events(body):
        for path, kinds in types(_json(event)).items():
            found[path] = found.get(path, frozenset()) | kinds
    return found


def _events(body: bytes) -> Iterator[bytes]:
    events: list[bytes] = []
    EventStream(events.append).feed(body + b"\n\n")
    return (event for event in events if event.strip() != b"[DONE]")


def _is_stream(answer: Answer) -> bool:
    return answer.content_type.lower().startswith(EVENTS)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _type(value: Any) -> str:
    if value is None:
        return UNKNOWN
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]
