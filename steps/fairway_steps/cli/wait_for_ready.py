"""``fairway wait-for-ready``."""

import json

from fairway_steps.cli.params import DURATION_TYPE, option, parse_version
from fairway_steps.cli.step import Answer, step
from fairway_steps.cli.wiring import (
    CLOCK,
    ending,
    holder_option,
    noting,
    open_release,
    readiness,
    record_options,
    whole,
)
from fairway_steps.errors import UsageError
from fairway_steps.model import Version
from fairway_steps.outputs import Output


@step(
    "wait-for-ready",
    outputs=[Output("versions", "[]", "The ready versions, with the seconds each took, as JSON.")],
    failure="a version is not ready in time",
    example="fairway wait-for-ready --versions v1=http://127.0.0.1:8001,v2=http://127.0.0.1:8002 --model iris --timeout 60s",
)
@option("versions", help="NAME=URI or names in the cluster, by commas.  [default: all versions of the record]")
@option("timeout", DURATION_TYPE, default="60s", help="How long to wait.")
@option("interval", DURATION_TYPE, default="500ms", help="How often to ask.")
@option("model", help="Also wait for this model (Open Inference Protocol V2).")
@option("payload", help="JSON body of a first inference that must succeed, or file:PATH; empty: none.")
@option("ready-path", default="/v2/health/ready", help="Where a server says that it is ready, or none.")
@holder_option
@record_options
def wait_for_ready(
    versions: str | None,
    timeout: float,
    interval: float,
    model: str | None,
    payload: str | None,
    ready_path: str,
    holder: str | None,
    record: str | None,
    release_id: str | None,
    token: int | None,
) -> Answer:
    """Wait until versions are ready, a first successful inference included.

    Ready is what a server shows, not what it says: with --model its model must be loaded, with --payload it must answer.
    In a cluster the workload's status and its Service's endpoints come first; what keeps its pods from running is told.
    A version that Fairway has scaled down is scaled up again, and a candidate is kept from deletion until its traffic has left.
    """
    from fairway_steps.heartbeat import heartbeat
    from fairway_steps.ready import wait_for_ready as run

    release = open_release(record, release_id, token, holder, ended=bool(holder))
    if release and release.record.outcome is not None:  # a run that is repeated after its end
        said = f"release {release.record.release_id} has ended {release.record.outcome}: there is nothing to wait for"
        return Answer({"versions": "[]"}, {"versions": []}, said)
    with noting("wait-for-ready", release):
        waited_for = list(release.record.versions.values()) if release and not versions else whole(_versions(versions))
        workloads = ending(waited_for).workloads if release else None
        if workloads:
            for version in waited_for:
                workloads.wake(version)
        ask, pause = readiness(waited_for, model, payload, ready_path)
        beat = heartbeat(release.store, release.lease, CLOCK) if release else lambda: None

        def paused(seconds: float) -> None:
            beat()
            (pause or CLOCK.sleep)(seconds)

        took = run(waited_for, ask, CLOCK, timeout=timeout, interval=interval, pause=paused)
        if release and workloads:
            for version in release.record.candidates:
                workloads.guard(version)
    ready = [{"name": v.name, "uri": v.uri, "ready_after_s": round(took[v.name], 3)} for v in waited_for]
    text = "\n".join(f"{v['name']} is ready ({v['ready_after_s']} s)" for v in ready)
    return Answer({"versions": json.dumps(ready)}, {"versions": ready}, text)


def _versions(text: str | None) -> list[Version]:
    if not text:
        raise UsageError("--versions is missing", mend="give NAME=URI, or a --record")
    try:
        return [parse_version(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--versions: {error}") from error
