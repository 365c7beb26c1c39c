"""`python -m lab check | build | up | status | down | shell | run COMMAND…`: what the Makefile's targets call."""

import os
import shutil
import sys

import click

from lab import binaries, down, machine, network, status, up
from lab.binaries import ARGO
from lab.kubectl import KUBECTL
from lab.places import KUBECONFIG
from lab.processes import inside
from lab.progress import LabError, part, say


@click.group(help=__doc__)
def main() -> None:
    machine.refuse(machine.kind())


@main.command("check", help="Tell what this machine lacks to hold a lab; 0 if nothing.")
def check_() -> None:
    machine.check()


@main.command("build", help="Build the programs that are not in the cache, and start nothing.")
@click.option("--with", "more", multiple=True, type=click.Choice(sorted(binaries.MORE)), help="Build this besides.")
def build_(more: tuple[str, ...]) -> None:
    with up.alone():
        machine.check()
        machine.install_packages()
        binaries.make_all([*binaries.ALL, *(binaries.MORE[name] for name in more)])


@main.command("up", help="Bring the lab up; what is there is left.")
@click.option("--with", "more", multiple=True, type=click.Choice(sorted(up.MORE)), help="Add this to it.")
def up_(more: tuple[str, ...]) -> None:
    with up.alone():
        up.up()
        for name in more:
            up.add(name)


@main.command("status", help="Tell what runs: 0 all of it, 1 not all, 3 nothing.")
def status_() -> None:
    sys.exit(status.status())


@main.command("down", help="Remove every trace of the lab, but not its cache.")
def down_() -> None:
    with up.alone():
        if not down.remains():
            say("there is no lab")
            return
        with part("remove the lab"):
            down.remove()


@main.command(help="A shell inside, with kubectl and argo at hand.")
def shell() -> None:
    _enter([os.environ.get("SHELL") or shutil.which("bash") or "/bin/sh"])


@main.command(context_settings={"ignore_unknown_options": True}, help="Run a command inside.")
@click.argument("command", nargs=-1, required=True)
def run(command: tuple[str, ...]) -> None:
    _enter(list(command))


def _enter(command: list[str]) -> None:
    """Become the command, in the lab's network namespace."""
    if not network.exists() or not KUBECONFIG.exists():
        raise LabError("there is no lab to enter; `make lab` brings one up")
    if not up.current():
        raise LabError("the lab was made from other files than these; `make lab` renews what has changed")
    path = os.pathsep.join([str(ARGO.folder), str(KUBECTL.parent), os.environ.get("PATH", "")])
    os.environ.update({"KUBECONFIG": str(KUBECONFIG), "PATH": path, "FAIRWAY_LAB": "1"})
    words = inside(*command)
    os.execvp(words[0], words)


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        say(f"error: {error}")
        sys.exit(1)
