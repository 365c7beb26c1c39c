"""A load test, then an assessment that knows nothing but what it left behind: the summary of at most 1 kB, or the file.

Left out: the workflow around them (e2e/test_measured.py), and what each source makes of odd content (metrics/).
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from raw_server import answer, serving

SLOS = (
    "[{metric: error-rate, limit: 5%, min-requests: 20}, {metric: latency, quantile: p95, limit: 5s, min-requests: 20}]"
)
LOAD = ("--requests=300", "--rate=100", f"--slos={SLOS}", "--version=v2")


def fairway(*args: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fairway_steps", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def judged(folder: Path, source: str, status: int, *load: str, answered: int = 1000) -> tuple[str, str]:
    """The verdict and its sentence on a load, read from what ``source`` names of what the load test wrote into ``folder``.

    The server leaves all but the first requests without an answer.
    """

    async def busy(number, writer):
        await asyncio.sleep(0.01 if number < answered else 3600)
        writer.write(answer(status))

    with serving(busy) as server:
        sent = fairway("load-test", f"--url={server.url}/infer", *LOAD, *load, f"--out-dir={folder}/out")
        assert sent.returncode == 0, sent.stderr
        metrics = {
            "summary": "summary:" + (folder / "out" / "summary").read_text(),
            "samples": f"samples:{folder}/s.npz",
        }[source]
        done = fairway(
            "assess",
            f"--candidate=v2={server.url}",
            f"--slos={SLOS}",
            f"--metrics={metrics}#version=v2",
            "--ready-path=",
            "--output=json",
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["verdict"], told["reason"]


@pytest.mark.parametrize("source", ["summary", "samples"])
@pytest.mark.parametrize(("status", "verdict"), [(200, "advance"), (500, "rollback")])
def test_what_a_load_test_left_decides(tmp_path: Path, source: str, status: int, verdict: str):
    # Its own lateness on a busy machine decides nothing here: no limit is near.
    found, reason = judged(tmp_path, source, status, f"--samples={tmp_path}/s.npz")
    assert found == verdict, reason


@pytest.mark.parametrize("source", ["summary", "samples"])
@pytest.mark.parametrize("status", [200, 500])
def test_a_client_that_was_the_limit_neither_passes_nor_fails_a_version(tmp_path: Path, source: str, status: int):
    """A trace that asks for everything at once, of one connection: three seconds' work within 0.1 s."""
    trace = tmp_path / "trace"
    trace.write_text("".join(f"{second}\n" for second in [0] * 299 + [0.1]))
    found, reason = judged(
        tmp_path,
        source,
        status,
        *(
            "--rate=",
            "--requests=",
            f"--trace={trace}",
            "--connections=1",
            "--workers=1",
            f"--samples={tmp_path}/s.npz",
        ),
    )
    assert found == "hold"
    assert "limited by its own client" in reason


@pytest.mark.parametrize("source", ["summary", "samples"])
@pytest.mark.parametrize(("answered", "connections"), [(0, ""), (0, "20"), (100, "")])
def test_a_version_that_leaves_requests_without_an_answer_is_rolled_back(
    tmp_path: Path, source: str, answered: int, connections: str
):
    """Every connection is soon taken, so that others wait for one: that is the server's doing, not the client's.

    A client that got no turn for a while is held, and rightly: then it is tried again.
    """
    given = ("--timeout=1s", f"--connections={connections}", f"--samples={tmp_path}/s.npz")
    told = []
    while len(told) < 8 and (not told or told[-1][0] == "hold"):
        told.append(judged(tmp_path, source, 200, *given, answered=answered))
    assert told[-1][0] == "rollback", told
