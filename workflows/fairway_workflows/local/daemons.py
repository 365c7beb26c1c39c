"""Daemons: pods that run beside the later steps of their Steps template, and end with it.

Follows Argo's controller: a group goes on as soon as its daemon runs (``PodRunning`` in ``assessNodeStatus``, but that a process
needs no readiness probe), the template's end ends it (``killDaemonedChildren``), and however it ended, its node has succeeded.
"""

import threading
from collections.abc import Callable
from dataclasses import replace

from fairway_workflows.local.run import Run


class Daemons:
    """Those of one Steps template while it runs."""

    def __init__(self, run: Run) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self._outer = run.halted
        self._run = replace(run, halted=self._halted)

    def _halted(self, exit_handler: bool) -> str:
        return "the template it belongs to has ended" if self._over.is_set() else self._outer(exit_handler)

    def start(self, work: Callable[[Run, Callable[[], None]], object]) -> None:
        """Run ``work(run, opened)`` beside all else; returns once it has called ``opened``, or ended."""
        opened = threading.Event()

        def beside() -> None:
            try:
                work(self._run, opened.set)
            except BaseException as error:  # noqa: BLE001 - raised by end, in the thread of the template
                self._errors.append(error)
            finally:
                opened.set()

        thread = threading.Thread(target=beside)
        self._threads.append(thread)
        thread.start()
        opened.wait()

    def end(self) -> None:
        """End all of them and wait for that; the first error is raised then."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
