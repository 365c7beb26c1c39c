"""``fairway envoy``: a folder made and served until a signal, exit codes, and that bad input leaves nothing behind.

As a process, as users run it. Left out: what is in the folder (tests/steps/routing/test_bootstrap.py).
"""

import http.client
import signal
import socket
import subprocess
import sys

import pytest

from fakes_routing import Client, ModelServer, eventually, free_ports


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fairway_steps", "envoy", *map(str, arguments)]


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def server():
    server = ModelServer("v1")
    yield server
    server.close()


def answers(address: str) -> bool:
    client = Client(address)
    answer = client.ask()
    client.close()
    return (answer.status, answer.version, answer.body) == (200, "v1", "v1")


@pytest.mark.local
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_serves_until_a_signal_and_leaves_no_process_behind(tmp_path, server, number, code):
    listen, admin = free_ports(2)
    made = (
        *(tmp_path / "route", "--service=iris", f"--primary=v1={server.version.uri}"),
        *(f"--listen=127.0.0.1:{listen}", f"--admin=127.0.0.1:{admin}"),
    )
    for again in (False, True):
        with subprocess.Popen(command(*made), stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr
                said = process.stderr.readline() + (process.stderr.readline() if again else "")
                assert answers(f"127.0.0.1:{listen}")
                process.send_signal(number)
                process.communicate(timeout=300)
            finally:
                process.kill()
        assert process.returncode == code
        assert f"http://127.0.0.1:{listen}" in said
        assert ("is there already" in said) == again
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", listen), timeout=1)


@pytest.mark.local
def test_an_envoy_that_ends_by_itself_is_an_error_with_its_log(tmp_path, server):
    listen, admin = free_ports(2)
    made = (tmp_path / "r", "--service=iris", f"--primary=v1={server.version.uri}", f"--listen=127.0.0.1:{listen}")
    with subprocess.Popen(command(*made, f"--admin=127.0.0.1:{admin}"), stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually(lambda: answers(f"127.0.0.1:{listen}"), 180)
            quit_it = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
            quit_it.request("POST", "/quitquitquit")
            quit_it.getresponse().read()
            quit_it.close()
            _, said = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "error: Envoy ended with exit code 0" in said


@pytest.mark.local
def test_a_port_in_use_leaves_no_folder_behind(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        done = run(tmp_path / "r", "--service=iris", "--primary=v1=http://127.0.0.1:9", f"--listen=127.0.0.1:{taken}")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: Envoy cannot listen on 127.0.0.1:{taken}: Address already in use; "
        "end what listens there, or choose another port\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.local
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "there is no route in"),
        (["--service=iris"], "give --service and --primary"),
        (["--service=iris", "--primary=v1"], "cannot be routed to by Envoy"),
        (["--service=iris", "--primary=v1=http://127.0.0.1:9", "--listen=80"], "--listen '80' is not HOST:PORT"),
        (["--service=Iris", "--primary=v1=http://127.0.0.1:9"], "not a service's name"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(tmp_path, options, says):
    free = [f"--{name}=127.0.0.1:{port}" for name, port in zip(("listen", "admin"), free_ports(2), strict=True)]
    done = run(tmp_path / "r", *free, *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_help_ends_in_an_example():
    done = run("--help")
    assert done.returncode == 0
    assert done.stdout.rstrip().splitlines()[-1].strip().startswith("fairway envoy ./route --service")
