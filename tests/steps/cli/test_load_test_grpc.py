"""``fairway load-test`` on gRPC endpoints, as a process: options to calls, several processes, streams, and what cannot be.

Left out: each class of failure (loadtest/test_grpc.py); options that are the same for HTTP (test_load_test.py).
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import grpc_server
from fairway_steps.loadtest.samples import read
from raw_server import OK, always, serving

FAIRWAY = [sys.executable, "-m", "fairway_steps", "load-test"]
ECHO = grpc_server.SERVICE


def fairway(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FAIRWAY, *args], capture_output=True, text=True, timeout=90, env={**os.environ, **env}, check=False
    )


@pytest.fixture
def server():
    with grpc_server.serving() as (address, echo):
        yield f"grpc://{address}", echo


@pytest.mark.parametrize("workers", ["1", "2"])
def test_calls_with_metadata_from_secrets_and_the_timeout_as_deadline(server, workers, tmp_path: Path):
    url, echo = server
    done = fairway(
        f"--url={url}/{ECHO}/Unary",
        '--payload={"text": "a"}',
        "--header=x-key: env:KEY",
        "--timeout=30s",
        "--rate=100",
        "--requests=20",
        f"--workers={workers}",
        f"--samples={tmp_path}/s.npz",
        "--output=json",
        KEY="secret",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["requests"], told["errors"]) == (20, {})
    assert [(name, asks[0].text) for name, asks, *_ in echo.calls] == [("Unary", "a")] * 20
    assert {metadata["x-key"] for _, _, metadata, _ in echo.calls} == {"secret"}
    assert all(20 < left < 31 for *_, left in echo.calls)
    assert "secret" not in done.stdout + done.stderr
    assert len(read(tmp_path / "s.npz")) == 20


def test_streams_have_the_metrics_of_streams(server):
    done = fairway(
        f"--url={server[0]}/{ECHO}/Serve",
        '--payload={"count": 4, "delay": 20}',
        "--rate=20",
        "--requests=5",
        "--output=json",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["ttft_ms"]["p50"] or 20) >= 20  # a busy machine may read all of them late
    assert (told["itl_ms"]["p50"] or 15) >= 15


def test_endpoints_of_both_protocols_are_loaded_at_once(server):
    with serving(always(OK)) as http:
        endpoints = (
            f"{{a: {{url: '{http.url}'}}, b: {{url: '{server[0]}', call: {ECHO}/Collect, payload: '[{{}}, {{}}]'}}}}"
        )
        done = fairway(f"--endpoints={endpoints}", "--rate=50", "--requests=5", "--output=json")
    assert done.returncode == 0, done.stderr
    assert [len(asks) for _, asks, *_ in server[1].calls] == [2] * 5
    assert len(http.requests) == 5


def test_the_first_of_each_failure_is_told(server):
    done = fairway(f"--url={server[0]}/{ECHO}/Unary", '--payload={"code": "ABORTED"}', "--rate=50", "--requests=3")
    assert done.returncode == 0
    assert "3 failed (grpc-aborted 3)" in done.stdout
    assert "the first that failed with grpc-aborted: aborted: as was asked" in done.stderr


def test_an_http_port_is_unusable_and_said_to_be_one():
    with serving(always(OK)) as http:
        url = http.url.replace("http:", "grpc:")
        done = fairway(f"--url={url}/v2/models/m/infer", "--tensors=x:FP32[1,4]", "--requests=3", "--rate=50")
    assert done.returncode == 1
    assert "no request could connect" in done.stderr.splitlines()[-1]
    assert "answers in HTTP/1: this is not its gRPC port" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["/Nope"], "has no method fairway.test.Echo/Nope: Echo has Unary"),
        (["/Unary", '--payload={"nope": 1}'], "the payload is no fairway.test.Ask"),
        (["/Unary", "--insecure=true"], "certificates are of no use"),
        (["/Unary", "--descriptors=/no/such"], "descriptor set /no/such cannot be read"),
        (["/Unary", "--header=grpc-timeout: 1S"], "is gRPC's own"),
        (["/Unary", "--expect=x"], "--expect is for HTTP"),
        (["/Unary", "--method=GET"], "--method is for HTTP"),
    ],
)
def test_what_cannot_be_is_one_sentence(server, args, says):
    path, *rest = args
    done = fairway(f"--url={server[0]}/{ECHO}{path}", "--requests=1", *rest)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_on_sigterm_it_ends_with_what_it_has(server):
    url, echo = server
    process = subprocess.Popen(
        [
            *FAIRWAY,
            f"--url={url}/{ECHO}/Unary",
            '--payload={"delay": 5}',
            "--rate=50",
            "--duration=60s",
            "--output=json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while len(echo.calls) < 20 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 143, err
    told = json.loads(out)
    assert told["stopped"] is True
    assert told["requests"] >= 20
    assert told["requests"] - told["errors"].get("cancelled", 0) <= len(echo.calls)


def test_too_few_open_files_are_the_clients_limit(server):
    """Each call has a connection of its own, and a machine lets 40 files be open."""
    url, _ = server
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); os.execv(sys.argv[1], sys.argv[1:])"
    load = ["--requests=60", "--rate=60", "--calls-per-connection=1", "--workers=1", "--output=json"]
    command = [
        *(sys.executable, "-c", limited),
        *FAIRWAY,
        f"--url={url}/{ECHO}/Unary",
        '--payload={"delay": 1500}',
        *load,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["client_limited"]
    assert "lets no more connections be opened (too many open files)" in told["reason"]
    assert 0 < told["errors"]["connect"] < 60
