"""``fairway promote``."""

from dataclasses import replace

import click

from fairway_steps.cli.params import DURATION_TYPE, FLAG, by_option, ending_options, option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.wiring import CLOCK, alive, ending, noting, release_options, the_release
from fairway_steps.errors import DomainError
from fairway_steps.model import Outcome, Policy, Promotion, Verdict
from fairway_steps.outputs import Output
from fairway_steps.record import Record, amend
from fairway_steps.strategy import Strategy
from fairway_steps.weights import Confirmation


@step(
    "promote",
    outputs=[
        Output("action", "none", "`promoted` if the candidate has all of the traffic now."),
        Output("stable-version", "", "The version that has all of the traffic."),
    ],
    mutates=True,
    failure="the candidate cannot take the traffic",
    example="fairway promote --record file:.fairway/iris.json",
)
@by_option
@option("unassessed", FLAG, default="false", help="Promote on your own word, though no assessment says so.")
@option(
    "promotion",
    click.Choice([p.value for p in Promotion]),
    help="`route`: the candidate stays where it is; `copy`: the primary takes over what it runs.  [default: the record's]",
)
@option(
    "primary-policy",
    click.Choice([p.value for p in Policy]),
    help="What becomes of the primary after a promotion by route.  [default: the record's]",
)
@ending_options
@option("settle-timeout", DURATION_TYPE, default="30s", help="How long the proxy may take to serve the new route.")
@option("confirm-requests", int, default="20", help="Count so many requests to see where traffic really goes.")
@option("confirm-timeout", DURATION_TYPE, default="1s", help="How long to count at most.")
@release_options
def promote(
    by: str | None,
    unassessed: bool,
    promotion: str | None,
    primary_policy: str | None,
    ready_timeout: float,
    drain: float,
    settle_timeout: float,
    confirm_requests: int,
    confirm_timeout: float,
    record: str,
    release_id: str | None,
    token: int | None,
    dry_run: bool,
) -> Answer:
    """Give the candidate all of the traffic, once it is seen ready, and close the record.

    The primary's backend leaves the route only after its requests have ended; only then is it scaled down or deleted.
    With --promotion copy the primary takes over the candidate's spec, is awaited, and gets the traffic back.
    """
    from fairway_steps.release import promote as run

    release = the_release(record, release_id, token, ended=True)
    held = release.record
    if held.outcome not in (None, Outcome.PROMOTED):
        raise DomainError(f"release {held.release_id} has ended: {held.outcome}", mend="begin a new one")
    if held.outcome is None and not (unassessed or _owed(held)):
        raise DomainError(
            f"no assessment of release {held.release_id} says to promote {held.chosen.name}",
            mend="assess its last stage first, or promote it on your own word with --unassessed true",
        )
    how = Promotion(promotion or held.promotion)
    if dry_run:
        return Answer(
            {},
            {"would": "promote", "candidate": held.chosen.name, "promotion": how.value},
            f"would give all traffic to {held.chosen.name}"
            + (f", then its spec and the traffic to {held.primary.name}" if how is Promotion.COPY else ""),
        )
    with noting("promote", release):
        if held.outcome is None and (promotion or primary_policy):
            policy = Policy(primary_policy or held.primary_policy)
            amend(release.store, release.lease, lambda r: replace(r, promotion=how, primary_policy=policy))
        ended = run(
            release.store,
            release.lease,
            release.router(),
            CLOCK,
            alive=alive(held.chosen, release=release),
            confirm=Confirmation(settle_timeout, confirm_requests, confirm_timeout),
            by=by or "",
            ending=ending(held.versions.values(), ready=ready_timeout, drain=drain),
        )
    outputs = {"action": "promoted", "stable-version": ended.stable.name}
    return Answer(outputs, text=f"promoted: {ended.stable.name} has all of the traffic")


def _owed(record: Record) -> bool:
    """Whether nobody's word is needed: the last assessment says to promote, or none is asked for."""
    if record.first or record.strategy is Strategy.NONE:
        return True
    return bool(record.results) and record.results[-1].assessment.verdict is Verdict.PROMOTE
