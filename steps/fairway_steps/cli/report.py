"""``fairway report``."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairway_steps.cli.params import OUTCOMES, option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.wiring import lease, record_store, release_options
from fairway_steps.config import read_file
from fairway_steps.errors import DomainError, UsageError
from fairway_steps.model import Outcome
from fairway_steps.outputs import RESULT_BYTES, Output
from fairway_steps.record import required

if TYPE_CHECKING:
    from fairway_steps.report.counts import ClientCount

PAGE = "fairway-report.html"


@step(
    "report",
    image="assess",
    outputs=[
        Output("outcome", "", "`promoted`, `rolled-back`, `held`, `broken`, or `running`."),
        Output("summary", "", "The outcome in one line."),
        Output("action", "none", "`reported` if a report was written."),
    ],
    failure="the report cannot be written, or the outcome is one of --fail-on",
    example="fairway report --record file:.fairway/iris.json --out report.html\n"
    'fairway report --record file:.fairway/iris.json --format markdown >> "$GITHUB_STEP_SUMMARY"',
)
@option("out", help=f"The file to write.  [default: {PAGE} for html, else stdout]")
@option("format", click.Choice(["html", "markdown", "text"]), default="html", help="What to write.")
@option("client", help="A client's own count, as a JSON file: requests, failed (by version and class), lost.")
@option("holder", help="Report only this holder's release, as an exit handler must.  [default: whoever has it]")
@option("fail-on", OUTCOMES, help="Exit 1 if the outcome is one of these, such as rolled-back,held,broken.")
@release_options
def report(
    out: str | None,
    format: str,  # noqa: A002 - the option's name
    client: str | None,
    holder: str | None,
    fail_on: frozenset[Outcome] | None,
    record: str,
    release_id: str | None,
    token: int | None,
) -> Answer:
    """Write what happened in a release and why, from its record: one HTML file without scripts, Markdown, or text.

    A release that has not ended is reported as `running`.
    """
    from fairway_steps.report.text import line, markdown, result, text

    seen = _client(client) if client else None
    store = record_store(record)
    if holder and ((held := store.load()) is None or held.holder != holder):
        return Answer({"action": "none"}, text=f"none: {store.uri} has no release of {holder}")
    found = required(store, lease(release_id, token))
    told = text(found, seen) + "\n"
    if format == "html":
        from fairway_steps.report.html import html

        written, path = html(found, seen), out or PAGE
    else:
        written, path = (markdown(found, seen) if format == "markdown" else told), out or ""
    if path:
        _write(Path(path), written)
    outcome = found.outcome.value if found.outcome else "running"
    return Answer(
        {"outcome": outcome, "summary": _short(line(found, seen)), "action": "reported"},
        result(found, seen) | ({"report": str(Path(path).absolute())} if path else {}),
        f"{told}\n  report: {path}" if path else written.rstrip("\n"),
        exit_code=1 if found.outcome in (fail_on or ()) else 0,
    )


def _client(path: str) -> "ClientCount":
    from fairway_steps.report.counts import ClientCount

    try:
        data = json.loads(read_file(path))
    except ValueError as error:
        raise UsageError(f"--client {path} is not JSON: {error}") from error
    return ClientCount.parse(data, f"--client {path}")


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole, so that a reader never sees half a report."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fresh.write_bytes(text.encode("utf-8", errors="replace"))
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise DomainError(
            f"the report {path} cannot be written: {error.strerror}", mend="name a file in a folder you may write to"
        ) from error


def _short(text: str) -> str:
    """At most the bytes that a Tekton result may have."""
    raw = text.encode("utf-8", errors="replace")
    return text if len(raw) <= RESULT_BYTES else raw[: RESULT_BYTES - 4].decode("utf-8", errors="ignore") + "…"
