"""When the tokens of streamed answers came, by another tool's file: what gives TTFT, TPOT and inter-token latencies. Pure.

The definitions are those of our own streams (``loadtest.streaming``), whatever the tool made of the same moments.
"""

import itertools
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Told(NamedTuple):
    """Of one answer: Unix nanoseconds of its first and last token, how many tokens it and its prompt have, and the moments of all.

    -1 is what the tool does not tell.
    """

    first: int = -1
    last: int = -1
    output: int = -1
    prompt: int = -1
    moments: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """One entry a row of the run, -1 where there is none: nanoseconds since the start, numbers of tokens.

    ``events`` are the numbers of moments that are known of each row, ``moments`` all of these, row by row.
    """

    first: "array[int]" = field(default_factory=lambda: array("q"))
    last: "array[int]" = field(default_factory=lambda: array("q"))
    output: "array[int]" = field(default_factory=lambda: array("q"))
    prompt: "array[int]" = field(default_factory=lambda: array("q"))
    events: "array[int]" = field(default_factory=lambda: array("q"))
    moments: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def timed(self) -> bool:
        """Whether it is known when the tokens of any answer came."""
        return any(first >= 0 for first in self.first)

    def ttft(self, due: Sequence[int]) -> list[int | None]:
        return [first - at if first >= 0 else None for first, at in zip(self.first, due, strict=True)]

    def tpot(self) -> list[int | None]:
        """None for an answer of fewer than two tokens, too."""
        rows = zip(self.first, self.last, self.output, strict=True)
        return [(last - first) // (n - 1) if first >= 0 and n > 1 else None for first, last, n in rows]

    def itl(self) -> list[int]:
        """All gaps, of the answers whose every event is known."""
        found, begin = [], 0
        for count in self.events:
            row = self.moments[begin : begin + count]
            found += [b - a for a, b in itertools.pairwise(row)]
            begin += count
        return found


def tokens_of(told: Iterable[Told | None], start: int) -> Tokens | None:
    """``told`` in the order of the rows, ``start`` the Unix nanosecond of the first; None if not one answer tells."""
    made, nothing, any_ = Tokens(), Told(), False
    for one in told:
        any_ = any_ or one is not None
        known = one or nothing
        made.first.append(known.first - start if known.first >= 0 else -1)
        made.last.append(known.last - start if known.last >= 0 else -1)
        made.output.append(known.output)
        made.prompt.append(known.prompt)
        made.events.append(len(known.moments))
        made.moments.extend(at - start for at in known.moments)
    return made if any_ else None


MEASURES: dict[str, Callable[[Tokens, Sequence[int], Sequence[int]], list[int | None]]] = {
    "ttft": lambda found, due, sent: found.ttft(due),  # noqa: ARG005 - one signature for all
    "ttft_sent": lambda found, due, sent: found.ttft(sent),  # noqa: ARG005
    "tpot": lambda found, due, sent: found.tpot(),  # noqa: ARG005
}
"""Nanoseconds of each row; ``due`` and ``sent`` are its moments."""
