"""What the steps are, read from their click commands: the one source of every template and Task.

Names, types, defaults and help come from ``Command.to_info_dict()``, click's public description of itself. Options that
are about a call and not about a release (``plumbing``) are no parameters: each platform sets those its own way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

import click

from fairway_steps.cli import GROUP
from fairway_steps.cli.step import StepCommand
from fairway_steps.outputs import Output


@dataclass(frozen=True, slots=True)
class Param:
    """One option of a step, all values as text. An empty default means unset, as an empty value does in the command.

    ``choices`` is empty where any text of the type will do. ``multiple`` options may be given several times.
    """

    name: str
    type: str
    help: str
    default: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step. ``image`` is the lightest of core, assess and loadtest that can run it."""

    name: str
    summary: str
    description: str
    params: tuple[Param, ...]
    outputs: tuple[Output, ...]
    image: str
    cluster: bool
    mutates: bool
    example: str

    @property
    def inputs(self) -> tuple[Param, ...]:
        """The parameters a template can carry: those with one value. A list has no form that Argo and Tekton share."""
        return tuple(param for param in self.params if not param.multiple)


@cache
def catalog() -> tuple[StepSpec, ...]:
    """All steps, by name: installers keep no order of entry points."""
    return tuple(sorted(_steps(), key=lambda spec: spec.name))


def step_spec(name: str) -> StepSpec:
    """The step of a name. Raises KeyError if there is none."""
    return {spec.name: spec for spec in catalog()}[name]


@cache
def commands() -> Mapping[str, click.Command]:
    """Every command of the program by its name, steps and others."""
    return {entry.name: entry.load() for entry in metadata.distribution("fairway").entry_points.select(group=GROUP)}


def _steps() -> Iterator[StepSpec]:
    for command in commands().values():
        if isinstance(command, StepCommand):
            yield read(command)


def read(command: StepCommand) -> StepSpec:
    """The spec of one command."""
    info = command.to_info_dict(click.Context(command))
    description = str(info["help"]).strip()
    return StepSpec(
        name=info["name"],
        summary=description.partition("\n\n")[0].replace("\n", " "),
        description=description,
        params=tuple(_param(param) for param in info["params"] if not param.get("plumbing", True)),
        outputs=tuple(Output(**output) for output in info["outputs"]),
        image=info["image"],
        cluster=info["cluster"],
        mutates=info["mutates"],
        example=str(info["example"]).strip(),
    )


def _param(info: Mapping[str, Any]) -> Param:
    kind: Mapping[str, Any] = info["type"]
    return Param(
        name=info["opts"][0].removeprefix("--"),
        type=kind["name"],
        help=info["help"] or "",
        default="" if info["default"] is None or info["multiple"] else _text(info["default"]),
        required=info["required"],
        choices=("true", "false") if kind["param_type"] == "Flag" else tuple(kind.get("choices", ())),
        multiple=info["multiple"],
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
