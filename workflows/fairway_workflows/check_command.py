"""Whether a container that runs `fairway` calls it as its commands are: subcommand, options, values, files of outputs.

The commands themselves are asked, so nothing is known here twice: an option takes what its click type takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import click

from fairway_steps.cli import nearest
from fairway_steps.cli.step import StepCommand
from fairway_steps.outputs import Output
from fairway_workflows.catalog import commands
from fairway_workflows.findings import repeated

PROGRAM = "fairway"
MARKS = ("{{", "$(")
"""What begins a reference in Argo and in Tekton: a value with one is known only when it runs."""


@dataclass(frozen=True, slots=True)
class Line:
    """The command line of a container that runs `fairway`: options without their dashes, values as they stand."""

    name: str
    options: tuple[tuple[str, str], ...]
    words: tuple[str, ...]

    @property
    def command(self) -> click.Command | None:
        return commands().get(self.name)

    @property
    def outputs(self) -> dict[str, Output]:
        return {output.name: output for output in getattr(self.command, "outputs", ())}

    def values(self, option: str) -> list[str]:
        return [value for name, value in self.options if name == option]

    def files(self) -> dict[str, str] | None:
        """The path of each file with an output, and the output; None if that is known only when it runs."""
        written: dict[str, str] = {}
        for folder in self.values("out-dir"):
            written |= {str(PurePosixPath(folder) / name): name for name in self.outputs}
        for result in self.values("result"):
            name, _, path = result.partition("=")
            written[path] = name
        return None if any(map(is_open, (self.name, *self.values("out-dir")))) else written

    def problems(self) -> Iterator[str]:
        """What the command would refuse, as far as it can be known now."""
        if is_open(self.name):
            return
        command = self.command
        if command is None:
            yield f"there is no command {self.name!r}{nearest(self.name, sorted(commands()))}"
            return
        yield from self._options(command)
        if self.words and not any(isinstance(param, click.Argument) for param in command.params):
            yield from (f"{self.name} takes no argument {word!r}" for word in self.words if not is_open(word))
        for result in self.values("result"):
            output = result.partition("=")[0]
            if isinstance(command, StepCommand) and not is_open(output) and output not in self.outputs:
                yield f"{self.name} has no output {output!r}{nearest(output, sorted(self.outputs))}"

    def _options(self, command: click.Command) -> Iterator[str]:
        known = options_of(command)
        for name, value in self.options:
            if name not in known:
                yield f"{self.name} has no option --{name}{nearest(name, sorted(known))}"
            elif reason := refusal(command, name, value):
                yield f"{self.name} refuses --{name}: {reason}"
        given = [name for name, _ in self.options]
        once = [name for name in given if name in known and not known[name].multiple]
        yield from (f"--{name} is given more than once" for name in repeated(once))
        if not any(map(is_open, self.words)):
            missing = [name for name, option in known.items() if option.required and name not in given]
            yield from (f"{self.name} needs --{name}" for name in missing)

    def unpassed(self, inputs: Sequence[str], reference: str) -> Iterator[str]:
        """Inputs that are called like an option, but are not what the option gets; ``reference`` is what refers to one."""
        known = options_of(self.command) if self.command else {}
        for name in inputs:
            wanted = reference.format(name)
            if name in known and not any(wanted in value.replace(" ", "") for value in self.values(name)):
                yield f"{name!r} is an option of {self.name}, and not passed on: give it --{name}={wanted}"


def line(container: Mapping[str, object]) -> Line | None:
    """How a container runs `fairway`; None if it runs something else."""
    command, args = (container.get(key) for key in ("command", "args"))
    parts = [*(command if isinstance(command, list) else []), *(args if isinstance(args, list) else [])]
    words = [str(part) for part in parts]
    if not words or PurePosixPath(words[0]).name != PROGRAM:
        return None
    options, rest, left = [], [], iter(words[1:])
    for word in left:
        if word.startswith("--") and not is_open(word.partition("=")[0]):
            name, equals, value = word.removeprefix("--").partition("=")
            options.append((name, value if equals else next(left, "")))
        else:
            rest.append(word)
    return Line(rest[0] if rest else "", tuple(options), tuple(rest[1:]))


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options of a command by their names without dashes."""
    params = command.get_params(click.Context(command))
    return {
        name.removeprefix("--"): param
        for param in params
        if isinstance(param, click.Option)
        for name in param.opts
        if name.startswith("--")
    }


def refusal(command: click.Command, name: str, value: str) -> str:
    """Why an option of a command refuses a value; empty if it takes it, or if only a run can tell."""
    option = options_of(command).get(name)
    if option is None or is_open(value) or value.startswith("file:"):
        return ""
    if value == "":
        return "it needs a value" if option.required else ""
    try:
        option.type.convert(value, option, click.Context(command))
    except click.UsageError as error:
        return error.message
    return ""


def is_open(value: str) -> bool:
    """Whether a value has a reference in it."""
    return any(mark in value for mark in MARKS)
