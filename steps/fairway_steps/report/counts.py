"""How many requests there were, how many failed and how many were lost, and who says so.

Three witnesses, from the widest view to the narrowest: a client that counted its own requests, the proxy's counters
(``Record.counted`` minus ``Record.baseline``), and the strata that the assessments took.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.record import Record

VERSION = "version:"
Failed = Mapping[str, Mapping[str, int]]


class Witness(StrEnum):
    """Who counted."""

    CLIENT = "client"
    PROXY = "proxy"
    STRATA = "strata"


@dataclass(frozen=True, slots=True)
class ClientCount:
    """A client's own count: all its requests, the failed ones by version and class, those no version answered."""

    requests: int
    failed: Failed = field(default_factory=dict)
    lost: int = 0

    @classmethod
    def parse(cls, data: Any, where: str) -> "ClientCount":
        """From ``{"requests": n, "failed": {"v2": {"http-500": 12}}, "lost": 0}``. Raises UsageError."""
        try:
            known = {"requests", "failed", "lost"}
            failed = {str(v): {str(k): _whole(n) for k, n in by.items()} for v, by in data.get("failed", {}).items()}
            if unknown := set(data) - known:
                raise ValueError(f"unknown field {min(unknown)!r}")
            return cls(_whole(data["requests"]), failed, _whole(data.get("lost", 0)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{where} is not a client's count: {error}",
                mend='it looks like {"requests": 100, "failed": {"v2": {"http-500": 3}}, "lost": 0}',
            ) from error


@dataclass(frozen=True, slots=True)
class Counts:
    """One witness's count. ``lost`` is None for one who cannot tell; ``by_version`` is empty likewise."""

    witness: Witness
    requests: int
    failed: Failed
    lost: int | None
    by_version: Mapping[str, int]

    @property
    def failures(self) -> int:
        return sum(sum(by.values()) for by in self.failed.values())


def measured(record: Record) -> Counts:
    """What the infrastructure saw: the proxy's counters where there are any, else the strata.

    Failures by class come from the strata in both cases, for a proxy's request counters do not tell them apart.
    """
    failed: dict[str, dict[str, int]] = {name: {} for name in record.versions}
    assessed: dict[str, int] = dict.fromkeys(record.versions, 0)
    for stratum in record.strata:
        assessed[stratum.version] = assessed.get(stratum.version, 0) + stratum.requests
        classes = failed.setdefault(stratum.version, {})
        for name, number in stratum.failures.items():
            classes[name] = classes.get(name, 0) + number
    if not record.counted:
        return Counts(Witness.STRATA, sum(assessed.values()), failed, None, assessed)
    since = {name: _since(record.baseline.get(name, 0), number) for name, number in record.counted.items()}
    by_version = {name.removeprefix(VERSION): n for name, n in since.items() if name.startswith(VERSION)}
    requests = since.get("requests", sum(by_version.values()))
    return Counts(Witness.PROXY, requests, failed, since.get("lost"), by_version)


def counted(record: Record, client: ClientCount | None) -> Counts:
    """The count to lead with: the client's if there is one. A loss that either witness saw is a loss."""
    seen = measured(record)
    if client is None:
        return seen
    failed = {name: dict(client.failed.get(name, {})) for name in [*record.versions, *client.failed]}
    return Counts(Witness.CLIENT, client.requests, failed, max(client.lost, seen.lost or 0), seen.by_version)


def _since(before: int, now: int) -> int:
    return now - before if now >= before else now  # a counter that went down began anew


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value
