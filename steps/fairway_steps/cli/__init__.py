"""The command line: one thin file a command, each parse → wire adapters → call → emit.

Commands are found through the distribution's own entry points (group ``fairway.commands``), so that the steps need
not import the workflows, and loaded only when called.
"""

import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import metadata
from types import FrameType
from typing import Any, NoReturn

import click

from fairway_steps.errors import FairwayError

GROUP = "fairway.commands"
SOON = 0.05
"""Seconds after which a signal that was dropped comes again."""
FULL = (errno.ENOSPC, errno.EDQUOT)
EXTRAS = {
    "hera": "workflows",
    "scipy": "assess",
    "numpy": "assess",
    "jinja2": "assess",
    "kserve": "demo",
    "sklearn": "demo",
}
"""Which extra of the distribution brings an optional module."""


class Commands(click.Group):
    """All commands, in the order in which a release uses them; each is imported only when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [entry.name for entry in _entries()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        for entry in _entries():
            if entry.name == cmd_name:
                command: click.Command = entry.load()
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.UsageError(
                f"there is no command {args[0]!r}{nearest(args[0], self.list_commands(ctx))}", ctx
            ) from error


def nearest(word: str, known: Sequence[str]) -> str:
    """``; did you mean 'x'?`` for the known word nearest to a misspelt one, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _entries() -> list[metadata.EntryPoint]:
    return [entry for entry in metadata.distribution("fairway").entry_points if entry.group == GROUP]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="fairway")
def fairway() -> None:
    """Release new versions of inference services on evidence, without losing a request.

    \b
    Example:
      fairway demo                     a whole canary on this machine
      fairway init                     a commented release file for your own servers
      fairway run release.yaml

    Exit codes: 0 done, 1 the release or step did not reach its end, 2 usage or configuration,
    75 transient (worth a retry), 130 and 143 ended by a signal.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines


class Terminated(BaseException):
    """SIGTERM came: unwinds like KeyboardInterrupt, so that nothing is left half done."""


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    del signum, frame
    raise Terminated


def _again(ignored: "sys.UnraisableHookArgs") -> None:
    """What a signal raised within a finaliser or a callback of an import is dropped there: send it once more."""
    number = {KeyboardInterrupt: signal.SIGINT, Terminated: signal.SIGTERM}.get(ignored.exc_type)
    if number is None:
        sys.__unraisablehook__(ignored)
    else:
        timer = threading.Timer(SOON, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; every error is one sentence on stderr and the exit code of its kind."""
    sys.unraisablehook = _again
    try:
        code = _run(args)
    except Exception as error:
        if (signalled := _signalled(error)) is None:
            raise
        code = signalled
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # all is told: what comes now must not change the exit code
    sys.exit(code)


def _signalled(error: BaseException | None) -> int | None:
    """The exit code of the signal that is behind an error: Python 3.11 wraps what is raised while a class is made (``__set_name__``)."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt | Terminated):
            return 130 if isinstance(error, KeyboardInterrupt) else 143
        error = error.__cause__ or error.__context__
    return None


def _run(args: Sequence[str] | None) -> int:  # noqa: C901, PLR0911 - one return an exit code
    try:
        signal.signal(signal.SIGTERM, _terminate)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        result: Any = fairway.main(args=list(args) if args is not None else None, standalone_mode=False)
    except FairwayError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except click.UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        click.echo(f"error: {error.format_message()}{where}", err=True)
        return 2
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Terminated:
        return 143
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        click.echo(
            f"error: this command needs {error.name}, which is not installed; `pip install 'fairway[{extra}]'`",
            err=True,
        )
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.errno not in FULL:
            raise
        click.echo(f"error: there is no room to write: {error.strerror}", err=True)
        return 1
    return result if isinstance(result, int) else 0
