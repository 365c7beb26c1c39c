"""Where a step's outputs go: files in a folder (Argo), named files (Tekton), or nowhere.

Argo reads ``outputs.parameters[].valueFrom.path``; Tekton reads ``$(results.NAME.path)`` and shares 4 kB among all
results of a pod, so each is kept to 1 kB.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fairway_steps.errors import DomainError, FairwayError, UsageError

RESULT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Output:
    """One declared output of a step. ``default`` is what a reader gets when the step wrote none: the safe value."""

    name: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class Sink:
    """Where to write: every output into ``folder`` under its name, and each of ``results`` to its own path."""

    folder: Path | None = None
    results: Mapping[str, Path] | None = None

    def check(self, names: Collection[str]) -> None:
        """Fail before the work, not after it: UsageError for a result that is none of ``names``, FairwayError for no folder."""
        for name, path in (self.results or {}).items():
            if name not in names:
                raise UsageError(f"--result {name}: there is no such output", mend=f"one of {', '.join(sorted(names))}")
            _folder(path.parent)
        if self.folder is not None:
            _folder(self.folder)

    def write(self, values: Mapping[str, str]) -> None:
        """Write all values. Raises as ``check`` does, and FairwayError where it cannot write."""
        self.check(values)
        for name, path in (self.results or {}).items():
            if len(values[name].encode()) > RESULT_BYTES:
                raise FairwayError(f"--result {name}: {len(values[name].encode())} bytes, over Tekton's share of 1 kB")
            _write(path, values[name])
        if self.folder is not None:
            for name, value in values.items():
                _write(self.folder / name, value)


def parse_results(pairs: Sequence[str]) -> dict[str, Path]:
    """``name=path`` pairs, as repeated ``--result`` options give them."""
    parsed: dict[str, Path] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise UsageError(f"--result {pair!r} is not NAME=PATH")
        parsed[name] = Path(path)
    return parsed


@contextmanager
def replacing(path: Path, called: str = "") -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` once it is whole; until then, and after any failure, all is as before.

    What is no file, such as ``/dev/stdout``, is written to itself. Raises DomainError where it cannot write.
    """
    itself = path.is_relative_to("/dev") or (path.exists() and not path.is_file())
    fresh = path if itself else path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            yield file
            file.flush()
            if not itself:
                os.fsync(file.fileno())
        if not itself:
            fresh.replace(path)
    except BaseException as error:
        if not itself:
            with suppress(OSError):
                fresh.unlink()
        if not isinstance(error, OSError):
            raise
        raise DomainError(f"{called}{path} cannot be written: {error.strerror}") from error


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FairwayError(f"output {path} cannot be written: {error.strerror}") from error


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value, encoding="utf-8")
    except OSError as error:
        raise FairwayError(f"output {path} cannot be written: {error.strerror}") from error
