"""``fairway load-test``."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairway_steps import log
from fairway_steps.cli.params import DURATION_TYPE, FLAG, SLOS, option
from fairway_steps.cli.step import Answer, logger, step
from fairway_steps.clock import SystemClock
from fairway_steps.config import Objectives
from fairway_steps.config.units import parse_duration
from fairway_steps.errors import DomainError, UsageError
from fairway_steps.outputs import Output

if TYPE_CHECKING:
    from fairway_steps.loadtest.crew import Crew, News, Task
    from fairway_steps.loadtest.decision import Bound
    from fairway_steps.loadtest.records import Records
    from fairway_steps.loadtest.result import Result
    from fairway_steps.loadtest.streaming import Limit
    from fairway_steps.model import Slo

UNREACHED = frozenset({"dns", "connect", "tls", "protocol"})


@step(
    "load-test",
    image="loadtest",
    cluster=False,
    outputs=[
        Output(
            "summary",
            "{}",
            "Rates, errors by class, exact quantiles in ms, counts over the limits, as JSON of at most 1 kB.",
        ),
        Output("samples", "", "The file with a record of every request."),
    ],
    failure="the endpoint is unusable: no request could connect (slow or failing is not unusable)",
    example="""fairway load-test --url http://127.0.0.1:8080/v2/models/iris/infer --rate 50 --duration 20s \\
  --tensors 'input-0:FP64[1,4]' --limits 100ms,250ms --samples samples.npz
fairway load-test --url grpc://127.0.0.1:8081/v2/models/iris/infer --rate 10..200@1m --arrivals poisson --tensors 'input-0:FP64[1,4]'
fairway load-test --url http://127.0.0.1:8000/v1/chat/completions --rate 2 --dataset prompts.jsonl --limits ttft:200ms,tpot:50ms""",
)
@option(
    "url",
    help="What to call: http://HOST:PORT/PATH or https://…; for gRPC grpc://HOST:PORT[/package.Service/Method] or grpcs://….",
)
@option(
    "endpoints",
    help="Several at once: a YAML mapping NAME: {url: …, other options}, or file:PATH; options here are their defaults.",
)
@option("paired", FLAG, default="false", help="Send the same payloads to two endpoints, request beside request.")
@option(
    "rate",
    default="10",
    help="Requests per second, sent at their moments whether or not answers come; steps 10@30s,50@30s; ramps 10..100@60s.",
)
@option(
    "duration",
    DURATION_TYPE,
    help="How long to send, after the warm-up.  [default: 10s, or as long as --rate or --trace says]",
)
@option("requests", int, help="How many requests to send, instead of --duration.")
@option("arrivals", click.Choice(["constant", "poisson"]), default="constant", help="Equal or random distances.")
@option("seed", int, default="1", help="Of all that is random: the same seed, the same moments and payloads.")
@option("trace", help="Send at the moments in this file (seconds, one a line), instead of --rate.")
@option("trace-speed", float, default="1", help="How many times as fast as the trace.")
@option(
    "loop",
    click.Choice(["open", "closed"]),
    default="open",
    help="closed: each of --connections sends when it was answered, and stalls stay unseen.",
)
@option("method", click.Choice(["GET", "POST"]), help="[default: POST with a payload, else GET]")
@option("payload", help="The body of each request, literal JSON.")
@option("payload-file", help="A file with the body of each request.")
@option("payload-url", help="Where to fetch the body of each request, once.")
@option("dataset", help="A JSON Lines file: one body a line, taken in turn; or the rows of a --template.")
@option(
    "template", help="A Jinja2 template of the body, or file:PATH: index, row, randint, uniform, choice, word, uuid."
)
@option("tensors", help="Open Inference V2 requests with random data: NAME:DATATYPE[SHAPE];…")
@option("variants", int, default="100", help="How many bodies to make of --template or --tensors.")
@option("content-type", default="application/json", help="Of the payload.")
@option(
    "header",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Sent with each request (gRPC: metadata); repeatable. The value, or its last word, may be env:NAME or file:PATH.",
)
@option("bearer-token", help="env:NAME or file:PATH of a token for the Authorization header.")
@option("expect", help="An answer without this text in its body has failed.")
@option("timeout", DURATION_TYPE, default="10s", help="A request not answered so long after its moment has failed.")
@option("warm-up", DURATION_TYPE, default="0s", help="Send so long before, and leave it out of the results.")
@option("warm-up-requests", int, default="0", help="The same by number.")
@option(
    "connections",
    int,
    default="64",
    help="At most so many connections (closed loop: users); requests that find none free wait.",
)
@option("ca-file", help="Certificate authorities (PEM) for TLS, instead of the system's.")
@option("cert-file", help="Our own certificate (PEM), for servers that ask for one.")
@option("key-file", help="Its key, if that is not in the same file.")
@option("server-name", help="The name to ask for and verify (SNI), instead of the URL's host.")
@option("insecure", FLAG, default="false", help="Do not verify the server's certificate.")
@option("call", help="gRPC: package.Service/Method, if the URL does not say.  [default: V2's ModelInfer]")
@option("descriptors", help="gRPC: a descriptor set file, instead of the server's reflection.")
@option("message-interval", DURATION_TYPE, default="0s", help="gRPC: between the messages of a client's stream.")
@option("calls-per-connection", int, default="50", help="gRPC: calls at once over one connection.")
@option("tensor-contents", click.Choice(["typed", "raw"]), default="typed", help="gRPC: how V2 tensors are sent.")
@option("samples", help="Write the record of every request to this file (.npz).")
@option("exceedances", help="Write the counts over the limits, by version and second, to this file (JSON).")
@option("hdr", help="Write the response times to this file (HdrHistogram V2 log).")
@option("limits", help="Latencies to count the requests over: 100ms,250ms; of streams ttft:200ms,tpot:50ms.")
@option(
    "slos", SLOS, help="SLOs (YAML or file:PATH): their latency limits are counted, and --stop-early judges by them."
)
@option("stop-early", FLAG, default="false", help="End as soon as the evidence on all --slos decides.")
@option("version", help="The version that is tested: answers that name none are its own; --stop-early judges it.")
@option("label-header", default="x-fairway-version", help="The header of an answer that names the version it is from.")
@option(
    "workers",
    int,
    default="0",
    help="Processes that send.  [default: one for each 4000 requests per second, at most one a core]",
    show_default=False,
)
def load_test(
    limits: str | None,
    slos: Objectives | None,
    samples: str | None,
    exceedances: str | None,
    hdr: str | None,
    workers: int,
    *,
    stop_early: bool,
    **values: Any,
) -> Answer:
    """Send requests by a plan and keep a record of every one.

    The load is open: each request has its moment, and its response time counts from there, so a server that stalls
    is charged for all who would have waited. Redirects are not followed. A result that this client, not the service,
    has shaped says so (client_limited). Answers that are streamed (text/event-stream, gRPC) are timed piece by piece.
    """
    from fairway_steps.loadtest import exports
    from fairway_steps.loadtest import samples as files
    from fairway_steps.loadtest.summary import summary, to_json

    asked = slos.slos if slos else ()
    edges = _limits(limits, asked)
    todo = _tasks(values)
    bounds = _bounds(asked, edges, stop_early=stop_early)
    if bounds and values["loop"] == "closed":
        raise UsageError(
            "--stop-early needs an open loop", mend="a closed one does not see what stalls, and is no evidence"
        )
    for name, path in (("--samples", samples), ("--exceedances", exceedances), ("--hdr", hdr)):
        if path:
            _check_writable(name, Path(path))
    result, shares, signum = _carry_out(todo, workers, edges, bounds, values["version"] or "")
    if samples:
        files.write(result, Path(samples))
    if exceedances:
        exports.write_exceedances(result, edges, Path(exceedances))
    if hdr:
        exports.write_hdr(result, Path(hdr))
    if not signum:
        _check_reached(todo, result, shares)
    _explain(shares)
    if result.meta.client_limited:
        logger().warning("these results can neither pass nor fail a version: %s", result.meta.client_limited)
    told = summary(result, edges)
    outputs = {"summary": to_json(told), "samples": samples or ""}
    return Answer(outputs, told | {"samples": samples or ""}, _text(result, told, edges), 128 + signum if signum else 0)


def _tasks(values: Mapping[str, Any]) -> "dict[str, Task]":
    from fairway_steps.cli.endpoints import tasks

    return tasks(values, load_test)


def _carry_out(
    todo: "Mapping[str, Task]", workers: int, limits: "Sequence[Limit]", bounds: "Sequence[Bound]", version: str
) -> "tuple[Result, list[list[Records]], int]":
    """The result of all endpoints, the records it is of, and the signal that ended the run, or 0."""
    from dataclasses import replace

    from fairway_steps.loadtest.loops import run_in_loop
    from fairway_steps.loadtest.measured import combined, measured

    responses = [limit.seconds for limit in limits if limit.metric == "response"]
    tasks = [replace(task, limits=tuple(responses)) if bounds else task for task in todo.values()]
    ended, decided, signum = run_in_loop(_run(tasks, _workers(workers, tasks), bounds, version))
    results = {
        name: measured(shares, limits=responses, version=task.version, decided=decided)
        for (name, task), shares in zip(todo.items(), ended, strict=True)
    }
    return combined(results), ended, signum


def _workers(asked: int, tasks: "Sequence[Task]") -> int:
    """How many processes send."""
    from fairway_steps.loadtest.crew import enough_workers

    if asked < 0 or asked > 64:
        raise UsageError(f"--workers {asked} cannot be", mend="give 1 to 64, or 0 for as many as are needed")
    if asked:
        return min(asked, *(task.settings.connections for task in tasks), asked)
    return enough_workers(tasks, len(os.sched_getaffinity(0)))


async def _run(
    tasks: "Sequence[Task]", workers: int, bounds: "Sequence[Bound]", version: str
) -> "tuple[list[list[Records]], str, int]":
    """Of each endpoint the records of each process, why the run ended early, and the signal that ended it, or 0."""
    import asyncio

    from fairway_steps.loadtest.crew import Here, Several

    came: list[int] = []
    decided: list[str] = []
    crew: Crew | None = None

    def on_signal(signum: int) -> None:
        came.append(signum)
        if crew is not None:
            crew.stop()

    loop = asyncio.get_running_loop()
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    for signum in before:
        loop.add_signal_handler(signum, on_signal, signum)
    crew = Here(tasks, SystemClock()) if workers == 1 else Several(tasks, workers)
    say = _Progress()
    watching = asyncio.create_task(_watch(crew, say, bounds, version, decided))
    try:
        if came:
            crew.stop()
        ended = await crew.result()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        for signum, handler in before.items():
            loop.remove_signal_handler(signum)
            signal.signal(signum, handler)
    say(crew.news())
    return ended, decided[0] if decided else "", came[0] if came else 0


async def _watch(crew: "Crew", say: "_Progress", bounds: "Sequence[Bound]", version: str, decided: list[str]) -> None:
    """Tell the progress once a second; end the run as soon as it decides."""
    import asyncio

    if bounds:
        from fairway_steps.loadtest.decision import decided as decides
        from fairway_steps.loadtest.tally import pooled
    while True:
        await asyncio.sleep(1)
        news = crew.news()
        say(news)
        if bounds and not decided and (why := decides(bounds, pooled(news.counts, version))):
            decided.append(why)
            crew.enough()


class _Progress:
    """Says how far the run is, in the log and where Argo looks for it (``ARGO_PROGRESS_FILE``, as N/M)."""

    def __init__(self) -> None:
        self._file = os.environ.get("ARGO_PROGRESS_FILE")

    def __call__(self, news: "News") -> None:
        ended = sum(one.ended for one in news.progress)
        planned = sum(one.planned for one in news.progress)
        count = sum(one.failed for one in news.progress)
        if not (planned or ended):  # the processes are not ready yet
            return
        failed = f", {count} failed" if count else ""
        of = f" of {planned}" if planned else ""
        log.progress(logger(), f"{ended}{of} requests{failed}", ended=ended, planned=planned, failed=count)
        if self._file and planned:
            with suppress(OSError):  # a picture of the work, never a reason to fail it
                Path(self._file).write_text(f"{ended}/{planned}\n", encoding="utf-8")


def _check_reached(todo: "Mapping[str, Task]", result: "Result", shares: "Sequence[Sequence[Records]]") -> None:
    """Raise DomainError for an endpoint to which no request could connect."""
    for number, (name, task) in enumerate(todo.items()):
        part = result.part(number) if len(todo) > 1 else result
        failures = part.failures
        if len(part) and sum(failures.get(error, 0) for error in UNREACHED) == len(part):
            details = {error: text for records in shares[number] for error, text in records.details.items()}
            why = next((f"{text} ({error})" for error, text in details.items() if error in UNREACHED), "")
            called = f"{name} ({task.target.name})" if name else task.target.name
            raise DomainError(f"endpoint {called} is unusable, no request could connect: {why}")


def _explain(shares: "Sequence[Sequence[Records]]") -> None:
    """One line in the log for each class of failure whose name does not say it all: what was the first."""
    first: dict[str, str] = {}
    for records in (each for share in shares for each in share):
        for error, detail in records.details.items():
            if detail and error not in ("timeout", "cancelled") and not error.startswith("http-"):
                first.setdefault(error, detail)
    for error, detail in first.items():
        logger().warning("the first that failed with %s: %s", error, detail)


def _check_writable(option: str, path: Path) -> None:
    """Fail before the load, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(path.parent, os.W_OK) and not path.is_dir()
    except OSError:
        writable = False
    if not writable:
        raise UsageError(f"{option} {path} cannot be written", mend="name a file in a folder that you may write to")


def _limits(text: str | None, slos: "Sequence[Slo]") -> "list[Limit]":
    """``100ms,ttft:200ms`` and the latencies of SLOs: the limits to count by, the lowest first."""
    from fairway_steps.loadtest.streaming import METRICS, Limit
    from fairway_steps.model import Metric

    found = {Limit(slo.limit) for slo in slos if slo.metric is Metric.LATENCY and not slo.relative}
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


def _bounds(slos: "Sequence[Slo]", limits: "Sequence[Limit]", *, stop_early: bool) -> "list[Bound]":
    """What an early end is decided by; none if nobody asked for one."""
    if not stop_early:
        return []
    if not slos:
        raise UsageError("--stop-early has nothing to decide by", mend="give --slos")
    from fairway_steps.loadtest.decision import Bound
    from fairway_steps.model import Metric
    from fairway_steps.words import limit_of, name_of

    responses = [limit.seconds for limit in limits if limit.metric == "response"]
    bounds = []
    for slo in slos:
        name = f"{name_of(slo)} of {limit_of(slo)}"
        if slo.relative:
            raise UsageError(
                f"--stop-early cannot decide {name_of(slo)} against the primary", mend="leave one of the two out"
            )
        if slo.metric in (Metric.ERROR_RATE, Metric.SUCCESS_RATE):
            allowed = slo.limit if slo.metric is Metric.ERROR_RATE else round(1 - slo.limit, 12)
            bounds.append(Bound(name, allowed, None, slo.min_requests))
        elif slo.metric is Metric.LATENCY and slo.quantile is not None:
            bounds.append(Bound(name, round(1 - slo.quantile, 12), responses.index(slo.limit), slo.min_requests))
        else:
            raise UsageError(f"--stop-early cannot decide {name_of(slo)}", mend="leave one of the two out")
    return bounds


def _text(result: "Result", told: Mapping[str, Any], limits: "Sequence[Limit]") -> str:
    from fairway_steps.loadtest.table import table

    return table(result, told, limits)
