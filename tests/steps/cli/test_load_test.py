"""``fairway load-test`` as a process: options to requests, outputs, exit codes, signals, progress for Argo.

Left out: exactness (steps/loadtest), and other steps' use of the file (metrics/test_samples.py).
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fairway_steps.loadtest.samples import read
from fairway_steps.metrics.samples import SamplesSource
from fakes_routing import eventually
from raw_server import OK, always, answer, listening, serving

FAIRWAY = [sys.executable, "-m", "fairway_steps", "load-test"]


def fairway(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FAIRWAY, *args], capture_output=True, text=True, timeout=300, env={**os.environ, **env}, check=False
    )


def test_a_run_writes_its_outputs_and_its_samples(tmp_path: Path):
    with serving(always(answer(X_Fairway_Version="v2"))) as server:
        done = fairway(
            f"--url={server.url}/infer",
            "--rate=100",
            "--duration=500ms",
            "--warm-up=100ms",
            "--limits=250ms,1s",
            f"--samples={tmp_path}/s.npz",
            f"--out-dir={tmp_path}/out",
            "--output=json",
        )
    assert done.returncode == 0, done.stderr
    assert len(server.requests) == 60
    summary = json.loads((tmp_path / "out" / "summary").read_text())
    assert len((tmp_path / "out" / "summary").read_bytes()) <= 1000
    assert (summary["requests"], summary["warm_up"], summary["errors"]) == (50, 10, {})
    assert set(summary["over_ms"]) == {"250", "1000"}
    assert summary["versions"] == {"v2": 50}
    assert (tmp_path / "out" / "samples").read_text() == f"{tmp_path}/s.npz"
    assert json.loads(done.stdout) == summary | {"samples": f"{tmp_path}/s.npz"}
    assert len(read(tmp_path / "s.npz")) == 50
    assert sum(s.requests for s in SamplesSource(tmp_path / "s.npz").read(["v2"], {}, "", 0.0).strata) == 50


def test_the_text_says_what_happened():
    async def answering(number, writer):
        writer.write(answer(500) if number == 1 else OK)

    with serving(answering) as server:
        done = fairway(f"--url={server.url}", "--rate=100", "--requests=10", "--limits=10s")
    assert done.returncode == 0
    assert "10 requests at" in done.stdout
    assert "1 failed (http-500 1)" in done.stdout
    assert "over 10000 ms: 1" in done.stdout


def test_payload_headers_and_references(tmp_path: Path):
    (tmp_path / "key").write_text("from-file\n")
    with serving(always(OK)) as server:
        done = fairway(
            f"--url={server.url}",
            "--requests=1",
            '--payload={"inputs": []}',
            "--header=Authorization: Bearer env:TOKEN",
            f"--header=X-Key: file:{tmp_path}/key",
            "--header=X-Plain: http://env:8080/",
            "--header=",
            TOKEN="from-env",
        )
    assert done.returncode == 0, done.stderr
    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    assert head.startswith("POST / HTTP/1.1\r\n")
    assert body == '{"inputs": []}'
    for line in (
        "Content-Type: application/json",
        "Authorization: Bearer from-env",
        "X-Key: from-file",
        "X-Plain: http://env:8080/",
    ):
        assert line in head.split("\r\n")


def test_empty_options_are_unset_and_a_payload_may_be_a_file(tmp_path: Path):
    (tmp_path / "body").write_bytes(b"\x00\x01")
    with serving(always(OK)) as server:
        done = fairway(
            f"--url={server.url}",
            "--requests=1",
            "--payload=",
            f"--payload-file={tmp_path}/body",
            "--content-type=application/octet-stream",
            "--method=",
            "--samples=",
            "--ca-file=",
            "--limits=",
        )
    assert done.returncode == 0, done.stderr
    assert server.requests[0].endswith(b"\r\n\r\n\x00\x01")
    assert b"Content-Type: application/octet-stream" in server.requests[0]


@pytest.mark.parametrize("how", ["--content-type=text/plain", "--header=Content-Type: text/plain"])
def test_a_body_of_another_type_may_be_anything(how: str):
    with serving(always(OK)) as server:
        done = fairway(f"--url={server.url}", "--requests=1", "--payload=so be it", how)
    assert done.returncode == 0, done.stderr
    assert server.requests[0].endswith(b"\r\n\r\nso be it")
    assert server.requests[0].lower().count(b"content-type: text/plain") == 1


def test_users_that_this_machine_has_no_files_for_are_refused():
    done = subprocess.run(
        [
            "bash",
            "-c",
            'ulimit -n 300 && exec "$@"',
            "bash",
            *FAIRWAY,
            "--url=http://127.0.0.1:1/",
            "--loop=closed",
            "--connections=100",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "100 users need 356 open files, and this process may have 300" in done.stderr


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--rate=0"], "a rate of 0"),
        (["--duration=0"], "a duration of 0"),
        ([f"--version={'v' * 1200}"], "is no name of a version; give up to 63 letters of ASCII"),
        (["--rate=1e-12", "--requests=3"], "a request would be due after 1e+12 s"),
        (["--rate=1e-300", "--requests=3"], "a request would be due after 1e+300 s"),
        (["--payload=\udcff"], "--payload cannot be written in UTF-8"),
        (["--expect=\udcff"], "--expect cannot be written in UTF-8"),
        (["--requests=0"], "0 requests"),
        (["--rate=40000", "--duration=1h"], "more than the 10,000,000"),
        (["--timeout=0"], "--timeout and --connections must be above 0"),
        (["--connections=0"], "--timeout and --connections must be above 0"),
        (["--connections=65536"], "65536 connections are more than the 65,535"),
        (["--rate=50001"], "let several run side by side"),
        (["--payload={"], "--payload is not JSON"),
        (["--payload={", "--header=content-type: application/problem+json; charset=utf-8"], "name its --content-type"),
        ([f"--payload={'[' * 50_000}"], "--payload is nested too deeply"),
        (["--template={{ 'open' }}"], "--template is not JSON"),
        (["--payload={}", "--payload-file=x"], "exclude each other"),
        (["--payload-file=/no/such"], "--payload-file /no/such cannot be read"),
        (["--header=nonsense"], "is not 'NAME: VALUE'"),
        (["--header=A: env:NO_SUCH_VARIABLE"], "the environment has no NO_SUCH_VARIABLE"),
        (["--header=A: file:/no/such"], "/no/such cannot be read"),
        (["--limits=soon"], "'soon' is not a duration"),
        (["--limits=0ms"], "a latency of 0 is no limit"),
        (["--arrivals=random"], "'random' is not one of"),
        (["--samples=/dev/null/x.npz"], "--samples /dev/null/x.npz cannot be written"),
        (["--samples=/tmp"], "--samples /tmp cannot be written"),
        (["--samples=/proc/x.npz"], "--samples /proc/x.npz cannot be written"),
        (["--ca-file=/no/such"], "are of no use"),
        (["--url=https://127.0.0.1:1/", "--ca-file=/no/such"], "CA file /no/such cannot be used"),
        (["--url=nowhere"], "URL 'nowhere' is no endpoint"),
        (["--result=sumary=x"], "--result sumary: there is no such output; one of samples, summary"),
        (["--url=http://[::1/"], "URL 'http://[::1/' cannot be read; write http://HOST:PORT/PATH"),
    ],
    ids=" ".join,
)
def test_wrong_options_are_one_sentence_and_exit_2(args: list[str], sentence: str):
    done = fairway("--url=http://127.0.0.1:1/", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_outputs_that_cannot_be_written_cost_no_load():
    with serving(always(OK)) as server:
        done = fairway(f"--url={server.url}", "--requests=1", "--out-dir=/dev/null/x")
    assert (done.returncode, done.stdout, server.requests) == (1, "", [])
    assert "output /dev/null/x cannot be written" in done.stderr


def test_a_full_disk_is_one_sentence():
    with serving(always(OK)) as server, Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*FAIRWAY, f"--url={server.url}", "--requests=1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: there is no room to write: ")


def test_an_endpoint_that_refuses_is_unusable(unused_port: int, tmp_path: Path):
    url = f"http://127.0.0.1:{unused_port}/"
    done = fairway(f"--url={url}", "--requests=3", "--rate=100", f"--samples={tmp_path}/s.npz")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr.splitlines()[-1]
        == f"error: endpoint {url} is unusable, no request could connect: connection refused (connect)"
    )
    assert read(tmp_path / "s.npz").failures == {"connect": 3}


@pytest.mark.parametrize(
    "options",
    [
        ["--url=http://127.0.0.1:{port}/?key=s3cr3t"],
        ["--url=http://nowhere.invalid/?key=s3cr3t"],
        ["--url=https://127.0.0.1:{port}/?key=s3cr3t", "--insecure=true"],
        ["--endpoints=a: {{url: 'http://127.0.0.1:{port}/?key=s3cr3t'}}"],
        ["--url=ftp://127.0.0.1/?key=s3cr3t"],
        ["--url=http://[::1/?key=s3cr3t"],
        ["--url=http://127.0.0.1:x/?key=s3cr3t"],
        ["--url=http://user:s3cr3t@127.0.0.1/"],
        ["--url=http://user:s3cr3t@℀/"],
        ["--url=http://127.0.0.1/?key=s3cr3t ü"],
        ["--url=http://127.0.0.1/?key=s3cr3t", "--ca-file=ca.pem"],
        ["--url=http://127.0.0.1/?key=s3cr3t", "--call=a.B/C"],
        ["--url=http://127.0.0.1/", "--payload-url=http://127.0.0.1:{port}/?key=s3cr3t"],
        ["--url=grpc://127.0.0.1:1/a.B/C?key=s3cr3t"],
        ["--url=grpc://127.0.0.1/a.B/C#s3cr3t"],
        ["--url=grpc://user:s3cr3t@127.0.0.1:1/a.B/C"],
        ["--url=grpc://127.0.0.1:1/?key=s3cr3t", "--expect=x"],
        ["--url=grpc://127.0.0.1:1/#s3cr3t", "--ca-file=ca.pem"],
    ],
)
def test_nothing_that_is_wrong_shows_what_a_url_carries(options: list[str], unused_port: int):
    done = fairway("--requests=1", *(option.format(port=unused_port) for option in options))
    assert done.returncode in (1, 2)
    assert "127.0.0.1" in done.stderr or "nowhere.invalid" in done.stderr or "URL" in done.stderr
    assert "s3cr3t" not in done.stderr + done.stdout


def test_slow_and_failing_are_not_unusable(silent_server: str):
    done = fairway(f"--url={silent_server}", "--requests=3", "--rate=100", "--timeout=100ms", "--output=json")
    assert done.returncode == 0
    errors = json.loads(done.stdout)["errors"]
    assert errors.keys() <= {"timeout", "cancelled"}  # the latter if this machine let it notice late
    assert sum(errors.values()) == 3


def test_a_client_that_was_the_limit_warns():
    async def answering(number, writer):
        await asyncio.sleep(0.05)
        writer.write(OK)

    with serving(answering) as server:
        done = fairway(f"--url={server.url}", "--requests=40", "--rate=200", "--connections=1", "--output=json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["client_limited"] is True
    assert "warning: these results can neither pass nor fail a version: " in done.stderr
    assert "allow more connections" in done.stderr


def test_a_client_that_was_stopped_while_answers_came_is_the_limit(tmp_path: Path):
    """It is stopped when all requests have arrived, and goes on when all are answered and it was stopped for a tenth of the time they had taken."""
    arrived, answered, stopped = 0, 0, threading.Event()

    async def answering(number, writer):
        nonlocal arrived, answered
        arrived += 1
        await asyncio.to_thread(stopped.wait)
        writer.write(OK)
        await writer.drain()
        answered += 1

    with serving(answering) as server:
        args = [f"--url={server.url}", "--rate=100", "--requests=10", "--timeout=5m", f"--samples={tmp_path}/s.npz"]
        process = subprocess.Popen([*FAIRWAY, *args, "--output=json"], stdout=subprocess.PIPE, text=True)
        try:
            begun = time.monotonic()
            eventually(lambda: arrived == 10, 180)
            process.send_signal(signal.SIGSTOP)
            eventually(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 180)
            at = time.monotonic()
            stopped.set()
            eventually(lambda: answered == 10 and time.monotonic() - at > max(0.1, (at - begun) / 10), 180)
            pause = time.monotonic() - at
            process.send_signal(signal.SIGCONT)
            out, _ = process.communicate(timeout=300)
        finally:
            stopped.set()
            process.kill()
            process.wait()
    told, held = json.loads(out), read(tmp_path / "s.npz").held_ns
    assert (told["requests"], told["errors"], told["client_limited"]) == (10, {}, True)
    assert (held >= pause * 1e9).all(), "of each the whole pause may be the client's"


def test_a_late_client_is_told_by_a_limit_on_tokens_beside_a_wide_one_on_responses():
    async def answering(number, writer):
        await asyncio.sleep(0.4 if number % 40 == 5 else 0)  # once a run
        writer.write(OK)

    options = ["--requests=40", "--duration=10s", "--rate=40", "--connections=1", "--output=json"]
    with serving(answering) as server:
        told = [
            json.loads(fairway(f"--url={server.url}", f"--limits={limits}", *options).stdout)["client_limited"]
            for limits in ("10s", "10s,ttft:250ms")
        ]
    assert told == [False, True]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_at_once_and_keeps_what_was_measured(tmp_path: Path, signum: int, code: int, workers: int):
    async def answering(number, writer):
        if number < 10:
            writer.write(OK)  # the others wait for ever

    with serving(answering) as server:
        args = [f"--url={server.url}", "--rate=50", "--duration=1h", "--timeout=1h", f"--samples={tmp_path}/s.npz"]
        args += [f"--out-dir={tmp_path}", "--output=json", f"--workers={workers}"]
        process = subprocess.Popen([*FAIRWAY, *args], stdout=subprocess.PIPE, start_new_session=True)
        try:
            deadline = time.monotonic() + 30
            while len(server.requests) < 15 and time.monotonic() < deadline:
                time.sleep(0.01)
            deadline = time.monotonic() + 10
            while process.poll() is None and time.monotonic() < deadline:
                # As a terminal does, and as a container's end does not, all processes get it; and again, as some tell twice.
                os.killpg(process.pid, signum)
                time.sleep(0.005)
            out, _ = process.communicate(timeout=1)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == code
    summary = json.loads(out)
    assert summary["stopped"] is True
    assert summary["requests"] == summary["errors"]["cancelled"] + 10 >= 15
    assert summary["requests"] == len(read(tmp_path / "s.npz"))
    assert json.loads((tmp_path / "summary").read_text())["stopped"] is True


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signals_while_the_files_are_written_lose_nothing(tmp_path: Path, signum: int):
    """A pipe without a reader holds it up between its first file and its last."""
    os.mkfifo(tmp_path / "e.json")
    with serving(always(OK)) as server:
        args = [f"--url={server.url}", "--rate=100", "--requests=10", f"--out-dir={tmp_path}", "--output=json"]
        args += [f"--samples={tmp_path}/s.npz", f"--exceedances={tmp_path}/e.json", f"--hdr={tmp_path}/h.hdr"]
        process = subprocess.Popen([*FAIRWAY, *args], stdout=subprocess.PIPE, start_new_session=True)
        try:
            eventually((tmp_path / "s.npz").exists, 180)
            for _ in range(3):
                process.send_signal(signum)
            pipe = os.open(tmp_path / "e.json", os.O_RDONLY | os.O_NONBLOCK)
            out, _ = process.communicate(timeout=300)
            counted = json.loads(os.read(pipe, 1 << 16) or "null")
            os.close(pipe)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, "it was whole before anybody told it to end"
    assert json.loads(out)["requests"] == json.loads((tmp_path / "summary").read_text())["requests"] == 10
    assert len(read(tmp_path / "s.npz")) == sum(row["requests"] for row in counted["strata"]) == 10
    assert (tmp_path / "h.hdr").read_text().endswith("\n")


def test_progress_goes_to_the_log_and_to_argo(tmp_path: Path):
    with serving(always(OK)) as server:
        done = fairway(
            f"--url={server.url}",
            "--rate=20",
            "--duration=1300ms",
            "--log-format=json",
            ARGO_PROGRESS_FILE=str(tmp_path / "progress"),
        )
    lines = [line for line in map(json.loads, done.stderr.splitlines()) if line["level"] == "progress"]
    assert {line["planned"] for line in lines} == {26}
    assert 0 < lines[0]["ended"] <= lines[-1]["ended"] == 26
    assert (tmp_path / "progress").read_text() == "26/26\n"


def test_help_ends_in_an_example_and_its_exit_codes():
    done = fairway("--help")
    assert done.returncode == 0
    assert "Exit codes: 0 done, 1 the endpoint is unusable" in done.stdout
    assert "fairway load-test --url" in done.stdout.split("Example:")[1]


def test_several_endpoints_have_the_options_as_defaults(tmp_path: Path):
    with serving(always(OK)) as one, serving(always(OK)) as other:
        (tmp_path / "endpoints.yaml").write_text(
            f"v1: {{url: '{one.url}/a', version: v1}}\n"
            f"v2:\n  url: {other.url}/b\n  version: v2\n  rate: 100\n  requests: 6\n  payload: {{x: 1}}\n"
            "  header: {X-One: env:ONE}\n"
        )
        done = fairway(
            f"--endpoints=file:{tmp_path}/endpoints.yaml",
            "--rate=50",
            "--requests=3",
            "--payload=[2]",
            "--limits=10s",
            "--output=json",
            f"--samples={tmp_path}/s.npz",
            ONE="secret",
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["requests"], told["requested_rate"], told["versions"]) == (9, 150, {"v2": 6, "v1": 3})
    assert told["by_version"] == {"v1": [3, 0, 0], "v2": [6, 0, 0]}
    assert [request.partition(b"\r\n\r\n")[2] for request in one.requests] == [b"[2]"] * 3
    assert other.requests[0].endswith(b'\r\n\r\n{"x": 1}')
    assert b"X-One: secret" in other.requests[0]
    assert read(tmp_path / "s.npz").meta.endpoint_names == ("v1", "v2")


def test_paired_endpoints_get_the_same_payloads_in_the_same_order(tmp_path: Path):
    (tmp_path / "rows").write_text("\n".join(str(i) for i in range(5)))
    with serving(always(OK)) as one, serving(always(OK)) as other:
        done = fairway(
            f"--endpoints=a: {{url: '{one.url}', version: v1}}\nb: {{url: '{other.url}', version: v2}}",
            "--paired=true",
            "--rate=40",
            "--requests=8",
            "--warm-up-requests=3",
            f"--dataset={tmp_path}/rows",
            "--workers=2",
        )
    assert done.returncode == 0, done.stderr
    bodies = [sorted(int(r.partition(b"\r\n\r\n")[2]) for r in server.requests) for server in (one, other)]
    assert bodies[0] == bodies[1] == sorted([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0])  # three of them to warm up
    assert "a: 8 requests" in done.stdout
    assert "16 requests" in done.stdout


def test_calibration_lets_a_plan_pass_that_can_be_kept():
    with serving(always(OK)) as server:
        done = fairway(f"--url={server.url}", "--rate=5", "--requests=3", "--calibrate=true")
    assert done.returncode == 0, done.stderr
    assert len(server.requests) == 3


def test_an_early_end_is_told_and_is_no_failure(tmp_path: Path):
    with serving(always(OK)) as server:
        done = fairway(
            f"--url={server.url}",
            "--rate=200",
            "--duration=10m",
            "--slos=[{metric: error-rate, limit: 5%, min-requests: 10}, {metric: latency, quantile: p50, limit: 9s}]",
            "--stop-early=true",
            "--output=json",
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "every limit is kept, proved by" in told["decided"]
    assert told["requests"] < 100_000
    assert told["over_ms"] == {"9000": 0}
    assert told["errors"] == {}


def test_a_broken_limit_ends_it_early_too():
    with serving(always(answer(500))) as server:
        slos = "[{metric: error-rate, limit: 1%}]"
        done = fairway(f"--url={server.url}", "--rate=50", "--duration=10m", f"--slos={slos}", "--stop-early=true")
    assert done.returncode == 0, done.stderr
    assert "ended early: error-rate of 1 % is broken" in done.stdout


def test_an_early_end_is_decided_by_the_candidates_answers_alone():
    """Of two versions behind one address; the primary, which fails, decides nothing."""

    async def mixed(number, writer):
        writer.write(answer(500, x_fairway_version="v1") if number % 2 else answer(x_fairway_version="v2"))

    slos = "[{metric: error-rate, limit: 10%}]"
    load = ("--rate=200", "--duration=10m", f"--slos={slos}", "--stop-early=true", "--candidate=v2=http://127.0.0.1:9")
    with serving(mixed) as server:
        done = fairway(f"--url={server.url}", *load)
        assert done.returncode == 0, done.stderr
        assert "ended early: every limit is kept" in done.stdout
        nameless = fairway(f"--url={server.url}", "--rate=200", "--duration=3s", *load[2:4])
    assert "ended early" not in nameless.stdout
    assert "no early end: answers are of v1, v2; name the --candidate that is to be judged" in nameless.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_closed_loop_says_what_it_is(workers: str):
    with serving(always(OK)) as server:
        done = fairway(
            f"--url={server.url}", "--loop=closed", "--connections=2", "--requests=20", f"--workers={workers}"
        )
        assert server.connections <= 2
    assert done.returncode == 0, done.stderr
    assert "closed loop, in which stalls stay unseen" in done.stdout
    assert len(server.requests) == 20


def test_files_for_others(tmp_path: Path):
    with serving(always(OK)) as server:
        done = fairway(
            f"--url={server.url}",
            "--requests=5",
            "--rate=100",
            "--limits=250ms",
            f"--exceedances={tmp_path}/e.json",
            f"--hdr={tmp_path}/h.hlog",
        )
    assert done.returncode == 0, done.stderr
    strata = json.loads((tmp_path / "e.json").read_text())["strata"]
    assert sum(stratum["requests"] for stratum in strata) == 5
    assert (tmp_path / "h.hlog").read_text().startswith("#[")


def test_a_token_is_never_an_argument(tmp_path: Path):
    (tmp_path / "token").write_text("secret-token\n")
    with serving(always(OK)) as server:
        done = fairway(f"--url={server.url}", "--requests=1", f"--bearer-token=file:{tmp_path}/token")
        assert b"Authorization: Bearer secret-token" in server.requests[0]
        refused = fairway(f"--url={server.url}", "--bearer-token=secret-token")
    assert done.returncode == 0
    assert "secret-token" not in done.stdout + done.stderr + refused.stderr
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize("hasty", [False, True])
def test_a_server_of_another_protocol_is_unusable(hasty: bool):
    async def answering(number, writer):
        if hasty and number == 1:  # it closes before a word of it is read
            writer.transport.abort()
        else:
            writer.write(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00")

    with serving(answering) as server:
        done = fairway(f"--url={server.url}", "--requests=3", "--rate=50")
    assert done.returncode == 1
    assert "is unusable, no request was understood: the server speaks HTTP/2 only" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "greeting", [b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", b"\x00\x00\x08\x07\x00\x00\x00\x00\x00", b""]
)
def test_a_server_that_resets_all_that_is_not_http2_is_told_by_asking_it(greeting: bytes):
    """Left out: that it is asked for TLS, too (loadtest/test_tls.py). Without any greeting it may be anything, and is not unusable."""

    async def hasty(reader, writer):
        if (await reader.read(3)) == b"PRI":
            writer.write(greeting)
            await writer.drain()
            writer.close()
        else:
            writer.transport.abort()

    with listening(hasty) as port:
        done = fairway(f"--url=http://127.0.0.1:{port}", "--requests=3", "--rate=50")
    if greeting:
        assert done.returncode == 1
        sentence = (
            "is unusable, no request was understood: the server speaks HTTP/2 only, which is for gRPC endpoints (reset)"
        )
        assert sentence in done.stderr.splitlines()[-1]
    else:
        assert done.returncode == 0
        assert "3 failed (reset 3)" in done.stdout


@pytest.mark.parametrize(("soft", "hard", "failed"), [(40, 4096, False), (40, 40, True)])
def test_too_few_open_files_are_the_clients_limit(soft: int, hard: int, failed: bool):
    """A server so slow that each request needs a connection of its own, and a machine that lets 40 files be open, at first or at all."""
    released = asyncio.Event()

    async def answering(number, writer):
        if number == 59:
            released.set()
        else:
            await asyncio.wait_for(released.wait(), 20)
        writer.write(OK)

    with serving(answering) as server:
        limited = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); os.execv(sys.argv[1], sys.argv[1:])"
        args = [f"--url={server.url}", "--requests=60", "--rate=60", "--timeout=4s", "--output=json", "--workers=1"]
        command = [sys.executable, "-c", limited, *FAIRWAY, *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert ("lets no more connections be opened (too many open files)" in told.get("reason", "")) is failed
    assert ("connect" in told["errors"]) is failed


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_who_never_lets_anybody_connect_is_unusable(silent_server, scheme: str):
    """It takes connections, and never answers a TLS handshake."""
    url = silent_server.replace("http:", f"{scheme}:")
    done = fairway(
        f"--url={url}/v2/models/m/infer", "--tensors=x:FP32[1]", "--requests=3", "--rate=50", "--timeout=300ms"
    )
    assert done.returncode == 1
    assert "is unusable, no request could connect: no connection within 0.3 s (timeout)" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--rate=10@2s,20"], "does not say how long"),
        (["--trace=/no/such"], "--trace /no/such cannot be read"),
        (["--payload-file=/dev/zero"], "--payload-file /dev/zero is longer than 256 MB"),
        (["--dataset=/dev/zero"], "--dataset /dev/zero is longer than 256 MB"),
        (["--warm-up=1s", "--warm-up-requests=2"], "a warm-up lasts for a time or"),
        (["--payload={}", "--dataset=x"], "--payload and --dataset exclude each other"),
        (["--template={% if %}"], "--template has a mistake in line 1"),
        (["--tensors=x"], "tensor 'x' cannot be read"),
        (["--call=a.B/C"], "--call is for gRPC"),
        (["--limits=ttfb:1s"], "'ttfb' is not measured"),
        (["--stop-early=true"], "--stop-early has nothing to decide by"),
        *(
            (
                ["--stop-early=true", f"--slos=[{{metric: {metric}, limit: 1%{unit}}}]"],
                "which is no count of its requests",
            )
            for metric, unit in (("error-rate", ", unit: stratum"), ("difference-rate", ""))
        ),
        (
            ["--stop-early=true", "--slos=[{metric: error-rate, margin: 10%}]"],
            "--stop-early cannot decide error-rate against the primary",
        ),
        (
            ["--stop-early=true", "--slos=[{metric: latency, of: ttft, quantile: p95, limit: 200ms}]"],
            "--stop-early cannot decide p95 ttft, which is no response's latency",
        ),
        (["--stop-early=true", "--slos=[{metric: error-rate, limit: 1%}]", "--stage=-1"], "--stage -1 is no stage"),
        (
            [
                "--stop-early=true",
                "--slos=[{metric: error-rate, limit: 1%}]",
                "--endpoints={a: {version: v1}, b: {version: v2}}",
            ],
            "--stop-early does not know which of the versions it judges; name the --candidate",
        ),
        (["--stop-early=true", "--loop=closed", "--slos=[{metric: error-rate, limit: 1%}]"], "needs an open loop"),
        (["--workers=100"], "--workers 100 cannot be"),
        (["--paired=true"], "--paired compares two endpoints"),
        (["--endpoints=[]"], "is no mapping of endpoints"),
        (["--endpoints={a: {ur: x}}"], "a: 'ur' is no option of an endpoint; did you mean 'url'?"),
        (["--endpoints={a: {rate: [1]}}"], "endpoint a: the rate '[1]'"),
        (
            ["--endpoints={a: {connections: many}}"],
            "a: Invalid value for '--connections': 'many' is not a valid integer",
        ),
        (["--endpoints=file:/no/such"], "/no/such cannot be read"),
        (["--endpoints={a: {rate: 1}, b: {}}", "--paired=true"], "a paired endpoint has no rate of its own"),
        (["--exceedances=/dev/null/x"], "--exceedances /dev/null/x cannot be written"),
        (["--bearer-token=env:NO_SUCH"], "--bearer-token: the environment has no NO_SUCH"),
        (["--url=grpc://127.0.0.1"], "names no port"),
        (["--url="], "--url is missing"),
        (["--endpoints={a: {rate: , connections: 0}}"], "endpoint a: --timeout and --connections must be above 0"),
    ],
    ids=" ".join,
)
def test_wrong_options_of_the_engine_are_one_sentence_and_exit_2(args: list[str], sentence: str):
    done = fairway("--url=http://127.0.0.1:1/", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
