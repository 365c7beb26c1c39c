"""A load test's file as a metric source: every request is known, so every count is exact.

The file is numpy's ``.npz``, a zip of ``.npy`` arrays (``numpy.lib.format``, version 1), as ``loadtest/samples.py`` writes it.
It is read here with the standard library alone: the arrays are plain, and the step that reads them needs no numpy.
"""

import ast
import json
import logging
import struct
import sys
import zipfile
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.metrics.base import Reading
from fairway_steps.model import Histogram, Stratum

logger = logging.getLogger("fairway_steps")

SECOND = 1_000_000_000
FORMAT = 1
EDGES = tuple(round(10.0 ** (k / 20) * 1e-4, 10) for k in range(121))
"""Seconds, 0.1 ms to 100 s in steps of 12 % (the preferred numbers R20, ISO 3); an SLO's limit is an edge of its own."""
_TYPES = {"<i8": "q", "<i4": "i", "<i2": "h", "<u2": "H", "|i1": "b", "|u1": "B"}


@dataclass(slots=True)
class _Cell:
    """What one version did in one second."""

    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    counts: Counter[int] = field(default_factory=Counter)
    nanoseconds: int = 0


class SamplesSource:
    """The samples in the file ``path``. Each of ``limits`` (seconds) becomes an edge of the histograms; None, or with ``others``: it is not known by which latencies will be judged.

    ``version`` is the one that was tested, to which requests without a label belong; without it they belong to the only
    version that is asked for, as long as no answer names another.

    Latency is the response time, from the scheduled moment on. The strata are one for each version and second of
    scheduled time. Requests that were cancelled when the load test was stopped are no one's failures: they are left out, but for
    those that had taken longer than every limit by then, which are known to be slow. What took too long for one of our limits by what
    the client added alone counts as not timed: it is neither over nor under.
    """

    def __init__(
        self, path: Path, limits: Sequence[float] | None = None, version: str = "", *, others: bool = False
    ) -> None:
        self._path, self._version, self._limits = path, version, tuple(limits or ())
        self._known = limits is not None and not others
        self._edges = tuple(sorted({*EDGES, *self._limits}))

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        """All strata of the file at once; none if ``cursor`` says that this very run has been read.

        Raises UsageError if there is no such file. One that is damaged, was limited by its client, or does not
        tell which version its requests went to is a Reading with a problem.
        """
        del now
        try:
            meta, columns = _load(self._path)
            identity = f"samples:{meta['started']!r}:{len(columns['scheduled_ns'])}"
            if cursor == identity:
                return Reading((), identity, complete=True)
            if flaw := uncorrected(corrected=meta["co_corrected"], closed=meta["closed_loop"]):
                logger.warning("%s: %s", self._path, flaw)
            cells, strays = self._cells(meta, columns, versions)
            problem = self._limited(meta, columns) or _unknown(strays)
        except OSError as error:
            raise UsageError(
                f"samples {self._path} cannot be read: {error.strerror or error}",
                mend="name the file that `fairway load-test --samples` wrote",
            ) from error
        except Exception as error:  # noqa: BLE001 - a damaged zip of damaged arrays fails in a dozen ways
            return Reading((), cursor, complete=True, problem=f"{self._path} is not the file of a load test: {error}")
        strata = tuple(
            self._stratum(name, meta["started"] + second, weights.get(name, 0), cell)
            for (second, name), cell in sorted(cells.items())
        )
        return Reading(strata, identity, complete=True, problem=problem)

    def _cells(
        self, meta: Mapping[str, Any], columns: Mapping[str, "array[int]"], versions: Sequence[str]
    ) -> tuple[dict[tuple[int, str], _Cell], int]:
        """Counts by second and version, and how many requests belong to none of ``versions`` and name no other."""
        labels, errors = meta["version_names"], meta["error_names"]
        named = {labels[code] for code in set(columns["version"])} - {""}
        mixed = bool(named) and len(meta.get("endpoint_names", ())) > 1  # what names none may be another endpoint's
        sole = self._version or (versions[0] if len(versions) == 1 and named <= set(versions) and not mixed else "")
        edges = [round(edge * SECOND) for edge in self._edges]
        cells: dict[tuple[int, str], _Cell] = {}
        strays = 0
        slow = round(max(self._limits) * SECOND) if self._limits else 1 << 63
        moved = self._moved(meta, columns)
        wanted = ("scheduled_ns", "end_ns", "error", "version")
        for row, (scheduled, end, error, label) in enumerate(zip(*(columns[name] for name in wanted), strict=True)):
            cancelled = errors[error] == "cancelled"
            if cancelled and end - scheduled <= slow:
                continue
            version = labels[label] or sole
            if version not in versions:
                strays += not version
                continue
            cell = cells.setdefault((scheduled // SECOND, version), _Cell())
            cell.requests += 1
            if error and not cancelled:
                cell.failures[errors[error]] += 1
            elif row not in moved:
                cell.counts[bisect_left(edges, end - scheduled)] += 1
                cell.nanoseconds += end - scheduled
        return cells, strays

    def _limited(self, meta: Mapping[str, Any], columns: Mapping[str, "array[int]"]) -> str:
        """Why the client, not the service, shaped the numbers.

        Sending or reading late is no reason if it moved no request over any of our limits: it brings none under.
        """
        reason, late = meta["client_limited"], meta["late"]
        if reason in ("", late):
            reason = late if not self._known or self._moved(meta, columns) else ""
        return f"the load test was limited by its own client, so it is evidence of nothing: {reason}" if reason else ""

    def _moved(self, meta: Mapping[str, Any], columns: Mapping[str, "array[int]"]) -> set[int]:
        """The rows that are over one of our limits only by how late they were sent and read; not of another tool's, which the server may have kept from being sent."""
        edges = [round(limit * SECOND) for limit in self._limits]
        if meta["tool"] or not edges:
            return set()
        names, cancelled = (
            ("scheduled_ns", "sent_ns", "end_ns", "error"),
            [*meta["error_names"], "cancelled"].index("cancelled"),
        )
        held_ns = columns.get("held_ns") or [0] * len(columns["error"])
        rows = zip(*(columns[name] for name in names), held_ns, strict=True)
        return {
            row
            for row, (due, sent, end, error, held) in enumerate(rows)
            if (not error or error == cancelled) and any(end - sent - held <= edge < end - due for edge in edges)
        }

    def _stratum(self, version: str, start: float, weight: int, cell: _Cell) -> Stratum:
        counts = tuple(cell.counts[i] for i in range(len(self._edges) + 1))
        return Stratum(
            version=version,
            start=start,
            end=start + 1,
            weight=weight,
            requests=cell.requests,
            failures=dict(sorted(cell.failures.items())),
            latency=Histogram((*self._edges, float("inf")), counts),
            seconds=cell.nanoseconds / SECOND,
        )


def uncorrected(*, corrected: bool, closed: bool) -> str:
    """What is to be said of latencies that leave out what a stalled server kept waiting, or nothing."""
    if closed:
        return "its load was a closed loop, which does not see what a stalled server keeps from being sent"
    if not corrected:
        return "latencies count from the sending, not from the moment a request was due: what requests waited for their turn is not in them"
    return ""


def _unknown(strays: int) -> str:
    if not strays:
        return ""
    return (
        f"{strays} requests of the load test do not tell which version they went to; "
        "say which version was tested, or label the answers"
    )


def _load(path: Path) -> tuple[dict[str, Any], dict[str, "array[int]"]]:
    with zipfile.ZipFile(path) as archive:
        columns = {name.removesuffix(".npy"): _column(archive.read(name)) for name in archive.namelist()}
    meta = json.loads(columns.pop("meta").tobytes())
    if meta["format"] != FORMAT:
        raise ValueError(f"its format is {meta['format']!r}, this Fairway reads {FORMAT}")
    return meta, columns


def _column(data: bytes) -> "array[int]":
    """One ``.npy`` of one dimension: magic, version 1.0, length of the header, the header (a Python literal), the items."""
    if data[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("a column is no array")
    (length,) = struct.unpack_from("<H", data, 8)
    header = ast.literal_eval(data[10 : 10 + length].decode("latin-1"))
    values = array(_TYPES[header["descr"]])
    values.frombytes(data[10 + length :])
    if header["shape"] != (len(values),):
        raise ValueError("a column is cut off")
    if sys.byteorder == "big":
        values.byteswap()
    return values
