"""The release file as pydantic models: what may stand where, and what editors say about it."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from fairway_steps.config.schemas import PERCENT_SCHEMA, RELEASE_SCHEMA, SLO_SCHEMA, STAGE_SCHEMA
from fairway_steps.config.types import (
    Item,
    Limit,
    Margin,
    Metrics,
    Payload,
    Period,
    Quantile,
    Risk,
    Seconds,
    Text,
    TextOrNumber,
    TimeLimit,
    named_version,
    short,
)
from fairway_steps.config.units import TOKEN
from fairway_steps.model import NAME, Outcome
from fairway_steps.schedule import MOST


class StageItem(Item):
    model_config = ConfigDict(json_schema_extra=STAGE_SCHEMA)

    weight: int = Field(
        0,
        description="Percent of the traffic to the candidate: 1 to 100, rising.",
        examples=[10],
        json_schema_extra=PERCENT_SCHEMA,
    )
    weights: dict[str, Annotated[int, Field(ge=1, le=99)]] = Field(
        default_factory=dict,
        description="Instead, between several candidates: the percent of the traffic to each of them, at most 99 together.",
        examples=[{"v2": 30, "v3": 30}],
    )
    header: Text = Field(
        "",
        description="Instead, in the first stage: requests with this header go to the candidate, all others to the primary.",
        examples=["x-canary=always"],
    )
    mirror: int = Field(
        0,
        description="Instead, in the first stage: so many percent of the requests are copied to the candidate, whose answers reach nobody.",
        examples=[30],
        json_schema_extra=PERCENT_SCHEMA,
    )
    through: Text = Field(
        "",
        description="Where the copies go instead: a `fairway collector` in front of the candidate, which compares answers.",
        examples=["http://127.0.0.1:8090"],
    )
    duration: Period = Field(description="How long it is held.", examples=["20s"])


class KnobsItem(Item):
    """How two series are compared, in Kayenta's terms and with its defaults."""

    confidence: float = Field(0.98, gt=0, lt=1, description="Of the interval of the shift.")
    tolerance: float = Field(
        0.25, ge=0, description="A change counts if its interval lies beyond this share of its estimate."
    )
    effect: Literal["mean-ratio", "cles"] = Field("mean-ratio", description="How the size of a change is measured.")
    allowed_increase: float | None = Field(
        None, description="The effect from which an increase counts.", examples=[1.1]
    )
    allowed_decrease: float | None = Field(None, description="The effect down from which a decrease counts.")
    critical_increase: float | None = Field(
        None, description="The effect from which an increase is harm; below, a person is asked.", examples=[1.5]
    )
    critical_decrease: float | None = Field(None, description="The effect down from which a decrease is harm.")
    replace_missing: bool = Field(False, description="Whether a missing value is 0.")
    remove_outliers: bool = Field(False, description="Whether values beyond the fences are left out.")
    outlier_factor: float = Field(3.0, gt=0, description="How far the fences stand from the quartiles.")


class SloItem(Item):
    model_config = ConfigDict(json_schema_extra=SLO_SCHEMA)

    metric: Literal["error-rate", "success-rate", "latency", "latency-mean", "difference-rate", "reward", "series"] = (
        Field(description="What is limited, or compared.")
    )
    of: str = Field(
        "",
        description="For a series: its name, as the source has it. For latency: another one than the request's, as the preset has it.",
        examples=["gpu-utilisation", "time-to-first-token"],
    )
    method: Literal["mann-whitney"] | None = Field(
        None, description="How a series is compared: by ranks, once, at the end of each stage."
    )
    knobs: KnobsItem | None = Field(None, description="For a series: Kayenta's settings.")
    limit: Limit | None = Field(
        None,
        description="1% or 0.01 for the error and the difference rate, 99% for the success rate; 250ms or 1.5s for latencies.",
        examples=["1%", "250ms"],
    )
    margin: Margin | None = Field(
        None,
        description="Instead of a limit: how much worse than the primary at the same time it may be.",
        examples=["10%"],
    )
    quantile: Quantile | None = Field(
        None, description="For latency: which quantile is limited.", examples=["p95", 0.99]
    )
    timeout: Period | None = Field(
        None,
        description="For latency-mean: longer than which no request takes, such as the route's own timeout. What proves a mean kept.",
        examples=["30s"],
    )
    direction: Literal["lower", "higher"] | None = Field(
        None,
        description="Which way is better. Each metric has one; stated here, it is checked. A series has none: neither way is, unless one is stated.",
    )
    critical: bool = Field(
        False, description="Judged alone as well: its breach is found sooner, that of the others a little later."
    )
    unit: Literal["request", "stratum", "user"] = Field(
        "request",
        description="What is one witness: each request, or each stratum (window of time), for errors that come in bursts; of a reward each user.",
    )
    weight: float = Field(1.0, gt=0, description="How much of the evidence's weight it has among the others.")
    min_requests: int = Field(
        50,
        ge=1,
        description="With fewer requests (or comparisons) in a stage there is no verdict. Where it is left out, a release also takes as many in all as "
        "would prove the SLO kept if none broke it: 417 for a limit of 1 %, 82 for a p95.",
        examples=[100],
    )


class RulesItem(Item):
    """How evidence becomes a verdict."""

    mode: Literal["guard", "prove"] = Field(
        "guard",
        description="guard: promote unless harm is proved. prove: promote only what is proved to keep its SLOs.",
    )
    alpha: Risk = Field(0.05, description="The risk of rolling back a candidate that keeps its SLOs.", examples=["5%"])
    beta: Risk = Field(
        0.05, description="In mode prove: the risk of promoting a candidate that breaks one.", examples=["5%"]
    )
    burn_in: int = Field(1, ge=0, description="How many looks after a change of weights are no evidence.")
    early_end: bool = Field(
        True, description="Whether a stage ends before its time once it proves every SLO kept. Harm always ends it."
    )


class Document(RulesItem):
    """What a candidate must keep, and how that is judged."""

    slos: list[SloItem] = Field(description="What the candidate must keep.")


class VersionItem(Item):
    name: Text = Field(description="Small letters, digits, '-' and '.'.", examples=["v2"])
    url: Text = Field(description="Where it listens.", examples=["http://127.0.0.1:8002"])


class InferenceItem(Item):
    model: str = Field("", description="The model that must be ready.", examples=["iris"])
    payload: Payload = Field("", description="The first inference's body: JSON, or file:PATH. Empty: none is made.")


class ReadyItem(Item):
    timeout: Period = Field(60.0, description="How long the versions may take to become ready.", examples=["60s"])
    path: Text = Field("/v2/health/ready", description="Where a server says that it is ready.", examples=["/health"])


class TrafficItem(Item):
    url: Text = Field(description="Where the proxy listens.", examples=["http://127.0.0.1:10000"])
    rate: float = Field(20.0, gt=0, description="Requests per second.", examples=[40])
    path: str = Field(
        "/", description="What is asked for.", examples=["/v2/models/iris/infer"], json_schema_extra={"pattern": "^/"}
    )
    payload: Payload = Field("", description="The body: JSON, or file:PATH. Empty: GET instead of POST.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of each request.")
    poisson: bool = Field(True, description="Random distances between requests, as independent users make them.")
    timeout: Period = Field(10.0, description="How long a request may take.", examples=["10s"])


class LoadTestItem(Item):
    url: Text = Field(
        description="The candidate's own address and what to ask it.",
        examples=["http://127.0.0.1:8002/v2/models/iris/infer"],
    )
    rate: TextOrNumber = Field(
        "10", description="Requests per second; steps 10@30s,50@30s; ramps 10..100@60s.", examples=[50, "10..100@60s"]
    )
    duration: Seconds | None = Field(
        None, description="How long to send. Default: 10 s, or as long as the rate says.", examples=["30s"]
    )


class NoticeItem(Item):
    to: Literal["slack", "github", "http"] = Field(description="Who is told.")
    url: str = Field(
        "",
        description="An HTTP URL, or env:NAME or file:PATH that holds one. github: the API's, if not the public one.",
        examples=["env:SLACK_WEBHOOK_URL"],
    )
    on: list[Literal["promoted", "rolled-back", "held", "broken"]] = Field(
        default_factory=lambda: [outcome.value for outcome in Outcome], description="Which ends to tell of."
    )
    repository: str = Field("", description="github: OWNER/REPO.", examples=["acme/iris"])
    token_from: str = Field(
        "", description="Where the token lies: env:NAME or file:PATH.", examples=["env:GITHUB_TOKEN"]
    )


_VERSION = [
    {"type": "string", "pattern": "/", "examples": ["v2=http://127.0.0.1:8002"]},
    VersionItem.model_json_schema(),
]
_VERSION_SCHEMA = WithJsonSchema({"anyOf": _VERSION})
AnyVersion = Annotated[VersionItem, BeforeValidator(named_version), _VERSION_SCHEMA]
PerhapsVersion = Annotated[VersionItem | None, BeforeValidator(named_version), _VERSION_SCHEMA]
Candidates = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                *_VERSION,
                {"type": "array", "items": {"anyOf": _VERSION}, "minItems": 1, "maxItems": MOST},
            ]
        }
    ),
]
Stages = Annotated[
    list[StageItem],
    BeforeValidator(short),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[^,@]+@[^,@]+(,[^,@]+@[^,@]+)*$", "examples": ["10@20s,25@20s,50@20s"]},
                {"type": "array", "items": StageItem.model_json_schema(), "minItems": 1},
            ]
        }
    ),
]


class Release(RulesItem):
    """A release of one candidate version of a service, as `fairway run` carries it out."""

    model_config = ConfigDict(json_schema_extra=RELEASE_SCHEMA)

    strategy: Literal["canary", "blue-green", "mirror", "ab", "none", "performance"] = Field(
        "canary",
        description="How traffic meets the candidate: performance moves none, none promotes what is ready.",
    )
    service: Text = Field(
        description="What clients call.", examples=["iris"], json_schema_extra={"pattern": f"^{NAME.pattern}$"}
    )
    route: Text = Field("", description="The service's route.", examples=["envoy:./route"])
    primary: PerhapsVersion = Field(None, description="The version that has the traffic.")
    candidate: Candidates = Field(
        description="The version to release, or a list of several, of which the best one is promoted: each with its own weight."
    )
    stages: Stages = Field(
        default_factory=list, description="Weights and how long each is held; promotion follows the last."
    )
    slos: list[SloItem] = Field(default_factory=list, description="What the candidate must keep.", min_length=1)
    sticky: str = Field(
        "",
        description="What users are told apart by, who then keep their version: header:NAME or cookie:NAME. Empty: each request is assigned anew.",
        examples=["header:x-user", "cookie:session"],
        json_schema_extra={"pattern": f"^((header|cookie):{TOKEN.pattern})?$"},
    )
    load_test: LoadTestItem | None = Field(
        None,
        description="A load test of the candidate while it has no users, judged by the slos; payload as in inference.",
    )
    metrics: Metrics = Field(
        "",
        description="Where evidence comes from: an address, or a mapping. Empty: the route's own proxy.",
        examples=["prometheus:http://prometheus.monitoring:9090#preset=istio"],
    )
    inference: InferenceItem = Field(
        default_factory=lambda: InferenceItem.model_validate({}),
        description="The first inference a version must answer.",
    )
    ready: ReadyItem = Field(
        default_factory=lambda: ReadyItem.model_validate({}), description="When a version counts as ready."
    )
    interval: Period = Field(1.0, description="How often to look at the evidence.", examples=["1s"])
    patience: Seconds | None = Field(
        None,
        description="How long after a stage to wait for min-requests. Default: the stage's duration, at least 10 s.",
    )
    on_inconclusive: Literal["hold", "rollback", "promote"] = Field(
        "hold", description="What happens when the evidence is missing in the end. Missing data never promotes."
    )
    approval: Literal["none", "before-traffic", "before-promotion"] = Field(
        "none", description="Where a person is asked."
    )
    hold_timeout: TimeLimit = Field(
        3600.0,
        description="How long a person has before the traffic goes back; none: until somebody answers.",
        examples=["1h", "none"],
    )
    record: str = Field("", description="Where the state is kept. Default: file:.fairway/SERVICE.json.")
    report: str = Field("fairway-report.html", description="Where the report is written.")
    traffic: TrafficItem | None = Field(None, description="A client of Fairway's own through the proxy.")
    notify: list[NoticeItem] = Field(default_factory=list, description="Who is told of the end.")
