"""A real API server for tests: etcd and kube-apiserver on the loopback, or whatever cluster KUBECONFIG names.

The binaries are those that the lab built into the user's cache folder. Nothing schedules or runs pods here: what
controllers write, tests write themselves.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fairway"
TOKEN = "fairway-tests"


def binary(name: str) -> Path | None:
    """A binary of the lab; None if it has not been built."""
    found = sorted(CACHE.glob(f"lab/*/{name}"), key=lambda path: path.stat().st_mtime)
    return next((path for path in reversed(found) if path.is_file() and os.access(path, os.X_OK)), None)


@contextmanager
def kubeconfig(folder: Path, *, own: bool = False) -> Iterator[Path]:
    """The kubeconfig of a real API server: KUBECONFIG's, else one that is started here, as always for the test's ``own``.

    Skips the test without one.
    """
    if not own and (given := os.environ.get("KUBECONFIG")):
        yield Path(given)
        return
    etcd, server = binary("etcd"), binary("kube-apiserver")
    if etcd is None or server is None:
        pytest.skip("there is no API server: set KUBECONFIG, or build the lab with `make lab`")
    client, peer, secure = _ports(3)
    processes = []
    try:
        processes.append(_start(folder, "etcd", _etcd(etcd, folder, client, peer)))
        (folder / "tokens.csv").write_text(f"{TOKEN},tester,tester,system:masters\n")
        subprocess.run(["openssl", "genrsa", "-out", str(folder / "sa.key"), "2048"], check=True, capture_output=True)
        processes.append(_start(folder, "kube-apiserver", _api_server(server, folder, client, secure)))
        address = f"https://127.0.0.1:{secure}"
        _wait(address, folder, processes)
        yield _written(folder, address)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _etcd(binary: Path, folder: Path, client: int, peer: int) -> list[str]:
    urls = f"http://127.0.0.1:{client}"
    return [
        str(binary), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync", "--log-level", "error",
        "--listen-client-urls", urls, "--advertise-client-urls", urls,
        "--listen-peer-urls", f"http://127.0.0.1:{peer}",
        "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
        "--initial-cluster", f"default=http://127.0.0.1:{peer}",
    ]  # fmt: skip


def _api_server(binary: Path, folder: Path, etcd: int, secure: int) -> list[str]:
    return [
        str(binary), "--etcd-servers", f"http://127.0.0.1:{etcd}",
        "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", str(secure),
        "--cert-dir", str(folder / "certs"), "--token-auth-file", str(folder / "tokens.csv"),
        "--service-account-issuer", "https://fairway.test", "--service-account-key-file", str(folder / "sa.key"),
        "--service-account-signing-key-file", str(folder / "sa.key"), "--service-cluster-ip-range", "198.19.0.0/24",
        "--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount",
        "--endpoint-reconciler-type", "none",
    ]  # fmt: skip


def _start(folder: Path, name: str, command: list[str]) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)


def _wait(address: str, folder: Path, processes: list["subprocess.Popen[bytes]"]) -> None:
    deadline = time.monotonic() + 90
    while True:
        assert all(process.poll() is None for process in processes), (folder / "kube-apiserver.log").read_text()[-2000:]
        assert time.monotonic() < deadline, "the API server did not come up in time"
        try:
            certificate = folder / "certs" / "apiserver.crt"
            if requests.get(f"{address}/readyz", headers=_token(), verify=str(certificate), timeout=2).ok:
                return
        except (requests.RequestException, OSError):
            pass
        time.sleep(0.2)


def _token() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def _written(folder: Path, address: str) -> Path:
    path = folder / "kubeconfig"
    cluster = {"server": address, "certificate-authority": str(folder / "certs" / "apiserver.crt")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": TOKEN}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": "default"}}],
        "current-context": "tests",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def _ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
