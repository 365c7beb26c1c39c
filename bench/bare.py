"""The least that a client of this machine needs for the same traffic: wait, send, receive, and nothing else.

`python bench/bare.py plan|asyncio|uvloop|streams URL RATE SECONDS` prints CPU microseconds a request, or an event (`plan` in plain system calls, the next
two in an event loop); `wake - RATE SECONDS` the milliseconds by which
sleeps end late, at most but for a thousandth of them: below that no client of this machine can be. It keeps no times, reads no answer and
waits for each one, so it is no load test; what a load test costs beyond it is its own.
"""

import asyncio
import json
import select
import socket
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from fairway_steps.loadtest.timer import timer


def connected(url: str, body: bytes = b"") -> tuple[socket.socket, bytes]:
    """A socket, and the request to send over it."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname, parts.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"{'POST' if body else 'GET'} {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return sock, head.encode() + body


def plan(url: str, rate: float, seconds: float) -> float:
    sock, request = connected(url)
    start, cpu = time.monotonic_ns(), time.thread_time_ns()
    for i in range(round(rate * seconds)):
        wait = start + i * 1e9 / rate - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        sock.sendall(request)
        sock.recv(65536)
    return (time.thread_time_ns() - cpu) / round(rate * seconds) / 1e3


def loop(url: str, rate: float, seconds: float, factory: Callable[[], asyncio.AbstractEventLoop] | None) -> float:
    """The same in an event loop: a timer, and transports that were idle."""
    count, idle, answered = round(rate * seconds), [], asyncio.Event()

    room = bytearray(1 << 16)

    class Peer(asyncio.BufferedProtocol):  # without a buffer asyncio maps memory for each read
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            idle.append(transport)

        def get_buffer(self, sizehint: int) -> bytearray:
            del sizehint
            return room

        def buffer_updated(self, nbytes: int) -> None:
            del nbytes
            idle.append(self.transport)
            if sent == count and len(idle) == 64:
                answered.set()

    sent = 0

    async def main() -> float:
        nonlocal sent
        running, (first, request) = asyncio.get_running_loop(), connected(url)
        first.close()
        for _ in range(64):
            await running.create_connection(Peer, sock=connected(url)[0])

        def due() -> None:
            nonlocal sent
            while sent < count and start + sent * 1e9 / rate <= time.monotonic_ns() and idle:
                idle.pop().write(request)
                sent += 1
            alarm.set(max(time.monotonic_ns(), int(start + sent * 1e9 / rate)) if sent < count else 0)

        start, cpu, alarm = time.monotonic_ns() + 2_000_000, time.thread_time_ns(), timer(running, due)
        alarm.set(start)
        await answered.wait()
        return (time.thread_time_ns() - cpu) / count / 1e3

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())


def streams(url: str, rate: float, count: int) -> float:
    """``count`` streams, begun ``rate`` a second; an event is whatever ends in a blank line."""
    made = [connected(url, b"{}") for _ in range(count)]
    epoll, open_ = select.epoll(), {sock.fileno(): sock for sock, _ in made}
    for fd, sock in open_.items():
        sock.setblocking(False)
        epoll.register(fd, select.EPOLLIN)
    start, cpu = time.monotonic_ns(), time.thread_time_ns()
    begun = events = 0
    while open_:
        while begun < count and start + begun * 1e9 / rate <= time.monotonic_ns():
            made[begun][0].send(made[begun][1])
            begun += 1
        for fd, _ in epoll.poll(0.001 if begun < count else -1):
            data = open_[fd].recv(65536)
            events += data.count(b"\n\n")  # the last chunk, of length 0, may come alone
            if not data or data.endswith(b"0\r\n\r\n"):
                epoll.unregister(fd)
                del open_[fd]
    return (time.thread_time_ns() - cpu) / events / 1e3


def wake(rate: float, seconds: float) -> float:
    late = []
    for _ in range(round(rate * seconds)):
        begin = time.monotonic_ns()
        time.sleep(1 / rate)
        late.append(time.monotonic_ns() - begin - 1e9 / rate)
    return sorted(late)[int(len(late) * 0.999)] / 1e6


if __name__ == "__main__":
    _, what, url, rate, much = sys.argv
    if what == "wake":
        found = wake(float(rate), float(much))
    elif what == "asyncio":
        found = loop(url, float(rate), float(much), None)
    elif what == "uvloop":
        import uvloop

        found = loop(url, float(rate), float(much), uvloop.new_event_loop)
    else:
        found = plan(url, float(rate), float(much)) if what == "plan" else streams(url, float(rate), int(much))
    print(json.dumps(found))
