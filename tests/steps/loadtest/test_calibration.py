"""A calibration that is told to end. Left out: what it finds, which is seen of the whole command (cli/test_load_test.py)."""

import asyncio
import os
import signal
from typing import ClassVar

import pytest

from fairway_steps.loadtest import calibration
from fairway_steps.loadtest.crew import Task
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.plan import constant


class Told(BaseException):
    """What the handler of a signal raises."""


class Crew:
    """Gets a SIGTERM while its loop waits for events; ``ended`` has those that were given up."""

    ended: ClassVar[list[bool]] = []

    def __init__(self, *_: object) -> None: ...

    async def result(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, os.kill, os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(asyncio.Event().wait(), 2)
        except asyncio.CancelledError:
            self.ended.append(True)
            raise


def test_sigterm_ends_a_calibration_and_is_told_to_whoever_had_it_before(monkeypatch):
    def handler(*_: object) -> None:
        raise Told

    monkeypatch.setattr(calibration, "Here", Crew)
    before = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(Told):
            calibration.calibrate([Task(Request("http://127.0.0.1:1/"), constant(5, requests=3))], 1)
        assert Crew.ended == [True]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
