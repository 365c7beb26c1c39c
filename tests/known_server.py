"""A server whose times are known: it waits as long as it is told, and says in each answer how long that really was.

`python tests/known_server.py` prints its port. Times are of the machine's monotonic clock, so a client on the same machine can
compare moments, not only spans. Paths, each with its query:

- ``/now``: at once; ``/wait?median=20&sigma=0.2``: a seeded lognormal time of that median in ms; both tell ``x-injected-ns``, from
  the request's arrival to the answer's writing;
- ``/freeze?ms=2000``: stop the whole process for so long, once, from now on; ``/log``: all injected times since the last time asked, ``/written``: of each stream whose request's JSON has an ``id`` the moments
  at which its events were written;
- ``/v1/chat/completions``, ``/v1/completions``, ``/v2/models/m/generate_stream`` ``?ttft=20&itl=5&tokens=20&per=1&cut=0&fail=0``: server-sent
  events with ``per`` tokens each, and in the last one the usage; ``cut`` closes after so many events, ``fail`` sends an error event then.
"""

import asyncio
import heapq
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fairway_steps.loadtest.timer import timer

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nx-injected-ns: %d\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Agenda:
    """What is to be done at which moment, by one timer that is late by tens of microseconds; what was really done when is written down."""

    def __init__(self) -> None:
        self._loop_timer = timer(asyncio.get_running_loop(), self._due)
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, moment: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._entries, (moment, self._count, act))
        if self._entries[0][0] == moment:
            self._loop_timer.set(moment)

    def _due(self) -> None:
        while self._entries and self._entries[0][0] <= time.monotonic_ns():
            heapq.heappop(self._entries)[2]()
        self._loop_timer.set(self._entries[0][0] if self._entries else 0)


class Server(asyncio.Protocol):
    draw = random.Random(20261124)
    log: list[int] = []  # noqa: RUF012 - one server a process
    written: dict[str, list[int]] = {}  # noqa: RUF012 - likewise
    agenda: Agenda

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.loop = transport, asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        came = time.monotonic_ns()
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or (length and len(rest) < int(length[1])):
            return
        size = int(length[1]) if length else 0
        self.body, self.buffer = rest[:size], rest[size:]
        if head.startswith((b"GET /now", b"POST /now")):
            self._answer(came)
            return
        parts = urlsplit(head.split(b" ", 2)[1].decode())
        self._route(parts.path, {name: float(value) for name, value in parse_qsl(parts.query)}, came)

    def _route(self, path: str, query: dict[str, float], came: int) -> None:
        if path == "/wait":
            delay = query.get("median", 20.0) * self.draw.lognormvariate(0, query.get("sigma", 0.2))
            self._at(came + int(delay * 1e6), lambda: self._answer(came))
        elif path == "/freeze":
            self._answer(came)
            self.loop.call_soon(time.sleep, query["ms"] / 1000)
        elif path == "/log":
            self._tell(self.log)
            self.log.clear()
        elif path == "/written":
            self._tell(self.written)
        elif path.startswith(("/v1/", "/v2/")):
            self.transport.write(STREAM)
            _Stream(self, path, query, came)
        else:
            self.transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    def _tell(self, what: object) -> None:
        body = json.dumps(what).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    def _answer(self, came: int) -> None:
        took = time.monotonic_ns() - came
        self.transport.write(HEAD % took)
        self.log.append(took)

    def _at(self, moment: int, act: Callable[[], None]) -> None:
        self.agenda.at(
            moment, lambda: None if self.transport.is_closing() else act()
        )  # a client may have left in between


class _Stream:
    def __init__(self, server: Server, path: str, query: dict[str, float], came: int) -> None:
        self.server, self.path, self.query = server, path, query
        self.tokens, self.per = int(query.get("tokens", 20)), int(query.get("per", 1))
        self.written: list[int] = []
        if (body := server.body) and (key := json.loads(body).get("id")) is not None:
            server.written[str(key)] = self.written
        self.due = came + int(query.get("ttft", 20.0) * 1e6)
        if path.endswith("chat/completions"):
            self.send({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        server._at(self.due, self.next)

    def send(self, event: object) -> None:
        data = b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n"
        self.server.transport.write(b"%x\r\n%s\r\n" % (len(data), data))

    def next(self) -> None:
        cut, fail = int(self.query.get("cut", 0)), int(self.query.get("fail", 0))
        if cut and len(self.written) == cut:
            self.server.transport.close()
            return
        if fail and len(self.written) == fail:
            self.send({"error": {"message": "out of memory", "code": 500}})
            self.server.transport.write(b"0\r\n\r\n")
            return
        words = "word " * self.per
        if self.path.endswith("chat/completions"):
            event: dict[str, object] = {"choices": [{"index": 0, "delta": {"content": words}}]}
        elif self.path.endswith("completions"):
            event = {"choices": [{"index": 0, "text": words}]}
        else:
            event = {"model_name": "m", "text_output": words}
        self.written.append(time.monotonic_ns())
        self.send(event)
        if len(self.written) * self.per >= self.tokens:
            self.end()
            return
        self.due += int(self.query.get("itl", 5.0) * 1e6)
        self.server._at(self.due, self.next)

    def end(self) -> None:
        if "completions" in self.path:
            self.send({"choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": "stop"}]})
            usage = {"prompt_tokens": 7, "completion_tokens": len(self.written) * self.per}
            self.send({"choices": [], "usage": usage})
            self.send(b"[DONE]")
        self.server.transport.write(b"0\r\n\r\n")


@contextmanager
def known_server(*command: str) -> Iterator[str]:
    """Its URL, while it runs as a process of its own; ``command`` goes before it (``taskset -c 1``)."""
    line = [*command, sys.executable, __file__]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def main() -> None:
    Server.agenda = Agenda()
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1000)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
