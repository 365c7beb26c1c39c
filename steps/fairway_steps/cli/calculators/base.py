"""The frame of a calculator: its input as a pydantic model, its fields as help, its mistakes as one sentence."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from fairway_steps.codec import decode, encode
from fairway_steps.config.mistakes import validate
from fairway_steps.config.text import Misfit, spell
from fairway_steps.config.units import nearest
from fairway_steps.errors import UsageError
from fairway_steps.model import Result
from fairway_steps.stats.evidence import ALPHA, BETA, EValues, anytime_p, finding

T = TypeVar("T")
MOST = 2**53
LARGEST = 1e100
"""Above it a float no longer holds every whole number."""
WHOLE = "give the whole `state` of an earlier output, or none"


def _sample(value: Any) -> Any:
    """A failed request has no latency: null, or infinity as JSON cannot write it."""
    return float("inf") if value is None or value in ("inf", "Infinity", "+Inf") else value


Sample = Annotated[float, BeforeValidator(_sample)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Alpha = Annotated[Fraction, Field(description="Probability of ever calling harmful what is fine.")]
Beta = Annotated[Fraction, Field(description="Probability of ever calling fine what is not.")]


class Input(BaseModel):
    """One JSON object with known fields."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                hint = nearest(str(key), list(cls.model_fields))
                raise PydanticCustomError("unknown_field", "unknown", {"key": str(key), "hint": hint})
        return data


class Sequential(Input):
    """What all tests that hold at any look take."""

    alpha: Alpha = ALPHA
    beta: Beta = BETA


@dataclass(frozen=True, slots=True)
class Method:
    """One method: ``about`` it, the model of its ``input``, the fields of its ``output``, and how it is ``computed``."""

    about: str
    input: type[Input]
    output: Mapping[str, str]
    example: str
    computed: Callable[[Any], Mapping[str, Any]]

    def run(self, given: Any) -> Mapping[str, Any]:
        """The output for a JSON value. Raises UsageError, one sentence that names the field."""
        try:
            _bounded(given, "")
            return self.computed(validate(TypeAdapter(self.input), given, ()))
        except Misfit as misfit:
            raise UsageError(f"{spell(misfit.path) or 'the input'}: {misfit.sentence}") from misfit
        except ValueError as error:
            raise UsageError(str(error)) from error

    def fields(self) -> list[tuple[str, str]]:
        """Each field of the input with its type, its default, and what it means, as the help shows them."""
        return list(_described(self.input))


def resumed(kind: type[T], state: Mapping[str, Any]) -> T:
    """The ``state`` of an earlier output. Raises ValueError for one that is not whole."""
    try:
        found = decode(kind, state)
    except ValueError as error:
        raise ValueError(f"{error}; {WHOLE}") from error
    if lost := _lost(encode(found), state):
        raise ValueError(f"state: {lost} is missing; {WHOLE}")
    return found


def _lost(whole: Any, given: Any, where: str = "") -> str:
    """The first field of ``whole`` that ``given`` does not have."""
    if not isinstance(whole, Mapping):
        return ""
    for key, value in whole.items():
        path = f"{where}.{key}" if where else key
        if key not in given:
            return path
        if lost := _lost(value, given[key], path):
            return lost
    return ""


def _bounded(value: Any, where: str) -> None:
    """Raises ValueError for a number that cannot be computed with: a whole one exactly, and the square of any other."""
    if isinstance(value, int) and abs(value) > MOST:
        raise ValueError(
            f"{where.removeprefix('.') or 'the input'}: a number of {len(str(abs(value)))} digits is too large; at most {MOST:,} can be"
        )
    if isinstance(value, float) and LARGEST < abs(value) < math.inf:
        raise ValueError(
            f"{where.removeprefix('.') or 'the input'}: {value:g} is too large; at most {LARGEST:g} can be computed with"
        )
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        _bounded(item, f"{where}[{key}]" if isinstance(value, list) else f"{where}.{key}")


def outcome(test: Any, given: Sequential, *beside: int) -> dict[str, Any]:
    """What every sequential test tells; ``beside`` is how much it saw of others that it compares with."""
    now, peak = test.now, test.peak
    return {"verdict": verdict_of(now, peak, given, test.n, *beside), **logs(now, peak)}


def verdict_of(now: EValues, peak: EValues, given: Sequential, *sizes: int) -> str:
    """What the evidence says; nothing where nothing was seen of one side."""
    return (finding(now, peak, given.alpha, given.beta) if all(sizes) else Result.NO_DATA).value


def logs(now: EValues, peak: EValues) -> dict[str, float]:
    return {
        "log_e_violated": now.violated,
        "log_e_met": now.met,
        "p_violated": anytime_p(max(now.violated, peak.violated)),
        "p_met": anytime_p(max(now.met, peak.met)),
    }


OUTCOME = {
    "verdict": "fail (harm is proved), pass (health is proved), inconclusive, or no-data.",
    "log_e_violated, log_e_met": 'Natural logarithms of the e-values now: against "all is fine", and against "it is not". '
    "Evidence at 5 % from ln 20 = 2.996 on.",
    "p_violated, p_met": "P-values that hold at any look: one over the largest e-value at the looks given.",
}


def _described(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"default: {_shown(field.default)}"
        if field.default_factory is not None or field.default in (None, ()):
            default = "optional"
        rows.append((f"{prefix}{name}", f"{field.description}  [{_kind(field.annotation)}; {default}]"))
        for inner in _models(field.annotation):
            rows.extend(_described(inner, f"{prefix}{name}[]."))
    return rows


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else f"{value}"


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _plural(kind: str) -> str:
    head, of, rest = kind.partition(" of ")
    return f"{head}s{of}{rest}"


def _kind(annotation: Any) -> str:
    """A type in words that JSON knows."""
    origin, arguments = get_origin(annotation), [a for a in get_args(annotation) if a is not type(None)]
    if origin is Literal:
        return " | ".join(str(argument) for argument in arguments)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in (list, tuple):
        return f"list of {_plural(_kind(arguments[0]))}"
    if origin is dict:
        inner_kind = _kind(arguments[1])
        return "object" if inner_kind == "object" else f"object of {_plural(inner_kind)}"
    if arguments:
        return " or ".join(_kind(argument) for argument in arguments)
    return {float: "number", int: "whole number", str: "text", bool: "true or false"}.get(annotation, "object")
