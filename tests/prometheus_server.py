"""A real Prometheus in tests: a process of its own on loopback, its data in a folder of the test.

``make test`` fetches it. Where there is none, tests that need it are skipped with that reason; in CI they fail.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

CACHED = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairway/debian/prometheus/usr/bin/prometheus"
)
INTERVAL = 0.1
CONFIG = """
global: {{scrape_interval: {interval}ms, scrape_timeout: {interval}ms}}
scrape_configs:
- job_name: fairway
  metrics_path: {path}
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
    """Scrapes ``targets`` (HOST:PORT with their labels) each 0.1 s; they may be changed while it runs."""

    def __init__(
        self, folder: Path, targets: Mapping[str, Mapping[str, str]], *, path: str = "/metrics", port: int
    ) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.target(targets)
        (folder / "prometheus.yml").write_text(CONFIG.format(interval=round(INTERVAL * 1000), path=path))
        self._command = [
            binary(),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle",
            "--log.level=error",
        ]
        self.start()

    def target(self, targets: Mapping[str, Mapping[str, str]]) -> None:
        """What is scraped from now on (after a reload, if it runs)."""
        groups = [{"targets": [address], "labels": dict(labels)} for address, labels in targets.items()]
        whole = self.folder / "targets.new"
        whole.write_text(json.dumps(groups))
        whole.rename(self.folder / "targets.json")

    def start(self) -> None:
        self._log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        self._until(self._ready)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def reload(self) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/-/reload", method="POST"), timeout=10).close()

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
