"""``fairway load-test``."""

import json
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairway_steps import log
from fairway_steps.cli.params import DURATION_TYPE, option
from fairway_steps.cli.step import Answer, logger, step
from fairway_steps.clock import SystemClock
from fairway_steps.config.units import parse_duration
from fairway_steps.errors import DomainError, UsageError
from fairway_steps.outputs import Output

if TYPE_CHECKING:
    from fairway_steps.loadtest.client import Target
    from fairway_steps.loadtest.engine import Progress, Settings
    from fairway_steps.loadtest.http import Request
    from fairway_steps.loadtest.payloads import Payloads
    from fairway_steps.loadtest.plan import Plan
    from fairway_steps.loadtest.records import Records
    from fairway_steps.loadtest.result import Result
    from fairway_steps.loadtest.streaming import Limit

UNREACHED = frozenset({"dns", "connect", "tls", "protocol"})
REFERENCE = re.compile(r"(?P<before>.*?)(?P<kind>env|file):(?P<name>\S+)")


@step(
    "load-test",
    image="loadtest",
    cluster=False,
    outputs=[
        Output("summary", "{}", "Rates, errors by class, exact quantiles in ms, as JSON of at most 1 kB."),
        Output("samples", "", "The file with a record of every request."),
    ],
    failure="the endpoint is unusable: no request could connect (slow or failing is not unusable)",
    example="""fairway load-test --url http://127.0.0.1:8080/v2/models/iris/infer --rate 50 --duration 20s \\
  --payload-file iris.json --limits 100ms,250ms --samples samples.npz""",
)
@option("url", required=True, help="What to call: http://HOST:PORT/PATH or https://…")
@option("rate", float, default="10", help="Requests per second, sent at their moments whether or not answers come.")
@option("duration", DURATION_TYPE, default="10s", help="How long to send, after the warm-up.")
@option("requests", int, help="How many requests to send, instead of --duration.")
@option("arrivals", click.Choice(["constant", "poisson"]), default="constant", help="Equal or random distances.")
@option("seed", int, default="1", help="Of the random distances: the same seed, the same moments.")
@option("method", click.Choice(["GET", "POST"]), help="[default: POST with a payload, else GET]")
@option("payload", help="The body of each request, literal JSON.")
@option("payload-file", help="A file with the body of each request.")
@option("content-type", default="application/json", help="Of the payload.")
@option(
    "header",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Sent with each request; repeatable. The value, or its last word, may be env:NAME or file:PATH.",
)
@option("timeout", DURATION_TYPE, default="10s", help="A request not answered so long after its moment has failed.")
@option("warm-up", DURATION_TYPE, default="0s", help="Send so long before, and leave it out of the results.")
@option("connections", int, default="64", help="At most so many connections; requests that find none free wait.")
@option("ca-file", help="Certificate authorities (PEM) for https, instead of the system's.")
@option("samples", help="Write the record of every request to this file (.npz).")
@option("limits", help="Latencies to count the requests over, such as 100ms,250ms.")
@option("label-header", default="x-fairway-version", help="The header of an answer that names the version it is from.")
def load_test(
    url: str,
    rate: float,
    duration: float,
    requests: int | None,
    arrivals: str,
    seed: int,
    samples: str | None,
    limits: str | None,
    warm_up: float,
    timeout: float,
    connections: int,
    **request: Any,
) -> Answer:
    """Send requests at a fixed rate and keep a record of every one.

    The load is open: each request has its moment, and its response time counts from there, so a server that stalls
    is charged for all who would have waited. Redirects are not followed. A result that this client, not the service,
    has shaped says so (client_limited).
    """
    import asyncio

    from fairway_steps.loadtest import samples as files
    from fairway_steps.loadtest.engine import Settings
    from fairway_steps.loadtest.measured import measured
    from fairway_steps.loadtest.plan import constant, poisson
    from fairway_steps.loadtest.summary import summary, to_json

    edges = _limits(limits)
    lasting: dict[str, Any] = {"requests": requests} if requests is not None else {"seconds": duration}
    plan = (
        constant(rate, **lasting, warm_up=warm_up)
        if arrivals == "constant"
        else poisson(rate, seed, **lasting, warm_up=warm_up)
    )
    if timeout <= 0 or connections < 1:
        raise UsageError("--timeout and --connections must be above 0")
    if samples:
        _check_writable(Path(samples))
    target, payloads = _request(url, **request)
    records, signum = asyncio.run(_run(plan, target, payloads, Settings(timeout, connections)))
    result = measured([records], limits=[limit.seconds for limit in edges if limit.metric == "response"])
    if samples:
        files.write(result, Path(samples))
    if (
        records.due
        and not signum
        and set(result.failures)
        and len(result) == sum(result.failures.get(name, 0) for name in UNREACHED)
    ):
        raise DomainError(f"endpoint {url} is unusable, no request could connect: {_first(records)}")
    if result.meta.client_limited:
        logger().warning("these results can neither pass nor fail a version: %s", result.meta.client_limited)
    values = summary(result, edges)
    outputs = {"summary": to_json(values), "samples": samples or ""}
    return Answer(outputs, values | {"samples": samples or ""}, _table(values, result), 128 + signum if signum else 0)


async def _run(plan: "Plan", target: "Target", payloads: "Payloads", settings: "Settings") -> tuple["Records", int]:
    """The records, and the signal that ended the run early, or 0: what was measured until then is kept."""
    import asyncio

    from fairway_steps.loadtest.engine import run

    stop = asyncio.Event()
    came: list[int] = []

    def on_signal(signum: int) -> None:
        came.append(signum)
        stop.set()

    loop = asyncio.get_running_loop()
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    for signum in before:
        loop.add_signal_handler(signum, on_signal, signum)
    try:
        records = await run(plan, target.open(payloads), settings, clock=SystemClock(), progress=_progress(), stop=stop)
    finally:
        for signum, handler in before.items():
            loop.remove_signal_handler(signum)
            signal.signal(signum, handler)
    return records, came[0] if came else 0


def _progress() -> Callable[["Progress"], None]:
    """Says how far the run is, in the log and where Argo looks for it (``ARGO_PROGRESS_FILE``, as N/M)."""
    path = os.environ.get("ARGO_PROGRESS_FILE")

    def say(progress: "Progress") -> None:
        failed = f", {progress.failed} failed" if progress.failed else ""
        log.progress(
            logger(),
            f"{progress.ended} of {progress.planned} requests{failed}",
            ended=progress.ended,
            planned=progress.planned,
            failed=progress.failed,
        )
        if path:
            with suppress(OSError):  # a picture of the work, never a reason to fail it
                Path(path).write_text(f"{progress.ended}/{progress.planned}\n", encoding="utf-8")

    return say


def _request(
    url: str,
    method: str | None,
    payload: str | None,
    payload_file: str | None,
    content_type: str,
    header: Sequence[str],
    ca_file: str | None,
    label_header: str | None,
) -> "tuple[Request, Payloads]":
    from fairway_steps.loadtest.http import Request
    from fairway_steps.loadtest.payloads import Payloads
    from fairway_steps.loadtest.tls import Tls

    body = _body(payload, payload_file)
    headers = _headers(header)
    if body and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = content_type
    method = method or ("POST" if body else "GET")
    target = Request(url, method, headers, label_header=label_header or "", tls=Tls(ca_file or ""))
    return target, Payloads((body,))


def _body(payload: str | None, payload_file: str | None) -> bytes:
    if payload and payload_file:
        raise UsageError("--payload and --payload-file exclude each other", mend="give one of the two")
    if payload_file:
        try:
            return Path(payload_file).read_bytes()
        except OSError as error:
            raise UsageError(f"--payload-file {payload_file} cannot be read: {error.strerror}") from error
    try:
        if payload:
            json.loads(payload)
    except ValueError as error:
        raise UsageError(f"--payload is not JSON: {error}", mend="use --payload-file for other bodies") from error
    return (payload or "").encode()


def _headers(given: Sequence[str]) -> dict[str, str]:
    """``Name: value`` pairs; a reference in a value is replaced by what it names, so no secret is an argument."""
    headers: dict[str, str] = {}
    for text in filter(None, given):
        name, colon, value = text.partition(":")
        if not (colon and name.strip()):
            raise UsageError("a --header is not 'NAME: VALUE'")
        headers[name.strip()] = _resolved(value.strip(), name.strip())
    return headers


def _resolved(value: str, header: str) -> str:
    match = REFERENCE.fullmatch(value)
    if match is None or not (match["before"] == "" or match["before"].endswith(" ")):
        return value
    if match["kind"] == "env":
        found = os.environ.get(match["name"])
        if found is None:
            raise UsageError(f"--header {header}: the environment has no {match['name']}")
    else:
        try:
            found = Path(match["name"]).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageError(f"--header {header}: {match['name']} cannot be read: {reason}") from error
    return match["before"] + found


def _check_writable(path: Path) -> None:
    """Fail before the load, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(path.parent, os.W_OK) and not path.is_dir()
    except OSError:
        writable = False
    if not writable:
        raise UsageError(f"--samples {path} cannot be written", mend="name a file in a folder that you may write to")


def _limits(text: str | None) -> "list[Limit]":
    """``100ms,ttft:200ms``: the limits to count by, the lowest first."""
    from fairway_steps.loadtest.streaming import METRICS, Limit

    found = set()
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        metric, colon, lasting = part.rpartition(":")
        if colon and metric not in METRICS:
            raise UsageError(f"--limits: {metric!r} is not measured", mend=f"it is one of {', '.join(METRICS)}")
        try:
            seconds = parse_duration(lasting)
        except ValueError as error:
            raise UsageError(f"--limits: {error}") from error
        if seconds <= 0:
            raise UsageError("--limits: a latency of 0 is no limit")
        found.add(Limit(seconds, metric or "response"))
    return sorted(found, key=lambda limit: (METRICS.index(limit.metric), limit.seconds))


def _first(records: "Records") -> str:
    return next((f"{text} ({name})" for name, text in records.details.items() if name in UNREACHED), "")


def _table(values: Mapping[str, Any], result: "Result") -> str:
    """The summary for people."""
    failures = result.failures
    cancelled = failures.pop("cancelled", 0)
    errors = ", ".join(f"{name} {count}" for name, count in failures.items())
    rate = f" at {values['achieved_rate']:g}/s" if values["achieved_rate"] is not None else ""
    names = list(values["response_ms"])
    lines = [
        f"{len(result)} requests{rate} ({values['requested_rate']:g}/s asked for), "
        + (f"{sum(failures.values())} failed ({errors})" if failures else "none failed")
        + (f", {cancelled} cancelled" if cancelled else ""),
        "ms        " + "".join(f"{name:>10}" for name in names),
    ]
    for part in ("response", "service", "slip"):
        numbers = values[f"{part}_ms"]
        lines.append(
            f"{part:<10}" + "".join(f"{'-' if numbers[n] is None else format(numbers[n], '.2f'):>10}" for n in names)
        )
    lines += [f"over {limit} ms: {count}" for limit, count in values["over_ms"].items()]
    lines += [f"answered by {name}: {count}" for name, count in values.get("versions", {}).items()]
    if values.get("lost"):
        lines.append(f"answered by no version: {values['lost']}")
    return "\n".join(lines)
