"""The collector's server: takes what a proxy mirrors, answers at once that it has, and does the rest beside.

Its answers have no body and say nothing of the candidate's, so it could answer no user even where a route named it by mistake.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from fairway_steps.collector.collect import Collector
from fairway_steps.collector.inbound import MAX_HEAD, Head, Malformed, TooLarge, read_body, read_head
from fairway_steps.errors import UsageError

LOG = logging.getLogger(__name__)
METRICS = "/metrics"
READY = ("/ready", "/v2/health/ready")
QUIET = 300.0
"""Seconds for which a connection may carry nothing."""
SLOW = 30.0
"""Seconds that a request's body may take."""
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


class Server:
    """``most`` mirrored requests may be under way, and twice as many connections beside them be open; what comes above is dropped.

    ``largest`` is how many bytes a request's body may have.
    """

    def __init__(self, collector: Collector, *, most: int, largest: int) -> None:
        self.collector, self._most, self._largest = collector, most, largest
        self._connections: set[asyncio.Task[None]] = set()
        self._work: set[asyncio.Task[None]] = set()

    async def run(
        self, host: str, port: int, came: asyncio.Queue[int], *, grace: float, ready: Callable[[int], None]
    ) -> int:
        """Serve until a signal ``came``, which is returned; ``ready`` is told the port.

        What is under way then has ``grace`` seconds to end, or until the next signal.
        """
        listener = await self._listen(host, port)
        ready(listener.sockets[0].getsockname()[1])
        signum = await came.get()
        listener.close()
        await _ended(self._connections)
        await self._finish(came, grace)
        await self.collector.primary.close()
        await self.collector.candidate.close()
        return signum

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        try:
            return await asyncio.start_server(self._connected, host, port, limit=MAX_HEAD)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(f"--listen {host}:{port} cannot be had: {reason}", mend="name another port") from error

    async def _finish(self, came: asyncio.Queue[int], grace: float) -> None:
        """Let what is under way end, for ``grace`` seconds or until another signal comes."""
        hurry = asyncio.ensure_future(came.get())
        waiting = {*self._work}
        deadline = asyncio.get_running_loop().time() + grace
        while waiting and not hurry.done() and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait({hurry, *waiting}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            waiting = {task for task in waiting if not task.done()}
        self.collector.counts.dropped["stopped"] += len(waiting)
        await _ended({hurry, *waiting})

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) > 3 * self._most:
                self.collector.counts.dropped["connections"] += 1
                return
            while await self._next(reader, writer):
                pass
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # nobody waits for what is not answered here
        except Malformed:
            self.collector.counts.refused["protocol"] += 1
        finally:
            writer.close()
            with suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(SLOW):
                    await writer.wait_closed()
            self._connections.discard(task)

    async def _next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one request; false if the connection ends with it."""
        async with asyncio.timeout(QUIET):
            head = await read_head(reader)
        if head is None:
            return False
        if head.method == "GET" and head.target in (METRICS, *READY) and not head.length:
            body = self.collector.counts.exposition() if head.target == METRICS else "ready\n"
            return await _answer(writer, 200, body, keep=head.keep_alive)
        if reason := self.collector.refusal(head):
            self.collector.counts.refused[reason] += 1
            return await _answer(writer, 403, keep=head.keep_alive and not head.length)
        if self.collector.counts.in_flight >= self._most:
            self.collector.counts.dropped["busy"] += 1
            return await _answer(writer, 204, keep=head.keep_alive and not head.length)
        return await self._take(head, reader, writer)

    async def _take(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read the body and leave the rest to a task; there is room for it from here until that task ends."""
        counts = self.collector.counts
        counts.in_flight += 1
        try:
            async with asyncio.timeout(SLOW):
                if head.expects:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await read_body(reader, head, self._largest)
        except BaseException as error:
            counts.in_flight -= 1
            if not isinstance(error, TooLarge):
                raise
            counts.refused["too-large"] += 1
            return await _answer(writer, 403, keep=False)
        task = asyncio.create_task(self._carry_out(head, body))
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return await _answer(writer, 204, keep=head.keep_alive)

    async def _carry_out(self, head: Head, body: bytes) -> None:
        counts = self.collector.counts
        try:
            await self.collector.take(head, body)
        except Exception:  # one request must not end the server
            LOG.exception("a mirrored request was given up")
            counts.dropped["error"] += 1
        finally:
            counts.in_flight -= 1


async def until_signal(server: Server, host: str, port: int, *, grace: float, ready: Callable[[int], None]) -> int:
    """Run ``server`` until SIGTERM or SIGINT, whose number is returned."""
    came: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        loop.add_signal_handler(number, came.put_nowait, int(number))
    try:
        return await server.run(host, port, came, grace=grace, ready=ready)
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def _answer(writer: asyncio.StreamWriter, status: int, body: str = "", *, keep: bool) -> bool:
    said = {200: "OK", 204: "No Content", 403: "Forbidden"}[status]
    lines = [f"HTTP/1.1 {status} {said}", *([] if keep else ["connection: close"])]
    if status != 204:
        lines += [f"content-length: {len(body.encode())}", *([f"content-type: {EXPOSITION}"] if body else [])]
    writer.write(("\r\n".join([*lines, "", body])).encode())
    await writer.drain()
    return keep


async def _ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    everyone = [*tasks]
    for task in everyone:
        task.cancel()
    await asyncio.gather(*everyone, return_exceptions=True)
