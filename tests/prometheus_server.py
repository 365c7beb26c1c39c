"""A real Prometheus in tests: a process of its own on loopback, its data in a folder of the test.

It takes five seconds from the start of Prometheus to its first scrape, so that a module's tests share one: each takes a *slot*
of it, an address that is scraped already, and fills it with what it likes.

``make test`` fetches it. Where there is none, tests that need it are skipped with that reason; in CI they fail.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

CACHED = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairway/debian/prometheus/usr/bin/prometheus"
)
INTERVAL = 0.4
SLOTS = 40
CONFIG = """
global: {{scrape_interval: {interval}ms, scrape_timeout: {interval}ms}}
scrape_configs:
- job_name: fairway
  file_sd_configs: [{{files: [targets.json], refresh_interval: 1h}}]
"""


def binary() -> str:
    """The program; skips the test that needs it where there is none."""
    found = (
        os.environ.get("FAIRWAY_PROMETHEUS") or shutil.which("prometheus") or (str(CACHED) if CACHED.exists() else "")
    )
    if not found:
        reason = "no Prometheus on this machine: `make test` fetches one, or put one on the PATH"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return found


class PrometheusServer:
    """Scrapes ``targets``, each HOST:PORT/PATH with its labels."""

    def __init__(self, folder: Path, targets: Mapping[str, Mapping[str, str]], *, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        folder.mkdir(parents=True, exist_ok=True)
        split = [(*target.partition("/"), labels) for target, labels in targets.items()]
        groups = [
            {"targets": [address], "labels": {"__metrics_path__": f"/{path}", **labels}}
            for address, _, path, labels in split
        ]
        (folder / "targets.json").write_text(json.dumps(groups))
        (folder / "prometheus.yml").write_text(CONFIG.format(interval=round(INTERVAL * 1000)))
        self._command = [
            binary(),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        self.start()

    def start(self) -> None:
        self._log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        self._until(self._ready)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def query(self, promql: str) -> Sequence[Any]:
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{urlencode({'query': promql})}", timeout=10) as answer:
            result: Sequence[Any] = json.load(answer)["data"]["result"]
        return result

    def scraped(self, selector: str = "up") -> None:
        """Wait until every series of ``selector`` has a sample of a scrape that began after this call."""
        asked = time.time()

        def since() -> bool:
            found = self.query(f"timestamp({selector})")
            return bool(found) and all(float(series["value"][1]) > asked for series in found)

        self._until(since)

    def _ready(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            urllib.request.urlopen(f"{self.url}/-/ready", timeout=1).close()
        except OSError:
            return False
        return True

    @staticmethod
    def _until(condition: Any, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition did not come true in time"
            time.sleep(0.02)


class Slots:
    """A Prometheus, and SLOTS addresses that it scrapes. An empty one answers 404, so that its ``up`` is 0."""

    def __init__(self, folder: Path) -> None:
        self._texts: dict[str, Callable[[], str]] = {}
        owner, self._next = self, 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format, *args):  # noqa: A002 - the base class's word
                pass

            def do_GET(self):
                try:
                    told = owner._texts.get(self.path.removeprefix("/"), lambda: "")()
                except OSError:
                    told = ""  # what the slot shows is down itself
                self.send_response(200 if told else 404)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(told.encode())))
                self.end_headers()
                self.wfile.write(told.encode())

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A scrape that gave up on a loaded machine is nobody's failure."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        address = f"127.0.0.1:{self._http.server_address[1]}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        names = [f"slot{number}" for number in range(SLOTS)]
        self.server = PrometheusServer(
            folder, {f"{address}/{name}": {"slot": name, "instance": name} for name in names}, port=port
        )
        self.server.scraped()

    def fill(self, text: Callable[[], str], name: str = "") -> str:
        """A slot's name, from now on with what ``text`` gives at each scrape; "" is a target that is down."""
        if not name:
            name, self._next = f"slot{self._next}", self._next + 1
            assert self._next <= SLOTS, "more slots are needed"
        self._texts[name] = text
        return name

    def seen(self, name: str) -> None:
        """Wait until the slot was scraped anew."""
        self.server.scraped(f'up{{slot="{name}"}}')

    def close(self) -> None:
        self.server.stop()
        self._http.shutdown()
        self._http.server_close()
