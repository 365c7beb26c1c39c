"""A server for tests whose answers are written byte by byte, in a thread and event loop of its own."""

import asyncio
import re
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answering = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int = 200, body: bytes = b"ok", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class RawServer:
    """``requests`` are the bytes of each request in the order of arrival; ``connections`` counts those taken."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def listening(connection: Connection, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port where each connection is given to ``connection``."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    ports: list[int] = []

    async def main(stop: asyncio.Event) -> None:
        listener = await asyncio.start_server(connection, "127.0.0.1", 0, ssl=tls)
        ports.append(listener.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        listener.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main(stop)), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextmanager
def serving(answering: Answering, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Serve with ``answering(number, writer)``, called for each request; it may write, wait, close, or none of it."""
    server = RawServer()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b""
                server.requests.append(head + body)
                await answering(len(server.requests) - 1, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    with listening(connection, tls) as port:
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield server


def always(data: bytes) -> Answering:
    """Answer every request with the same bytes."""

    async def answering(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answering


def always_then_close(data: bytes) -> Answering:
    """Answer with these bytes (or none) and close."""

    async def answering(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return answering
