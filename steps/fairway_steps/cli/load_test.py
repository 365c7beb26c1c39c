"""``fairway load-test``."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairway_steps.cli.load_limits import decision_of, judged_by, limits_of
from fairway_steps.cli.params import DURATION_TYPE, FLAG, SLOS, VERSION, option
from fairway_steps.cli.step import Answer, logger, step
from fairway_steps.config import Objectives
from fairway_steps.errors import UsageError
from fairway_steps.model import Version
from fairway_steps.outputs import Output

if TYPE_CHECKING:
    from fairway_steps.loadtest.crew import Task
    from fairway_steps.loadtest.result import Result
    from fairway_steps.loadtest.streaming import Limit


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
    help="How long to send, after the warm-up.  [default: 10s, or as long as --rate, --trace or --requests say]",
)
@option(
    "requests", int, help="How many requests to send; with --duration, too, the first of the two to be reached ends it."
)
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
@option("payload", help="The body of each request; JSON, unless --content-type is another.")
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
    help="At most so many connections (closed loop: users); requests that find none free wait.  "
    "[default: as many as --timeout lets be under way, 64 to 1000; closed loop: 64]",
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
@option(
    "stage",
    int,
    default="0",
    help="The stage of a release that it is, from 0: --stop-early needs more evidence in a later one.",
)
@option("candidate", VERSION, help="The version that --stop-early judges: answers that name it.  [default: --version]")
@option("version", help="The version that is tested: answers that name none are its own.")
@option("label-header", default="x-fairway-version", help="The header of an answer that names the version it is from.")
@option(
    "workers",
    int,
    default="0",
    help="Processes that send.  [default: one for each 4000 requests per second, at most one a core]",
    show_default=False,
)
@option(
    "calibrate",
    FLAG,
    default="false",
    help="First send for 2 s to a server of our own, and refuse a plan that this machine cannot keep.",
)
def load_test(
    limits: str | None,
    slos: Objectives | None,
    samples: str | None,
    exceedances: str | None,
    hdr: str | None,
    workers: int,
    stage: int,
    candidate: Version | None,
    *,
    stop_early: bool,
    calibrate: bool,
    **values: Any,
) -> Answer:
    """Send requests by a plan and keep a record of every one.

    The load is open: each request has its moment, and its response time counts from there, so a server that stalls
    is charged for all who would have waited. Redirects are not followed. A result that this client, not the service,
    has shaped says so (client_limited). Answers that are streamed (text/event-stream, gRPC) are timed piece by piece.
    """
    from fairway_steps.cli.load_run import carry_out, check_machine, check_reached, explain
    from fairway_steps.loadtest import exports
    from fairway_steps.loadtest import samples as files
    from fairway_steps.loadtest.fitting import to_json
    from fairway_steps.loadtest.summary import summary

    asked = slos.slos if slos else ()
    edges = limits_of(limits, asked)
    todo = _tasks(values)
    decision = decision_of(slos, edges, stage, stop_early=stop_early)
    judged = candidate.name if candidate else values["version"] or ""
    if decision:
        _check_early(todo, judged)
    for name, path in (("--samples", samples), ("--exceedances", exceedances), ("--hdr", hdr)):
        if path:
            _check_writable(name, Path(path))
    if calibrate:
        check_machine(todo, workers)
    result, shares, signum = carry_out(todo, workers, edges if judged_by(asked, edges) else None, decision, judged)
    if samples:
        files.write(result, Path(samples))
    if exceedances:
        exports.write_exceedances(result, edges, Path(exceedances))
    if hdr:
        exports.write_hdr(result, Path(hdr))
    if not signum:
        check_reached(todo, result, shares)
    explain(shares)
    if result.meta.client_limited:
        logger().warning("these results can neither pass nor fail a version: %s", result.meta.client_limited)
    told = summary(result, edges)
    outputs = {"summary": to_json(told), "samples": samples or ""}
    return Answer(outputs, told | {"samples": samples or ""}, _text(result, told, edges), 128 + signum if signum else 0)


def _tasks(values: Mapping[str, Any]) -> "dict[str, Task]":
    from fairway_steps.cli.endpoints import tasks

    return tasks(values, load_test)


def _check_early(todo: "Mapping[str, Task]", judged: str) -> None:
    from fairway_steps.loadtest.plan import Closed

    if any(isinstance(task.plan, Closed) for task in todo.values()):
        raise UsageError(
            "--stop-early needs an open loop", mend="a closed one does not see what stalls, and is no evidence"
        )
    if not judged and len({task.version for task in todo.values()}) > 1:
        raise UsageError("--stop-early does not know which of the versions it judges", mend="name the --candidate")


def _check_writable(option: str, path: Path) -> None:
    """Fail before the load, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):  # what root may do is not all that some folders let anybody do
            writable = not path.is_dir()
    except OSError:
        writable = False
    if not writable:
        raise UsageError(f"{option} {path} cannot be written", mend="name a file in a folder that you may write to")


def _text(result: "Result", told: Mapping[str, Any], limits: "Sequence[Limit]") -> str:
    from fairway_steps.loadtest.table import table

    return table(result, told, limits)
