"""What is asked of a Prometheus server for a set of versions, and whose each series of the answers is. Pure.

Two ways: one selector for all metrics of a known kind of server (one answer, so that all counters are of one moment), or
the user's own query for each figure and version.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fairway_steps.errors import UsageError
from fairway_steps.metrics import promql
from fairway_steps.metrics.counting import Series
from fairway_steps.metrics.names import ADDRESS, Matcher, MetricNames, variables, workload
from fairway_steps.model import Version

OWNER = "fairway:version"
"""The label that carries a series' version from here on; no label of Prometheus can have this name."""
WAS = "fairway:name"
"""The label that keeps the name a series had before it was given a role's."""
Addresses = Callable[[str], Sequence[str]]
"""The addresses (HOST:PORT) of a version's endpoints now, by its name."""


def no_addresses(version: str) -> Sequence[str]:
    raise UsageError(
        f"the addresses of {version} are not known", mend="this preset needs versions that are objects of the cluster"
    )


@dataclass(frozen=True, slots=True)
class Query:
    """One query; ``raw`` ones name series whose samples of a window are wanted, others give a value of now.

    ``role`` and ``version`` are empty where the series themselves tell. ``single`` queries must give one series.
    """

    promql: str
    raw: bool
    role: str = ""
    version: str = ""
    single: bool = False


class Plan(Protocol):
    """What to ask, and how to read it."""

    @property
    def names(self) -> MetricNames:
        """What the names of the series mean."""

    @property
    def seen(self) -> dict[str, list[str]]:
        """What is to be remembered from look to look: the addresses of each version."""

    @property
    def label(self) -> str:
        """The label that tells versions apart; empty if queries do."""

    @property
    def histogram(self) -> str:
        """The name of the histogram of latencies, as the server has it; empty if it is not known."""

    @property
    def mend(self) -> str:
        """What a user can do about what is asked."""

    @property
    def separate(self) -> Sequence[str]:
        """Counters of failures that may be misnamed without anybody noticing."""

    def queries(self, versions: Sequence[str]) -> Sequence[Query]:
        """In the order in which they are to be asked: what is counted last (the requests) comes last."""

    def figures(self, versions: Sequence[str]) -> Sequence[Query]:
        """Further figures, as they are now: one value each."""

    def own(self, query: Query, series: Iterable[Series], versions: Sequence[str]) -> Sequence[Series]:
        """The series that belong to a version, with that in the label OWNER. Raises ValueError where it is not clear."""


@dataclass(frozen=True, slots=True)
class NamesPlan:
    """All series of ``names`` by one selector.

    ``seen`` are the addresses each version has had: a pod that has left may have counted since the last look.
    """

    names: MetricNames
    service: str
    known: Mapping[str, Version] = field(default_factory=dict)
    addresses: Addresses = no_addresses
    seen: dict[str, list[str]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.names.label

    @property
    def histogram(self) -> str:
        return self.names.histogram

    @property
    def mend(self) -> str:
        return "narrow it down by where:, label: and value:, or write queries: of your own"

    @property
    def separate(self) -> Sequence[str]:
        apart = {name for names in self.names.failures.values() for name in names} | set(self.names.codes)
        return sorted(apart - set(self.names.requests))

    def queries(self, versions: Sequence[str]) -> Sequence[Query]:
        asked = list(self._matchers(versions).values())
        return [Query(promql.selector(self.names.counters, self.names.where, asked), raw=True)]

    def figures(self, versions: Sequence[str]) -> Sequence[Query]:
        del versions
        return ()

    def own(self, query: Query, series: Iterable[Series], versions: Sequence[str]) -> Sequence[Series]:
        del query
        matchers = self._matchers(versions)
        return [
            owned
            for one in series
            for owned in self._owned(one, [v for v, m in matchers.items() if m.matches(one.labels)])
        ]

    def _owned(self, series: Series, owners: Sequence[str]) -> Sequence[Series]:
        if len(owners) > 1:
            told = f'{series.labels.get("__name__", "")}{{{self.names.label}="{series.labels[self.names.label]}"}}'
            raise ValueError(f"{told} is of {' and '.join(owners)} alike")
        return [Series({**series.labels, OWNER: owner}, series.samples) for owner in owners]

    def _matchers(self, versions: Sequence[str]) -> Mapping[str, Matcher]:
        now: dict[str, Sequence[str]] = {}
        if ADDRESS in self.names.values:
            now = {version: self.addresses(version) for version in versions}
            for version, own in now.items():  # an address that has gone to another version is its
                others = {address for other, some in now.items() if other != version for address in some}
                self.seen[version] = sorted({*own, *self.seen.get(version, [])} - others)
        return {
            version: self.names.ask(
                self.service, version, workload(self.known.get(version)), self.seen.get(version, ())
            )
            for version in versions
        }


FURTHER = "of:"
"""What the roles of further latencies begin with: none has the name of another role."""
REWARDS = ("reward_squares", "reward", "users")
ROLES = ("failures", "latency", "seconds", *REWARDS, "requests")
"""What users' own queries may give; requests are asked for last, so that no failure is ahead of its request."""


@dataclass(frozen=True, slots=True)
class PromqlPlan:
    """The user's ``templates`` by role, and those of further ``latencies`` by name; ``aggregate`` says that the series of each are to be added up."""

    templates: Mapping[str, str]
    service: str
    unit: str = "s"
    aggregate: bool = False
    known: Mapping[str, Version] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    label: str = ""
    histogram: str = ""
    mend: str = "mend the query"
    separate: Sequence[str] = ()
    series: Mapping[str, str] = field(default_factory=dict)
    latencies: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> MetricNames:
        return MetricNames(
            requests=("requests",),
            label=OWNER,
            failures={"failed": ("failures",)} if "failures" in self.templates else {},
            histogram="latency" if "latency" in self.templates else "",
            durations="seconds" if "seconds" in self.templates and "latency" not in self.templates else "",
            unit=self.unit,
            per_request=(WAS,),
            users="users" if "users" in self.templates else "",
            reward="reward" if "users" in self.templates else "",
            squares="reward_squares" if "users" in self.templates else "",
            latencies={name: (f"{FURTHER}{name}", self.unit) for name in self.latencies},
        )

    def queries(self, versions: Sequence[str]) -> Sequence[Query]:
        found = []
        further = {f"{FURTHER}{name}": template for name, template in self.latencies.items()}
        asked = further | {role: self.templates[role] for role in ROLES if role in self.templates}
        for role, template in asked.items():
            for version in versions:
                text = self._text(template, version)
                found.append(Query(text, promql.is_selector(text), role, version, single=not self.aggregate))
        return found

    def figures(self, versions: Sequence[str]) -> Sequence[Query]:
        return [
            Query(self._text(template, version), raw=False, role=name, version=version, single=True)
            for name, template in self.series.items()
            for version in versions
        ]

    def _text(self, template: str, version: str) -> str:
        return promql.substituted(template, variables(self.service, version, workload(self.known.get(version))))

    def own(self, query: Query, series: Iterable[Series], versions: Sequence[str]) -> Sequence[Series]:
        del versions
        named = {"latency": "latency_bucket", "seconds": "latency_sum" if self.names.histogram else "seconds"}
        name = named.get(query.role, f"{query.role}_bucket" if query.role.startswith(FURTHER) else query.role)
        about = {"__name__": name, OWNER: query.version}
        found = [Series({**one.labels, **about, WAS: one.labels.get("__name__", "")}, one.samples) for one in series]
        kinds = {tuple(sorted((k, v) for k, v in one.labels.items() if k != "le")) for one in found}
        if query.single and len(kinds) > 1:
            raise ValueError(
                f"the query for the {query.role.removeprefix(FURTHER)} of {query.version} gives {len(kinds)} series where one is expected; "
                "write `aggregate: sum` if they are to be added up"
            )
        return found


def check_queries(templates: Mapping[str, str]) -> None:
    """Refuse queries that cannot tell one version from another, or that have other variables. Raises UsageError."""
    known = variables("service", "version")
    for role, text in templates.items():
        promql.substituted(text, known)
        if not promql.tells_versions(text):
            raise UsageError(
                f"the query for the {role} selects the same series for every version",
                mend='write label="$version" in it',
            )


def check_counters(templates: Mapping[str, str]) -> None:
    """Refuse queries that make one series of several processes' counters. Raises UsageError.

    A process that leaves takes its count out of a sum: that looks like a restart, after which all that is shown would be new.
    """
    for role, text in templates.items():
        if operator := promql.aggregation(text):
            raise UsageError(
                f"the query for the {role} makes one series of several by {operator}, so that a pod that leaves looks like a restart",
                mend="write the selector alone, and `aggregate: sum` beside queries:",
            )
