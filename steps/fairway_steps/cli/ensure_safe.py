"""``fairway ensure-safe``."""

from fairway_steps.cli.params import ending_options, option
from fairway_steps.cli.step import Answer, logger, step
from fairway_steps.cli.wiring import CLOCK, Release, ending, record_store, router, this_process
from fairway_steps.errors import UsageError
from fairway_steps.outputs import Output
from fairway_steps.record import FileStore, Lease, RecordStore


@step(
    "ensure-safe",
    outputs=[Output("action", "none", "`restored`, `confirmed` (nothing had to be done) or `none` (no release).")],
    mutates=True,
    failure="the route could not be put right",
    example="fairway ensure-safe --record file:.fairway/iris.json",
)
@option("record", required=True, help="The release's record: file:PATH or configmap/NAMESPACE/NAME.")
@option("holder", help="Act only if this holder has the service, as an exit handler must.  [default: whoever has it]")
@ending_options
@option("reason", help="Why, for the record.  [default: what the record tells]")
def ensure_safe(
    record: str, holder: str | None, reason: str | None, ready_timeout: float, drain: float, dry_run: bool
) -> Answer:
    """Whatever happened to a release: traffic on the primary, unless it was promoted.

    The exit handler of every workflow, and the command for a person after a crash. An unfinished release is
    taken over, put back and closed; one that has ended is held to its end state, unless another release has
    its route by now. Safe to call at any time.
    A record of which there is no trace is refused (exit code 2), for a mistyped path must not look like a safe
    release; with --holder, or where a run was killed before it began, there is nothing to do (`none`).
    Of a record that cannot be parsed, what is left says where the traffic belongs; the record stays as it is.
    """
    from fairway_steps.release import ensure_safe as run

    store = record_store(record)
    try:
        held = store.load()
    except UsageError as error:
        return _of_remains(store, error, holder, dry_run=dry_run)
    if held is None:
        if not (holder or _was_to_be(store)):
            raise UsageError(f"there is no record at {store.uri}: nothing was made safe", mend="name the release's own")
        return Answer({"action": "none"}, text=f"none: there is no record at {store.uri}")
    if holder and holder != held.holder:
        return Answer({"action": "none"}, text=f"none: the service is held by {held.holder}, not by {holder}")
    state = held.outcome or "unfinished"
    if dry_run:
        return Answer(
            {},
            {"would": "ensure-safe", "state": str(state)},
            f"release {held.release_id} is {state}; would make it safe",
        )
    action, after = run(
        store,
        Release(store, Lease(), held).router(),
        CLOCK,
        holder=holder or this_process(),
        reason=reason or "",
        ending=ending(held.versions.values(), ready=ready_timeout, drain=drain),
    )
    if action == "none":
        return Answer(
            {"action": action},
            text=f"none: release {held.release_id} has ended, and its route is now of another release",
        )
    stable = after.stable if after else held.primary
    return Answer({"action": action}, text=f"{action}: {stable.name} has all of the traffic")


def _of_remains(store: RecordStore, error: UsageError, holder: str | None, *, dry_run: bool) -> Answer:
    """Users first: a record that cannot be parsed may still tell where their traffic belongs. Raises what was wrong with it if not."""
    from fairway_steps.remains import give_back, remains

    found = remains(store.remains())
    if found is None:
        raise UsageError(
            f"{error.message}; nothing in it tells where the traffic belongs, so nothing was made safe",
            mend="give it to the primary by hand: `fairway set-weights --weights NAME=100`, with --service, --route, --primary and --candidate",
        ) from error
    if holder and found.holder not in ("", holder):
        return Answer({"action": "none"}, text=f"none: the service is held by {found.holder}, not by {holder}")
    logger().warning("%s; the traffic goes where what is left of it says", error.message)
    if dry_run:
        return Answer({}, {"would": "ensure-safe", "state": "unknown"}, f"would make {found.service} safe")
    path = router(found.route, found.service, found.versions, beside=found.beside)
    action, stable = give_back(found, path, CLOCK)
    return Answer(
        {"action": action}, text=f"{action}: {stable.name} has all of the traffic; move {store.uri} away to begin anew"
    )


def _was_to_be(store: RecordStore) -> bool:
    """Whether somebody was about to write a record file: its lock, or what a run keeps beside it, is there."""
    return isinstance(store, FileStore) and any(store.path.parent.glob(f"{store.path.name}.*"))
