"""The load testers to compare with: fortio, oha and for gRPC ghz (built once from their registries), hey and wrk (from the system).

Each run gives what the tool itself says: requests, requests per second, latencies in ms by quantile (those it tells), and the CPU
time it took. Built tools lie in the user's cache folder.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fairway" / "load-tools"
FORTIO = "fortio.org/fortio@v1.57.3"
GHZ = "github.com/bojand/ghz/cmd/ghz@v0.121.0"
OHA = "1.16.0"
WANTED = (50, 90, 95, 99, 99.9)


@dataclass(frozen=True)
class Ran:
    requests: int
    rate: float
    ms: dict[float, float] = field(default_factory=dict)
    cpu_s: float = 0.0

    @property
    def cpu_us(self) -> float:
        return self.cpu_s * 1e6 / max(1, self.requests)


@dataclass(frozen=True)
class Job:
    """``rate`` of None: as fast as ``connections`` go (closed loop)."""

    url: str
    seconds: float
    connections: int
    rate: float | None = None


Tool = Callable[[Job], Ran]


def tools() -> dict[str, Tool]:
    """Those at hand; building what can be built. Says on stderr what is missing, and how to get it."""
    found: dict[str, Tool] = {}
    if fortio := _go("fortio", FORTIO):
        found["fortio"] = lambda job: _fortio(fortio, job)
    if hey := _system("hey"):
        found["hey"] = lambda job: _hey(hey, job)
    if wrk := _system("wrk"):
        found["wrk"] = lambda job: _wrk(wrk, job)
    cargo = ["cargo", "install", "oha", "--version", OHA, "--locked", "--root", str(CACHE)]
    if oha := _built("oha", cargo, {}, CACHE / "bin" / "oha"):
        found["oha"] = lambda job: _oha(oha, job, corrected=False)
        found["oha corrected"] = lambda job: _oha(oha, job, corrected=True)
    return found


def ghz() -> str:
    """Its program; empty, and why on stderr, where there is none."""
    return _go("ghz", GHZ)


def _go(name: str, package: str) -> str:
    return _built(name, ["go", "install", package], {"GOBIN": str(CACHE / "bin")}, CACHE / "bin" / name)


def _system(name: str) -> str:
    path = shutil.which(name) or ""
    if not path:
        sys.stderr.write(f"{name} is left out: it is not installed (Debian: apt install {name})\n")
    return path


def _built(name: str, command: Sequence[str], env: dict[str, str], path: Path) -> str:
    if path.exists():
        return str(path)
    CACHE.mkdir(parents=True, exist_ok=True)
    if not shutil.which(command[0]):
        sys.stderr.write(f"{name} is left out: {command[0]} is not installed\n")
        return ""
    sys.stderr.write(f"building {name}, once (minutes)\n")
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode or not path.exists():
        sys.stderr.write(f"{name} is left out: {(done.stderr.strip().splitlines() or ['it could not be built'])[-1]}\n")
        return ""
    return str(path)


def timed(command: Sequence[str]) -> tuple[str, float]:
    """What it wrote, and the CPU seconds it took."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return out.read(), usage.ru_utime + usage.ru_stime


def _fortio(binary: str, job: Job) -> Ran:
    rate = "0" if job.rate is None else str(job.rate)
    told, cpu = timed(
        [
            binary,
            "load",
            "-qps",
            rate,
            "-t",
            f"{job.seconds}s",
            "-c",
            str(job.connections),
            "-p",
            "50,90,95,99,99.9",
            "-loglevel",
            "error",
            "-json",
            "-",
            job.url,
        ]
    )
    values = json.loads(told[told.index("{") :])
    ms = {one["Percentile"]: one["Value"] * 1e3 for one in values["DurationHistogram"]["Percentiles"]}
    return Ran(values["DurationHistogram"]["Count"], values["ActualQPS"], ms, cpu)


def _hey(binary: str, job: Job) -> Ran:
    """Its CSV has every response time; it limits each of its workers to a rate of its own."""
    limit = [] if job.rate is None else ["-q", str(job.rate / job.connections)]
    told, cpu = timed([binary, "-z", f"{job.seconds}s", "-c", str(job.connections), *limit, "-o", "csv", job.url])
    times = [float(line.split(",", 1)[0]) * 1e3 for line in told.splitlines()[1:] if line]
    ms = dict(zip(WANTED, np.percentile(times, WANTED), strict=True)) if times else {}
    return Ran(len(times), len(times) / job.seconds, ms, cpu)


def _wrk(binary: str, job: Job) -> Ran:
    """It knows no rate."""
    told, cpu = timed(
        [binary, "-t", "1", "-c", str(job.connections), "-d", f"{job.seconds:.0f}s", "--latency", job.url]
    )
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    found = re.findall(r"^\s+(50|75|90|99)%\s+([\d.]+)(us|ms|s)", told, re.MULTILINE)
    requests = re.search(r"(\d+) requests in", told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    ms = {float(name): float(value) * units[unit] for name, value, unit in found}
    return Ran(int(requests[1]) if requests else 0, float(rate[1]) if rate else 0.0, ms, cpu)


def _oha(binary: str, job: Job, *, corrected: bool) -> Ran:
    limit = [] if job.rate is None else ["-q", f"{job.rate:g}", *(["--latency-correction"] if corrected else [])]
    told, cpu = timed(
        [
            binary,
            "--no-tui",
            "--output-format",
            "json",
            "-z",
            f"{job.seconds}s",
            "-c",
            str(job.connections),
            *limit,
            job.url,
        ]
    )
    values = json.loads(told)
    names = {50: "p50", 90: "p90", 95: "p95", 99: "p99", 99.9: "p99.9"}
    ms = {q: values["latencyPercentiles"][name] * 1e3 for q, name in names.items()}
    requests = sum(values["statusCodeDistribution"].values())
    return Ran(requests, values["summary"]["requestsPerSec"], ms, cpu)
