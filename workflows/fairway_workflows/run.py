"""A whole release on this machine: our own rendered workflow, run by the local interpreter, told on the terminal."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fairway_steps.cli.wiring import this_process
from fairway_steps.clock import Clock
from fairway_steps.config import Notice, Objectives, ReleaseSpec, absolute, written
from fairway_steps.config.spec import patience_for
from fairway_steps.errors import FairwayError, UsageError
from fairway_steps.model import Outcome
from fairway_steps.record import Record, RecordStore
from fairway_steps.release import UNFINISHED
from fairway_steps.report.counts import ClientCount
from fairway_steps.report.text import result as result_of
from fairway_steps.stores import open_store
from fairway_steps.undecidable import undecidable
from fairway_workflows.console import Console
from fairway_workflows.local import Ask, Node, NodeType, Phase, Signals, WorkflowResult, run_workflow
from fairway_workflows.local.launch import NOT_STARTED
from fairway_workflows.lost_record import without_record
from fairway_workflows.preflight import refuse_what_cannot_be
from fairway_workflows.traffic import Client, client, longest

EXIT_CODES = {Outcome.PROMOTED: 0}
"""All other outcomes are 1: a release that did not end promoted is one that a pipeline must stop at."""
SIGNALLED = {"interrupted": 130, "terminated": 143, "hung up": 129}
TITLES = {
    "begin": "begin: lease, preflight, record; then both versions ready, first inference included",
    "load-test": "rehearsal: load test of the candidate, which has no users yet",
    "assess": "rehearsal: assess",
    "stage": "next stage: set weights, assess",
    "ramp": "all stages: set weights, assess",
    "promote": "promote",
    "rollback": "roll back",
    "ensure-safe": "ensure safe",
    "make-sure": "ensure safe, once more",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a release ended: its exit code, and what is told of it as JSON."""

    exit_code: int
    told: Mapping[str, Any]


def run_release(
    spec: ReleaseSpec,
    *,
    resume: bool,
    console: Console,
    clock: Clock,
    ask: Ask | None,
    folder: Path,
    signals: Signals,
) -> Ending:
    """Run the workflow of the strategy of ``spec``. ``folder`` takes what the run needs for itself.

    Once it may touch something, ``signals`` are held: they end the workflow in order, and nothing that comes after it.
    Raises FairwayError only for what is found before anything was touched.
    """
    from fairway_workflows.strategies import OPTIONS, build  # noqa: PLC0415 - Hera takes its time

    with spec.at("record"):
        store = open_store(spec.record or f"file:.fairway/{spec.service}.json")
        ended = store.load()
    if resume and ended is not None and ended.outcome is Outcome.PROMOTED and _is_of(ended, spec):
        console.say(f"release {ended.release_id} was promoted already: there is nothing to resume")
        return Ending(0, _told(ended, None, spec, 0.0))
    holder = this_process()
    given = arguments(spec, store, resume=resume)
    refuse_what_cannot_be(spec, given, store, holder, folder, clock)
    made = [parent for parent in control_folder(store).parents if not parent.exists()]
    for problem in _undecidable(spec):
        console.say(f"! {problem}")
    template = build(replace(OPTIONS[spec.strategy], approval=spec.approval)).to_dict()
    began = clock.now()
    signals.hold()
    with _traffic(spec, folder) as traffic:
        result = run_workflow(
            template,
            declared(template, given),
            workdir=Path.cwd(),
            observer=console,
            control=control_folder(store),
            locks=_locks(spec.route),
            ask=ask,
            clock=clock,
            name=f"{spec.strategy}-{spec.service}",
            uid=holder,
            signals=signals,
        )
    record, lost = _kept(store)
    begun = next(iter(result.find("begin")), None)
    if record is None and begun is not None and begun.phase is Phase.SUCCEEDED:
        reason = without_record(spec, given["route"], result, lost)
        console.say(f"✗ {reason}")
        return Ending(1, nothing_done(reason, clock.now() - began))
    if record is None or record.holder != holder:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        return _never_began(result, console, clock.now() - began)
    record = _explained(store, record, result.stopped, console.last_error)
    count = traffic.count if traffic else None
    if traffic and traffic.problem:
        console.say(f"! {traffic.problem}")
    written = _report(spec, store, record, count, folder, console)
    notify(spec.notify, store, record, console)
    code = EXIT_CODES.get(record.outcome or Outcome.BROKEN, SIGNALLED.get(result.stopped, 1))
    told = _told(record, count, spec, clock.now() - began)
    return Ending(code, told if written else {**told, "report": None})


def _explained(store: RecordStore, record: Record, stopped: str, failed: str) -> Record:
    """Say in the record why the run ended before the release did, which the step that closes it is not told."""
    reason = record.reason
    if record.interrupted and record.outcome is Outcome.ROLLED_BACK:
        if stopped:
            reason = f"the run was {stopped}" + ("" if reason == UNFINISHED else f"; before that: {reason}")
        elif failed and reason == UNFINISHED:
            reason = failed
    if reason == record.reason:
        return record
    try:
        return store.update(lambda now: replace(now or record, reason=reason))
    except FairwayError:  # the very disk that is full
        return replace(record, reason=reason)


def _is_of(record: Record, spec: ReleaseSpec) -> bool:
    """Whether the record is of the very release that the file asks for."""
    asked = (absolute(spec.route), spec.primary, spec.candidates)
    return (record.route, record.primary, record.candidates) == asked


def _undecidable(spec: ReleaseSpec) -> tuple[str, ...]:
    """What the release's own traffic can never decide; users of whom nothing is known may still do."""
    if spec.traffic is None:
        return ()
    waits = [patience_for(stage, spec.patience) for stage in spec.stages]
    return undecidable(
        spec.slos, spec.stages, spec.traffic.rate, rules=spec.rules, patience=waits, interval=spec.interval
    )


def declared(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Of the parameters that are given those that the workflow has."""
    known = {one["name"] for one in template["spec"]["arguments"]["parameters"]}
    return {name: value for name, value in given.items() if name in known}


def control_folder(store: RecordStore) -> Path:
    """Where a run waits for answers: beside its record."""
    return Path(store.uri.removeprefix("file:") + ".control")


def arguments(spec: ReleaseSpec, store: RecordStore, *, resume: bool) -> dict[str, str]:
    """The parameters of a release's workflow, whatever its strategy."""
    return {
        "service": spec.service,
        "route": absolute(spec.route),
        "primary": f"{spec.primary.name}={spec.primary.uri}",
        "candidate": ",".join(f"{version.name}={version.uri}" for version in spec.candidates),
        "sticky": spec.sticky.how if spec.sticky else "",
        "stages": ",".join(f"{stage.how}@{stage.duration!r}s" for stage in spec.stages),
        "slos": written(Objectives(spec.slos, spec.rules)),
        "metrics": absolute(spec.metrics or spec.route),
        "record": store.uri,
        "model": spec.inference.model,
        "payload": spec.inference.payload,
        "ready-timeout": f"{spec.ready_timeout!r}s",
        "ready-path": spec.ready_path,
        "interval": f"{spec.interval!r}s",
        "patience": "" if spec.patience is None else f"{spec.patience!r}s",
        "on-inconclusive": spec.on_inconclusive.value,
        "hold-timeout": time_limit(spec),
        "resume": str(resume).lower(),
        "report": str(Path(spec.report).absolute()),
        "fail-on": "",
        **load_arguments(spec),
    }


def time_limit(spec: ReleaseSpec) -> str:
    """How long a person has to answer; empty for no limit."""
    return "" if spec.hold_timeout is None else f"{round(spec.hold_timeout)}s"


def load_arguments(spec: ReleaseSpec) -> dict[str, str]:
    """The parameters of the load test of the candidate; there is none without a URL."""
    load = spec.load_test
    if load is None:
        return {"load-url": ""}
    lasting = {"load-duration": f"{load.duration!r}s"} if load.duration else {}
    return {"load-url": load.url, "load-rate": load.rate, **lasting}


def _locks(route: str) -> Path | None:
    """Where releases of a route keep out of each other's way: beside it, for it is what they would both write."""
    scheme, _, rest = route.partition(":")
    return Path(rest.partition("?")[0]).absolute() / "locks" if scheme == "envoy" else None


@contextmanager
def _traffic(spec: ReleaseSpec, folder: Path) -> Iterator[Client | None]:
    if spec.traffic is None:
        yield None
        return
    with client(spec.traffic, lasting=longest(spec), folder=folder) as running:
        yield running


def _never_began(result: WorkflowResult, console: Console, wall: float) -> Ending:
    """Nothing was touched: the release was refused before it had a record."""
    begin = next(iter(result.find("begin")), None)
    code = SIGNALLED.get(result.stopped) or exit_code_of(begin)
    reason = (
        result.stopped
        or console.errors.get("begin")
        or console.last_error
        or console.last_words.get("begin")
        or (begin.message if begin else "")
        or result.message
    )
    return Ending(code, nothing_done(reason, wall))


def exit_code_of(pod: Node | None) -> int:
    """That of the container which failed: one after it, which never started, has a code of its own."""
    ended = [node.exit_code for node in pod.walk() if node.type is NodeType.CONTAINER] if pod else []
    return next((code for code in ended if code and code != NOT_STARTED), 1)


def _kept(store: RecordStore) -> tuple[Record | None, str]:
    """The record, or what has become of it."""
    try:
        return store.load(), f"its record {store.uri} disappeared"
    except UsageError as error:
        return None, error.message


def nothing_done(reason: str, wall: float = 0.0) -> dict[str, Any]:
    """What is told of a release that was refused before anything was touched."""
    told = {"outcome": Outcome.BROKEN.value, "reason": reason, "requests": 0, "failed": {}, "lost": 0, "stages": []}
    return told | {"wall_s": round(wall, 3), "evidence_s": 0.0, "report": None}


def _told(record: Record, count: ClientCount | None, spec: ReleaseSpec, wall: float) -> dict[str, Any]:
    told = result_of(record, count)
    if record.outcome is None:  # its end could not be reached: not even the exit handler closed it
        told |= {"outcome": Outcome.BROKEN.value, "reason": "it was left unfinished; run `fairway ensure-safe`"}
    return told | {"wall_s": round(wall, 3), "report": str(Path(spec.report).absolute())}


def _report(
    spec: ReleaseSpec, store: RecordStore, record: Record, count: ClientCount | None, folder: Path, console: Console
) -> bool:
    """Write the report again, with what only this machine knows: what the client saw. Whether it could be written."""
    console.say("▸ report")
    command = ["report", "--record", store.uri, "--out", spec.report, "--format", "html"]
    if count is not None:
        seen = folder / "client.json"
        with suppress(OSError):  # a full disk: the report is worth more than the count in it
            seen.write_text(json.dumps(asdict(count)), encoding="utf-8")
            command += ["--client", str(seen)]
    done = _step(command)
    if done.returncode:
        console.say(f"{record.candidate.name} was {record.outcome}: {record.reason}")
    for line in (done.stderr if done.returncode else done.stdout).rstrip().splitlines():
        console.say(line)
    return done.returncode == 0


def notify(notices: Sequence[Notice], store: RecordStore, record: Record, console: Console) -> None:
    """Tell whoever wants to know of this end; on the console, too, what could not be delivered."""
    for notice in notices:
        if record.outcome not in notice.on:
            continue
        console.say(f"▸ notify {notice.to}")
        about = {"url": notice.url, "repository": notice.repository, "token-from": notice.token_from}
        given = [f"--{name}={value}" for name, value in about.items() if value]
        done = _step(["notify", "--to", notice.to, *given, "--fail-on-error", "true", "--record", store.uri])
        if done.returncode:
            for line in (done.stdout or done.stderr).rstrip().splitlines():
                console.say(f"! {line}")


def _step(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a step as the command it is; what goes wrong is told, and never changes how the release ended.

    In a session of its own: a Ctrl-C on the terminal goes to all of the foreground, and this step is no part of that.
    """
    return subprocess.run(
        [sys.executable, "-m", "fairway_steps", *arguments],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
