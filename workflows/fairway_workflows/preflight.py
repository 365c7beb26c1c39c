"""What a release on this machine would trip over in the middle, found before anything is touched or left behind."""

import os
from collections.abc import Mapping
from pathlib import Path

from fairway_steps.begin import begin
from fairway_steps.cli.wiring import holder_is_gone, router, source
from fairway_steps.clock import Clock
from fairway_steps.config import ReleaseSpec
from fairway_steps.errors import UsageError
from fairway_steps.record import FileStore, RecordStore


def refuse_what_cannot_be(
    spec: ReleaseSpec, given: Mapping[str, str], store: RecordStore, holder: str, folder: Path, clock: Clock
) -> None:
    """Raise what ``begin`` would raise, and UsageError for files that could not be written at the end.

    ``given`` are the workflow's arguments, ``folder`` is what the run has for itself.
    """
    report = Path(given["report"])
    if not report.parent.is_dir():
        raise UsageError(f"report: there is no folder {report.parent}", mend="make it, or name another file")
    _refuse_unwritable("report", report)
    if isinstance(store, FileStore):
        _refuse_unwritable("record", store.path)
    if spec.traffic is not None:
        _refuse_unwritable("--dir", folder.absolute() / "client.log")
    source(given["metrics"], spec.service, spec.primary, spec.candidate)
    begin(
        store,
        router(given["route"], spec.service),
        clock,
        service=spec.service,
        route=given["route"],
        primary=spec.primary,
        candidate=spec.candidate,
        stages=spec.stages,
        slos=spec.slos,
        holder=holder,
        lease_for=0.0,
        resume=given["resume"] == "true",
        gone=holder_is_gone,
        dry_run=True,
    )


def _refuse_unwritable(what: str, path: Path) -> None:
    """Raise UsageError for a file that can neither be replaced nor made, its folders included."""
    folder = next(parent for parent in path.parents if parent.exists())
    if path.is_dir():
        wrong = "it is a folder"
    elif not folder.is_dir():
        wrong = f"{folder} is no folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        wrong = f"{folder} is not yours to write to"
    else:
        return
    raise UsageError(f"{what}: {path} cannot be written: {wrong}", mend="name a file in a folder you may write to")
