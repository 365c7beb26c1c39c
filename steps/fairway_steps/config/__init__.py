"""YAML and JSON text to the model, at the boundary: stages, SLOs and release files, with one sentence for each mistake.

pydantic and yaml are imported by the first call that needs them: every command imports this package for its units.
"""

from pathlib import Path
from typing import Any

from fairway_steps.config.files import LONGEST, from_file, read_file
from fairway_steps.config.spec import Approval, Inference, Notice, Objectives, ReleaseSpec, Traffic
from fairway_steps.config.template import TEMPLATE
from fairway_steps.config.units import misfit, parse_duration, parse_sticky, parse_version, short_stages
from fairway_steps.config.written import written
from fairway_steps.errors import UsageError
from fairway_steps.model import Stage

__all__ = [
    "TEMPLATE",
    "Approval",
    "Inference",
    "Notice",
    "Objectives",
    "ReleaseSpec",
    "Traffic",
    "absolute",
    "from_file",
    "load_objectives",
    "load_release",
    "parse_duration",
    "parse_objectives",
    "parse_release",
    "parse_stages",
    "parse_sticky",
    "parse_version",
    "read_file",
    "release_schema",
    "written",
]


def parse_stages(text: str, *, name: str = "stages") -> tuple[Stage, ...]:
    """Stages from ``10@20s,25@20s,50@20s`` or a YAML list of ``{weight: 10, duration: 20s}``.

    Weights are whole percents from 1 to 100 and rise. Raises UsageError, whose sentence starts with ``name``.
    """
    if "{" in text or "weight" in text:
        from fairway_steps.config.release import stages_from  # noqa: PLC0415 - pydantic is not needed for the short form

        return stages_from(text, name)
    if not text.strip():
        raise UsageError(f"{name}: there are none", mend="write 10@20s,25@20s,50@20s")
    try:
        stages = short_stages(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error
    if found := misfit(stages):
        index, field, sentence = found
        raise UsageError(f"{name}: [{index}].{field}: {sentence}")
    return stages


def parse_objectives(text: str, *, name: str = "slos") -> Objectives:
    """An SLO document from YAML: a list of SLOs, or a mapping with the list as ``slos`` and the rules beside it.

    Each SLO is ``{metric: error-rate, limit: 1%}``, ``{metric: latency, quantile: p95, limit: 250ms}``,
    ``{metric: latency, quantile: p95, margin: 10%}`` … Raises UsageError, whose sentence starts with ``name``.
    """
    from fairway_steps.config.release import objectives_from  # noqa: PLC0415 - pydantic only where it is needed

    return objectives_from(text, name)


def load_objectives(value: str, *, name: str = "slos") -> Objectives:
    """An SLO document from an option's value: text, or ``file:PATH``, whose path then starts each sentence."""
    is_file = value.startswith("file:")
    return parse_objectives(from_file(value), name=value.removeprefix("file:") if is_file else name)


def parse_release(text: str, *, name: str = "release.yaml") -> ReleaseSpec:
    """A release file's text. Raises UsageError with ``NAME:LINE: FIELD: what is wrong``."""
    from fairway_steps.config.release import release_from  # noqa: PLC0415 - pydantic only where it is needed

    return release_from(text, name)


def load_release(path: str | Path) -> ReleaseSpec:
    """The release file at ``path``. Paths inside it are meant from the folder Fairway is called in."""
    return parse_release(read_file(path, LONGEST), name=str(path))


def absolute(source: str) -> str:
    """A route's or a source's text with its files named from the root, so that it means the same from any folder."""
    from fairway_steps.config.metrics import absolute as made  # noqa: PLC0415 - pydantic only where it is needed

    return made(source)


def release_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a release file, for editors."""
    from fairway_steps.config.release import schema  # noqa: PLC0415 - pydantic only where it is needed

    return schema()
