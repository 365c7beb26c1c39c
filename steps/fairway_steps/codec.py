"""Frozen dataclasses to JSON values and back, by their annotations: how the record is kept.

Handles what the model uses: dataclasses, str, int, float, bool, enums of str, ``X | None``, ``tuple[X, ...]`` and
``Mapping[str, X]``. Infinity, which JSON lacks, travels as the string ``"inf"``. Unknown keys are an error: a
record written by a newer Fairway must not be half understood.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast

T = TypeVar("T")


def encode(value: object) -> Any:
    """The JSON value of a dataclass, or of anything inside one."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def decode(kind: type[T], value: Any) -> T:
    """The dataclass ``kind`` from its JSON value. Raises ValueError naming the field that does not fit."""
    return cast("T", _decode(kind, value, kind.__name__))


def _decode(kind: Any, value: Any, where: str) -> Any:  # noqa: PLR0911 - one return a kind reads best
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        (inner,) = [arg for arg in args if arg is not type(None)]
        return _decode(inner, value, where)
    if origin is tuple:
        return tuple(_decode(args[0], item, f"{where}[{i}]") for i, item in enumerate(_expect(list, value, where)))
    if origin is not None and issubclass(origin, Mapping):
        return {k: _decode(args[1], v, f"{where}.{k}") for k, v in _expect(dict, value, where).items()}
    if dataclasses.is_dataclass(kind):
        return _decode_fields(cast("type", kind), _expect(dict, value, where), where)
    if kind is float:
        return _decode_float(value, where)
    if issubclass(kind, StrEnum):
        return kind(value)
    return _expect(kind, value, where)


def _decode_fields(kind: type, value: Mapping[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if unknown := set(value) - set(hints):
        raise ValueError(f"{where} has an unknown field {min(unknown)!r}")
    try:
        return kind(**{name: _decode(hints[name], item, f"{where}.{name}") for name, item in value.items()})
    except TypeError as error:
        raise ValueError(f"{where} is incomplete: {error}") from error


def _decode_float(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{where} is not a number: {value!r}")  # noqa: TRY004 - one kind of error for the caller
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(f"{where} is not a number: {value!r}") from error


def _expect(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{where} is not of type {kind.__name__}: {value!r}")
    return value
