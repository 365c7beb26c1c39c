"""Covers: the lab's processes are known by pid and start time, ended for sure, and nobody else's ever is.

Leaves out: the network namespace that they run in.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import processes
from lab.progress import LabError

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Processes of the test, in no namespace."""
    monkeypatch.setattr(processes, "PIDS", tmp_path / "pids")
    monkeypatch.setattr(processes, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(processes, "inside", lambda *command: list(command))
    yield tmp_path
    for name in processes.known():
        processes.end(name, patience=0)


def test_what_was_started_is_known_until_it_is_ended(here):
    processes.start("sleeper", ["sleep", "600"])
    assert processes.known() == {"sleeper": True}
    processes.end("sleeper")
    assert processes.known() == {}


def test_it_holds_no_file_of_whoever_called(here, tmp_path):
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        processes.start("sleeper", ["sleep", "600"])
    open_ = Path(f"/proc/{(here / 'pids' / 'sleeper').read_text().split()[0]}/fd")
    assert processes.wait_until(lambda: {path.name for path in open_.iterdir()} == {"0", "1", "2"}, 180)


def test_one_that_does_not_listen_is_ended_all_the_same(here):
    processes.start("deaf", [sys.executable, "-c", DEAF])
    processes.await_("deaf", lambda: "deaf" in (here / "logs" / "deaf.log").read_text())
    processes.end("deaf", patience=0.2)
    assert processes.known() == {}


def test_one_that_ended_by_itself_is_seen_to_be_down(here):
    processes.start("short", ["true"])
    assert processes.wait_until(lambda: processes.known() == {"short": False}, 180)


def test_another_process_under_the_same_pid_is_left_alone(here):
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            processes.PIDS.mkdir()
            (processes.PIDS / "old").write_text(f"{other.pid} 1\n")
            assert processes.known() == {"old": False}
            processes.end("old")
            assert other.poll() is None
        finally:
            other.kill()


def test_one_that_dies_before_it_is_ready_is_told_with_its_last_words(here):
    processes.start("broken", ["sh", "-c", "echo no such flag; exit 1"])
    with pytest.raises(LabError, match=r"broken has ended(.|\n)*no such flag"):
        processes.await_("broken", lambda: False, patience=10)
