"""Records of load tests as the engine would leave them, from plain numbers."""

import os
from array import array
from dataclasses import dataclass, replace

from fairway_steps.loadtest.client import Answer, Stream
from fairway_steps.loadtest.plan import Plan
from fairway_steps.loadtest.records import Records

MS = 1_000_000


def records(
    responses: list[float],
    *,
    gap: float = 10.0,
    slips: list[float] | None = None,
    errors: dict[int, str] | None = None,
    versions: dict[int, str] | None = None,
    upstreams: dict[int, int] | None = None,
    streams: dict[int, Stream] | None = None,
    **fields,
) -> Records:
    """One request every ``gap`` ms; ``responses`` and ``slips`` in ms, the others by index. Events of streams are since the start."""
    n = len(responses)
    offsets = array("q", [round(i * gap * MS) for i in range(n)])
    made = Records.empty(Plan(offsets, 1000 / gap, fields.pop("warm_up", 0)), 1_700_000_000.0)
    made.due = n
    for i, response in enumerate(responses):
        made.slip[i] = round((slips[i] if slips else 0.05) * MS)
        answer = Answer(
            200,
            (errors or {}).get(i, ""),
            (versions or {}).get(i, ""),
            (upstreams or {}).get(i, -1),
            stream=(streams or {}).get(i),
        )
        made.end(i, round(response * MS), answer, 0)
    return replace(made, **fields)


@dataclass(frozen=True)
class Broken:
    """A target that fails in the process that opens it."""

    name: str = "broken"

    def prepare(self, payloads):
        return payloads

    def open(self, payloads):
        raise ZeroDivisionError("nobody knows why")


class Dying(Broken):
    """A target that takes its process with it."""

    def open(self, payloads):
        os._exit(7)
