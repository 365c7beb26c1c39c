"""A client that sends at a fixed rate until it is told to stop, and keeps a record of every request.

An open loop: each request is sent at its time, whatever became of those before. None is sent twice.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

from on_cluster.versions import MODEL

BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP64", "data": [0.5] * 64}]})


@dataclass(frozen=True, slots=True)
class Request:
    """``sent`` is Unix time, ``took`` seconds; ``status`` 0 with the error's name if there was no answer."""

    sent: float
    took: float
    status: int
    version: str = ""
    error: str = ""

    @property
    def failed(self) -> bool:
        return self.status != 200


@dataclass
class Client:
    """``with Client(url, host) as client:``. Stops after ``limit`` seconds by itself."""

    url: str
    host: str
    rate: float = 50.0
    limit: float = 900.0
    path: str = f"/v2/models/{MODEL}/infer"
    headers: Mapping[str, str] = field(default_factory=dict)
    records: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name=f"client of {self.host}")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def since(self, moment: float) -> list[Request]:
        return [one for one in tuple(self.records) if one.sent >= moment]

    def answered_by(self, version: str) -> list[Request]:
        return [one for one in tuple(self.records) if one.version == version]

    def failed(self) -> list[Request]:
        return [one for one in tuple(self.records) if one.failed]

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=15)
        headers = {"host": self.host, "content-type": "application/json", **self.headers}
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
            began, count, open_ = time.monotonic(), 0, set()
            while not self._stop.is_set() and time.monotonic() - began < self.limit:
                task = asyncio.create_task(self._send(session))
                open_.add(task)
                task.add_done_callback(open_.discard)
                count += 1
                await asyncio.sleep(max(0.0, began + count / self.rate - time.monotonic()))
            await asyncio.gather(*open_)

    async def _send(self, session: aiohttp.ClientSession) -> None:
        sent, began = time.time(), time.monotonic()
        try:
            async with session.post(self.url + self.path, data=BODY) as answer:
                await answer.read()
                status, version, error = answer.status, answer.headers.get("x-model-version", ""), ""
        except (aiohttp.ClientError, TimeoutError) as caught:
            status, version, error = 0, "", type(caught).__name__
        self.records.append(Request(sent, time.monotonic() - began, status, version, error))


def told(records: Iterable[Request]) -> str:
    """Counts of what went wrong, for the message of an assertion."""
    return str(dict(Counter((one.status, one.error) for one in records)))
