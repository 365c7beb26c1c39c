"""Whether this machine can keep a plan: two seconds of it at its peak, against a server of our own that answers at once.

What is late or short there is the client's own doing, whatever the service would have done; nothing has been sent to it yet.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple, cast

from fairway_steps.clock import SystemClock
from fairway_steps.loadtest.crew import Crew, Here, Task
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.loops import run_in_loop, run_until_terminated
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.plan import MAX_RATE, SECOND, Closed, constant
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.settings import Settings
from fairway_steps.loadtest.several import Several

LENGTH = 2.0
"""Seconds."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Found(NamedTuple):
    """Why the plan cannot be kept, and what is to be said of requests that were late without that; empty where all is well."""

    limited: str = ""
    late: str = ""


def calibrate(tasks: Sequence[Task], workers: int) -> Found:
    """What sending the plans of ``tasks`` together from here, by so many processes, comes to. A closed loop has none to keep."""
    peak = min(MAX_RATE, sum(_peak(task) for task in tasks))
    if not peak:
        return Found()
    connections = sum(task.settings.connections for task in tasks)
    with _echo() as url:
        plan = constant(peak, seconds=max(LENGTH, 2 / peak))
        task = Task(Request(url), plan, settings=Settings(connections=connections))
        meta = measured(run_until_terminated(_carried_out([task], workers))[0]).meta
    return Found("" if meta.client_limited == meta.late else meta.client_limited, meta.late)


def _peak(task: Task) -> float:
    """The most requests that are due in one second."""
    if isinstance(task.plan, Closed):
        return 0.0
    counts = Counter(offset // SECOND for offset in task.plan.offsets)
    return float(max(counts.values(), default=0))


async def _carried_out(tasks: Sequence[Task], workers: int) -> list[list[Records]]:
    crew: Crew = Here(tasks, SystemClock()) if workers == 1 else Several(tasks, workers)
    return await crew.result()


@contextmanager
def _echo() -> Iterator[str]:
    """The URL of the server, a process of its own, while it is needed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/"
    finally:
        process.kill()
        process.join()
        ours.close()


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER * data.count(b"\r\n\r\n"))


def _serve(link: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0, backlog=1000)
        link.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    run_in_loop(main())
