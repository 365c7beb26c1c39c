"""``fairway init``."""

import click


@click.command("init", epilog="Example: fairway init > release.yaml")
def init() -> None:
    """Print a commented release file, to be filled in and given to `fairway run`."""
    from fairway_steps.config import TEMPLATE

    click.echo(TEMPLATE, nl=False)
