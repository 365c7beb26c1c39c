"""From a URI to the source of evidence that it names; each is imported only when asked for."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from fairway_steps.envoy_admin import parse_uri, stat_name
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.registry import TOOLS
from fairway_steps.metrics.base import MetricSource


def open_source(uri: str, service: str, limits: Sequence[float] = ()) -> MetricSource:
    """The metric source of a URI.

    ``envoy:DIR``: the Envoy of a route folder. ``scrape:URL#requests=…&label=…``: any Prometheus exposition; the part
    after ``#`` names its metrics and never leaves this process. ``samples:PATH``: a load test's file. ``fortio:PATH``, ``ghz:PATH``, …: another load tester's.
    ``limits`` are the latencies (seconds) of the SLOs, for sources that can count at exactly those.
    """
    scheme, _, rest = uri.partition(":")
    if scheme == "envoy" and rest:
        return _envoy(uri, service)
    if scheme == "scrape" and rest:
        return _scrape(rest, service)
    if scheme == "samples" and rest:
        from fairway_steps.metrics.samples import SamplesSource  # noqa: PLC0415 - only when asked for

        return SamplesSource(Path(rest), limits)
    if scheme in TOOLS and rest:
        from fairway_steps.metrics.foreign import ForeignSource  # noqa: PLC0415 - only when asked for

        return ForeignSource(uri, limits)
    raise UsageError(
        f"metric source {uri!r} is of no kind that Fairway knows",
        mend=f"write envoy:DIR, scrape:URL, samples:PATH or TOOL:PATH ({', '.join(TOOLS)})",
    )


def _envoy(uri: str, service: str) -> MetricSource:
    from fairway_steps.metrics.mapping import ENVOY  # noqa: PLC0415 - only when asked for
    from fairway_steps.metrics.scrape import ScrapeSource  # noqa: PLC0415 - only when asked for

    _, admin = parse_uri(uri)
    wanted = quote(rf"^cluster\.{stat_name(service, '')}|^server\.uptime$", safe="")
    return ScrapeSource(f"{admin}/stats/prometheus?filter={wanted}", service, ENVOY)


def _scrape(rest: str, service: str) -> MetricSource:
    from fairway_steps.metrics.mapping import parse_names  # noqa: PLC0415 - only when asked for
    from fairway_steps.metrics.scrape import ScrapeSource  # noqa: PLC0415 - only when asked for

    url, _, fragment = rest.partition("#")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise UsageError(f"{url!r} is no address of metrics", mend="write scrape:http://HOST:PORT/metrics#…")
    return ScrapeSource(url, service, parse_names(fragment))
