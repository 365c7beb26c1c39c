"""Comparisons in a process of its own: what takes their CPU must not show in the time that a version's answers take to be seen."""

import asyncio
import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from fairway_steps.collector.compare import Answer, Difference, Incomparable, compare
from fairway_steps.collector.tensors import Tolerance

NICE = 10
Found = Difference | Incomparable | None


class Apart:
    """``compare``, one pair after another, in another process, which a pipe leads to; one that has died is started again."""

    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._turn, self._pipe = asyncio.Semaphore(1), threading.Lock()
        self._process: BaseProcess | None = None
        self._link: Connection | None = None

    async def __call__(self, primary: Answer, candidate: Answer) -> Difference | None:
        """As ``compare``. Raises Incomparable, too, for a pair at which the process died."""
        async with self._turn:  # those that wait hold no thread, whose end the loop would wait for
            found = await asyncio.to_thread(self._ask, primary, candidate)
        if isinstance(found, Incomparable):
            raise found
        return found

    def close(self) -> None:
        if self._process and self._link:
            self._link.close()
            self._process.kill()
            self._process.join()
            self._process = None

    def _ask(self, primary: Answer, candidate: Answer) -> Found:
        with self._pipe:  # also after one that was given up
            link = self._link if self._process and self._link else self._started()
            try:
                link.send((primary, candidate))
                found: Found = link.recv()
            except (EOFError, OSError):
                self.close()
                return Incomparable("died")
            return found

    def _started(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._link, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._tolerance), daemon=True)
        self._process.start()
        theirs.close()
        return self._link


def _serve(link: Connection, tolerance: Tolerance) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells all of its processes; this one ends with its pipe
    with suppress(OSError):
        os.nice(NICE)
    with suppress(EOFError, OSError):
        while True:
            primary, candidate = link.recv()
            link.send(_found(primary, candidate, tolerance))


def _found(primary: Answer, candidate: Answer, tolerance: Tolerance) -> Found:
    try:
        return compare(primary, candidate, tolerance)
    except Incomparable as reason:
        return reason
