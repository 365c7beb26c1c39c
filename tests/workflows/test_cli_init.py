"""``fairway init``: where the file goes, and that no file is ever replaced. Left out: what is in it (steps/config)."""

import resource
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from fairway_steps.config import TEMPLATE
from fairway_steps.errors import UsageError
from fairway_workflows.cli.init import init


def fairway_init(*arguments):
    return CliRunner().invoke(init, arguments, standalone_mode=False)


def test_release_yaml_is_written_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fairway_init().stdout == ""
    assert (tmp_path / "release.yaml").read_text() == TEMPLATE


def test_a_dash_prints_it_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fairway_init("-").stdout == TEMPLATE
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("service: mine\n")
    done = fairway_init(str(path))
    assert isinstance(done.exception, UsageError)
    assert "is there already; name another file" in str(done.exception)
    assert path.read_text() == "service: mine\n"


@pytest.mark.parametrize("place", ["none/release.yaml", "."])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    done = fairway_init(place)
    assert isinstance(done.exception, UsageError)
    assert "\n" not in str(done.exception)


def test_a_full_disk_leaves_no_half_a_file_that_would_be_in_the_way(tmp_path):
    """The limit of a file's size stands for the disk's."""

    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    command = [sys.executable, "-B", "-m", "fairway_steps", "init"]
    done = subprocess.run(command, cwd=tmp_path, preexec_fn=full, capture_output=True, text=True, check=False)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert done.stderr.startswith("error: release.yaml cannot be written: ")
