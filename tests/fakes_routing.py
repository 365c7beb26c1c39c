"""Routing in tests: a router in memory, model servers in miniature, a real Envoy in a folder, and a client of it."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from fairway_steps.clock import SystemClock
from fairway_steps.codec import decode, encode
from fairway_steps.errors import Fenced, Refused
from fairway_steps.model import Routes, Version
from fairway_steps.routing.base import Capabilities, Served
from fairway_steps.routing.bootstrap import write_folder
from fairway_steps.routing.claims import NOBODY, Claims
from fairway_steps.routing.envoy import EnvoyRouter
from fairway_steps.routing.process import start, stop


@dataclass
class Stored:
    """What a fake back end keeps of one route: shared by all routers on it."""

    routes: Routes
    fence: int = 0
    foreign: dict[str, str] = field(default_factory=lambda: {"timeout": "7s"})
    unknown: str = ""
    backends: set[str] = field(default_factory=set)


class FakeRouter:
    """A route in memory. ``settles`` says whether the proxy takes changes; ``counts`` is what it has served."""

    capabilities = Capabilities(weights=True, header_match=True, mirror=True, sticky=True)

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.settles = True
        self.trouble = ""
        self.counts: Counter[str] = Counter()
        self.lost = 0
        self.claimed = NOBODY
        self.foreseen: tuple[Routes, ...] = ()

    def read(self) -> Routes:
        if self.stored.unknown:
            raise Refused(f"the route names the backend {self.stored.unknown!r}: Fairway does not know it")
        return self.stored.routes

    def preflight(self, asked: Iterable[Routes], versions: Mapping[str, Version]) -> None:
        del versions
        self.foreseen = tuple(asked)

    def apply(self, routes: Routes, versions: Mapping[str, Version], *, fence: int = 0) -> Routes:
        self.read()
        assert routes.versions() <= set(versions)
        self._check(fence)
        self.stored.routes, self.stored.backends = routes, set(routes.versions())
        return self.read()

    def fence(self) -> int:
        return self.stored.fence

    def claim(self, fence: int) -> None:
        self._check(fence, claim=True)

    def settled(self) -> bool | None:
        return self.settles

    def served(self) -> Served | None:
        return Served(dict(self.counts), self.counts.total() + self.lost, self.lost)

    def claims(self) -> Claims:
        return self.claimed

    def snapshot(self) -> str:
        return json.dumps(encode(self.read()))

    def restore(self, snapshot: str, *, fence: int = 0) -> Routes:
        self._check(fence)
        self.stored.routes, self.stored.unknown = decode(Routes, json.loads(snapshot)), ""
        self.stored.backends = set(self.stored.routes.versions())
        return self.read()

    def give_all(self, version: Version, *, fence: int = 0) -> None:
        self._check(fence)
        self.stored.routes, self.stored.backends = Routes({version.name: 100}), {version.name}
        self.stored.unknown = ""

    def _check(self, fence: int, *, claim: bool = False) -> None:
        if fence and fence < self.stored.fence + claim:
            raise Fenced("a newer holder owns the route")
        self.stored.fence = max(fence, self.stored.fence)


class ModelServer:
    """Answers every POST with its own name, and counts. The headers ``x-status`` and ``x-sleep`` say how.

    With ``echo``, the name of a header, it answers with that instead, and counts what was ``heard`` in it.
    """

    def __init__(self, name: str, host: str = "127.0.0.1") -> None:
        self.name, self.requests, self.echo = name, 0, ""
        self.heard: Counter[str] = Counter()
        lock, owner = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def log_message(self, format, *args):  # noqa: A002 - the base class's word
                pass

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                with lock:
                    owner.requests += 1
                    owner.heard[self.headers.get(owner.echo, "")] += 1
                time.sleep(float(self.headers.get("x-sleep", 0)))
                self.send_response(int(self.headers.get("x-status", 200)))
                said = self.headers.get(owner.echo, "") if owner.echo else owner.name
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said.encode())

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.version = Version(name, f"http://{host}:{self.port}")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from fakes_routing import ModelServer
import threading
print(ModelServer(sys.argv[2]).version.uri, flush=True)
threading.Event().wait()
"""


@contextmanager
def model_process(name: str) -> Iterator[tuple[Version, "subprocess.Popen[str]"]]:
    """A model server as a process of its own, to be killed."""
    command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Version(name, process.stdout.readline().strip()), process
        finally:
            process.kill()


@dataclass(frozen=True)
class Answer:
    """What a client got: ``version`` is what the header says, ``body`` who really answered."""

    status: int
    version: str
    body: str


class Client:
    """One user of a service, on one connection."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = http.client.HTTPConnection(address, timeout=10)

    def ask(self, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request("POST", "/v2/models/iris/infer", "{}", named)
            answer = self._connection.getresponse()
            return Answer(answer.status, answer.getheader("x-fairway-version", ""), answer.read().decode())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = http.client.HTTPConnection(self._address, timeout=10)
            return Answer(0, "", repr(error))

    def count(self, requests: int, **headers: str) -> Counter[str]:
        """Who answered ``requests`` requests; all of them were answered well."""
        answers = [self.ask(**headers) for _ in range(requests)]
        assert [a for a in answers if a.status != 200 or a.version != a.body] == []
        return Counter(answer.body for answer in answers)

    def close(self) -> None:
        self._connection.close()


class Traffic:
    """A client that asks ``rate`` times a second, as long as the block lasts; ``answers`` is what it got."""

    def __init__(self, address: str, rate: float) -> None:
        self.answers: list[Answer] = []
        self._client, self._gap = Client(address), 1 / rate
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(self._gap):
            self.answers.append(self._client.ask())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status != 200]


class Lab:
    """A real Envoy on a folder, the routers of it, and its address."""

    def __init__(self, folder: Path, primary: Version, service: str = "iris") -> None:
        self.folder, self.service = folder, service
        listen, admin = free_ports(2)
        self.address, self.admin = f"127.0.0.1:{listen}", f"http://127.0.0.1:{admin}"
        write_folder(folder, service, primary, self.address, f"127.0.0.1:{admin}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = start(self.folder, SystemClock())

    def stop(self) -> None:
        if self.process:
            stop(self.process)
            self.process = None

    def router(self, *, patience: float = 10.0) -> EnvoyRouter:
        return EnvoyRouter(self.folder, self.service, self.admin, SystemClock(), patience=patience)

    def load(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text())

    def edit(self, name: str, change: Callable[[dict], None]) -> None:
        """Change a file as a person would, so that Envoy sees it."""
        value = self.load(name)
        change(value)
        value["version_info"] += "0"
        (self.folder / f"{name}.new").write_text(json.dumps(value))
        (self.folder / f"{name}.new").replace(self.folder / name)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def eventually(condition: Callable[[], object], timeout: float = 180.0) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
