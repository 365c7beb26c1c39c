"""What a source of evidence is, as a frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

REFERENCES = ("env:", "file:")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source: ``prometheus``, ``scrape`` or ``rest``. Empty fields are unset; times are seconds.

    ``series`` are further queries or paths, by the name of the figure. Secrets (``bearer``, ``basic``, some ``headers``) are references: ``env:NAME`` or ``file:PATH``.
    """

    source: str
    url: str
    preset: str = ""
    latency: str = ""
    requests: str = ""
    codes: str = ""
    code: str = ""
    histogram: str = ""
    unit: str = ""
    label: str = ""
    value: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    latencies: Mapping[str, str] = field(default_factory=dict)
    series: Mapping[str, str] = field(default_factory=dict)
    aggregate: bool = False
    interval: float = 0.0
    delay: float = 0.0
    method: str = ""
    body: str = ""
    paths: Mapping[str, str] = field(default_factory=dict)
    counts: str = ""
    bearer: str = ""
    basic: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    ca: str = ""
    certificate: str = ""
    key: str = ""
    timeout: float = 10.0
