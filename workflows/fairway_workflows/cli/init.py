"""``fairway init``."""

from contextlib import suppress
from pathlib import Path

import click

from fairway_steps.errors import UsageError


@click.command("init", epilog="Example: fairway init && $EDITOR release.yaml && fairway run release.yaml")
@click.argument("path", default="release.yaml")
def init(path: str) -> None:
    """Write a commented release file, to be filled in and given to `fairway run`.

    PATH is release.yaml unless given; `-` prints it. A file that is there already stays as it is.
    """
    from fairway_steps.config import TEMPLATE

    if path == "-":
        click.echo(TEMPLATE, nl=False)
        return
    target = Path(path)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there already", mend="name another file, or print a new one with `fairway init -`"
        ) from error
    except OSError as error:
        with suppress(OSError):
            target.unlink()  # half a file, on a full disk, would be in the way of the next call
        raise UsageError(f"{path} cannot be written: {error.strerror}", mend="name a file that can be") from error
    click.echo(f"{path} written: fill it in, then `fairway run {path}`", err=True)
