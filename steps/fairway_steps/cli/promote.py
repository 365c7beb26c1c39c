"""``fairway promote``."""

from fairway_steps.cli.params import DURATION_TYPE, option
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.wiring import CLOCK, alive, noting, release_options, the_release
from fairway_steps.errors import DomainError
from fairway_steps.model import Outcome
from fairway_steps.outputs import Output
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
@option("settle-timeout", DURATION_TYPE, default="10s", help="How long the proxy may take to serve the new route.")
@option("confirm-requests", int, default="20", help="Count so many requests to see where traffic really goes.")
@option("confirm-timeout", DURATION_TYPE, default="1s", help="How long to count at most.")
@release_options
def promote(
    settle_timeout: float,
    confirm_requests: int,
    confirm_timeout: float,
    record: str,
    release_id: str | None,
    token: int | None,
    dry_run: bool,
) -> Answer:
    """Give the candidate all of the traffic, once it is seen ready, and close the record.

    The primary's backend leaves the route only after its requests have ended.
    """
    from fairway_steps.release import promote as run

    release = the_release(record, release_id, token, ended=True)
    held = release.record
    if held.outcome not in (None, Outcome.PROMOTED):
        raise DomainError(f"release {held.release_id} has ended: {held.outcome}", mend="begin a new one")
    if dry_run:
        return Answer(
            {},
            {"would": "promote", "candidate": held.candidate.name},
            f"would give all traffic to {held.candidate.name}",
        )
    with noting("promote", release):
        ended = run(
            release.store,
            release.lease,
            release.router(),
            CLOCK,
            alive=alive(held.candidate),
            confirm=Confirmation(settle_timeout, confirm_requests, confirm_timeout),
        )
    outputs = {"action": "promoted", "stable-version": ended.candidate.name}
    return Answer(outputs, text=f"promoted: {ended.candidate.name} has all of the traffic")
