"""Addresses of a name: one question for all who wait for the answer, in a thread whose end nobody has to wait for.

An event loop waits for its own threads when it closes (``loop.shutdown_default_executor``, libuv's pool): a resolver that does not answer
would hold the end of the run.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

Places = list[tuple[int, Any]]
"""Family and address, as getaddrinfo gives them."""


class Names:
    """The addresses of ``host`` for connections to ``port``."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._asked: asyncio.Future[Places | Exception] | None = None

    async def __call__(self) -> Places:
        """Asked for once, and again after a failure. Raises OSError or UnicodeError."""
        asked = self._asked
        if asked is None or asked.get_loop() is not asyncio.get_running_loop():
            asked = self._ask()
        found = await asyncio.shield(asked)
        if isinstance(found, Exception):
            if self._asked is asked:
                self._asked = None
            raise found
        return found

    def _ask(self) -> "asyncio.Future[Places | Exception]":
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Places | Exception] = loop.create_future()

        def answer(found: Places | Exception) -> None:
            if not asked.done():
                asked.set_result(found)

        def ask() -> None:
            found: Places | Exception
            try:
                told = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                found = [(entry[0], entry[4]) for entry in told]
            except Exception as error:  # noqa: BLE001 - raised by whoever waits
                found = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(answer, found)

        threading.Thread(target=ask, daemon=True).start()
        self._asked = asked
        return asked
