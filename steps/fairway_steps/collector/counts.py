"""What a collector has counted, and its exposition for Prometheus (text format 0.0.4)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fairway_steps.collector.compare import Kind
from fairway_steps.routing.bootstrap import LATENCIES
from fairway_steps.words import count

EDGES = tuple(milliseconds / 1000 for milliseconds in LATENCIES)
"""The same as the local Envoy's, so that counts of both add up."""
PREFIX = "fairway_collector_"
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Latencies:
    """One version's histogram: ``counts`` between the edges, the last beyond all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(EDGES, seconds)] += 1
        self.seconds += seconds


class Counts:
    """Counters that only grow, of the candidate and of what the primary was asked beside it. ``started`` is a Unix time."""

    def __init__(self, primary: str, candidate: str, started: float) -> None:
        self.candidate, self.started = candidate, started
        self.in_flight = 0
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.attempts = self.comparisons = 0
        self.differences: Counter[Kind] = Counter()
        self.not_compared: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._latencies = {version: _Latencies() for version in (primary, candidate)}

    def answered(self, version: str, status: int, error: str, seconds: float) -> None:
        """One request to a version: its ``status`` (0: none came), its class of ``error`` (empty: an answer came)."""
        self.requests[version, str(status or ""), error] += 1
        self._latencies[version].add(seconds)

    def compared(self, kind: Kind | None) -> None:
        self.attempts += 1
        self.comparisons += 1
        if kind is not None:
            self.differences[kind] += 1

    def incomparable(self, reason: str) -> None:
        """A comparison that was to be made, and came to nothing."""
        self.attempts += 1
        self.not_compared[reason] += 1

    @property
    def summary(self) -> str:
        """The end of the log."""
        asked = sum(number for (version, *_), number in self.requests.items() if version == self.candidate)
        kinds = ", ".join(f"{kind.value} {self.differences[kind]}" for kind in Kind if self.differences[kind])
        differing = f"{self.differences.total()} differed ({kinds})" if kinds else "none differed"
        return f"{count(asked)} to {self.candidate}, {self.comparisons} compared, {differing}, {self.dropped.total()} dropped"

    def exposition(self) -> str:
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        candidate = (("version", self.candidate),)
        # A counter that exists from the start begins at zero for whoever scrapes it: no first request is missed.
        codes = {(version, "200", ""): 0 for version in self._latencies} | self.requests
        asked = [(_labels(("version", "code", "error"), key), number) for key, number in sorted(codes.items())]
        yield from _counter("requests", "Requests that a version was sent.", asked)
        yield from self._histograms()
        yield from _counter("comparisons", "Answers compared with the primary's.", [(candidate, self.comparisons)])
        yield from _counter("attempts", "Comparisons that were to be made.", [(candidate, self.attempts)])
        kinds = [((*candidate, ("kind", kind.value)), self.differences[kind]) for kind in Kind]
        yield from _counter("differences", "Comparisons in which the answers differed, by the gravest kind.", kinds)
        reasons = (
            ("not_compared", "Comparisons that came to nothing.", self.not_compared),
            ("refused", "Mirrored requests that were not passed on.", self.refused),
            ("dropped", "Mirrored requests that there was no room for.", self.dropped),
        )
        for name, about, counted in reasons:
            yield from _counter(name, about, [((("reason", reason),), n) for reason, n in sorted(counted.items())])
        yield from _gauge(f"{PREFIX}in_flight", "Mirrored requests under way.", self.in_flight)
        yield from _gauge("process_start_time_seconds", "When this process started, in Unix time.", self.started)

    def _histograms(self) -> Iterator[str]:
        name = f"{PREFIX}request_duration_seconds"
        yield from (f"# HELP {name} From the request to the last byte of its answer.", f"# TYPE {name} histogram")
        for version, latencies in self._latencies.items():
            total = 0
            for edge, number in zip([*map(repr, EDGES), "+Inf"], latencies.counts, strict=True):
                total += number
                yield f'{name}_bucket{{version="{version}",le="{edge}"}} {total}'
            yield f'{name}_sum{{version="{version}"}} {latencies.seconds!r}'
            yield f'{name}_count{{version="{version}"}} {total}'


def _labels(names: Sequence[str], values: Sequence[str]) -> Labels:
    return tuple(zip(names, values, strict=True))


def _counter(name: str, about: str, series: Sequence[tuple[Labels, int]]) -> Iterator[str]:
    full = f"{PREFIX}{name}_total"
    yield from (f"# HELP {full} {about}", f"# TYPE {full} counter")
    for labels, value in series:
        told = ",".join(f'{label}="{text}"' for label, text in labels)
        yield f"{full}{{{told}}} {value}"


def _gauge(name: str, about: str, value: float) -> Iterator[str]:
    yield from (f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {value!r}")
