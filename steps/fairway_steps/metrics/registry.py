"""From an address or a description to the source of evidence that it names; each is imported only when asked for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from fairway_steps.config.files import from_file
from fairway_steps.config.sources import SourceSpec
from fairway_steps.config.units import nearest
from fairway_steps.envoy_admin import parse_uri, stat_name
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.registry import TOOLS
from fairway_steps.metrics.base import MetricSource
from fairway_steps.metrics.http import Resolve, no_secret
from fairway_steps.metrics.queries import Addresses, no_addresses
from fairway_steps.model import Version
from fairway_steps.secrets import address

if TYPE_CHECKING:
    from fairway_steps.metrics.http import Access
    from fairway_steps.metrics.names import MetricNames
    from fairway_steps.metrics.prometheus import PrometheusSource

COLLECTOR = "collector"
"""The preset of Fairway's own collector."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Around:
    """What a source may have to know beside its description: the versions' objects, their addresses, and secrets.

    ``limits`` are the latencies (seconds) of the SLOs, for sources that can count at exactly those (None: others may
    be judged; so they are with ``others``, as a mean or a margin is), and ``latencies`` the names of further ones that they are about.
    """

    versions: Mapping[str, Version] = field(default_factory=dict)
    addresses: Addresses = no_addresses
    resolve: Resolve = no_secret
    limits: Sequence[float] | None = None
    latencies: Sequence[str] = ()
    others: bool = False


def open_source(text: str, service: str, around: Around | None = None) -> MetricSource:
    """The metric source of a text.

    ``envoy:DIR``: the Envoy of a route folder. ``scrape:URL#requests=…&label=…``: any Prometheus exposition.
    ``prometheus:URL#preset=…``: a Prometheus server. The part after ``#`` never leaves this process; fields within fields
    are written with a dot (``where.namespace=default``). ``samples:PATH``: a load test's file, ``summary:JSON``: its output summary,
    each with ``#version=NAME`` for the version that was tested, if the answers do not say; ``fortio:PATH``,
    ``ghz:PATH``, …: another load tester's. ``file:PATH`` or a mapping
    (YAML, JSON): any of these described at length, ``rest`` too, or one for ``requests`` and one for ``latency``, or for ``users`` and
    for what is ``mirrored``.
    """
    around = around or Around()
    text = from_file(text).strip()
    scheme, _, rest = text.partition(":")
    if scheme == "envoy" and rest:
        return _envoy(text, service)
    if scheme == "samples" and rest:
        from fairway_steps.metrics.samples import SamplesSource  # noqa: PLC0415 - only when asked for

        path, version = _tested(rest)
        return SamplesSource(Path(path), around.limits, version, others=around.others)
    if scheme == "summary" and rest:
        from fairway_steps.metrics.summary import SummarySource  # noqa: PLC0415 - only when asked for

        told, version = _tested(rest)
        return SummarySource(told, around.limits or (), version)
    if scheme in TOOLS and rest:
        from fairway_steps.metrics.foreign import ForeignSource  # noqa: PLC0415 - only when asked for

        return ForeignSource(text, around.limits or ())
    if scheme in ("scrape", "prometheus") and urlsplit(rest).scheme:
        return _open(_from_address(scheme, rest), service, around)
    if _is_mapping(text):
        from fairway_steps.config.metrics import parse_source  # noqa: PLC0415 - pydantic only where it is needed

        spec = parse_source(text)
        return _open(spec, service, around) if isinstance(spec, SourceSpec) else _combined(spec, service, around)
    raise UsageError(
        f"metric source {address(text)!r} is of no kind that Fairway knows",
        mend="write envoy:DIR, scrape:URL, prometheus:URL, samples:PATH, summary:JSON, TOOL:PATH "
        f"({', '.join(TOOLS)}), or a mapping with source: and url:",
    )


def beside_collector(users: str, collector: str) -> str:
    """The source ``users``, and beside it the collector at the URL ``collector``, as one; a source that has a collector's counts stays."""
    text = from_file(users).strip()
    scheme, _, rest = text.partition(":")
    spec: SourceSpec | Mapping[str, str] | None = None
    if scheme in ("scrape", "prometheus") and urlsplit(rest).scheme:
        spec = _from_address(scheme, rest)
    elif _is_mapping(text):
        from fairway_steps.config.metrics import parse_source  # noqa: PLC0415 - pydantic only where it is needed

        spec = parse_source(text)
    if spec and (spec.preset == COLLECTOR if isinstance(spec, SourceSpec) else "mirrored" in spec):
        return users
    return json.dumps({"users": users, "mirrored": f"scrape:{collector.rstrip('/')}/metrics#preset={COLLECTOR}"})


def _is_mapping(text: str) -> bool:
    return "\n" in text or text.startswith("{") or ": " in text


def _tested(rest: str) -> tuple[str, str]:
    """What stands before ``#version=NAME``, and the name."""
    before, mark, fragment = rest.rpartition("#")
    if not mark or before.count("{") != before.count("}"):  # a # within a summary
        return rest, ""
    name, equals, version = fragment.partition("=")
    if name != "version" or not equals or not version:
        raise UsageError(f"{fragment!r} says nothing of a load test", mend="write #version=NAME")
    return before, version


def _envoy(uri: str, service: str) -> MetricSource:
    from fairway_steps.metrics.presets import ENVOY  # noqa: PLC0415 - only when asked for
    from fairway_steps.metrics.scrape import ScrapeSource  # noqa: PLC0415 - only when asked for

    _, admin = parse_uri(uri)
    wanted = quote(rf"^cluster\.{stat_name(service, '')}|^server\.uptime$", safe="")
    return ScrapeSource(f"{admin}/stats/prometheus?filter={wanted}", service, ENVOY)


def _from_address(scheme: str, rest: str) -> SourceSpec:
    """The description in ``URL#field=value&…``. Raises UsageError."""
    from urllib.parse import parse_qsl  # noqa: PLC0415 - only when asked for

    from fairway_steps.config.metrics import source_from  # noqa: PLC0415 - pydantic only where it is needed
    from fairway_steps.config.text import Misfit, spell  # noqa: PLC0415 - likewise

    url, _, fragment = rest.partition("#")
    described: dict[str, Any] = {"source": scheme, "url": url}
    for name, value in parse_qsl(fragment, keep_blank_values=True):
        outer, dot, inner = name.partition(".")
        if dot:
            described.setdefault(outer, {})[inner] = value
        else:
            described[outer] = value
    try:
        spec = source_from(described)
    except Misfit as error:
        raise UsageError(f"{scheme}:{address(url)}: {spell(error.path)}: {error.sentence}") from error
    assert isinstance(spec, SourceSpec)
    return spec


def _combined(parts: Mapping[str, str], service: str, around: Around) -> MetricSource:
    from fairway_steps.metrics.combined import CombinedSource  # noqa: PLC0415 - only when asked for
    from fairway_steps.metrics.mirrored import MirroredSource  # noqa: PLC0415 - likewise

    others = replace(around, latencies=())
    telling = {"latency", "users"}
    opened = {part: open_source(text, service, around if part in telling else others) for part, text in parts.items()}
    if "users" in opened:
        return MirroredSource(opened["users"], opened["mirrored"])
    return CombinedSource(opened["requests"], opened["latency"])


def _open(spec: SourceSpec, service: str, around: Around) -> MetricSource:
    _check_address(spec)
    if spec.source == "rest":
        from fairway_steps.metrics.rest import RestSource  # noqa: PLC0415 - only when asked for

        asked = replace(spec, latencies=_asked(spec.latencies, around.latencies))
        return RestSource(asked, service, _access(spec, around), around.versions)
    if spec.source == "scrape":
        from fairway_steps.metrics.scrape import ScrapeSource  # noqa: PLC0415 - only when asked for

        return ScrapeSource(spec.url, service, names_of(spec, around.latencies), _access(spec, around), around.versions)
    return _prometheus(spec, service, around)


def _prometheus(spec: SourceSpec, service: str, around: Around) -> "PrometheusSource":
    from fairway_steps.metrics.names import within  # noqa: PLC0415 - only when asked for
    from fairway_steps.metrics.promapi import PromApi  # noqa: PLC0415 - likewise
    from fairway_steps.metrics.prometheus import PrometheusSource  # noqa: PLC0415 - likewise
    from fairway_steps.metrics.promql import is_selector  # noqa: PLC0415 - likewise
    from fairway_steps.metrics.queries import NamesPlan, PromqlPlan, check_counters, check_queries  # noqa: PLC0415 - likewise

    api = PromApi(spec.url, _access(spec, around))
    plan: NamesPlan | PromqlPlan
    if spec.queries:
        if spec.preset or spec.requests:
            raise UsageError("a source has queries, or names of metrics, and not both", mend="leave one of them out")
        check_queries({**spec.queries, **spec.latencies, **spec.series})
        check_counters({**spec.queries, **spec.latencies})
        latencies = _asked(spec.latencies, around.latencies)
        if not spec.interval and not any(is_selector(text) for text in (*spec.queries.values(), *latencies.values())):
            raise UsageError(
                "the queries ask for values of now, of which nothing shows how often they are new",
                mend="write scrape-interval: 15s, or what it is",
            )
        plan = PromqlPlan(
            spec.queries,
            service,
            spec.unit or "s",
            spec.aggregate,
            around.versions,
            series=spec.series,
            latencies=latencies,
        )
    else:
        names = within(names_of(spec, around.latencies), around.versions.values())
        plan = NamesPlan(names, service, around.versions, around.addresses)
    return PrometheusSource(api, plan, interval=spec.interval, delay=spec.delay)


def _asked(given: Mapping[str, str], names: Sequence[str]) -> Mapping[str, str]:
    """Those of the latencies ``given`` that SLOs are about. Raises UsageError for one that is not there."""
    for name in names:
        if name not in given:
            raise UsageError(
                f"the source has no latency {name!r}{nearest(name, given)}",
                mend=f"name it in its queries or paths: latencies: {{{name}: …}}",
            )
    return {name: given[name] for name in names}


def names_of(spec: SourceSpec, latencies: Sequence[str] = ()) -> "MetricNames":
    """The metrics that a description names, by a preset or one by one. Raises UsageError."""
    from fairway_steps.metrics.names import Failing, MetricNames, named  # noqa: PLC0415 - only when asked for
    from fairway_steps.metrics.presets import chosen  # noqa: PLC0415 - likewise

    if spec.preset:
        if given := [name for name in ("requests", "codes", "code", "histogram", "unit") if getattr(spec, name)]:
            raise UsageError(
                f"the preset {spec.preset} has its own {given[0]}", mend=f"leave {given[0]} out, or the preset"
            )
        names = chosen(spec.preset, spec.latency, latencies)
    else:
        for name in ("requests", "label"):
            if not getattr(spec, name):
                raise UsageError(
                    f"a source without a preset needs {name}",
                    mend="name a preset, or requests and label, and codes, code, histogram and unit where they fit",
                )
        codes = (spec.codes or spec.requests) if spec.code or spec.codes else ""
        names = MetricNames(
            requests=(spec.requests,),
            label=spec.label,
            codes=(codes,) if codes else (),
            failing=(Failing(spec.code or "code"),) if codes else (),
            histogram=spec.histogram,
            unit=spec.unit or "s",
            per_request=(spec.code or "code",) if codes else (),
        )
    return named(names, label=spec.label, values=_values(spec), where=spec.where)


def _values(spec: SourceSpec) -> Sequence[str]:
    return (spec.value,) if spec.value else ()


def _access(spec: SourceSpec, around: Around) -> "Access":
    from fairway_steps.metrics.http import Access  # noqa: PLC0415 - only when asked for

    return Access(
        around.resolve, spec.bearer, spec.basic, spec.headers, spec.ca, spec.certificate, spec.key, spec.timeout
    )


def _check_address(spec: SourceSpec) -> None:
    try:
        parts = urlsplit(spec.url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            f"{address(spec.url)!r} is no address of metrics", mend="write http://HOST:PORT or https://HOST"
        )
    if parts.username or parts.password:
        raise UsageError("there is a password in the address of the metrics", mend="write basic: env:NAME instead")
    if spec.source == "prometheus" and parts.path.rstrip("/").endswith("/api/v1"):
        raise UsageError(f"{address(spec.url)!r} goes too far", mend="leave /api/v1 out")
    if spec.source == "prometheus" and parts.query:
        raise UsageError(
            f"the address {address(spec.url)!r} of a Prometheus server cannot have a query",
            mend="give what it says in headers: or bearer:",
        )
    secret = spec.bearer or spec.basic or any(str(v).startswith(("env:", "file:")) for v in spec.headers.values())
    if secret and parts.scheme != "https" and host not in LOOPBACK:
        raise UsageError(f"a secret would travel to {host} unencrypted", mend="use https")
