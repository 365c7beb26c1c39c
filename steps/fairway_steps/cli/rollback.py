"""``fairway rollback``."""

from dataclasses import replace

import click

from fairway_steps.cli.params import DURATION_TYPE, by_option, ending_options, option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.wiring import CLOCK, ending, noting, release_options, the_release
from fairway_steps.errors import DomainError
from fairway_steps.model import Outcome, Policy
from fairway_steps.outputs import Output
from fairway_steps.record import amend
from fairway_steps.weights import Confirmation


@step(
    "rollback",
    outputs=[
        Output("action", "none", "`rolled-back` if the primary has all of the traffic now."),
        Output("stable-version", "", "The version that has all of the traffic."),
    ],
    mutates=True,
    failure="the traffic could not be put back",
    example="fairway rollback --record file:.fairway/iris.json --reason 'on-call said so'",
)
@by_option
@option("reason", help="Why, for the record.  [default: what the record tells]")
@option("outcome", click.Choice(["rolled-back", "held"]), default="rolled-back", help="How the release ended.")
@option(
    "candidate-policy",
    click.Choice([p.value for p in Policy]),
    help="What becomes of the candidate; one that is held is kept.  [default: the record's]",
)
@ending_options
@option("settle-timeout", DURATION_TYPE, default="30s", help="How long the proxy may take to serve the old route.")
@release_options
def rollback(
    by: str | None,
    reason: str | None,
    outcome: str,
    candidate_policy: str | None,
    ready_timeout: float,
    drain: float,
    settle_timeout: float,
    record: str,
    release_id: str | None,
    token: int | None,
    dry_run: bool,
) -> Answer:
    """Put all traffic back on the primary and close the record.

    Writes the route as it was before the release, by a path that shares nothing with the writes of the stages.
    """
    from fairway_steps.release import rollback as run

    release = the_release(record, release_id, token, ended=True)
    held = release.record
    if held.outcome is Outcome.PROMOTED:
        raise DomainError(
            f"release {held.release_id} was promoted: there is nothing to roll back",
            mend="release the old version anew",
        )
    if dry_run:
        return Answer(
            {},
            {"would": "rollback", "primary": held.primary.name},
            f"would give all traffic back to {held.primary.name}",
        )
    with noting("rollback", release):
        confirm = Confirmation(settle_timeout, 0, 0.0)
        if held.outcome is None and candidate_policy:
            policy = Policy(candidate_policy)
            amend(release.store, release.lease, lambda r: replace(r, candidate_policy=policy))
        ended = run(
            release.store,
            release.lease,
            release.router(),
            CLOCK,
            outcome=Outcome(outcome),
            reason=reason or "",
            confirm=confirm,
            by=by or "",
            ending=ending(held.versions.values(), ready=ready_timeout, drain=drain),
        )
    outputs = {"action": "rolled-back", "stable-version": ended.primary.name}
    return Answer(outputs, text=f"{ended.outcome}: {ended.primary.name} has all of the traffic ({ended.reason})")
