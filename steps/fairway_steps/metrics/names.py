"""Which metrics say what a version did: names, labels and units, as data.

One description serves a scraped exposition and a Prometheus server alike; ``presets`` holds those that are known.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairway_steps.envoy_admin import stat_name
from fairway_steps.errors import UsageError
from fairway_steps.model import NAME, Version

REGEX = "=~"
ADDRESS = "$address"
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
UNITS: Mapping[str, float] = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""How many of each make a second."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A request is a failure if the label ``label`` of its counter has a value that ``values`` matches as a whole.

    Its class is ``kind`` followed by that value.
    """

    label: str
    values: str = r"5\d\d"
    kind: str = "http-"

    def of(self, labels: Mapping[str, str]) -> str:
        """The class of failure that ``labels`` tell of; empty for none."""
        value = labels.get(self.label, "")
        return f"{self.kind}{value}" if value and re.fullmatch(self.values, value) else ""


@dataclass(frozen=True, slots=True)
class MetricNames:
    """The metrics of one kind of server.

    ``requests`` are counters whose sum is the number of requests. ``label`` tells the versions apart, by ``values``:
    templates of its value, or of a regular expression for it if they begin with ``=~``. ``failing`` says which labels make
    a failure of what ``codes`` counts (the requests, if empty); no 4xx is one, for that is the client's doing.
    ``failures`` maps further classes to counters. ``histogram`` is the latency's, in ``unit``; without one, ``durations``
    may name a counter of the time that all requests took, or those that ``timed`` count. ``where`` are labels every series must have,
    ``namespace`` the one that holds the versions' namespace, ``per_request``
    those that differ between requests and not between processes. ``comparisons`` counts comparisons of a version's answers with
    the primary's, ``attempts`` those that were to be made, ``differences`` those in which they differed, by its label ``kind``. ``users`` counts those whose window is closed,
    ``reward`` and ``squares`` sum what each was worth and its square. ``latencies`` are further histograms by name, each with its unit. ``uptime`` is a gauge of the seconds since the process
    started, ``started`` one of the Unix time at which it did. Failures that ``overlap`` may count one request twice. A
    server that ``lags`` brings its histograms up to date when it is asked, but too late for that answer: it is asked twice.
    """

    requests: tuple[str, ...]
    label: str
    values: tuple[str, ...] = ("$version",)
    codes: tuple[str, ...] = ()
    failing: tuple[Failing, ...] = ()
    failures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    histogram: str = ""
    durations: str = ""
    timed: tuple[str, ...] = ()
    unit: str = "s"
    where: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    per_request: tuple[str, ...] = ()
    uptime: str = ""
    started: str = "process_start_time_seconds"
    overlap: bool = False
    lags: bool = False
    comparisons: str = ""
    attempts: str = ""
    differences: str = ""
    users: str = ""
    reward: str = ""
    squares: str = ""
    latencies: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return UNITS[self.unit]

    @property
    def counters(self) -> tuple[str, ...]:
        """The names of all series that are read."""
        more = [name for names in self.failures.values() for name in names]
        latency = [f"{self.histogram}_bucket", f"{self.histogram}_sum"] if self.histogram else []
        latency += [f"{histogram}_bucket" for histogram, _ in self.latencies.values()]
        named = [
            *self.requests,
            *self.codes,
            *more,
            *latency,
            *filter(
                None,
                (
                    self.durations,
                    self.comparisons,
                    self.attempts,
                    self.differences,
                    self.users,
                    self.reward,
                    self.squares,
                ),
            ),
        ]
        return tuple(dict.fromkeys(named))

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether a series has the labels that every one must have."""
        return all(Matcher(label, (value,)).matches(labels) for label, value in self.where.items())

    def failure(self, name: str, labels: Mapping[str, str]) -> str:
        """The class of failure that a series of this name and labels counts; empty for none."""
        for kind, metrics in self.failures.items():
            if name in metrics:
                return kind
        if name not in (self.codes or self.requests):
            return ""
        return next((kind for rule in self.failing if (kind := rule.of(labels))), "")

    def ask(self, service: str, version: str, workload: str = "", addresses: Sequence[str] = ()) -> "Matcher":
        """What the label says of one version; ``$address`` stands for each of its addresses."""
        known = variables(service, version, workload)
        values = [(addresses if value == ADDRESS else (filled(value, known),)) for value in self.values]
        return Matcher(self.label, tuple(value for some in values for value in some))


def variables(service: str, version: str, workload: str = "") -> Mapping[str, str]:
    """What templates may name: ``$service``, ``$version``, ``$workload`` (the object's name) and ``$stat`` (Envoy's)."""
    stat = stat_name(service, version)
    return {"service": service, "version": version, "workload": workload or version, "stat": stat}


@dataclass(frozen=True, slots=True)
class Matcher:
    """Whether a label's value is one version's: one of ``values``, of which those after ``=~`` are regular expressions."""

    label: str
    values: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """All values as one regular expression, to be matched as a whole."""
        return "|".join(v.removeprefix(REGEX) if v.startswith(REGEX) else _escaped(v) for v in self.values)

    @property
    def plain(self) -> str | None:
        """The value, if there is but one."""
        return self.values[0] if len(self.values) == 1 and not self.values[0].startswith(REGEX) else None

    def matches(self, labels: Mapping[str, str]) -> bool:
        return bool(self.values) and re.fullmatch(self.pattern, labels.get(self.label, "")) is not None


def filled(template: str, known: Mapping[str, str]) -> str:
    """``template`` with ``$name`` or ``${name}`` replaced; in a regular expression the dots of a name are escaped.

    Values that are no names (and could say more than a name does) are refused, as are unknown variables; a ``$`` before
    anything else is itself. Raises UsageError.
    """
    regex = template.startswith(REGEX)

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in known:
            raise UsageError(f"{template!r} names the variable ${name}", mend=f"one of ${', $'.join(sorted(known))}")
        if name != "stat" and not NAME.fullmatch(known[name]):
            raise UsageError(f"{known[name]!r} cannot stand for ${name} in {template!r}: it is not a name")
        return _escaped(known[name]) if regex else known[name]

    return VARIABLE.sub(value, template)


def check_pattern(text: str, where: str) -> None:
    """Refuse a regular expression that cannot be read."""
    try:
        re.compile(text)
    except re.error as error:
        raise UsageError(f"{where}: {text!r} is no regular expression: {error}") from error


def named(
    names: MetricNames, *, label: str = "", values: Sequence[str] = (), where: Mapping[str, str] | None = None
) -> MetricNames:
    """``names`` with a label, values or further conditions of one's own."""
    sample = dict.fromkeys(("service", "version", "workload", "stat", "address"), "x")
    for value in (*values, *(where or {}).values()):
        made = filled(value, sample)
        if made.startswith(REGEX):
            check_pattern(made.removeprefix(REGEX), "value")
    return replace(
        names,
        label=label or names.label,
        values=tuple(values) or names.values,
        where={**names.where, **(where or {})},
    )


def _escaped(text: str) -> str:
    return re.sub(r"([.+*?()\[\]{}|^$\\])", r"\\\1", text)


def workload(version: Version | None) -> str:
    """The name of the object that a version is; of a server's address there is none."""
    path = version.uri.partition("?")[0] if version else ""
    return "" if "://" in path else path.rstrip("/").rpartition("/")[2]


def within(names: MetricNames, versions: Iterable[Version]) -> MetricNames:
    """``names`` of the versions' namespaces alone: another one may have objects of the same names."""
    paths = [version.uri.partition("?")[0].split("/") for version in versions if "://" not in version.uri]
    spaces = sorted({path[-2] for path in paths if len(path) in (3, 5)})
    if not spaces or not names.namespace or names.namespace in names.where:
        return names
    value = spaces[0] if len(spaces) == 1 else f"{REGEX}{'|'.join(spaces)}"
    return replace(names, where={**names.where, names.namespace: value})
