"""What a run is told and what it tells meanwhile."""

from dataclasses import dataclass
from typing import NamedTuple

from fairway_steps.loadtest.client import Answer


@dataclass(frozen=True, slots=True)
class Settings:
    """``timeout`` seconds after its scheduled moment a request without an answer has failed, sent or not."""

    timeout: float = 10.0
    connections: int = 64


class Progress(NamedTuple):
    """How far a run has come: requests planned (0: not known), due so far, ended, and failed among those."""

    planned: int
    sent: int
    ended: int
    failed: int


class Observer:
    """Is told of each request that ended. This one does not care."""

    def ended(self, index: int, took: int, answer: Answer, late: int = 0) -> None:
        """Request ``index`` ended ``took`` nanoseconds after its moment, ``late`` of which may be this client's."""
