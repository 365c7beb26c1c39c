"""One endpoint of a load test: what is called, with what, when, and by which protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.bodies import Source, moments, payloads
from fairway_steps.loadtest.client import Target
from fairway_steps.loadtest.crew import Task
from fairway_steps.loadtest.labels import LONGEST, label_of
from fairway_steps.loadtest.payloads import encoded
from fairway_steps.loadtest.plan import AnyPlan, Closed, WarmUp, arrivals, closed, replay
from fairway_steps.loadtest.profile import parse_profile
from fairway_steps.loadtest.settings import Settings
from fairway_steps.loadtest.tls import PLAIN, Tls
from fairway_steps.secrets import address

GRPC = ("grpc", "grpcs")
SCHEMES = ("http", "https", *GRPC)
MAX_CONNECTIONS = 65_535
USERS = 64
"""Of a closed loop, where nobody says how many."""
FEW, MANY = 64, 1000
"""How many connections an open loop may have where nobody says: what it needs if nothing is answered, within these."""
SPARE = 1.0
"""Seconds after its timeout by which a request has surely let its connection go."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a command's options, or an entry of an endpoints file, say; headers are resolved, times in seconds, None is unset.

    ``version`` is the version that answers here, if it is known beforehand. ``call``, ``descriptors``, ``message_interval``,
    ``streams`` (calls at once over one connection) and ``raw`` (tensors as raw contents) are for gRPC.
    """

    url: str
    method: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content_type: str = "application/json"
    label_header: str = ""
    version: str = ""
    expect: str = ""
    source: Source = field(default_factory=Source)
    tls: Tls = PLAIN
    timeout: float = 10.0
    connections: int | None = None
    rate: str = "10"
    duration: float | None = None
    requests: int | None = None
    warm_up: WarmUp = field(default_factory=WarmUp)
    poisson: bool = False
    seed: int = 1
    closed_loop: bool = False
    trace: str = ""
    trace_speed: float = 1.0
    call: str = ""
    descriptors: str = ""
    message_interval: float = 0.0
    streams: int = 50
    raw: bool = False

    @property
    def as_json(self) -> bool:
        """Whether its payloads are sent as JSON; a header has the last word."""
        given = {name.lower(): value for name, value in self.headers.items()}
        media = given.get("content-type", self.content_type).partition(";")[0].strip().lower()
        return media == "application/json" or media.endswith("+json")


def plan(endpoint: Endpoint) -> AnyPlan:
    """When its requests are due. Raises UsageError for what cannot be."""
    if endpoint.trace:
        if endpoint.closed_loop:
            raise UsageError("a trace has moments, a closed loop has none", mend="give one of the two")
        return replay(
            moments(endpoint.trace),
            speed=endpoint.trace_speed,
            seconds=endpoint.duration,
            requests=endpoint.requests,
            warm_up=endpoint.warm_up,
        )
    if endpoint.closed_loop:
        users = USERS if endpoint.connections is None else endpoint.connections
        return closed(users, seconds=endpoint.duration, requests=endpoint.requests, warm_up=endpoint.warm_up)
    seed = endpoint.seed if endpoint.poisson else None
    return arrivals(
        parse_profile(endpoint.rate),
        seconds=endpoint.duration,
        requests=endpoint.requests,
        warm_up=endpoint.warm_up,
        poisson=seed,
    )


def task(endpoint: Endpoint, plan: AnyPlan) -> Task:
    """What is to be done; all that can be checked beforehand is. Raises UsageError."""
    connections = _connections(endpoint, plan)
    if endpoint.timeout <= 0 or connections < 1:
        raise UsageError("--timeout and --connections must be above 0")
    if connections > MAX_CONNECTIONS:
        raise UsageError(
            f"{connections} connections are more than the {MAX_CONNECTIONS:,} that a client has to a server",
            mend="lower --connections",
        )
    if label_of(endpoint.version) != endpoint.version:
        raise UsageError(
            f"--version {endpoint.version[:20]!r}… is no name of a version",
            mend=f"give up to {LONGEST} letters of ASCII, none that controls",
        )
    bodies = payloads(endpoint.source, as_json=endpoint.as_json)
    aim = target(endpoint, with_body=bodies.bodies != (b"",))
    settings = Settings(endpoint.timeout, connections)
    return Task(aim, plan, aim.prepare(bodies), settings, endpoint.version)


def _connections(endpoint: Endpoint, plan: AnyPlan) -> int:
    """As many as are asked for; else as many as keep an open loop from waiting for a server that stalls."""
    if endpoint.connections is not None:
        return endpoint.connections
    if isinstance(plan, Closed):
        return plan.users
    return max(FEW, plan.at_once(endpoint.timeout + SPARE, MANY))


def target(endpoint: Endpoint, *, with_body: bool) -> Target:
    """The target of the protocol that the URL names."""
    if endpoint.url.partition("://")[0] in GRPC:
        if given := [name for name in ("expect", "method") if getattr(endpoint, name)]:
            raise UsageError(f"--{given[0]} is for HTTP, and {address(endpoint.url)!r} is not", mend="leave it out")
        return _grpc(endpoint)
    if given := [name for name in ("call", "descriptors", "message_interval") if getattr(endpoint, name)]:
        option = f"--{given[0].replace('_', '-')}"
        raise UsageError(
            f"{option} is for gRPC, and {address(endpoint.url)!r} is not",
            mend="write grpc://HOST:PORT, or leave it out",
        )
    from fairway_steps.loadtest.http import Request  # noqa: PLC0415 - the protocol that is asked for

    headers = dict(endpoint.headers)
    if with_body and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = endpoint.content_type
    return Request(
        endpoint.url,
        endpoint.method or ("POST" if with_body else "GET"),
        headers,
        label_header=endpoint.label_header,
        expect=encoded(endpoint.expect, "--expect"),
        tls=endpoint.tls,
    )


def _grpc(endpoint: Endpoint) -> Target:
    try:
        from fairway_steps.loadtest import grpc  # noqa: PLC0415 - only for gRPC
    except ImportError as error:
        raise UsageError("gRPC needs grpcio", mend="install fairway[loadtest]") from error

    return grpc.target(
        endpoint.url,
        call=endpoint.call,
        descriptors=endpoint.descriptors,
        headers=endpoint.headers,
        tls=endpoint.tls,
        label_header=endpoint.label_header,
        content_type=endpoint.content_type,
        message_interval=endpoint.message_interval,
        deadline=endpoint.timeout,
        streams=endpoint.streams,
        raw=endpoint.raw,
    )
