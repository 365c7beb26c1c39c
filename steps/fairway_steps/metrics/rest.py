"""Evidence from anything that answers JSON over HTTP: a database, a vendor's API, a service of one's own.

One request for each version. Its answer holds counts since ever (``cumulative``), or those of the time from ``$start`` to
``$end`` that the request names (``window``). The cursor is JSON text: the last counts, or the end of the last window.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fairway_steps.config.sources import SourceSpec
from fairway_steps.errors import TransientError, UsageError
from fairway_steps.metrics.base import Counters, Reading, decode_counters, difference, encode_counters
from fairway_steps.metrics.http import Access, problem_of, refusal
from fairway_steps.metrics.names import UNITS, VARIABLE, variables, workload
from fairway_steps.metrics.paths import Path, Unfit, parse_path
from fairway_steps.metrics.preflight import Inspection, Seen
from fairway_steps.model import NAME, Stratum, Version
from fairway_steps.secrets import address

CUMULATIVE, WINDOW = "cumulative", "window"
TIMES = ("start", "end")
MOST_BYTES = 10_000_000
INSPECTED = 300.0
NOBODY = "fairway-asks-for-nobody"
SAME = 20
TEXT = "; let its path end in | tonumber"


class RestSource:
    """What ``spec`` describes. Counters that went down make the source untrustworthy: a database does not restart."""

    def __init__(self, spec: SourceSpec, service: str, access: Access, known: Mapping[str, Version]) -> None:
        self.spec, self.service, self._access, self._known = spec, service, access, known
        self.where = address(spec.url)
        if "requests" not in spec.paths:
            raise UsageError(
                "a rest source needs paths: with requests:", mend="write paths: {requests: .rows[0].count}"
            )
        self._paths = {name: _path(name, text) for name, text in spec.paths.items()}
        self._latencies = {name: _path(f"latencies.{name}", text) for name, text in spec.latencies.items()}
        self._series = {name: _path(f"series.{name}", text) for name, text in spec.series.items()}
        used = {name for pair in VARIABLE.findall(spec.url + spec.body) for name in pair if name}
        timed = bool(used & {"start"})
        self._counts = spec.counts or (WINDOW if timed else CUMULATIVE)
        if (self._counts == WINDOW) != timed:
            say = "name $start and $end in the url or body" if self._counts == WINDOW else "leave $start out"
            raise UsageError(f"a rest source that counts {self._counts} does not fit its request", mend=say)
        if not used & {"version", "workload"}:
            raise UsageError("a rest source asks the same for every version", mend="write $version in its url or body")
        self._request("x", 0.0, 0.0)

    def read(self, versions: Sequence[str], weights: Mapping[str, int], cursor: str, now: float) -> Reading:
        before = _decode(cursor) if cursor else None
        end = now - self.spec.delay
        start = before.at if before else end
        if before and end <= start:
            return Reading((), cursor, until=start, every=self.spec.delay)
        try:
            asked = versions if before or self._counts == CUMULATIVE else ()
            after = State(end, {version: self._ask(version, start, end) for version in asked})
            strata = tuple(self._strata(before, after, weights)) if before else ()
            return Reading(strata, _encode(after), until=end, every=self.spec.delay)
        except _Away as error:
            if before is None:
                raise TransientError(str(error)) from error
            return Reading((), cursor, problem=str(error))
        except ValueError as error:
            return Reading((), cursor, problem=f"{self.where}: {error}")

    def inspect(self, versions: Sequence[str], now: float) -> Sequence[Inspection]:
        """What is answered now of each version; in windows, of the last five minutes."""
        end = now - self.spec.delay
        window = INSPECTED if self._counts == WINDOW else 0.0
        try:
            found = {version: self._ask(version, end - INSPECTED, end) for version in versions}
        except _Away as error:
            raise TransientError(str(error)) from error
        except ValueError as error:
            raise UsageError(f"{self.where}: {error}", mend="mend its paths, or the request") from error
        seen = [_seen(version, counters, window) for version, counters in found.items()]
        return [
            Inspection(
                where=self.where,
                seen=tuple(seen),
                failures="failures" in self._paths,
                mean="latency" not in self._paths,
                rewards="users" in self._paths,
                series=tuple(self._series),
                unit=self.spec.unit or "s",
                names=False,
                strangers=self._strangers(end),
            )
        ]

    def _strangers(self, end: float) -> int:
        """The requests of a version that does not exist: none, unless the same is answered for every version."""
        try:
            return self._ask(NOBODY, end - INSPECTED, end).requests
        except (_Away, ValueError):
            return 0

    def _strata(self, before: "State", after: "State", weights: Mapping[str, int]) -> Iterable[Stratum]:
        for version, counters in after.counters.items():
            earlier = Counters(0) if self._counts == WINDOW else before.counters.get(version, Counters(0))
            if _fell(earlier, counters):
                raise Unfit(f"the counts of {version} went down")
            yield difference(version, weights.get(version, 0), earlier, counters, before.at, after.at)

    def _ask(self, version: str, start: float, end: float) -> Counters:
        import requests  # noqa: PLC0415 - 60 ms that a command without such a source need not wait

        secrets, (method, url, body) = self._access.secrets(), self._request(version, start, end)
        try:
            with self._access.session(secrets) as session:
                session.headers.setdefault("Accept", "application/json")
                if body:
                    session.headers.setdefault("Content-Type", "application/json")
                answer = session.request(method, url, data=body.encode() or None, stream=True)
                text = _limited(answer.iter_content(65536))
        except (requests.RequestException, OSError) as error:
            raise _Away(f"{self.where}: {problem_of(error, self._access, secrets)}") from error
        if not 200 <= answer.status_code < 300:
            raise _Away(f"{self.where} {refusal(answer.status_code)}")
        return self._counters(_json(text))

    def _request(self, version: str, start: float, end: float) -> tuple[str, str, str]:
        """Method, URL and body for one version; what stands for a variable is quoted as its place needs it."""
        known = dict(variables(self.service, version, workload(self._known.get(version))))
        known |= {"start": f"{start:.3f}", "end": f"{end:.3f}"}
        method = self.spec.method or ("POST" if self.spec.body else "GET")
        return method, _filled(self.spec.url, known, url=True), _filled(self.spec.body, known, url=False)

    def _counters(self, document: Any) -> Counters:
        found = {name: path.one(document) for name, path in self._paths.items()}
        per_second = UNITS[self.spec.unit or "s"]
        failures = {"failed": count} if (count := _whole("failures", found.get("failures", 0))) else {}
        requests = _whole("requests", found["requests"])
        if sum(failures.values()) > requests:
            raise Unfit(f"{count} failures of {requests} requests cannot be")
        latency = _latency("latency", found.get("latency", {}), per_second)
        further = {name: path.one(document) for name, path in self._latencies.items()}
        seconds = found.get("seconds", 0.0)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise Unfit(f"seconds is {seconds!r}, which is no sum of latencies")
        if "seconds" in found and "latency" not in found:
            latency = {math.inf: requests}
        reward, squares = (_finite(name, found.get(name, 0.0)) for name in ("reward", "reward_squares"))
        series = {name: path.one(document) for name, path in self._series.items()}
        return Counters(
            requests,
            failures,
            latency,
            seconds / per_second,
            users=_whole("users", found.get("users", 0)),
            reward=reward,
            squares=squares,
            series={name: _finite(name, value) for name, value in series.items() if value is not None},
            latencies={name: _latency(name, value, per_second) for name, value in further.items() if value is not None},
        )


@dataclass(frozen=True, slots=True)
class State:
    """What was counted up to ``at`` (Unix seconds)."""

    at: float
    counters: Mapping[str, Counters]


class _Away(Exception):
    """There was no answer of use."""


def _seen(version: str, counters: Counters, window: float) -> Seen:
    """What is counted of a version; the same of two of them, to the last bucket, is no coincidence if there is much of it."""
    edges = sorted(counters.latency)
    same = {json.dumps(encode_counters(counters))} if counters.requests >= SAME else set()
    return Seen(
        version,
        1,
        counters.requests,
        window,
        tuple(edges),
        keys=frozenset(same),
        example=f"{counters.requests} requests",
        under=tuple(counters.latency[edge] for edge in edges),
        latencies=counters.latencies,
    )


def _limited(chunks: Iterable[bytes]) -> bytes:
    text = b""
    for chunk in chunks:
        text += chunk
        if len(text) > MOST_BYTES:
            raise Unfit("the answer is longer than 10 MB")
    return text


def _path(name: str, text: str) -> Path:
    try:
        return parse_path(text)
    except ValueError as error:
        raise UsageError(f"metrics: paths.{name}: {error}") from error


def _filled(text: str, known: Mapping[str, str], *, url: bool) -> str:
    """A variable's value is a name or a number, so that it cannot leave the place where it is put."""

    def value(match: Any) -> str:
        name = match[1] or match[2]
        if name not in known:
            raise UsageError(f"the variable ${name} is not known", mend=f"one of ${', $'.join(sorted(known))}")
        if name not in TIMES and name != "stat" and not NAME.fullmatch(known[name]):
            raise UsageError(f"{known[name]!r} cannot stand for ${name}: it is not a name")
        return quote(known[name], safe="") if url else known[name]

    return VARIABLE.sub(value, text)


def _json(text: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise Unfit(f"the answer holds {constant}")

    try:
        return json.loads(
            text, parse_constant=refuse, parse_int=lambda n: int(n) if len(n) < 99 else refuse("too many digits")
        )
    except (RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        raise Unfit(f"the answer is {what}") from error


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53 or value != int(value):
        raise Unfit(f"{name} is {json.dumps(value)[:60]}, which is no count{TEXT if isinstance(value, str) else ''}")
    return int(value)


def _finite(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unfit(f"{name} is {json.dumps(value)[:60]}, which is no number")
    return float(value)


def _latency(name: str, value: Any, per_second: float) -> dict[float, int]:
    """``{"0.1": 5, "+Inf": 7}``, or a list of ``{"le": 0.1, "count": 5}``: cumulative counts by upper edge."""
    if isinstance(value, list) and all(isinstance(item, dict) and {"le", "count"} <= set(item) for item in value):
        if len(value) > len({str(item["le"]) for item in value}):
            raise Unfit(f"{name} has a bucket twice")
        value = {str(item["le"]): item["count"] for item in value}
    if not isinstance(value, dict):
        raise Unfit(f"{name} is neither an object of edges and counts nor a list of {{le, count}}")
    edges: dict[float, int] = {}
    for edge, count in value.items():
        at = _edge(name, edge) / per_second
        if at in edges:
            raise Unfit(f"{name} has the bucket {edge!r} twice")
        edges[at] = _whole(f"the bucket {edge!r} of {name}", count)
    counts = [edges[edge] for edge in sorted(edges)]
    if edges and (math.inf not in edges or counts != sorted(counts)):
        raise Unfit(f"{name} is not a cumulative histogram with an edge +Inf")
    return edges


def _edge(name: str, text: str) -> float:
    try:
        at = float(text)
    except ValueError:
        at = math.nan
    if not at >= 0:
        raise Unfit(f"{name} has the bucket {text!r}, which is no latency")
    return at


def _fell(before: Counters, after: Counters) -> bool:
    histograms = [(before.latency, after.latency)]
    histograms += [(some, after.latencies.get(name, {})) for name, some in before.latencies.items()]
    return (
        after.requests < before.requests
        or any(after.failures.get(name, 0) < count for name, count in before.failures.items())
        or any(now.get(edge, 0) < count for then, now in histograms for edge, count in then.items())
        or after.seconds < before.seconds * (1 - 1e-9)
        or after.users < before.users
    )


def _encode(state: State) -> str:
    counters = {version: encode_counters(c) for version, c in state.counters.items()}
    return json.dumps({"rest": 1, "at": state.at, "counters": counters})


def _decode(cursor: str) -> State:
    try:
        value: Any = json.loads(cursor)
        if value["rest"] != 1:
            raise ValueError(value["rest"])
        return State(float(value["at"]), {v: decode_counters(c) for v, c in value["counters"].items()})
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError("the cursor in the record is not one of a rest source") from error
