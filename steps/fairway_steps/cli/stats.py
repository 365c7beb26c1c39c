"""``fairway stats METHOD``: each method of an assessment as a calculator, JSON in, JSON out."""

import json
import sys
from typing import Any

import click

from fairway_steps.cli import nearest

SUMMARIES = {
    "rate-vs-limit": "Does a version keep a limit on its error rate?",
    "rate-vs-primary": "Does the candidate fail more often than the primary beside it?",
    "quantile-limit": "Does a latency quantile keep a limit?",
    "quantile-compare": "Is the candidate slower than the primary?",
    "reward": "Which version earns its users more?",
    "mann-whitney": "Do two series of one figure differ, at one look?",
    "score": "One number from 0 to 100 for several comparisons.",
    "split": "Does traffic split as the weights ask?",
}
EXIT_CODES = "\b\nExit codes: 0 done, 2 the input cannot be, 130/143 signals."


class Calculators(click.Group):
    """The methods; what is behind one is imported when it is called, or its help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in SUMMARIES:
            return None
        return Calculator(cmd_name, help=SUMMARIES[cmd_name], callback=lambda: calculate(cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.UsageError(f"there is no method {args[0]!r}{nearest(args[0], list(SUMMARIES))}", ctx) from error


class Calculator(click.Command):
    """One method, with its fields and an example in its help."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from fairway_steps.cli.calculators import METHODS

        super().format_help_text(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(METHODS[str(self.name)].about)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from fairway_steps.cli.calculators import METHODS

        del ctx
        method = METHODS[str(self.name)]
        with formatter.section("Fields of the input"):
            formatter.write_dl(method.fields())
        with formatter.section("Fields of the output"):
            formatter.write_dl(list(method.output.items()))
        formatter.write_paragraph()
        formatter.write_text(EXIT_CODES)
        with formatter.section("Example"):
            formatter.write(f"  echo '{method.example}' | fairway stats {self.name}\n")


@click.group(
    "stats",
    cls=Calculators,
    epilog=f"{EXIT_CODES}\n\n\b\nExample:\n"
    '  echo \'{"limit": 0.01, "errors": 20, "requests": 1000}\' | fairway stats rate-vs-limit',
)
def stats() -> None:
    """Do by hand what an assessment does: one JSON object on stdin, one on stdout, in full precision.

    All but `mann-whitney` and `score` may be asked as often as one likes: their p-values and intervals hold at any look.
    """


class _Twice(Exception):
    """A field of the input is given twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(repr(next(name for name in names if names.count(name) > 1)))
    return found


def calculate(name: str) -> int:
    """Read, compute, print."""
    from fairway_steps.cli.calculators import METHODS
    from fairway_steps.codec import encode
    from fairway_steps.errors import UsageError

    if sys.stdin.isatty():
        raise UsageError("there is no input", mend=f"give one JSON object on stdin; see `fairway stats {name} --help`")
    try:
        given: Any = json.load(sys.stdin, object_pairs_hook=_once)
    except _Twice as twice:
        raise UsageError(f"{twice} is given twice", mend="say each but once") from twice
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the input is not JSON: {error}") from error
    click.echo(json.dumps(encode(METHODS[name].run(given)), indent=2))
    return 0
