"""The `metrics:` of a release file and the value of --metrics, where they are a mapping: which source, and how to ask it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from fairway_steps.config.mistakes import validate
from fairway_steps.config.sources import REFERENCES, SourceSpec
from fairway_steps.config.text import Misfit, parse
from fairway_steps.config.types import Item, Seconds, TextOrNumber

SERIES = re.compile(r"[a-z][a-z0-9-]*")
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
FURTHER = "Further latencies by name, each like latency; an SLO names one by `of:`."
NAMED = ("latencies", "series")
PAIRS = (("requests", "latency"), ("users", "mirrored"))
"""What is taken from each of two sources."""
SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key")


class QueriesItem(Item):
    """PromQL by figure: each a cumulative counter."""

    requests: str = Field(description="All requests of a version.", examples=['http_requests_total{app="$version"}'])
    failures: str = Field("", description="Those that failed.")
    latency: str = Field("", description="Buckets of a histogram of latencies, with their label le.")
    seconds: str = Field("", description="The sum of all latencies.")
    users: str = Field("", description="For rewards: users whose window is closed.")
    reward: str = Field("", description="The sum of what those users were worth.")
    reward_squares: str = Field("", description="The sum of the square of what each was worth.")
    latencies: dict[str, str] = Field(
        default_factory=dict, description=FURTHER, examples=[{"time-to-first-token": "…"}]
    )
    series: dict[str, str] = Field(default_factory=dict, description="Further figures by name, as they are now.")


class PathsItem(Item):
    """Where in an answer the figures are, as jq has paths."""

    requests: str = Field(description="All requests of a version.", examples=[".rows[0].requests"])
    failures: str = Field("", description="Those that failed.")
    latency: str = Field("", description="An object of upper edges and cumulative counts; the last edge is +Inf.")
    seconds: str = Field("", description="The sum of all latencies.")
    users: str = Field("", description="For rewards: users whose window is closed.")
    reward: str = Field("", description="The sum of what those users were worth.")
    reward_squares: str = Field("", description="The sum of the square of what each was worth.")
    latencies: dict[str, str] = Field(
        default_factory=dict, description=FURTHER, examples=[{"time-to-first-token": "…"}]
    )
    series: dict[str, str] = Field(default_factory=dict, description="Further figures by name, as they are now.")


class SourceItem(Item):
    """A source of evidence."""

    source: Literal["prometheus", "scrape", "rest"] = Field(description="What kind of source it is.")
    url: str = Field(description="Where it is.", examples=["http://prometheus.monitoring:9090"])
    preset: str = Field("", description="The kind of server whose metrics it has.", examples=["istio"])
    latency: str = Field("", description="Which of the preset's latencies is judged.", examples=["time-to-first-token"])
    requests: str = Field(
        "", description="Without a preset: the counter of requests.", examples=["http_requests_total"]
    )
    codes: str = Field("", description="The counter by status, if it is another one.")
    code: str = Field("", description="Its label that holds the status; 5xx is a failure.", examples=["status"])
    histogram: str = Field("", description="The histogram of latencies.", examples=["http_request_duration_seconds"])
    unit: Literal["s", "ms", "us", "ns"] | None = Field(None, description="The unit of its latencies. Default: s.")
    label: str = Field("", description="The label that tells versions apart.", examples=["version"])
    value: str = Field(
        "", description="What it says of one: text, or =~REGEX.", examples=["$version", "=~$workload-.*"]
    )
    where: dict[str, str] = Field(default_factory=dict, description="Further labels that every series must have.")
    queries: QueriesItem | None = Field(None, description="PromQL of your own, with $version, $service, $workload.")
    aggregate: Literal["sum"] | None = Field(None, description="That several series of a query are added up.")
    scrape_interval: Seconds = Field(
        0.0, description="The time between scrapes. Default: as the samples show, where a query is a selector."
    )
    delay: Seconds = Field(0.0, description="How long after its time a sample may come to be known.")
    method: Literal["GET", "POST"] | None = Field(None, description="rest: how to ask. Default: POST with a body.")
    body: Any = Field(None, description="rest: what to send, JSON or text; with $version, $start and $end.")
    paths: PathsItem | None = Field(None, description="rest: where the figures are.")
    counts: Literal["cumulative", "window"] | None = Field(
        None,
        description="rest: counts since ever, or those from $start to $end. Default: window, where the request has $start.",
    )
    bearer: str = Field("", description="Where a bearer token lies: env:NAME or file:PATH.", examples=["env:TOKEN"])
    basic: str = Field("", description="Where USER:PASSWORD lies: env:NAME or file:PATH.")
    headers: dict[str, TextOrNumber] = Field(
        default_factory=dict, description="More headers; env:NAME or file:PATH for secrets."
    )
    ca: str = Field("", description="A file of certificates to trust.")
    certificate: str = Field("", description="A client certificate's file.")
    key: str = Field("", description="Its key's file.")
    timeout: Seconds = Field(10.0, description="How long an answer may take.")


def parse_source(text: str, name: str = "--metrics") -> SourceSpec | Mapping[str, str]:
    """The source that a mapping (YAML or JSON text) describes, or the sources by what is taken from each.

    Raises UsageError, which starts with ``name``.
    """
    document = parse(text, name)
    try:
        return source_from(document.data)
    except Misfit as error:
        raise document.error(error) from error


def source_from(data: Any) -> SourceSpec | Mapping[str, str]:
    """The same from plain data. Raises Misfit."""
    if isinstance(data, dict) and "source" not in data:
        for parts in PAIRS:
            if set(data) & set(parts):
                return _combined(data, parts)
    item = validate(TypeAdapter(SourceItem), data, ())
    _check_secrets(item)
    _check_names(item)
    _check_rewards(item)
    if item.timeout <= 0:
        raise Misfit(("timeout",), "it is not above zero")
    told = item.queries or item.paths
    return SourceSpec(
        source=item.source,
        url=item.url,
        preset=item.preset,
        latency=item.latency,
        requests=item.requests,
        codes=item.codes,
        code=item.code,
        histogram=item.histogram,
        unit=item.unit or "",
        label=item.label,
        value=item.value,
        where=item.where,
        queries=_figures(item.queries),
        latencies=told.latencies if told else {},
        series=told.series if told else {},
        aggregate=item.aggregate == "sum",
        interval=item.scrape_interval,
        delay=item.delay,
        method=item.method or "",
        body=""
        if item.body is None
        else item.body
        if isinstance(item.body, str)
        else json.dumps(item.body, ensure_ascii=False),
        paths=_figures(item.paths),
        counts=item.counts or "",
        bearer=item.bearer,
        basic=item.basic,
        headers=item.headers,
        ca=item.ca,
        certificate=item.certificate,
        key=item.key,
        timeout=item.timeout,
    )


def _figures(item: QueriesItem | PathsItem | None) -> Mapping[str, str]:
    return {} if item is None else {k: v for k, v in item.model_dump(exclude={*NAMED}).items() if v}


def _check_rewards(item: SourceItem) -> None:
    for name, some in (("queries", item.queries), ("paths", item.paths)):
        given = [bool(text) for text in (some.users, some.reward, some.reward_squares)] if some else []
        if any(given) and not all(given):
            raise Misfit((name,), "rewards take users, reward and reward-squares together")
        for kind in NAMED if some else ():
            for given_name, text in getattr(some, kind).items():
                if not SERIES.fullmatch(given_name) or not text:
                    raise Misfit(
                        (name, kind, given_name), "it is no name (small letters, digits and '-'), or asks for nothing"
                    )


def _check_secrets(item: SourceItem) -> None:
    for field in ("bearer", "basic"):
        if (given := getattr(item, field)) and not given.startswith(REFERENCES):
            raise Misfit((field,), "a secret does not belong here; write env:NAME or file:PATH")
    for header, value in item.headers.items():
        if header.lower() in SECRET_HEADERS and not value.startswith(REFERENCES):
            raise Misfit(("headers", header), "a secret does not belong here; write env:NAME or file:PATH")


def _check_names(item: SourceItem) -> None:
    for field in ("requests", "codes", "histogram"):
        if (given := getattr(item, field)) and not METRIC.fullmatch(given):
            raise Misfit((field,), f"{given!r} is not the name of a metric")
    for field, labels in (("label", [item.label]), ("code", [item.code]), ("where", list(item.where))):
        for label in labels:
            if label and not LABEL.fullmatch(label):
                raise Misfit((field,), f"{label!r} is not the name of a label")


def _combined(data: Mapping[str, Any], parts: tuple[str, str]) -> Mapping[str, str]:
    if set(data) != set(parts):
        raise Misfit((), f"two sources go together as {parts[0]}: and {parts[1]}:, each with a source of its own")
    for part, value in data.items():
        if isinstance(value, dict):
            try:
                source_from(value)
            except Misfit as error:
                raise Misfit((part, *error.path), error.sentence) from error
        elif not isinstance(value, str):
            raise Misfit((part,), "it is neither the address of a source nor a mapping")
    return {part: value if isinstance(value, str) else json.dumps(value) for part, value in data.items()}


def checked(value: Any) -> str:
    """A release file's ``metrics`` as the text that --metrics takes. Raises ValueError with a sentence."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise ValueError("it is neither the address of a source nor a mapping")  # noqa: TRY004 - pydantic's way to be told
    try:
        source_from(value)
    except Misfit as error:
        where = ".".join(str(part) for part in error.path)
        raise ValueError(f"{where}: {error.sentence}" if where else error.sentence) from error
    return json.dumps(value, ensure_ascii=False)


def absolute(text: str) -> str:
    """A source whose files are named from the root, so that it means the same from any working folder."""
    if not text.lstrip().startswith("{"):
        scheme, _, rest = text.partition(":")
        path, mark, query = rest.partition("?")
        return f"{scheme}:{Path(path).absolute()}{mark}{query}" if scheme in ("envoy", "samples", "file") else text
    return json.dumps(_absolute(json.loads(text)), ensure_ascii=False)


def _absolute(data: dict[str, Any]) -> dict[str, Any]:
    if "source" not in data:
        return {part: absolute(v) if isinstance(v, str) else _absolute(v) for part, v in data.items()}
    changed = dict(data)
    for field in ("ca", "certificate", "key"):
        if data.get(field):
            changed[field] = str(Path(data[field]).absolute())
    for field in ("bearer", "basic"):
        if data.get(field):
            changed[field] = absolute(data[field])
    if data.get("headers"):
        changed["headers"] = {k: absolute(v) if str(v).startswith("file:") else v for k, v in data["headers"].items()}
    return changed


def metrics_schema() -> dict[str, Any]:
    """The JSON Schemas of ``metrics`` in a release file, by name; ``Metrics`` is the whole."""
    source = SourceItem.model_json_schema(ref_template="#/$defs/{model}")
    inner = source.pop("$defs", {})
    either = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/SourceItem"}]}
    both = [_pair(PAIRS[0], either, "Requests and failures from one source, latencies from another.")]
    nested = {"anyOf": [*either["anyOf"], *both]}
    both.append(_pair(PAIRS[1], nested, "Users' requests from one source, mirrored ones from the collector."))
    return {**inner, "SourceItem": source, "Metrics": {"anyOf": [{"$ref": "#/$defs/SourceItem"}, *both]}}


def _pair(parts: tuple[str, str], either: Mapping[str, Any], about: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": about,
        "properties": dict.fromkeys(parts, either),
        "required": [*parts],
        "additionalProperties": False,
    }
