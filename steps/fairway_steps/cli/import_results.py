"""``fairway import-results``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairway_steps.cli.load_limits import limits_of
from fairway_steps.cli.params import option
from fairway_steps.cli.step import Answer, logger, step
from fairway_steps.outputs import Output


@step(
    "import-results",
    image="loadtest",
    cluster=False,
    outputs=[
        Output(
            "summary",
            "{}",
            "Rates, errors by class, quantiles in ms and counts over the limits, as JSON of at most 1 kB.",
        ),
        Output("samples", "", "The file with a record of every request."),
    ],
    failure="the samples cannot be written",
    example="""fairway import-results --from ghz:out.json --limits 100ms,250ms --samples samples.npz
fairway import-results --from fortio:out.json --limits 100ms""",
)
@option(
    "from",
    required=True,
    metavar="TOOL:PATH",
    help="The tool and its file: fortio, ghz, guidellm, inference-perf, k6, oha or vegeta.",
)
@option("limits", help="Latencies to count the requests over: 100ms,250ms; of streams ttft:200ms,tpot:50ms.")
@option("samples", help="Write the record of every request to this file (.npz), where the tool's file has it.")
def import_results(limits: str | None, samples: str | None, **given: Any) -> Answer:
    """Read the result of another load tester, in the terms of our own load test.

    What a tool lacks is said: co_corrected is false where latencies count from the sending and not from the moment a
    request was due, and quantiles are bucketed where there are no single values. A limit within a bucket is refused.
    """
    from fairway_steps.loadtest.adapters.registry import open_foreign
    from fairway_steps.loadtest.adapters.summary import summary
    from fairway_steps.loadtest.fitting import to_json

    run = open_foreign(given["from"])
    found = limits_of(limits, ())
    responses = [limit.seconds for limit in found if limit.metric == "response"]
    values = summary(run, responses, [(limit.metric, limit.seconds) for limit in found if limit.metric != "response"])
    if samples:
        from fairway_steps.loadtest import samples as files
        from fairway_steps.loadtest.adapters.samples import to_result

        files.write(to_result(run), Path(samples))
    if run.limited:
        logger().warning("these results can neither pass nor fail a version: %s", run.limited)
    outputs = {"summary": to_json(values), "samples": samples or ""}
    return Answer(outputs, values | {"samples": samples or ""}, _table(values))


def _table(values: Mapping[str, Any]) -> str:
    """The summary for people."""
    from fairway_steps.loadtest.adapters.summary import NAMES

    rate = f" at {values['achieved_rate']:g}/s" if values["achieved_rate"] is not None else ""
    asked = f" ({values['requested_rate']:g}/s asked for)" if values["requested_rate"] is not None else ""
    failures = dict(values["errors"])
    cancelled = failures.pop("cancelled", 0)
    failed = f"{sum(failures.values())} failed ({', '.join(f'{name} {count}' for name, count in failures.items())})"
    kind = (
        "from the moment they were due"
        if values["co_corrected"]
        else "from the sending, not from the moment they were due"
    )
    lines = [
        f"{values['tool']}: {values['requests']} requests{rate}{asked}, {failed if failures else 'none failed'}"
        + (f", {cancelled} cancelled" if cancelled else ""),
        f"latencies count {kind}; quantiles are {values['quantiles']}",
        "ms        " + "".join(f"{name:>10}" for name in NAMES),
    ]
    for part in ("response", "service", "ttft", "itl", "tpot"):
        numbers = dict.fromkeys(NAMES) | values.get(f"{part}_ms", {})
        if any(number is not None for number in numbers.values()):
            shown = ("-" if numbers[n] is None else format(numbers[n], ".2f") for n in NAMES)
            lines.append(f"{part:<10}" + "".join(f"{text:>10}" for text in shown))
    return "\n".join([*lines, *(f"over {limit} ms: {count}" for limit, count in values["over_ms"].items())])
