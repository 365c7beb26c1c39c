"""The real thing for releases in tests: two KServe model servers, started once, and an Envoy folder for each test."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from fairway_steps.clock import SystemClock
from fairway_steps.config import load_release
from fairway_steps.model import Version
from fairway_steps.record import FileStore, Record
from fairway_steps.routing.bootstrap import write_folder
from fairway_steps.routing.process import start, stop
from fairway_workflows.canary import CanaryOptions, build
from fairway_workflows.demo.play import PAYLOAD
from fairway_workflows.demo.servers import await_primary, free_ports, model_servers
from fairway_workflows.local import Silent, WorkflowResult, run_workflow
from fairway_workflows.run import arguments
from local_runs import until

MODEL = "digits"


@contextmanager
def two_models(folder: Path) -> Iterator[Mapping[str, Version]]:
    """v1 and v2, both good, ready to answer."""
    first, second = free_ports(2)
    with model_servers(folder, {"v1": "good", "v2": "good"}, {"v1": first, "v2": second}) as versions:
        for name, version in versions.items():
            await_primary(version, MODEL, SystemClock(), folder / f"{name}.log")
        yield versions


PATIENCE = 180.0
"""Seconds in which what a release does must show, on a machine with others at work."""


class Place:
    """A folder with a route that a real Envoy serves, and a release file to run in it."""

    def __init__(self, folder: Path, versions: Mapping[str, Version]) -> None:
        self.folder, self.versions = folder, versions
        listen, admin = free_ports(2)
        self.address = f"http://127.0.0.1:{listen}"
        write_folder(folder / "route", MODEL, versions["v1"], f"127.0.0.1:{listen}", f"127.0.0.1:{admin}")
        self.proxy = start(folder / "route", SystemClock())
        self.started: list[subprocess.Popen[str]] = []

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()
        stop(self.proxy)

    def release(self, **changed: Any) -> Path:
        """Write release.yaml: short stages, traffic through the proxy; ``changed`` fields replace those."""
        values: dict[str, Any] = {
            "service": MODEL,
            "route": "envoy:./route",
            "primary": f"v1={self.versions['v1'].uri}",
            "candidate": f"v2={self.versions['v2'].uri}",
            "stages": [{"weight": 20, "duration": "2s"}, {"weight": 50, "duration": "2s"}],
            "slos": [
                {"metric": "error-rate", "limit": "1%", "min-requests": 10},
                {"metric": "latency", "quantile": "p95", "limit": "2s", "min-requests": 10},
            ],
            "inference": {"model": MODEL, "payload": PAYLOAD},
            "traffic": {"url": self.address, "path": f"/v2/models/{MODEL}/infer", "rate": 40, "payload": PAYLOAD},
        }
        path = self.folder / "release.yaml"
        kept = {name: value for name, value in (values | changed).items() if value is not None}
        path.write_text(yaml.safe_dump(kept, sort_keys=False), encoding="utf-8")
        return path

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`fairway …` in the folder, with pipes for stdout and stderr."""
        process = subprocess.Popen(
            [sys.executable, "-m", "fairway_steps", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Tests may run where Ctrl-C is ignored (in the background of a shell script), which children inherit.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
        )
        self.started.append(process)
        return process

    def fairway(self, *arguments: str, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """`fairway …` in the folder, to its end."""
        command = [sys.executable, "-m", "fairway_steps", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=False)

    def under_way(self) -> None:
        """Wait until the candidate has traffic in a stage."""
        until(lambda: ((self.record or {}).get("stage", -1)) >= 0, PATIENCE)

    def carry_out(self, options: CanaryOptions, **given: str) -> tuple[WorkflowResult, Record]:
        """Run a rendered canary on what `release` wrote, with more of its parameters ``given``; how it and the release ended."""
        spec, store = load_release(self.folder / "release.yaml"), FileStore(self.folder / "r.json")
        route = f"envoy:{self.folder}/route"
        own = {"route": route, "metrics": route, "report": str(self.folder / "report.html")}
        ended = run_workflow(
            build(options).to_dict(),
            arguments(spec, store, resume=False) | own | given,
            workdir=self.folder,
            observer=Silent(),
            control=self.folder / "control",
            locks=self.folder / "locks",
            clock=SystemClock(),
            name="canary",
            uid="canary",
        )
        record = store.load()
        assert record is not None
        return ended, record

    @property
    def record(self) -> dict[str, Any] | None:
        path = self.folder / ".fairway" / f"{MODEL}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def weights(self) -> dict[str, int]:
        """The weights stored in the route now, as a dry run reads them."""
        asked = self.fairway(
            *("set-weights", "--service", MODEL, "--route", "envoy:./route", "--dry-run=true", "--output=json"),
            *(
                f"--primary=v1={self.versions['v1'].uri}",
                f"--candidate=v2={self.versions['v2'].uri}",
                "--weights=v1=100",
            ),
        )
        assert asked.returncode == 0, asked.stderr
        weights: dict[str, int] = json.loads(asked.stdout)["now"]
        return weights


def processes_naming(text: str) -> list[str]:
    """The command lines of all processes that name ``text``, our own left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found += [line] if text in line else []
    return found
