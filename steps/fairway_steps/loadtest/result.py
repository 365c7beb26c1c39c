"""What a run measured: columns of one row a request, and a file of them.

Three latencies, each exact: *response* = end - scheduled (what a user saw, and what SLOs are about), *service* = end - sent
(what the server and the network took), *slip* = sent - scheduled (what the client added). Failed requests are counted
and kept out of response and service. Quantiles are Hyndman and Fan's definition 7 ("Sample quantiles in statistical
packages", The American Statistician 50(4), 1996), numpy's default.

The file is an ``.npz``: the columns under their names, and ``meta``, the bytes of a JSON object.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway_steps.errors import DomainError, UsageError
from fairway_steps.loadtest.records import Records

FORMAT = 1
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
RATE_KEPT = 0.99
SLIP_FLOOR = 1e6  # ns
SLIP_SHARE = 0.02  # of the median response
HICCUP = 100e6  # ns by which any run may end late
FEW = 2  # late requests that any run may have
CPU_SHARE = 0.8
_COLUMNS = {
    "scheduled_ns": np.int64,
    "sent_ns": np.int64,
    "end_ns": np.int64,
    "status": np.int16,
    "error": np.uint16,
    "version": np.uint16,
    "upstream": np.int8,
}


@dataclass(frozen=True, slots=True)
class Meta:
    """What the columns leave out.

    ``rate`` is the nominal one. ``client_limited`` says why the client, not the service, shaped the numbers, and is
    empty where it did not. ``late`` is what is to be said of requests that were sent late, whether or not that mattered
    to the limits known then; who holds the result against others must look again.
    """

    started: float
    rate: float
    error_names: tuple[str, ...]
    version_names: tuple[str, ...]
    warm_up: int = 0
    cpu: float = 0.0
    backlog: int = 0
    connections: int = 0
    stopped: bool = False
    client_limited: str = ""
    late: str = ""
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Result:
    """The requests after the warm-up, in the order of the plan, as columns of equal length.

    Times are nanoseconds since ``meta.started`` (Unix seconds), -1 where it did not happen. ``error`` and ``version``
    index the names in ``meta``, 0 is none. ``upstream``: 1 if a proxy had the answer from behind it, 0 if not, -1
    unknown.
    """

    scheduled_ns: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    status: NDArray[np.int16]
    error: NDArray[np.uint16]
    version: NDArray[np.uint16]
    upstream: NDArray[np.int8]
    meta: Meta

    def __len__(self) -> int:
        return len(self.scheduled_ns)

    @property
    def ok(self) -> NDArray[np.bool_]:
        return np.equal(self.error, 0)

    @property
    def response(self) -> NDArray[np.int64]:
        """Nanoseconds of each success."""
        return (self.end_ns - self.scheduled_ns)[self.ok]

    @property
    def service(self) -> NDArray[np.int64]:
        """Nanoseconds of each success."""
        return (self.end_ns - self.sent_ns)[self.ok]

    @property
    def slip(self) -> NDArray[np.int64]:
        """Nanoseconds of each request that was sent."""
        return (self.sent_ns - self.scheduled_ns)[self.sent_ns >= 0]

    @property
    def failures(self) -> dict[str, int]:
        """Failed requests by class, the commonest first."""
        return _counted(self.error, self.meta.error_names)

    @property
    def failures_by_version(self) -> dict[str, dict[str, int]]:
        """Failed requests by the version that was asked last and class; a version of no name is one nobody knows."""
        found: dict[str, dict[str, int]] = {}
        for code, name in enumerate(self.meta.version_names):
            failed = _counted(self.error[self.version == code], self.meta.error_names)
            if failed:
                found[name] = failed
        return found

    @property
    def versions(self) -> dict[str, int]:
        """Answers by the version they named."""
        return _counted(self.version, self.meta.version_names)

    @property
    def lost(self) -> int | None:
        """Requests that no version answered; None if no answer says where it is from.

        Behind a proxy that marks what came from upstream, the mark decides (it may label answers of its own too), else
        the label. Requests that we cancelled are not counted.
        """
        if not (self.version.any() or np.any(self.upstream == 1)):
            return None
        names = self.meta.error_names
        ours = names.index("cancelled") if "cancelled" in names else -1
        nobody = self.upstream != 1 if np.any(self.upstream == 1) else self.version == 0
        return int(np.count_nonzero(nobody & (self.error != ours)))

    @property
    def achieved_rate(self) -> float | None:
        """Requests per second as sent: (n - 1) / (last - first); None below two."""
        return _rate(self.sent_ns[self.sent_ns >= 0])

    def over(self, limit: float) -> int:
        """How many requests took longer than ``limit`` seconds; failed ones count as endless."""
        slow = np.count_nonzero(self.response > round(limit * 1e9))
        return int(slow + sum(n for name, n in self.failures.items() if name != "cancelled"))

    def moved(self, limits: Sequence[float]) -> bool:
        """Whether being sent late alone brought a request over one of the ``limits`` (seconds)."""
        edges = [round(limit * 1e9) for limit in limits]
        return any(bool(np.any((self.service <= edge) & (self.response > edge))) for edge in edges)


def measured(records: Records, *, limits: Sequence[float] = ()) -> Result:
    """The requests of a run that count. ``limits`` (seconds) are those the result will be held against, if known."""
    rows = slice(records.plan.warm_up, max(records.due, records.plan.warm_up))
    columns = (
        records.plan.offsets,
        records.sent,
        records.end,
        records.status,
        records.error,
        records.version,
        records.upstream,
    )
    meta = Meta(
        started=records.started,
        rate=records.plan.rate,
        error_names=tuple(records.error_names),
        version_names=tuple(records.version_names),
        warm_up=min(records.plan.warm_up, records.due),
        cpu=round(records.cpu, 4),
        backlog=records.backlog,
        connections=records.connections,
        stopped=records.stopped,
    )
    result = _result({name: column[rows] for name, column in zip(_COLUMNS, columns, strict=True)}, meta)
    late = _lateness(result)
    limited = _shortfall(result) or (late if late and (not limits or result.moved(limits)) else "")
    return replace(result, meta=replace(meta, client_limited=limited, late=late))


# The client is the limit if it sent at less than 99 % of the planned rate, if it used more than 80 % of its core, or if
# more than 1 % of the requests were sent later than 1 ms or 2 % of the median response, whichever is more. So that one
# hiccup of a busy machine is not taken for that, a run may end 0.1 s late and two requests of any run may be late; and
# where limits are known, lateness matters only if it alone brought a request over one of them (it brings none under).


def _shortfall(result: Result) -> str:
    meta, sent = result.meta, result.sent_ns[result.sent_ns >= 0]
    if len(sent) < len(result):
        return f"{len(result) - len(sent)} requests were never sent: {_cause(meta)}"
    achieved, planned = result.achieved_rate, _rate(result.scheduled_ns)
    lag = int(result.slip[-1] - result.slip[0]) if len(result) else 0
    if achieved is not None and planned is not None and achieved < RATE_KEPT * planned and lag > HICCUP:
        return f"sent {achieved:.4g} requests per second of the planned {planned:.4g}: {_cause(meta)}"
    return f"it used {meta.cpu:.0%} of its core; lower the rate" if meta.cpu > CPU_SHARE else ""


def _lateness(result: Result) -> str:
    slip, response = result.slip, result.response
    allowed = max(SLIP_FLOOR, SLIP_SHARE * float(np.median(response)) if len(response) else 0.0)
    late = int(np.count_nonzero(slip > allowed))
    if late <= max(FEW, 0.01 * len(slip)):
        return ""
    return f"{late} of {len(slip)} requests were sent more than {allowed / 1e6:.3g} ms late: {_cause(result.meta)}"


def _cause(meta: Meta) -> str:
    if not meta.backlog:
        return "lower the rate or give it more CPU"
    busy = f"all {meta.connections} connections were busy and up to {meta.backlog} requests waited for one"
    return f"{busy}; allow more connections"


def write(result: Result, path: Path) -> None:
    """Write the file whole or not at all. Raises DomainError where it cannot."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    meta = np.frombuffer(json.dumps(asdict(result.meta)).encode(), np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            np.savez_compressed(file, meta=meta, **{name: getattr(result, name) for name in _COLUMNS})
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise DomainError(f"samples {path} cannot be written: {error.strerror}") from error


def read(path: Path) -> Result:
    """Read a file back. Raises UsageError for one that is not there or not a load test's."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            values = json.loads(file["meta"].tobytes())
            if values["format"] != FORMAT:
                raise ValueError(f"its format is {values['format']!r}, this Fairway reads {FORMAT}")
            names = {key: tuple(values[key]) for key in ("error_names", "version_names")}
            return _result(file, Meta(**values | names))
    except OSError as error:
        raise UsageError(f"samples {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged zip of damaged arrays fails in a dozen ways
        raise UsageError(f"samples {path} are not the file of a load test: {error}") from error


def _result(columns: Mapping[str, Any], meta: Meta) -> Result:
    return Result(meta=meta, **{name: np.array(columns[name], kind) for name, kind in _COLUMNS.items()})


def _rate(moments: NDArray[np.int64]) -> float | None:
    span = int(moments.max() - moments.min()) if len(moments) > 1 else 0
    return (len(moments) - 1) * 1e9 / span if span else None


def _counted(codes: NDArray[np.uint16], names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(codes, minlength=len(names))
    pairs = [(name, int(count)) for name, count in zip(names, counts, strict=True) if name and count]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def quantiles(values: NDArray[np.int64]) -> dict[str, float | None]:
    """p50 to p99.9, max and mean of nanoseconds, in ms; each None without values."""
    names = [*QUANTILES, "max", "mean"]
    if not len(values):
        return dict.fromkeys(names)
    numbers = [*np.quantile(values, list(QUANTILES.values())), values.max(), values.mean()]
    return {name: float(number) / 1e6 for name, number in zip(names, numbers, strict=True)}
