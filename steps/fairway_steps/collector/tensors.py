"""The tensors of an Open Inference V2 answer, and in what two of them differ. Pure.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FLOATS = ("FP", "BF")
"""What the datatypes of floating-point numbers begin with; all others (INT, UINT, BOOL, BYTES) are equal or not."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a number may be from the primary's: ``absolute`` plus ``relative`` times that."""

    absolute: float = 1e-6
    relative: float = 1e-3

    def near(self, value: float, reference: float) -> bool:
        """NaN is near NaN, and infinity near itself alone."""
        if value == reference or (math.isnan(value) and math.isnan(reference)):
            return True
        if not (math.isfinite(value) and math.isfinite(reference)):
            return False
        return abs(value - reference) <= self.absolute + self.relative * abs(reference)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One output. ``data`` is flat, in row-major order."""

    datatype: str
    shape: tuple[int, ...]
    data: Sequence[Any]

    @property
    def is_float(self) -> bool:
        return self.datatype.startswith(FLOATS)

    @property
    def form(self) -> str:
        """``FP32[1,3]``."""
        return f"{self.datatype}[{','.join(map(str, self.shape))}]"

    @property
    def whole(self) -> bool:
        """Whether it has as many elements as its shape says."""
        return len(self.data) == math.prod(self.shape)


def tensors(answer: Any) -> Mapping[str, Tensor] | None:
    """The outputs of a V2 answer by name; None for any other JSON."""
    outputs = answer.get("outputs") if isinstance(answer, dict) else None
    if not isinstance(outputs, list) or not outputs:
        return None
    found = {}
    for output in outputs:
        if not isinstance(output, dict):
            return None
        name, datatype, shape, data = (output.get(field) for field in ("name", "datatype", "shape", "data"))
        sizes = shape if isinstance(shape, list) and all(type(size) is int for size in shape) else None
        if not isinstance(name, str) or not isinstance(datatype, str) or sizes is None or not isinstance(data, list):
            return None
        found[name] = Tensor(datatype, tuple(sizes), list(_flat(data)))
    return found


def relabelled(primary: Tensor, candidate: Tensor, tolerance: Tolerance) -> str:
    """Which label is another one, as half a sentence; empty for none.

    Elements that are no floats are labels themselves. Floats in rows are scores, of which the largest is the label: it is another one
    where the candidate prefers it by more than the tolerance.
    """
    if not primary.is_float:
        pairs = enumerate(zip(primary.data, candidate.data, strict=True))
        return next((f"{_shown(old)} is {_shown(new)} at {at}" for at, (old, new) in pairs if not _same(old, new)), "")
    if len(primary.shape) < 2 or primary.shape[-1] < 2:
        return ""
    both = zip(_rows(primary), _rows(candidate), strict=True)
    for at, (old, new) in enumerate(both):
        if any(map(math.isnan, (*old, *new))):
            continue  # drift tells of it
        was, now = old.index(max(old)), new.index(max(new))
        if was != now and not tolerance.near(new[was], new[now]):
            return f"the largest score is {now}, not {was}, in row {at}"
    return ""


def drifted(primary: Tensor, candidate: Tensor, tolerance: Tolerance) -> str:
    """Which number is beyond the tolerance, as half a sentence; empty for none, and for what is no float."""
    if not primary.is_float:
        return ""
    pairs = enumerate(zip(map(_number, primary.data), map(_number, candidate.data), strict=True))
    return next((f"{old:g} is {new:g} at {at}" for at, (old, new) in pairs if not tolerance.near(new, old)), "")


def _flat(data: list[Any]) -> Iterator[Any]:
    """A tensor's data, which may be nested as its shape is."""
    left = [iter(data)]
    while left:
        for item in left[-1]:
            if isinstance(item, list):
                left.append(iter(item))
                break
            yield item
        else:
            left.pop()


def _rows(tensor: Tensor) -> Iterator[list[float]]:
    length, numbers = tensor.shape[-1], list(map(_number, tensor.data))
    return (numbers[begin : begin + length] for begin in range(0, len(numbers), length))


def _number(value: Any) -> float:
    """What is no number, such as the null that some servers write for it, counts as NaN."""
    if not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _same(old: Any, new: Any) -> bool:
    return bool(old == new) and isinstance(old, str) == isinstance(new, str)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
