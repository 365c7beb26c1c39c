"""One call for a whole run, with the signals that end it."""

import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self

from fairway_steps.clock import Clock
from fairway_workflows.local.engine import Engine
from fairway_workflows.local.model import Ask, Observer, WorkflowResult

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


class Signals:
    """SIGINT, SIGTERM and SIGHUP as a word instead of an exception that is raised just anywhere: from ``hold`` to the block's end.

    ``reason`` is ``interrupted``, ``terminated`` or ``hung up`` once one came. A signal that is ignored (nohup) stays so;
    outside the main thread nothing is changed.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._stop: Callable[[str], None] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        return self

    def hold(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before.setdefault(number, signal.signal(number, self._take))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def tell(self, stop: Callable[[str], None]) -> None:
        """Call ``stop`` with the reason at each signal from now on, and at once if one has come already."""
        self._stop = stop
        if self.reason:
            stop(self.reason)

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.reason = self.reason or SIGNALS[signal.Signals(number)]
        if self._stop is not None:
            self._stop(self.reason)


def run_workflow(
    template: Mapping[str, Any],
    arguments: Mapping[str, str],
    *,
    workdir: Path,
    observer: Observer,
    control: Path,
    clock: Clock,
    name: str,
    ask: Ask | None = None,
    locks: Path | None = None,
    environment: Mapping[str, str] | None = None,
    uid: str = "",
    signals: Signals | None = None,
) -> WorkflowResult:
    """Run a WorkflowTemplate or Workflow on this machine; see ``Engine`` for the parameters.

    In the main thread, SIGINT, SIGTERM and SIGHUP stop the run in order while it lasts; ``stopped`` of the result is then
    ``interrupted``, ``terminated`` or ``hung up``. Who has more to do than the run gives ``signals`` of a longer block. Raises
    UsageError and Refused before anything runs.
    """
    engine = Engine(
        template,
        arguments,
        workdir=workdir,
        observer=observer,
        control=control,
        clock=clock,
        name=name,
        ask=ask,
        locks=locks,
        environment=environment,
        uid=uid,
    )
    if signals is not None:
        signals.tell(engine.stop)
        return engine.run()
    with Signals() as own:
        own.hold()
        own.tell(engine.stop)
        return engine.run()
