"""Which body each request carries: a fixed list of them, taken in turn. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any

from fairway_steps.errors import UsageError


@dataclass(frozen=True, slots=True)
class Payloads:
    """Request ``index`` carries ``bodies[pick(index)]``.

    Bodies are few and known beforehand, so that a client can prepare the bytes of each before the first request. In
    one of several processes ``index`` counts that process's own requests: its request *i* is ``first + i * stride`` of all.
    """

    bodies: tuple[bytes, ...] = field(default=(b"",), repr=False)
    first: int = 0
    stride: int = 1

    def pick(self, index: int) -> int:
        """The place in ``bodies`` of what request ``index`` carries."""
        return (self.first + index * self.stride) % len(self.bodies)

    def __getitem__(self, index: int) -> bytes:
        return self.bodies[self.pick(index)]

    def share(self, worker: int, workers: int) -> "Payloads":
        """What the process ``worker`` of ``workers`` sends of these."""
        return Payloads(self.bodies, self.first + worker * self.stride, self.stride * workers)


def encoded(text: str, what: str) -> bytes:
    """``text`` in UTF-8. Raises UsageError, which calls it ``what``, for what has no such form: bytes of another encoding, half a pair."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} cannot be written in UTF-8", mend="mend its letters, or use --payload-file"
        ) from error


def _refused(constant: str) -> None:
    """NaN and the infinities, which Python reads and RFC 8259 does not have."""
    raise ValueError(f"{constant} is no number of JSON's")


def from_json(body: bytes | str, what: str, *, mend: str = "") -> Any:
    """What ``body`` says. Raises UsageError, which calls it ``what``, for one that is not JSON."""
    try:
        return json.loads(body, parse_constant=_refused)
    except RecursionError as error:
        raise UsageError(f"{what} is nested too deeply", mend="give a flatter one") from error
    except ValueError as error:
        raise UsageError(f"{what} is not JSON: {error}", mend=mend) from error
