"""What a release on this machine would trip over in the middle, found before anything is touched or left behind."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from fairway_steps.begin import begin
from fairway_steps.cli.secret import secret
from fairway_steps.cli.wiring import holder_is_gone, router, source
from fairway_steps.clock import Clock
from fairway_steps.config import ReleaseSpec
from fairway_steps.errors import UsageError
from fairway_steps.record import FileStore, RecordStore

ROOM = 64 * 1024
"""Bytes that must fit: a record is seldom larger."""


def refuse_what_cannot_be(
    spec: ReleaseSpec, given: Mapping[str, str], store: RecordStore, holder: str, folder: Path, clock: Clock
) -> None:
    """Raise what ``begin`` would raise, and UsageError for files that could not be written at the end.

    ``given`` are the workflow's arguments, ``folder`` is what the run has for itself.
    """
    report = Path(given["report"])
    with spec.at("report"):
        if not report.parent.is_dir():
            raise UsageError(f"report: there is no folder {report.parent}", mend="make it, or name another file")
        _refuse_unwritable("report", report)
    with spec.at("record"):
        if isinstance(store, FileStore):
            _refuse_unwritable("record", store.path)
    if spec.traffic is not None:
        _refuse_unwritable("--dir", folder.absolute() / "client.log")
    for index, notice in enumerate(spec.notify):
        for field, given_as in (("url", notice.url), ("token-from", notice.token_from)):
            if given_as.startswith(("env:", "file:")):
                with spec.at("notify"):
                    secret(f"notify[{index}].{field}", given_as)
    with spec.at("route"):
        path = router(given["route"], spec.service)
        path.read()
    for field, version in (("primary", spec.primary), *(("candidate", one) for one in spec.candidates)):
        with spec.at(field):
            path.preflight([], {version.name: version})
    with spec.at("metrics" if spec.metrics else "route"):
        source(given["metrics"], spec.service, spec.primary, *spec.candidates, slos=spec.slos)
    refuse_unusable_load(spec)
    begin(
        store,
        path,
        clock,
        service=spec.service,
        route=given["route"],
        primary=spec.primary,
        candidate=spec.candidate,
        rivals=spec.rivals,
        sticky=spec.sticky,
        stages=spec.stages,
        slos=spec.slos,
        rules=spec.rules,
        strategy=spec.strategy,
        metrics=given["metrics"],
        holder=holder,
        lease_for=0.0,
        resume=given["resume"] == "true",
        gone=holder_is_gone,
        dry_run=True,
    )


def refuse_unusable_load(spec: ReleaseSpec) -> None:
    """Raise UsageError for a load that cannot be planned."""
    from fairway_steps.loadtest.profile import parse_profile  # noqa: PLC0415 - only where there is one

    if spec.load_test:
        with spec.at("load-test"):
            try:
                parse_profile(spec.load_test.rate)
            except ValueError as error:
                raise UsageError(f"load-test: rate: {error}") from error


def _refuse_unwritable(what: str, path: Path) -> None:
    """Raise UsageError for a file that can neither be replaced nor made, its folders included."""
    folder = next(parent for parent in path.parents if parent.exists())
    if path.is_dir():
        wrong = "it is a folder"
    elif not folder.is_dir():
        wrong = f"{folder} is no folder"
    else:
        wrong = _tried(path.parent)
    if not wrong:
        return
    raise UsageError(f"{what}: {path} cannot be written: {wrong}", mend="name a file in a folder you may write to")


def _tried(folder: Path) -> str:
    """Why no file can be made in a folder, found by making one: permissions alone do not tell (proc(5), read-only mounts)."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(ROOM))  # a full disk takes a file, but nothing in it
            return ""
    except OSError as error:
        return f"{folder} takes no files: {error.strerror}"
    finally:
        for each in made:
            with suppress(OSError):
                each.rmdir()
