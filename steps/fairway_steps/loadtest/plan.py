"""When each request is due: a schedule of nanosecond offsets, drawn before the first is sent. Pure.

The load is open: a request is due at its moment whether or not earlier ones were answered, as the requests of
independent users are (Schroeder, Wierman, Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006).
"""

import math
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, takewhile

from fairway_steps.errors import UsageError

MAX_REQUESTS = 10_000_000
"""A run keeps every request (about 30 bytes each); past this a histogram would be the better record."""
MAX_RATE = 50_000.0
"""Requests per second that one process cannot be expected to pass."""
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """``offsets`` are nanoseconds since the start, never falling; ``rate`` is the nominal one, per second.

    The first ``warm_up`` requests are sent like all others but belong to no result.
    """

    offsets: "array[int]"
    rate: float
    warm_up: int = 0

    def __len__(self) -> int:
        return len(self.offsets)


def constant(rate: float, *, seconds: float | None = None, requests: int | None = None, warm_up: float = 0.0) -> Plan:
    """Requests at equal distances, the first at once: for ``seconds``, or as many as ``requests``.

    ``warm_up`` seconds at the same rate come first, in addition. Raises UsageError for a plan that cannot be run.
    """
    _check(rate, seconds, requests, warm_up)
    return _plan((round(i * SECOND / rate) for i in count()), rate, seconds, requests, warm_up)


def poisson(
    rate: float, seed: int, *, seconds: float | None = None, requests: int | None = None, warm_up: float = 0.0
) -> Plan:
    """Requests of a Poisson process: independent exponential gaps of mean ``1 / rate``, the same for the same seed."""
    _check(rate, seconds, requests, warm_up)
    draw = random.Random(seed)  # noqa: S311 - a reproducible sample, no secret

    def arrivals() -> Iterator[int]:
        at = 0.0
        while True:
            at += draw.expovariate(rate)
            yield round(at * SECOND)

    return _plan(arrivals(), rate, seconds, requests, warm_up)


def _plan(arrivals: Iterator[int], rate: float, seconds: float | None, requests: int | None, warm_up: float) -> Plan:
    begin = round(warm_up * SECOND)
    if requests is None:
        end = begin + round((seconds or 0.0) * SECOND)
        offsets = array("q", takewhile(lambda at: at < end, arrivals))
        return Plan(offsets, rate, sum(1 for _ in takewhile(lambda at: at < begin, offsets)))
    offsets = array("q")
    warm = 0
    for at in arrivals:
        offsets.append(at)
        if at >= begin:
            break
        warm += 1
    offsets.extend(islice(arrivals, requests - 1))
    return Plan(offsets, rate, warm)


def _check(rate: float, seconds: float | None, requests: int | None, warm_up: float) -> None:
    if not (math.isfinite(rate) and rate > 0):
        raise UsageError(f"a rate of {rate:g} requests per second is no load", mend="give a number above 0")
    if rate > MAX_RATE:
        raise UsageError(f"a rate of {rate:g} per second is over the {MAX_RATE:g} that one load test may send")
    if (seconds is None) == (requests is None):
        raise UsageError("a plan lasts for a duration or for a number of requests", mend="give one of the two")
    if requests is not None and requests < 1:
        raise UsageError(f"{requests} requests are no load", mend="give at least 1")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"a duration of {seconds:g} s is no load", mend="give a number above 0")
    if not (math.isfinite(warm_up) and warm_up >= 0):
        raise UsageError(f"a warm-up of {warm_up:g} s cannot be", mend="give 0 or more")
    total = rate * warm_up + (requests if requests is not None else rate * (seconds or 0.0))
    if total > MAX_REQUESTS:
        raise UsageError(
            f"the plan has about {total:,.0f} requests, more than the {MAX_REQUESTS:,} of which a load test keeps a record",
            mend="lower the rate or the duration",
        )
