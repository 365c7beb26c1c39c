"""Covers: locks where no file can be made. Left out: held locks (tests/e2e/test_run.py)."""

from pathlib import Path

import pytest

from fairway_steps.errors import DomainError
from fairway_workflows.local import locks


def test_a_folder_that_cannot_be_made_is_said_and_not_tried_for_ever():
    nowhere = Path("/proc/none/run.control")
    with pytest.raises(DomainError, match="its folder cannot be made"), locks.own(nowhere):
        pytest.fail("nothing can be held there")
