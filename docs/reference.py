"""Write docs/reference.md from the commands themselves: `python docs/reference.py` (part of `make golden`)."""

import sys
from pathlib import Path

import click

from fairway_steps.cli import fairway

TARGET = Path(__file__).parent / "reference.md"
HEAD = """\
# Reference

Every command with its help, generated from the code by `make golden`. All options take a value; an empty value means unset.

"""

HELP = fairway.context_settings["help_option_names"]
"""As it is when called: a command keeps the help option of the first context it is asked in."""


def section(title: str, command: click.Command, context: click.Context) -> str:
    return f"{title}\n\n```\n{command.get_help(context).rstrip()}\n```\n\n"


def render() -> str:
    context = click.Context(
        fairway, info_name="fairway", max_content_width=110, terminal_width=110, help_option_names=HELP
    )
    parts = [HEAD]
    for name in fairway.list_commands(context):
        command = fairway.get_command(context, name)
        if command is None:
            raise LookupError(name)
        own = click.Context(
            command, info_name=f"fairway {name}", terminal_width=110, max_content_width=110, help_option_names=HELP
        )
        parts.append(section(f"## fairway {name}", command, own))
        if isinstance(command, click.Group):
            for method in command.list_commands(own):
                inner = command.get_command(own, method)
                assert inner is not None
                at = click.Context(
                    inner,
                    info_name=f"fairway {name} {method}",
                    terminal_width=110,
                    max_content_width=110,
                    help_option_names=HELP,
                )
                parts.append(section(f"### fairway {name} {method}", inner, at))
    return "".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    print(f"wrote {TARGET.name}", file=sys.stderr)
