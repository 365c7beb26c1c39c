"""An Envoy as a process: which one is taken, what stops it from starting, and that it does not outlive its starter.

The wrong Envoys are small programs; the right one is real. Left out: signals at the command (tests/steps/cli/test_envoy.py).
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.errors import DomainError, Refused, UsageError
from fairway_steps.model import Version
from fairway_steps.routing.bootstrap import write_folder
from fairway_steps.routing.process import find_envoy, start, stop
from fakes_routing import eventually, free_ports


@pytest.fixture
def program(tmp_path):
    def write(text: str):
        path = tmp_path / "bin" / "envoy"
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    listen, admin = free_ports(2)
    write_folder(
        tmp_path / "route", "iris", Version("v1", "http://127.0.0.1:9"), f"127.0.0.1:{listen}", f"127.0.0.1:{admin}"
    )
    return tmp_path / "route"


def test_one_on_the_path_is_taken(program):
    path = program("echo 'envoy  version: abc/1.30.1/Clean/RELEASE/BoringSSL'")
    assert find_envoy(str(path.parent)) == path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("echo 'envoy  version: abc/1.29.9/Clean/RELEASE/BoringSSL'", r"Envoy 1\.29, too old: Fairway needs 1\.30"),
        ("echo hello", "is no Envoy that runs here"),
        ("exit 127", "is no Envoy that runs here"),
    ],
)
def test_one_that_does_not_do_is_refused_with_how_to_mend_it(program, text, says):
    path = program(text)
    with pytest.raises(UsageError, match=says) as refused:
        find_envoy(str(path.parent))
    assert "pip install" in str(refused.value)


def test_none_at_all(tmp_path):
    with pytest.raises(UsageError, match="no Envoy on this machine"):
        find_envoy(str(tmp_path))


@pytest.mark.parametrize("which", [0, 1])
def test_a_port_in_use_is_said_before_anything_starts(folder, program, which):
    from fairway_steps.routing.bootstrap import addresses

    started = folder / "started"
    with socket.socket() as other:
        place = addresses(folder)[which]
        other.bind(place)
        other.listen()
        with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{place[1]}: Address already in use"):
            start(folder, SystemClock(), envoy=program(f"touch {started}"))
    assert not started.exists()


def test_one_that_ends_at_once_is_quoted(folder, program):
    with pytest.raises(DomainError, match=r"exit code 3: first \| no such thing"):
        start(folder, SystemClock(), envoy=program("echo first; echo no such thing >&2; exit 3"))


def test_one_that_never_gets_live_is_stopped(folder, program):
    path = program(f"echo $$ > {folder}/pid; exec sleep 60")
    with pytest.raises(DomainError, match=r"not live after 0\.5 s"):
        start(folder, SystemClock(), envoy=path, patience=0.5)
    pid = int((folder / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_cannot_be_run(folder, tmp_path):
    with pytest.raises(UsageError, match="cannot be started"):
        start(folder, SystemClock(), envoy=tmp_path / "none")


@pytest.mark.local
def test_a_real_one_is_live_with_its_listener_open(folder):
    from fairway_steps.routing.bootstrap import addresses

    process = start(folder, SystemClock())
    try:
        for place in addresses(folder):
            socket.create_connection(place, timeout=1).close()
        with pytest.raises(Refused, match="cannot listen"):
            start(folder, SystemClock())
    finally:
        stop(process)
    assert process.returncode == 0


@pytest.mark.local
def test_it_dies_with_its_starter(folder):
    code = (
        "import sys, os, pathlib\n"
        "from fairway_steps.clock import SystemClock\n"
        "from fairway_steps.routing.process import start\n"
        "print(start(pathlib.Path(sys.argv[1]), SystemClock()).pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True, check=False)
    status = Path(f"/proc/{int(done.stdout)}/stat")

    def gone() -> bool:
        try:
            return status.read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    eventually(gone)
