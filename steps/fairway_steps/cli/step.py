"""What all steps share: the frame around a function that makes it a step.

``@step`` gives a command its declared outputs, the options that say where they go, the log, ``--dry-run`` where it
mutates, and a help text that ends in an example and the exit codes. The catalog of templates reads all of it from
``Command.to_info_dict()``.
"""

import functools
import inspect
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from fairway_steps import log
from fairway_steps.cli.params import FLAG, Option
from fairway_steps.outputs import Output, Sink, parse_results

EXIT_CODES = "Exit codes: 0 done, 1 {failure}, 2 usage or configuration, 75 transient (retry), 130/143 signals."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a step says: its outputs by name, the object for ``--output json``, lines for people, and its exit code."""

    outputs: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    exit_code: int = 0


class StepCommand(click.Command):
    """A click command that knows its outputs, its image and what it needs."""

    def __init__(
        self,
        *args: Any,
        outputs: Sequence[Output] = (),
        image: str = "core",
        cluster: bool = True,
        mutates: bool = False,
        example: str = "",
        failure: str = "",
        **attrs: Any,
    ) -> None:
        super().__init__(*args, **attrs)
        self.outputs, self.image, self.cluster, self.mutates = tuple(outputs), image, cluster, mutates
        self.example, self.failure = example, failure

    def to_info_dict(self, ctx: click.Context) -> dict[str, Any]:
        return super().to_info_dict(ctx) | {
            "outputs": [{"name": o.name, "default": o.default, "help": o.help} for o in self.outputs],
            "image": self.image,
            "cluster": self.cluster,
            "mutates": self.mutates,
            "example": self.example,
        }

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.outputs:
            with formatter.section("Outputs"):
                formatter.write_dl([(o.name, f"{o.help}  [default: {o.default or 'empty'}]") for o in self.outputs])
        formatter.write_paragraph()
        formatter.write_text(EXIT_CODES.format(failure=self.failure))
        with formatter.section("Example"):
            for line in self.example.strip().splitlines():
                formatter.write(f"  {line}\n")
        super().format_epilog(ctx, formatter)


def step(
    name: str,
    *,
    outputs: Sequence[Output],
    example: str,
    failure: str,
    image: str = "core",
    cluster: bool = True,
    mutates: bool = False,
) -> Callable[[Callable[..., Answer]], click.Command]:
    """Make a function that returns an Answer a step.

    ``failure`` completes "exit code 1: …". ``image`` is the lightest of core, assess and loadtest that can run it;
    ``cluster`` says whether it needs cluster rights; ``mutates`` adds ``--dry-run``.
    """

    def wrap(function: Callable[..., Answer]) -> click.Command:
        def run(output: str, out_dir: str | None, result: Sequence[str], log_format: str, **values: Any) -> int:
            log.configure(log_format)
            sink = Sink(Path(out_dir) if out_dir else None, parse_results(result))
            if not mutates:  # what takes users off a version does so whatever becomes of its outputs
                sink.check([o.name for o in outputs])
            answer = function(**values)
            sink.write({o.name: answer.outputs.get(o.name, o.default) for o in outputs})
            click.echo(
                json.dumps(answer.data or dict(answer.outputs)) if output == "json" else answer.text or _lines(answer)
            )
            return answer.exit_code

        command: click.Command = click.command(
            name,
            params=[*reversed(getattr(function, "__click_params__", [])), *_plumbing(mutates=mutates)],
            cls=StepCommand,
            outputs=outputs,
            image=image,
            cluster=cluster,
            mutates=mutates,
            example=example,
            failure=failure,
        )(run)
        command.help = inspect.cleandoc(function.__doc__ or "")
        command.callback = functools.wraps(function)(run)
        return command

    return wrap


def _plumbing(*, mutates: bool) -> list[click.Parameter]:
    text_json = click.Choice(["text", "json"])
    dry_run = Option(
        ["--dry-run"], type=FLAG, default="false", show_default=True, help="Say what would be done; do nothing."
    )
    return [
        *([dry_run] if mutates else []),
        Option(
            ["--output"],
            type=text_json,
            default="text",
            show_default=True,
            plumbing=True,
            help="What to print on stdout.",
        ),
        Option(["--out-dir"], plumbing=True, help="Write every output to a file of its name in this folder (Argo)."),
        Option(
            ["--result"],
            multiple=True,
            metavar="NAME=PATH",
            plumbing=True,
            help="Write one output to a file (Tekton); repeatable.",
        ),
        Option(
            ["--log-format"],
            type=text_json,
            default="text",
            show_default=True,
            plumbing=True,
            help="How to log on stderr.",
        ),
    ]


def _lines(answer: Answer) -> str:
    return "\n".join(f"{name}: {value}" for name, value in answer.outputs.items())


def logger() -> logging.Logger:
    """The log of the steps."""
    return logging.getLogger("fairway_steps")
