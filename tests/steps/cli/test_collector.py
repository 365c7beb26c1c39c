"""``fairway collector`` as a process: it collects until a signal, and bad input is one sentence and exit code 2.

Left out: what it does in between (tests/steps/collector), a release that is judged by it (tests/e2e/test_mirror.py).
"""

import signal
import socket
import subprocess
import sys

import pytest
import requests

from fakes_routing import free_ports
from raw_server import always, answer, serving

VERSIONS = ("--primary=v1=http://127.0.0.1:1", "--candidate=v2=http://127.0.0.1:2")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fairway_steps", "collector", *arguments]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_collects_until_a_signal(tmp_path, number, code):
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    with serving(always(answer(body=b"[1]"))) as primary, serving(always(answer(body=b"{}"))) as candidate:
        asked = (f"--primary=v1={primary.url}", f"--candidate=v2={candidate.url}", f"--listen={address}")
        samples = tmp_path / "samples.jsonl"
        with subprocess.Popen(
            command(*asked, "--compare=100%", f"--samples={samples}"), stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stderr
                said = process.stderr.readline()
                mirrored = requests.post(f"http://{address}/v2/models/m/infer", data="[]", timeout=20)
                process.send_signal(number)
                said += process.communicate(timeout=300)[1]
            finally:
                process.kill()
    assert (mirrored.status_code, mirrored.content) == (204, b"")
    assert process.returncode == code
    assert said.splitlines() == [
        f"collecting at http://{address} for v2; 100 % of the requests are compared with v1",
        "ended: 1 request to v2, 1 compared, 1 differed (schema 1), 0 dropped",
    ]
    assert '"the body is object, not array"' in samples.read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--candidate=v2=http://127.0.0.1:2",), "Missing option '--primary'"),
        ((*VERSIONS, "--compare=110%"), "'110%' is not a share from 0% to 100%"),
        ((*VERSIONS, "--compare=many"), "'many' is not a share"),
        ((*VERSIONS, "--max-rate=0"), "--max-rate 0 is no number above 0"),
        ((*VERSIONS, "--max-rate=inf"), "--max-rate inf is no number above 0"),
        ((*VERSIONS, "--max-in-flight=-1"), "--max-in-flight -1 is no number above 0"),
        ((*VERSIONS, "--timeout=0"), "--timeout 0 is no number above 0"),
        ((*VERSIONS, "--absolute-tolerance=-1"), "--absolute-tolerance -1 is none; write 0 or more"),
        ((*VERSIONS, "--allow-path=infer"), "--allow-path 'infer' is not [METHOD ]/path"),
        ((*VERSIONS, "--listen=8090"), "--listen '8090' is not HOST:PORT"),
        ((*VERSIONS, "--listen=127.0.0.1:2"), "--listen 127.0.0.1:2 is the address of v2"),
        ((*VERSIONS, "--samples=/"), "'/' is a directory"),
        ((*VERSIONS, "--samples=/dev/null/x"), "--samples /dev/null/x cannot be written"),
        (("--primary=v1=http://h:1", "--candidate=v2=http://h:1"), "are the same version"),
        (("--primary=v1=http://h:1", "--candidate=v1=http://h:2"), "are the same version"),
        (("--primary=v1=http://h:1", "--candidate=deployment/team/v2"), "cannot be asked by a collector"),
    ],
)
def test_bad_input_is_one_sentence(given, said):
    run = subprocess.run(command(*given), capture_output=True, text=True, timeout=300, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        run = subprocess.run(
            command(*VERSIONS, f"--listen={listen}"), capture_output=True, text=True, timeout=60, check=False
        )
    assert run.returncode == 2
    assert f"--listen {listen} cannot be had" in run.stderr
    assert run.stderr.count("\n") == 1
