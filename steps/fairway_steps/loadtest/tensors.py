"""Open Inference V2 requests made up from shapes and data types. Pure and seeded.

``pixels:FP64[1,64]`` is a tensor of that name, data type and shape; ``=LOW..HIGH`` behind it bounds its values (bytes: the
length of each string). Several are separated by semicolons. Data types and the JSON form are those of the Open Inference
Protocol, version 2 (https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md).
"""

import math
import random
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairway_steps.errors import UsageError

MAX_VALUES = 10_000_000
_INTEGERS = {f"{sign}INT{bits}": (bits, sign == "") for sign in ("", "U") for bits in (8, 16, 32, 64)}
_FLOATS = ("FP16", "FP32", "FP64")
DATATYPES = ("BOOL", *_INTEGERS, *_FLOATS, "BYTES")
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_TENSOR = re.compile(
    rf"(?P<name>[^:;\s]+):(?P<datatype>\w+)\[(?P<shape>[\d,\s]*)\](?:=(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER}))?"
)
_SMALL_INTEGER = 100
_SHORT = 16
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Tensor:
    """``low`` and ``high`` bound the values, both included; for BYTES the length of each."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    low: float
    high: float

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def parse(text: str) -> tuple[Tensor, ...]:
    """The tensors of ``name:DATATYPE[shape]=low..high;…``. Raises UsageError with what is wrong."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    tensors = tuple(_tensor(part) for part in parts)
    names = [tensor.name for tensor in tensors]
    if not names:
        raise UsageError("no tensor is given", mend="write NAME:DATATYPE[SHAPE], such as pixels:FP64[1,64]")
    if len(set(names)) < len(names):
        raise UsageError(f"two tensors are called {next(n for n in names if names.count(n) > 1)!r}")
    if sum(tensor.size for tensor in tensors) > MAX_VALUES:
        raise UsageError(f"the tensors have more than {MAX_VALUES:,} values together")
    return tensors


def body(tensors: Sequence[Tensor], seed: int = 1) -> dict[str, Any]:
    """A V2 inference request with random data, the same for the same seed; ``data`` is flat, in row-major order."""
    draw = random.Random(seed)  # noqa: S311 - a reproducible sample, no secret
    return {
        "inputs": [
            {
                "name": tensor.name,
                "shape": list(tensor.shape),
                "datatype": tensor.datatype,
                "data": [_value(tensor, draw) for _ in range(tensor.size)],
            }
            for tensor in tensors
        ]
    }


def _tensor(text: str) -> Tensor:
    match = _TENSOR.fullmatch(text)
    if match is None:
        raise UsageError(
            f"tensor {text!r} cannot be read", mend="write NAME:DATATYPE[SHAPE], such as pixels:FP64[1,64]"
        )
    name, datatype = match["name"], match["datatype"].upper()
    if datatype not in DATATYPES:
        raise UsageError(f"tensor {name!r}: {match['datatype']!r} is no data type; it is one of {', '.join(DATATYPES)}")
    shape = tuple(int(part) for part in match["shape"].split(",") if part.strip())
    if not shape or 0 in shape:
        raise UsageError(
            f"tensor {name!r} has the shape [{match['shape']}], that is no value", mend="give sizes above 0"
        )
    lowest, highest, low, high = _bounds(datatype)
    if match["low"] is not None:
        low, high = _number(match["low"]), _number(match["high"])
    if not lowest <= low <= high <= highest:
        raise UsageError(f"tensor {name!r}: {datatype} has no values from {low:g} to {high:g}")
    if datatype not in _FLOATS:
        low, high = math.ceil(low), math.floor(high)
        if low > high:
            raise UsageError(
                f"tensor {name!r}: no value of {datatype} lies within those bounds", mend="give whole numbers"
            )
    return Tensor(name, datatype, shape, low, high)


def _number(text: str) -> float:
    """Whole numbers exactly: there are more of 64 bits than a float tells apart."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _bounds(datatype: str) -> tuple[float, float, float, float]:
    """The lowest and highest value of a data type, and those drawn where nothing is said."""
    if datatype in _INTEGERS:
        bits, signed = _INTEGERS[datatype]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        return low, high, 0, min(_SMALL_INTEGER, high)
    if datatype == "BOOL":
        return 0, 1, 0, 1
    if datatype == "BYTES":
        return 0, MAX_VALUES, _SHORT, _SHORT
    most = {"FP16": 65504.0, "FP32": 3.4028235e38, "FP64": 1.7976931348623157e308}[datatype]
    return -most, most, 0.0, 1.0


def _value(tensor: Tensor, draw: random.Random) -> Any:
    low, high = tensor.low, tensor.high
    if tensor.datatype == "BOOL":
        return draw.random() < 0.5 if low < high else bool(low)
    if tensor.datatype == "BYTES":
        return "".join(draw.choices(string.ascii_letters, k=draw.randint(int(low), int(high))))
    if tensor.datatype in _INTEGERS:
        return draw.randint(int(low), int(high))
    at, span = draw.random(), high - low
    drawn = low + span * at if math.isfinite(span) else low * (1 - at) + high * at
    return min(max(round(drawn, _digits(span)), low), high)


def _digits(span: float) -> int:
    """Digits behind the point: six, and more where all values are close to one another."""
    return _DIGITS if span >= 1 or span == 0 else _DIGITS - math.floor(math.log10(span))
