"""When each request is due: a schedule of nanosecond offsets, drawn before the first is sent. Pure.

The load is open: a request is due at its moment whether or not earlier ones were answered, as the requests of
independent users are (Schroeder, Wierman, Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006). A closed
loop, in which each of a few users waits for an answer before the next request, exists beside it and is labelled.
"""

import math
import random
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice, takewhile

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.profile import Profile, steady

MAX_REQUESTS = 10_000_000
"""A run keeps every request (18 bytes each while it sends); past this a histogram would be the better record."""
MAX_RATE = 50_000.0
"""Requests per second that one process cannot be expected to pass."""
SECOND = 1_000_000_000
LONGEST = 366 * 86400.0
"""Seconds after which nothing is due."""


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """``offsets`` are nanoseconds since the start, never falling; ``rate`` is the nominal one, per second.

    The first ``warm_up`` requests are sent like all others but belong to no result.
    """

    offsets: "array[int]"
    rate: float
    warm_up: int = 0

    def __len__(self) -> int:
        return len(self.offsets)

    def at_once(self, timeout: float, most: int) -> int:
        """How many requests are under way together if none is answered within ``timeout`` seconds; not counted past ``most``."""
        length, oldest, found = round(timeout * SECOND), 0, 0
        for index, at in enumerate(self.offsets, 1):
            while self.offsets[oldest] < at - length:
                oldest += 1
            found = max(found, index - oldest)
            if found >= most:
                return most
        return found

    def share(self, worker: int, workers: int) -> "Plan":
        """What the process ``worker`` of ``workers`` sends: arrival i is for worker i mod ``workers``."""
        mine = range(worker, self.warm_up, workers)
        return Plan(self.offsets[worker::workers], self.rate / workers, len(mine))


@dataclass(frozen=True, slots=True)
class Closed:
    """``users`` send a request each, and the next one when the last has ended: ``requests`` in all, or for ``seconds``.

    Warm-up (by ``warm_up`` requests or ``warm_up_seconds``) comes first, in addition.
    """

    users: int
    requests: int | None = None
    seconds: float | None = None
    warm_up: int = 0
    warm_up_seconds: float = 0.0

    @property
    def rate(self) -> None:
        """None was asked for."""
        return

    @property
    def limit(self) -> float:
        """The requests it comes to; infinity where that is not known beforehand."""
        return math.inf if self.requests is None or self.warm_up_seconds else self.requests + self.warm_up

    @property
    def end(self) -> float:
        """Nanoseconds after which no request begins; infinity where only their number ends it."""
        return math.inf if self.seconds is None else (self.seconds + self.warm_up_seconds) * SECOND

    def share(self, worker: int, workers: int) -> "Closed":
        """The part of the process ``worker`` of ``workers``; there are at least as many users as processes."""
        return replace(
            self,
            users=len(range(worker, self.users, workers)),
            requests=None if self.requests is None else len(range(worker, self.requests, workers)),
            warm_up=len(range(worker, self.warm_up, workers)),
        )


AnyPlan = Plan | Closed


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What is sent first and left out: so many ``requests``, or all of ``seconds``."""

    seconds: float = 0.0
    requests: int = 0


def arrivals(
    profile: Profile,
    *,
    seconds: float | None = None,
    requests: int | None = None,
    warm_up: WarmUp = WarmUp(),
    poisson: int | None = None,
) -> Plan:
    """Requests at the rate of ``profile``: for ``seconds``, or as many as ``requests``, or as long as the profile lasts, whichever ends first.

    At even distances, the first at once; or, with the seed ``poisson``, those of a Poisson process of that rate, made from one
    of rate 1 by stretching its time (Çinlar, "Introduction to Stochastic Processes", 1975, section 4.7). Raises UsageError
    for a plan that cannot be run.
    """
    _check(profile, seconds, requests, warm_up)
    lead = warm_up.seconds or warm_up.requests / profile.beginning
    if lead:
        profile = profile.after(lead)
    last = profile.seconds if seconds is None else min(profile.seconds, seconds + lead)
    marks: Iterator[float] = count(0.0, 1.0) if poisson is None else _exponential(poisson, warm_up.requests)
    end = last * SECOND if math.isinf(last) else round(last * SECOND)
    within = takewhile(lambda at: at <= last, map(profile.moment, marks))
    moments = takewhile(lambda at: at < end, _due(within))
    offsets = array("q")
    if requests is None:
        offsets.extend(moments)
    else:
        begin = round(warm_up.seconds * SECOND)
        for at in moments:
            offsets.append(at)
            if at >= begin and len(offsets) > warm_up.requests:
                break
        offsets.extend(islice(moments, requests - 1))
    plan = _warmed(offsets, 0.0, warm_up)
    return replace(plan, rate=_nominal(profile, lead, last, requests))


def _nominal(profile: Profile, begin: float, last: float, requests: int | None) -> float:
    """The mean rate of what is measured: from the end of the warm-up to that of the plan."""
    if profile.even:
        return profile.first
    before = profile.expected(begin)
    end = last if requests is None else min(last, profile.moment(before + requests))
    return (profile.expected(end) - before) / (end - begin)


def constant(rate: float, *, seconds: float | None = None, requests: int | None = None, warm_up: float = 0.0) -> Plan:
    """Requests at equal distances; the warm-up is in seconds."""
    return arrivals(steady(rate), seconds=seconds, requests=requests, warm_up=WarmUp(warm_up))


def poisson(
    rate: float, seed: int, *, seconds: float | None = None, requests: int | None = None, warm_up: float = 0.0
) -> Plan:
    """Requests of a Poisson process: independent exponential gaps of mean ``1 / rate``, the same for the same seed."""
    return arrivals(steady(rate), seconds=seconds, requests=requests, warm_up=WarmUp(warm_up), poisson=seed)


def replay(
    moments: Iterable[float],
    *,
    speed: float = 1.0,
    seconds: float | None = None,
    requests: int | None = None,
    warm_up: WarmUp = WarmUp(),
) -> Plan:
    """Requests at the ``moments`` (seconds) at which others came, from the first one on, ``speed`` times as fast; all, or as in ``arrivals``."""
    _check_length(seconds, requests, warm_up)
    if not (math.isfinite(speed) and speed > 0):
        raise UsageError(f"a trace cannot be replayed at {speed:g} times its speed", mend="give a number above 0")
    times = list(moments)
    if not times:
        raise UsageError("the trace is empty", mend="write one moment in seconds on each line")
    if len(times) > MAX_REQUESTS:
        raise UsageError(f"the trace has {len(times):,} requests, more than the {MAX_REQUESTS:,} that are recorded")
    for before, at in zip(chain(times[:1], times), times, strict=False):
        if not math.isfinite(at) or at < before:
            raise UsageError(f"the trace goes back in time at {at:g} s", mend="sort its moments")
    offsets = array("q", _due((at - times[0]) / speed for at in times))
    if requests is not None:
        del offsets[_warm(offsets, warm_up) + requests :]
    if seconds is not None:
        warm = _warm(offsets, warm_up)
        begin = offsets[warm] if warm_up.requests and warm < len(offsets) else round(warm_up.seconds * SECOND)
        del offsets[bisect_left(offsets, begin + round(seconds * SECOND)) :]
    span = offsets[-1] / SECOND if offsets else 0.0
    return _warmed(offsets, (len(offsets) - 1) / span if span else float(len(offsets)), warm_up)


def paired(plan: Plan, seed: int) -> tuple[Plan, Plan]:
    """A plan dealt out to two endpoints, two neighbouring arrivals at a time; a coin says which of the two is whose.

    So request *k* of both carries the same, at almost the same time, and no order of the two favours one of them. No pair lies
    across the end of the warm-up: where that is an odd number, its first request is left out.
    """
    draw = random.Random(seed)  # noqa: S311 - a reproducible order, no secret
    offsets = plan.offsets[plan.warm_up % 2 :]
    pairs, warm = len(offsets) // 2, plan.warm_up // 2
    if pairs <= warm:
        raise UsageError("one request cannot be sent to two endpoints", mend="plan at least 2")
    firsts = [2 * k + (draw.random() < 0.5) for k in range(pairs)]
    one, other = (array("q", (offsets[place] for place in places)) for places in (firsts, (i ^ 1 for i in firsts)))
    return Plan(one, plan.rate / 2, warm), Plan(other, plan.rate / 2, warm)


def _due(moments: Iterable[float]) -> Iterator[int]:
    """Nanoseconds, of seconds."""
    for at in moments:
        if at > LONGEST:
            raise UsageError(f"a request would be due after {at:g} s", mend="plan no more than a year")
        yield round(at * SECOND)


def _exponential(seed: int, first: int) -> Iterator[float]:
    """A Poisson process of rate 1 that has its ``first`` arrivals, so many, within their mean time (there they are uniform)."""
    draw = random.Random(seed)  # noqa: S311 - a reproducible sample, no secret
    yield from sorted(draw.uniform(0.0, first) for _ in range(first))
    at = float(first)
    while True:
        at += draw.expovariate(1.0)
        yield at


def _warmed(offsets: "array[int]", rate: float, warm_up: WarmUp) -> Plan:
    if not offsets:
        raise UsageError("the plan has no request", mend="make it longer, or its rate higher")
    warm = _warm(offsets, warm_up)
    if warm >= len(offsets):
        raise UsageError("the warm-up leaves no request to measure", mend="shorten it, or plan more requests")
    return Plan(offsets, rate, warm)


def _warm(offsets: "array[int]", warm_up: WarmUp) -> int:
    return max(warm_up.requests, bisect_left(offsets, round(warm_up.seconds * SECOND)))


def _check(profile: Profile, seconds: float | None, requests: int | None, warm_up: WarmUp) -> None:
    if profile.peak > MAX_RATE:
        raise UsageError(
            f"a rate of {profile.peak:g} per second is over the {MAX_RATE:g} that one load test may send",
            mend="lower it, or let several run side by side",
        )
    _check_length(seconds, requests, warm_up)
    lasting = min(profile.seconds, seconds if seconds is not None else math.inf)
    if requests is None and not math.isfinite(lasting):
        raise UsageError("a plan lasts for a duration or for a number of requests", mend="give one of the two")
    measured = min(requests or math.inf, profile.expected(lasting) if math.isfinite(lasting) else math.inf)
    total = profile.beginning * warm_up.seconds + warm_up.requests + measured
    if total > MAX_REQUESTS:
        raise UsageError(
            f"the plan has about {total:,.0f} requests, more than the {MAX_REQUESTS:,} of which a load test keeps a record",
            mend="lower the rate or the duration, or run several",
        )


def _check_length(seconds: float | None, requests: int | None, warm_up: WarmUp) -> None:
    if requests is not None and requests < 1:
        raise UsageError(f"{requests} requests are no load", mend="give at least 1")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"a duration of {seconds:g} s is no load", mend="give a number above 0")
    if not (math.isfinite(warm_up.seconds) and warm_up.seconds >= 0 and warm_up.requests >= 0):
        raise UsageError("a warm-up cannot be below 0", mend="give 0 or more")
    if warm_up.seconds and warm_up.requests:
        raise UsageError("a warm-up lasts for a time or for a number of requests", mend="give one of the two")


def closed(
    users: int,
    *,
    seconds: float | None = None,
    requests: int | None = None,
    warm_up: WarmUp = WarmUp(),
) -> Closed:
    """A closed loop. Raises UsageError for one that cannot be run."""
    _check_length(seconds, requests, warm_up)
    if seconds is None and requests is None:
        raise UsageError("a closed loop lasts for a duration or for a number of requests", mend="give one of the two")
    if requests is not None and requests + warm_up.requests > MAX_REQUESTS:
        raise UsageError(f"the loop has {requests:,} requests, more than the {MAX_REQUESTS:,} that are recorded")
    return Closed(max(1, min(users, requests or users)), requests, seconds, warm_up.requests, warm_up.seconds)


def last(plans: Sequence[AnyPlan]) -> float:
    """Seconds after which the last request of ``plans`` is due; infinity where nobody knows."""
    ends = [plan.end / SECOND if isinstance(plan, Closed) else plan.offsets[-1] / SECOND for plan in plans]
    return max(ends)
