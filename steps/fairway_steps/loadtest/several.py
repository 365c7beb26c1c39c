"""A run carried out by several processes: arrival i is for process i mod N, nothing is shared between them.

Each is started anew (not forked: gRPC would not survive that), is told the common start once all are ready, tells once a second how
far it is, and at the end gives its records. A process that loses its parent stops at once, and so does all if one fails.
"""

import asyncio
import multiprocessing
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from fairway_steps.clock import SystemClock
from fairway_steps.errors import DomainError, FairwayError
from fairway_steps.loadtest.crew import Crew, Here, News, Task, settle
from fairway_steps.loadtest.loops import run_in_loop
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Progress
from fairway_steps.loadtest.tally import Counts, merge

TOGETHER = 50_000_000
"""Nanoseconds from the last process' being ready to the start."""
READY_WITHIN = 60.0
REPORT_EVERY = 1.0


class Several:
    """``workers`` processes. Create it outside of any thread but the main one; ``start`` it within the event loop."""

    def __init__(self, tasks: Sequence[Task], workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._endpoints = len(tasks)
        self._news: list[News] = [News(tuple(Progress(0, 0, 0, 0) for _ in tasks))] * workers
        self._links: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._inboxes: list[asyncio.Queue[Any]] = []
        resource_tracker.ensure_running()  # which would take the signals' mask away if it began below
        # Signals may reach the whole group; what is to be done of them is for the parent to say. The mask is inherited.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            for worker in range(workers):
                ours, theirs = context.Pipe()
                share = [task.share(worker, workers) for task in tasks]
                process = context.Process(target=_work, args=(theirs, pickle.dumps(share)), daemon=True)
                process.start()
                theirs.close()
                self._links.append(ours)
                self._processes.append(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def news(self) -> News:
        counts: Counts = {}
        for news in self._news:
            merge(counts, news.counts)
        by_endpoint = zip(*(news.progress for news in self._news), strict=True)
        return News(tuple(Progress(*map(sum, zip(*of_all, strict=True))) for of_all in by_endpoint), counts)

    def stop(self) -> None:
        self._tell("stop")

    def enough(self) -> None:
        self._tell("enough")

    async def result(self) -> list[list[Records]]:
        self._inboxes = [_listen(link) for link in self._links]
        try:
            await self._all("ready", READY_WITHIN)
            self._tell(time.monotonic_ns() + TOGETHER)
            shares = await self._all("done")
            return [[share[endpoint] for share in shares] for endpoint in range(self._endpoints)]
        finally:
            for process in self._processes:
                process.kill()  # those that told "done" are ending by themselves
            for process in self._processes:
                process.join()
            for inbox in self._inboxes:  # a link is closed when nobody listens any more
                while await inbox.get() is not None:
                    pass
            for link in self._links:
                link.close()

    def _tell(self, order: Any) -> None:
        for link in self._links:
            try:
                link.send(order)
            except OSError:  # it has ended
                continue

    async def _all(self, word: str, within: float | None = None) -> list[Any]:
        """What every process has to say with ``word``; the first that fails ends it for all."""
        waiting = [asyncio.create_task(self._await(worker, word, within)) for worker in range(len(self._links))]
        try:
            return await asyncio.gather(*waiting)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _await(self, worker: int, word: str, within: float | None = None) -> Any:
        """What comes with ``word``; news on the way are kept. Raises what went wrong with the process."""
        while True:
            try:
                told = await asyncio.wait_for(self._inboxes[worker].get(), within)
            except TimeoutError:
                told = None
            if told is None:
                self._inboxes[worker].put_nowait(None)
                self._processes[worker].join(1)
                code = self._processes[worker].exitcode
                raise DomainError(f"a process of the load test ended before its work did (exit code {code})")
            said, what = told
            if said == "failed":
                raise (
                    what
                    if isinstance(what, FairwayError)
                    else RuntimeError(f"a process of the load test failed: {what}")
                )
            if said == word:
                return what
            self._news[worker] = what


def _work(link: Connection, tasks: bytes) -> None:
    """One process of several; it began with SIGINT and SIGTERM blocked."""
    try:
        run_in_loop(_send(link, pickle.loads(tasks)))  # noqa: S301 - from our own parent
    except FairwayError as error:
        _tell(link, error)
    except Exception:  # noqa: BLE001 - told to the parent, which raises it
        _tell(link, traceback.format_exc(limit=-3))


def _tell(link: Connection, what: object) -> None:
    with suppress(OSError):  # the parent is gone
        link.send(("failed", what))


async def _send(link: Connection, tasks: Sequence[Task]) -> None:
    orders = _listen(link)
    settle()
    link.send(("ready", None))
    first = await orders.get()
    if not isinstance(first, int):
        first = time.monotonic_ns()
        orders.put_nowait("stop")
    crew = Here(tasks, SystemClock(), first)
    helpers = [asyncio.create_task(_obey(orders, crew)), asyncio.create_task(_report(link, crew))]
    try:
        ended = await crew.result()
    finally:
        for helper in helpers:
            helper.cancel()
    link.send(("news", crew.news()))
    link.send(("done", [records for (records,) in ended]))


def _listen(link: Connection) -> "asyncio.Queue[Any]":
    """What comes over a link, None at its end. Read by a thread: an event loop would make the link non-blocking, and sends fail."""
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        told: Any = ()
        while told is not None:
            try:
                told = link.recv()
            except (EOFError, OSError, TypeError):  # TypeError: it was closed meanwhile
                told = None
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(inbox.put_nowait, told)

    threading.Thread(target=listen, daemon=True).start()
    return inbox


async def _obey(orders: "asyncio.Queue[Any]", crew: Crew) -> None:
    while True:
        if await orders.get() == "enough":
            crew.enough()
        else:
            crew.stop()


async def _report(link: Connection, crew: Crew) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY)
        link.send(("news", crew.news()))
