"""``fairway intervene``."""

from dataclasses import replace

import click

from fairway_steps.cli.params import option
from fairway_steps.cli.wiring import CLOCK, record_store, somebody
from fairway_steps.errors import DomainError
from fairway_steps.heed import unheeded
from fairway_steps.intervention import DONE, Intervention
from fairway_steps.model import Verdict
from fairway_steps.record import Lease, Record, amend

EXAMPLE = """\b
Example:
  fairway intervene --record configmap/models/fairway-iris --verdict advance --by alice      # skip the stage
  fairway intervene --record file:.fairway/iris.json --verdict rollback --reason 'wrong model'"""


@click.command("intervene", epilog=EXAMPLE)
@option("record", required=True, help="The release's record: file:PATH or configmap/NAMESPACE/NAME.")
@option(
    "verdict",
    click.Choice([verdict.value for verdict in DONE]),
    required=True,
    help="advance: skip the stage; promote: promote in full; rollback: abort.",
)
@option("by", help="On whose word, for the record.  [default: USER@HOST]")
@option("reason", help="Why, for the record.")
def intervene(record: str, verdict: str, by: str | None, reason: str | None) -> None:
    """Give a running release your own verdict on its stage: skip it, promote in full, or abort.

    Whatever assesses the release carries it out at its next look, wherever it runs: Argo, Tekton or this machine. It stands above the
    evidence, and the record and the report name you. A stage that is not assessed now is ended as soon as it is. An
    abort counts up to the end: no stage is entered after it, and nothing is promoted, whoever approves it. To promote is refused while
    several candidates are left, and with no stage to end. Where a person is being asked, answer instead: `fairway approve`, `argo resume`.

    Exit codes: 0 done, 1 the release has ended or nothing would heed it, 2 usage or configuration.
    """
    word = Intervention(Verdict(verdict), by or somebody(), CLOCK.now(), reason or "")

    def said(held: Record) -> Record:
        if held.outcome is not None:
            raise DomainError(f"release {held.release_id} has ended: {held.outcome}", mend="begin a new one")
        if why := unheeded(held, word.verdict):
            raise DomainError(
                why, mend="`--verdict rollback` aborts it; where a person is asked, `fairway approve` answers"
            )
        noted = held.noted(word.at, "intervene", f"{word.by} says {verdict}" + (f": {reason}" if reason else ""))
        return replace(noted, intervention=word)

    held = amend(record_store(record), Lease(), said)
    click.echo(f"release {held.release_id}: {verdict}, at the next look")
