"""What a run leaves behind: a few bytes a request, in columns."""

from array import array
from dataclasses import dataclass, field

from fairway_steps.loadtest.plan import Plan

NEVER = -1


@dataclass(slots=True)
class Records:
    """What became of each request of ``plan``, in its order; ``started`` is the Unix time of offset 0.

    Of the ``due`` requests (the others of the plan were never tried) ``sent`` and ``end`` are nanoseconds since the start,
    -1 where it did not happen, ``status`` the HTTP status or 0, ``error`` and ``version`` indices into their names
    (0: none), ``upstream`` as in Answer. ``cpu`` is the share of one core that the sending thread used, ``backlog``
    the most requests that ever waited for a connection, ``details`` the first message of each class of error.
    """

    plan: Plan
    started: float
    sent: "array[int]"
    end: "array[int]"
    status: "array[int]"
    error: "array[int]"
    version: "array[int]"
    upstream: "array[int]"
    error_names: list[str] = field(default_factory=lambda: [""])
    version_names: list[str] = field(default_factory=lambda: [""])
    details: dict[str, str] = field(default_factory=dict)
    due: int = 0
    cpu: float = 0.0
    backlog: int = 0
    connections: int = 0
    stopped: bool = False

    @classmethod
    def empty(cls, plan: Plan, started: float) -> "Records":
        def column(kind: str, value: int) -> "array[int]":
            return array(kind, [value]) * len(plan)

        return cls(
            plan=plan,
            started=started,
            sent=column("q", NEVER),
            end=column("q", NEVER),
            status=column("h", 0),
            error=column("H", 0),
            version=column("H", 0),
            upstream=column("b", -1),
        )
