"""Where a step's outputs go: files in a folder (Argo), named files (Tekton), or nowhere.

Argo reads ``outputs.parameters[].valueFrom.path``; Tekton reads ``$(results.NAME.path)`` and shares 4 kB among all
results of a pod, so each is kept to 1 kB.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairway_steps.errors import FairwayError, UsageError

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
