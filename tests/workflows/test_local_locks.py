"""Covers: locks where no file can be made, or a full disk takes none. Left out: held locks (tests/e2e/test_run.py)."""

import resource
from pathlib import Path

import pytest

from fairway_steps.errors import DomainError
from fairway_workflows.local import locks


def test_a_folder_that_cannot_be_made_is_said_and_not_tried_for_ever():
    nowhere = Path("/proc/none/run.control")
    with pytest.raises(DomainError, match="its folder cannot be made"), locks.own(nowhere):
        pytest.fail("nothing can be held there")


def test_a_lock_that_can_be_made_and_not_signed_is_said(tmp_path):
    """As on a full disk, which takes empty files."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with (
            pytest.raises(DomainError, match=r"run\.lock cannot be written: File too large"),
            locks.own(tmp_path / "x"),
        ):
            pytest.fail("it was taken")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
