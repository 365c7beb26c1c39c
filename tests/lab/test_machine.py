"""Covers: a machine that cannot hold the lab is told so at once, all that is missing together, and the way around it."""

import shutil
import sys
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from lab import machine, up
from lab.__main__ import main
from lab.progress import LabError


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def able(monkeypatch, tmp_path):
    """A machine that can: Linux, root, disk, everything built."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(2**40, 0, 2**40))
    monkeypatch.setattr(machine, "missing_packages", list)
    monkeypatch.setattr(machine.binaries, "missing", list)
    monkeypatch.setattr(machine, "CACHE", tmp_path)
    return monkeypatch


def refusal():
    with pytest.raises(LabError) as caught:
        machine.check()
    return str(caught.value)


def test_a_machine_that_can_is_not_stopped(able):
    machine.check()


def test_without_root_it_says_so_and_how_to_go_elsewhere(able):
    able.setattr(machine.os, "geteuid", lambda: 1000)
    told = refusal()
    assert "- root" in told
    assert "make e2e KUBECONFIG=" in told


@pytest.mark.parametrize("command", ["build", "up", "status", "down", "shell", "run"])
def test_every_command_says_so_before_it_touches_anything(able, command):
    able.setattr(machine.os, "geteuid", lambda: 1000)
    able.setattr(up.fcntl, "flock", lambda *_: pytest.fail("it took the lock first"))
    done = CliRunner().invoke(main, [command, *(["true"] if command == "run" else [])])
    assert isinstance(done.exception, LabError)
    assert "- root" in str(done.exception)


def test_off_linux_it_says_so(able):
    able.setattr(sys, "platform", "darwin")
    assert "- Linux" in refusal()


def test_on_another_processor_it_says_so(able):
    able.setattr(machine.platform, "machine", lambda: "aarch64")
    assert "this is aarch64" in refusal()


def test_a_full_disk_is_found_before_anything_is_built(able):
    able.setattr(machine.shutil, "disk_usage", lambda path: Usage(2**40, 2**40, 2**30))
    assert "there are 1.0" in refusal()
    able.setattr(machine.binaries, "missing", lambda: [machine.binaries.PAUSE])
    assert f"{machine.COLD_GIB} GiB" in refusal()


def test_go_is_needed_only_to_build(able):
    which = shutil.which
    able.setattr(machine.shutil, "which", lambda name: None if name == "go" else which(name))
    machine.check()
    able.setattr(machine.binaries, "missing", lambda: [machine.binaries.PAUSE])
    assert "- Go 1.21 or newer" in refusal()


def test_without_debians_tools_it_names_what_is_missing(able):
    able.setattr(machine, "missing_packages", lambda: ["buildah", "runc"])
    able.setattr(machine.shutil, "which", lambda name: None)
    assert "buildah, runc" in refusal()
