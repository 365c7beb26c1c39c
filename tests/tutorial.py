"""A page of the docs, carried out: the shell commands of its sections as one script, its YAML as the files that the text names."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fairway_workflows.demo.servers import free_ports

DOCS = Path(__file__).parents[1] / "docs"
PORTS = (8001, 8002, 8003, 9001, 9002, 9003, 8080, 9901, 8090)
"""Those that the pages name; a test has others."""


def section(page: str, title: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"## {title}\n")[2]
    assert text, f"{page} has no section {title!r}"
    return text.partition("\n## ")[0]


def moved(ports: Sequence[int], *texts: str) -> list[str]:
    """The texts with free ports in place of those. In one go: a free one may hold the digits of another."""
    free = dict(zip(map(str, ports), map(str, free_ports(len(ports))), strict=True))
    return [re.sub("|".join(free), lambda found: free[found[0]], text) for text in texts]


def carried_out(sections: Sequence[str], folder: Path, after: str = "") -> str:
    """Run all sections one after another in ``folder``, then ``after``; what the script said, exit code 0."""
    (text,) = moved(PORTS, "\n".join(sections))
    commands = []
    for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if found[1] == "yaml":  # the file is the last one named before it
            (*_, name) = re.findall(r"`([\w-]+\.yaml)`", text[: found.start()])
            (folder / name).write_text(found[2], encoding="utf-8")
        elif not found[1]:
            commands.append(found[2])
    code, said = run("\n".join([*commands, after, "wait"]), folder)
    assert code == 0, said
    return said


def run(script: str, folder: Path) -> tuple[int, str]:
    """Run ``script`` in ``folder`` to its end, and end what it left running; its exit code, and what it said."""
    heard = folder / "said.txt"  # no pipe, which what runs in the background would keep open
    with heard.open("wb") as file:
        shell = subprocess.Popen(
            ["bash", "-eu", "-c", script],
            cwd=folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            start_new_session=True,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            code = shell.wait(timeout=900)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    return code, heard.read_text(encoding="utf-8", errors="replace")
