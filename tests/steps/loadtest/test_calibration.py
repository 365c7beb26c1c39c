"""A plan that cannot be kept is found, and nothing is sent then; a calibration that is told to end.

Our own server is made slow for that, so how fast this machine is does not matter. Left out: a plan that can be kept (cli/test_load_test.py).
"""

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import ClassVar

import pytest

from fairway_steps.cli import _run
from fairway_steps.loadtest import calibration
from fairway_steps.loadtest.crew import Task
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.plan import constant
from raw_server import always, serving


async def slow(_: int, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.1)
    writer.write(calibration.ANSWER)


def test_what_the_machine_cannot_keep_is_refused_before_anything_is_sent(monkeypatch, capsys):
    @contextmanager
    def echo():
        with serving(slow) as own:
            yield own.url

    monkeypatch.setattr(calibration, "_echo", echo)
    with serving(always(calibration.ANSWER)) as server:
        args = ["--rate=100", "--duration=1s", "--connections=1", "--workers=1", "--calibrate=true"]
        assert _run(["load-test", f"--url={server.url}", *args]) == 1
    assert "this machine cannot keep the plan, and nothing was sent" in capsys.readouterr().err.splitlines()[-1]
    assert server.requests == []


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
