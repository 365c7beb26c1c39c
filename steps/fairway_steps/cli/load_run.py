"""Carrying out a load test's tasks: processes, signals, progress, an early end, and what is to be said of failures."""

import asyncio
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fairway_steps import log
from fairway_steps.cli.step import logger
from fairway_steps.clock import SystemClock
from fairway_steps.errors import DomainError, UsageError

if TYPE_CHECKING:
    from fairway_steps.loadtest.crew import Crew, News, Task
    from fairway_steps.loadtest.decision import Decision
    from fairway_steps.loadtest.records import Records
    from fairway_steps.loadtest.result import Result
    from fairway_steps.loadtest.streaming import Limit

UNREACHED = frozenset({"dns", "connect", "tls"})
CANCELLED = "cancelled"
OTHER_FILES = 256
"""What a process has open besides its connections, generously."""


def carry_out(
    todo: "Mapping[str, Task]", workers: int, limits: "Sequence[Limit] | None", decision: "Decision", version: str
) -> "tuple[Result, list[list[Records]], int]":
    """The result of all endpoints, the records it is of, and the signal that ended the run, or 0.

    ``limits`` are those it will be judged by, None if nobody knows.
    """
    from dataclasses import replace

    from fairway_steps.loadtest.loops import run_in_loop
    from fairway_steps.loadtest.measured import combined, measured

    responses = [limit.seconds for limit in limits or () if limit.metric == "response"]
    # Being late makes tokens late, too, whatever it does to the responses.
    known = None if limits is None or len(responses) < len(limits) else responses
    tasks = [replace(task, limits=tuple(responses)) if decision else task for task in todo.values()]
    _allow_sockets(
        sum(task.settings.connections for task in tasks), closed=any(task.plan.rate is None for task in tasks)
    )
    ended, decided, signum = run_in_loop(_run(tasks, _workers(workers, tasks), decision, version))
    results = {
        name: measured(shares, limits=known, version=task.version, decided=decided)
        for (name, task), shares in zip(todo.items(), ended, strict=True)
    }
    for name, result in results.items():
        if (unsent := result.meta.unsent) and not result.meta.client_limited:
            logger().warning(
                "%sthe server left most requests without an answer, so %s others found no connection in time; these count for nothing",
                f"{name}: " if name else "",
                f"{unsent:,}",
            )
    return combined(results), ended, signum


def _allow_sockets(connections: int, *, closed: bool) -> None:
    """As many open files as the connections need, up to what this process may ask for; the default is often 1024.

    Users of a closed loop need a connection each from the start; an open loop may well do with fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if closed and most < wanted:
            raise UsageError(
                f"{connections} users need {wanted} open files, and this process may have {hard}",
                mend="lower --connections, or raise the limit (ulimit -n)",
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _workers(asked: int, tasks: "Sequence[Task]") -> int:
    """How many processes send."""
    from fairway_steps.loadtest.crew import enough_workers

    if asked < 0 or asked > 64:
        raise UsageError(f"--workers {asked} cannot be", mend="give 1 to 64, or 0 for as many as are needed")
    if asked:
        return min(asked, *(task.settings.connections for task in tasks), asked)
    return enough_workers(tasks, len(os.sched_getaffinity(0)))


async def _run(
    tasks: "Sequence[Task]", workers: int, decision: "Decision", version: str
) -> "tuple[list[list[Records]], str, int]":
    """Of each endpoint the records of each process, why the run ended early, and the signal that ended it, or 0."""
    from fairway_steps.loadtest.crew import Here
    from fairway_steps.loadtest.loops import heard
    from fairway_steps.loadtest.several import Several

    came: list[int] = []
    decided: list[str] = []
    crew: Crew | None = None

    def on_signal(signum: int) -> None:
        came.append(signum)
        if crew is not None:
            crew.stop()

    # What was measured is told whatever comes from here on: all that is left is to write it, and many who end a process tell it twice.
    with heard(on_signal, (signal.SIGTERM, signal.SIGINT), last=True):
        crew = Here(tasks, SystemClock()) if workers == 1 else Several(tasks, workers)
        say = _Progress()
        watching = asyncio.create_task(_watch(crew, say, decision, version, decided))
        try:
            if came:
                crew.stop()
            ended = await crew.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    say(crew.news())
    return ended, decided[0] if decided else "", came[0] if came else 0


async def _watch(crew: "Crew", say: "_Progress", decision: "Decision", version: str, decided: list[str]) -> None:
    """Tell the progress once a second; end the run as soon as it decides."""
    from fairway_steps.loadtest.decision import Decision
    from fairway_steps.loadtest.tally import pooled

    while True:
        await asyncio.sleep(1)
        news = crew.news()
        say(news)
        names = sorted(filter(None, news.counts))
        if decision and not version and len(names) > 1:
            logger().warning(
                "no early end: answers are of %s; name the --candidate that is to be judged", ", ".join(names)
            )
            decision = Decision()
        if not decided and (why := decision.made(pooled(news.counts, version))):
            decided.append(why)
            crew.enough()


class _Progress:
    """Says how far the run is, in the log and where Argo looks for it (``ARGO_PROGRESS_FILE``, as N/M)."""

    def __init__(self) -> None:
        self._file = os.environ.get("ARGO_PROGRESS_FILE")

    def __call__(self, news: "News") -> None:
        ended = sum(one.ended for one in news.progress)
        planned = sum(one.planned for one in news.progress)
        count = sum(one.failed for one in news.progress)
        if not (planned or ended):  # the processes are not ready yet
            return
        failed = f", {count} failed" if count else ""
        of = f" of {planned}" if planned else ""
        log.progress(logger(), f"{ended}{of} requests{failed}", ended=ended, planned=planned, failed=count)
        if self._file and planned:
            with suppress(OSError):  # a picture of the work, never a reason to fail it
                Path(self._file).write_text(f"{ended}/{planned}\n", encoding="utf-8")


def check_machine(todo: "Mapping[str, Task]", workers: int) -> None:
    """Raise DomainError if this machine cannot keep the plan, before anything is sent; warn where it is late."""
    from fairway_steps.loadtest.calibration import calibrate

    tasks = list(todo.values())
    log.progress(logger(), "calibrating: 2 s to a server of our own")
    found = calibrate(tasks, _workers(workers, tasks))
    if found.limited:
        raise DomainError(
            f"this machine cannot keep the plan, and nothing was sent: to a server of our own, {found.limited}"
        )
    if found.late:
        logger().warning("this machine is late even with a server of our own: %s", found.late)


def check_reached(todo: "Mapping[str, Task]", result: "Result", shares: "Sequence[Sequence[Records]]") -> None:
    """Raise DomainError for an endpoint to which no request could connect."""
    for number, (name, task) in enumerate(todo.items()):
        part = result.part(number) if len(todo) > 1 else result
        failed = sum(part.failures.values()) if len(part) else 0
        if failed and failed == len(part) and (why := _unusable(task, set(part.failures), shares[number])):
            called = f"{name} ({task.target.name})" if name else task.target.name
            raise DomainError(f"endpoint {called} is unusable, {why}")


def _unusable(task: "Task", met: set[str], shares: "Sequence[Records]") -> str:
    """Why no request can ever be answered, from the classes of failure that all of them ``met``; empty if one could."""
    details = {error: text for records in shares for error, text in records.details.items()}
    told = next((f"{text} ({error})" for error, text in details.items() if error != CANCELLED), "")
    if not any(records.opened for records in shares):
        return f"no request could connect: {told}"
    # A server of another protocol may close before its words are read, and some say none; so with one that refuses a certificate.
    for error, what in (("protocol", "was understood"), ("tls", "could connect")):
        if error in met and met <= {error, *UNREACHED, "reset"}:
            return f"no request {what}: {details[error]} ({error})"
    if met == {"reset"} and (spoken := task.target.spoken()):
        return f"no request was understood: {spoken} (reset)"
    return ""


def explain(shares: "Sequence[Sequence[Records]]") -> None:
    """One line in the log for each class of failure whose name does not say it all: what was the first."""
    first: dict[str, str] = {}
    for records in (each for share in shares for each in share):
        for error, detail in records.details.items():
            if detail and error not in ("timeout", "cancelled") and not error.startswith("http-"):
                first.setdefault(error, detail)
    for error, detail in first.items():
        logger().warning("the first that failed with %s: %s", error, detail)
