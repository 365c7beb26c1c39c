"""Small records for tests: only what a test says differs from the plainest one."""

from typing import Any

from fairway_steps.model import Metric, Slo, Stage, Version
from fairway_steps.record import Record


def record(**fields: Any) -> Record:
    plain: dict[str, Any] = {
        "release_id": "iris-1",
        "service": "iris",
        "route": "envoy:route",
        "primary": Version("v1", "http://127.0.0.1:8001"),
        "candidate": Version("v2", "http://127.0.0.1:8002"),
        "stages": (Stage(10, 5.0), Stage(25, 5.0), Stage(50, 5.0)),
        "slos": (Slo(Metric.ERROR_RATE, 0.01),),
        "holder": "test",
        "token": 1,
        "lease_until": 1_700_000_600.0,
        "lease_for": 600.0,
        "created": 1_700_000_000.0,
        "original": "{}",
    }
    return Record(**plain | fields)
