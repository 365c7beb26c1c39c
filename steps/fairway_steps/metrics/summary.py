"""A load test's summary, the parameter of at most 1 kB, as a metric source: no file and no artifact repository is needed.

It has the counts over each limit that the load test was given, for all requests and for each version; so an SLO whose limit was
among these is judged exactly, and any other not at all.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from fairway_steps.errors import UsageError
from fairway_steps.metrics.base import Reading, untold
from fairway_steps.metrics.samples import logger, uncorrected
from fairway_steps.model import Histogram, Stratum

MEND = "give what `fairway load-test` wrote as its output summary"


class SummarySource:
    """The run that ``text`` sums up; one stratum for each version.

    ``limits`` are the SLOs' latencies in seconds. ``version`` is the one that was tested, to which requests without a label
    belong; without it they belong to the only version that is asked for, as long as no answer names another.
    Raises UsageError for a text that is no summary, or one without the counts for one of the limits.
    """

    def __init__(self, text: str, limits: Sequence[float] = (), version: str = "") -> None:
        self._told, self._version = _parsed(text), version
        flaw = uncorrected(corrected=self._told.get("co_corrected", True), closed=self._told.get("loop") == "closed")
        if flaw:
            logger.warning("the load test's summary: %s", flaw)
        over = {float(name) / 1000: count for name, count in self._told["over_ms"].items() if ":" not in name}
        self._over = dict(sorted(over.items()))
        self._places = {
            float(name) / 1000: place for place, name in enumerate(self._told["over_ms"]) if ":" not in name
        }
        for limit in limits:
            if not any(math.isclose(limit, known, rel_tol=1e-9) for known in self._over):
                known = ", ".join(f"{one * 1000:.12g} ms" for one in self._over) or "none"
                raise UsageError(
                    f"the load test's summary does not tell how many requests were over {limit * 1000:.12g} ms; it tells {known}",
                    mend="give the load test the same SLOs, or the limit",
                )

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        """All strata at once; none if ``cursor`` says that this very run has been read."""
        del now
        told = self._told
        identity = f"summary:{told['started']!r}:{told['requests']}"
        if cursor == identity:
            return Reading((), identity, complete=True)
        if told["client_limited"]:
            reason = told.get("reason", "it could not keep its plan")
            problem = f"the load test was limited by its own client, so it is evidence of nothing: {reason}"
            return Reading((), identity, complete=True, problem=problem)
        unlisted = [name for name in versions if name not in told.get("by_version", {})]
        if told.get("left_out") and unlisted:
            problem = f"the load test's summary had no room for the counts of {', '.join(unlisted)}; assess its samples instead"
            return Reading((), cursor, complete=True, problem=problem)
        parts = self._parts(versions)
        if parts is None:
            problem = "the load test does not tell which version its requests went to; say which version was tested"
            return Reading((), cursor, complete=True, problem=problem)
        strata = tuple(self._stratum(name, weights.get(name, 0), *part) for name, part in parts.items())
        if told.get("quantiles") == "bucketed" and strata and self._over:
            only, cut = strata[0], told["errors"].get("cancelled", 0)
            strata += untold(only.version, only.start, only.end, only.weight, cut)
        return Reading(strata, identity, complete=True)

    def _parts(self, versions: Sequence[str]) -> dict[str, tuple[int, Mapping[str, int], Sequence[int]]] | None:
        """By version: requests, failures by class, and counts over the limits in their order; None if nobody can tell.

        Requests that name no version are those of the version that was tested, and of no other by guess: what several versions
        answered is told apart only by version.
        """
        told, named = self._told, self._told.get("versions", {})
        requests = told["requests"] - told["errors"].get("cancelled", 0) + told.get("overdue", 0)
        unnamed = requests > sum(named.values())
        if by_version := told.get("by_version"):
            return (
                None
                if unnamed
                else {
                    name: (
                        counts[0],
                        {"failed": counts[1]} if counts[1] else {},
                        [counts[2 + self._places[one]] for one in self._over],
                    )
                    for name, counts in by_version.items()
                    if name in versions
                }
            )
        only = versions[0] if len(versions) == 1 else ""
        mixed = bool(named) and told.get("endpoints", 1) > 1  # what names none may be another endpoint's
        sole = (self._version or ("" if mixed else only)) if unnamed else next(iter(named), "")
        if sole not in versions or set(named) - {sole}:
            return None
        failures = {name: count for name, count in told["errors"].items() if name != "cancelled"}
        return {sole: (requests, failures, list(self._over.values()))}

    def _stratum(
        self, version: str, weight: int, requests: int, failures: Mapping[str, int], over: Sequence[int]
    ) -> Stratum:
        """Failed requests are over every limit, and so are the cancelled that count; the others lie between the limits that they were over and under, but for those that the client moved."""
        told, failed = self._told, sum(failures.values())
        moved = told.get("moved", {})
        fine = requests - failed - (moved.get(version, 0) if "by_version" in told else sum(moved.values()))
        within = {edge: fine - min(fine, max(0, count - failed)) for edge, count in zip(self._over, over, strict=True)}
        if "by_version" not in told:
            within = self._finer(within, fine - told.get("overdue", 0))
        rate = told["achieved_rate"] or told["requested_rate"]
        seconds = told["requests"] / rate if rate else 1.0
        upto = [*within.values(), fine]
        counts = tuple(after - before for before, after in zip([0, *upto], upto, strict=False))
        histogram = Histogram((*within, math.inf), counts) if self._over else None
        return Stratum(version, told["started"], told["started"] + seconds, weight, requests, failures, histogram)

    def _finer(self, within: Mapping[float, int], fine: int) -> dict[float, int]:
        """The counts up to the limits, and between these the quantiles, for the eye: no limit is judged by them."""
        quantiles = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
        told = {name: self._told["response_ms"].get(name) for name in quantiles}
        marks = {told[name] / 1000: math.floor(q * (fine - 1)) + 1 for name, q in quantiles.items() if told[name]}
        found = dict(within)
        for edge, count in marks.items():
            least = max((upto for limit, upto in within.items() if limit < edge), default=0)
            most = min((upto for limit, upto in within.items() if limit > edge), default=fine)
            found.setdefault(edge, min(most, max(least, count)))
        return dict(sorted(found.items()))


def _parsed(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    odd = _odd(told) if isinstance(told, dict) else "form"
    if not odd and not _adds_up(told):
        odd = "counts"
    if odd:
        raise UsageError(f"the metric source is no load test's summary, by its {odd!r}", mend=MEND)
    return dict(told)


def _odd(told: Mapping[str, Any]) -> str:
    """The first of the fields that is not there, or not what it should be."""
    missing = (key for key, fits in _FORM.items() if key not in told or not fits(told[key]))
    wrong = (key for key, fits in _FURTHER.items() if key in told and not fits(told[key]))
    return next(chain(missing, wrong), "")


def _adds_up(told: Mapping[str, Any]) -> bool:
    """No count is of more than all requests, and each version's row has them all."""
    rows = told.get("by_version", {})
    most = max([sum(told["errors"].values()), *told["over_ms"].values()])
    return most <= told["requests"] and all(len(row) == 2 + len(told["over_ms"]) for row in rows.values())


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_count, value.values()))


def _limits(value: Any) -> bool:
    return _counts(value) and all(":" in name or _EDGE.fullmatch(name) for name in value)


def _quantiles(value: Any) -> bool:
    return isinstance(value, dict) and all(each is None or _number(each) for each in value.values())


def _rows(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(row, list) and all(map(_count, row)) for row in value.values())


def _rate(value: Any) -> bool:
    return value is None or _number(value)


_EDGE = re.compile(r"\d+(\.\d+)?(e[-+]?\d{1,2})?")
_FORM: Mapping[str, Callable[[Any], bool]] = {
    "requests": _count,
    "errors": _counts,
    "over_ms": _limits,
    "response_ms": _quantiles,
    "started": _number,
    "client_limited": lambda value: isinstance(value, bool),
    "achieved_rate": _rate,
    "requested_rate": _rate,
}
_FURTHER: Mapping[str, Callable[[Any], bool]] = {
    "versions": _counts,
    "by_version": _rows,
    "moved": _counts,
    "overdue": _count,
}
