"""One call for a whole run, with the signals that end it."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairway_steps.clock import Clock
from fairway_workflows.local.engine import Engine
from fairway_workflows.local.model import Ask, Observer, WorkflowResult

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


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
) -> WorkflowResult:
    """Run a WorkflowTemplate or Workflow on this machine; see ``Engine`` for the parameters.

    In the main thread, SIGINT, SIGTERM and SIGHUP stop the run in order while it lasts; ``stopped`` of the result is then
    ``interrupted``, ``terminated`` or ``hung up``. Raises UsageError and Refused before anything runs.
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
    with _stopped_by_signals(engine):
        return engine.run()


@contextlib.contextmanager
def _stopped_by_signals(engine: Engine) -> Iterator[None]:
    """Let signals set a flag instead of raising just anywhere. A signal that is ignored (nohup) stays so."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number, reason in SIGNALS.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, lambda *_, reason=reason: engine.stop(reason))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
