"""``fairway approve``."""

import getpass

import click

from fairway_steps.cli.params import option
from fairway_steps.errors import UsageError


@click.command("approve", epilog="Example: fairway approve --record file:.fairway/iris.json --answer YES")
@option("record", required=True, help="The record of the release that waits, such as file:.fairway/iris.json.")
@option("answer", help="What to answer, such as YES or NO.  [default: list what is asked]")
@option("node", help="Which step to answer, where several wait.")
@option("by", help="Who answers.  [default: the user of this machine]")
def approve(record: str, answer: str | None, node: str | None, by: str | None) -> None:
    """Answer a release on this machine that waits for a person, or list what it asks."""
    from fairway_steps.stores import open_store
    from fairway_workflows import local
    from fairway_workflows.run import control_folder

    store = open_store(record)
    control = control_folder(store)
    if not control.exists() and store.load() is None:
        raise UsageError(f"there is no release at {record}", mend="name the record that `fairway run` says it writes")
    waiting = local.waiting(control)
    if answer is None:
        for one in waiting:
            for question in one.parameters[:1]:
                choices = f" ({' or '.join(question.choices)})" if question.choices else ""
                click.echo(f"{one.node}: {question.name}{choices} {question.description}".rstrip())
        if not waiting:
            click.echo("nothing waits for an answer")
        return
    names = [one.node for one in waiting]
    if node is None and len(names) != 1:
        raise UsageError(
            f"{len(names)} steps wait for an answer",
            mend=f"name one with --node: {', '.join(names)}" if names else "look again later",
        )
    chosen = next((one for one in waiting if one.node == (node or names[0])), None)
    if chosen is None:
        raise UsageError(f"{node!r} does not wait for an answer", mend=f"waiting are: {', '.join(names) or 'none'}")
    outputs = {question.name: answer for question in chosen.parameters[:1]}
    local.answer(control, chosen.node, outputs, by or getpass.getuser())
    click.echo(f"{chosen.node}: answered {answer}")
