"""Covers: the look-out beside a question: a candidate that turns bad while a person is asked loses its traffic before there is an
answer, and no answer brings it back; a good one is promoted on a yes.

Leaves out: when the look-out looks, and what it counts (tests/steps/test_watch.py); on a cluster (tests/e2e/cluster/test_faults.py).
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairway_steps.model import Version
from fairway_workflows.demo.servers import free_ports
from local_runs import until

RECORD = "--record=file:.fairway/digits.json"
ANSWER = {"model_name": "digits", "id": "1", "outputs": [{"name": "y", "shape": [1], "datatype": "INT64", "data": [1]}]}


class Moody(ThreadingHTTPServer):
    """A model server that answers well until it is told to fail."""

    failing = False
    daemon_threads = True
    request_queue_size = 128


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Moody

    def do_GET(self) -> None:
        self._answer(200, {"ready": True})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(500 if self.server.failing else 200, ANSWER)

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *told: object) -> None: ...


@pytest.fixture
def moody() -> Iterator[Moody]:
    (port,) = free_ports(1)
    server = Moody(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("answer", ["YES", "NO"])
def test_a_candidate_that_turns_bad_while_a_person_is_asked_loses_its_traffic(place, moody, answer):
    place.versions = {**place.versions, "v2": Version("v2", f"http://127.0.0.1:{moody.server_port}")}
    release = place.release(
        approval="before-promotion",
        stages=[{"weight": 50, "duration": "2s"}],
    )
    run = place.start("run", str(release), "--output=json")
    until(lambda: "approve (YES or NO)" in place.fairway("approve", RECORD).stdout, 180)
    assert place.weights() == {"v1": 50, "v2": 50}
    moody.failing = True
    until(lambda: place.weights() == {"v1": 100}, 180)
    assert run.poll() is None, "the question is still open"
    answered = place.fairway("approve", RECORD, f"--answer={answer}", "--by=ann")
    assert answered.returncode == 0, answered.stderr
    out, err = run.communicate(timeout=300)
    told = json.loads(out)
    assert (told["outcome"], run.returncode) == ("rolled-back", 1), err
    assert "over the limit" in told["reason"]
    assert place.weights() == {"v1": 100}
    assert told["lost"] == 0
