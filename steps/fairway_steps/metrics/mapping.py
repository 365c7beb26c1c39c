"""Which metrics of an exposition say what a version did: the names, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from fairway_steps.envoy_admin import mirror_stat_name, stat_name
from fairway_steps.errors import UsageError


def by_name(service: str, version: str) -> tuple[str, ...]:
    """The label holds the name of the version alone."""
    del service
    return (version,)


def by_cluster(service: str, version: str) -> tuple[str, ...]:
    """The label holds the name of Envoy's cluster; copies that are mirrored to the version count as its requests."""
    return stat_name(service, version), mirror_stat_name(service, version)


@dataclass(frozen=True, slots=True)
class MetricNames:
    """The metrics of one kind of server.

    ``requests`` is a counter; ``label`` tells the versions apart, by the values that ``values(service, version)``
    gives. ``codes`` is a counter by status (label ``code``): each status 5xx is a failure of class ``http-5xx``; no
    4xx is, for that is the client's doing. ``failures`` maps further classes to counters. ``histogram`` is the
    latency's, ``per_second`` the number of its units in a second. ``uptime`` is a gauge of the seconds since the
    process started, ``started`` one of the Unix time at which it did: either tells a restart that the counters do not.
    A server that ``lags`` brings its histograms up to date when it is asked, but too late for that answer: it is
    asked twice.
    """

    requests: str
    label: str
    values: Callable[[str, str], tuple[str, ...]] = by_name
    codes: str = ""
    code: str = "code"
    failures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    histogram: str = ""
    per_second: float = 1.0
    uptime: str = ""
    started: str = "process_start_time_seconds"
    lags: bool = False


ENVOY = MetricNames(
    requests="envoy_cluster_upstream_rq_completed",
    label="envoy_cluster_name",
    values=by_cluster,
    codes="envoy_cluster_upstream_rq",
    code="envoy_response_code",
    # Counted where the attempt failed, not where the request was assigned: an attempt that another version then
    # answered for is still a failure of this one.
    failures={
        "connect": ("envoy_cluster_upstream_rq_pending_failure_eject",),
        "reset": ("envoy_cluster_upstream_cx_destroy_remote_with_active_rq", "envoy_cluster_upstream_rq_rx_reset"),
        "protocol": ("envoy_cluster_upstream_cx_protocol_error",),
    },
    histogram="envoy_cluster_upstream_rq_time",
    per_second=1000.0,
    uptime="envoy_server_uptime",
    started="",
    lags=True,
)
"""https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats"""

PRESETS = {"envoy": ENVOY}
_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_OPTIONS = ("preset", "requests", "label", "codes", "code", "histogram", "unit")


def parse_names(fragment: str) -> MetricNames:
    """The names that follow ``#`` in a source's URI, such as ``requests=http_requests_total&label=version``.

    Raises UsageError naming what is unknown or missing.
    """
    options = {name: values[-1] for name, values in parse_qs(fragment).items()}
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise UsageError(f"a scraped source has no option {unknown[0]!r}", mend=f"one of {', '.join(_OPTIONS)}")
    if "preset" in options:
        if options["preset"] not in PRESETS or len(options) > 1:
            raise UsageError(f"{fragment!r} is no preset", mend=f"write preset={'|'.join(PRESETS)}, alone")
        return PRESETS[options["preset"]]
    if missing := [name for name in ("requests", "label") if name not in options]:
        raise UsageError(
            f"a scraped source needs the name of its {missing[0]}",
            mend="write scrape:URL#requests=COUNTER&label=LABEL&codes=COUNTER&code=LABEL&histogram=NAME&unit=s",
        )
    if options.get("unit", "s") not in _UNITS:
        raise UsageError(f"{options['unit']!r} is no unit of latency", mend=f"one of {', '.join(_UNITS)}")
    return MetricNames(
        requests=options["requests"],
        label=options["label"],
        codes=options.get("codes", ""),
        code=options.get("code", "code"),
        histogram=options.get("histogram", ""),
        per_second=_UNITS[options.get("unit", "s")],
    )
