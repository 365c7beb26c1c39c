"""Covers: the Prometheus that a release is judged by stops in the middle of a stage: a good version is held, never rolled back or
promoted for want of evidence, goes on when Prometheus is back, and loses nobody's request meanwhile.

The Prometheus is the test's own, with the configuration of the lab's, so that others keep theirs.
Leaves out: one that answers nonsense (tests/steps/metrics).
"""

import os
import signal
import socket
import subprocess
from contextlib import contextmanager

import pytest
import requests

from lab.binaries import PROMETHEUS
from lab.places import NODE_ADDRESS, STATE
from on_cluster.kube import eventually
from on_cluster.release import metrics
from on_cluster.steps import Steps

pytestmark = pytest.mark.skipif(not os.environ.get("FAIRWAY_LAB"), reason="only the lab's Prometheus is ours to stop")
CONFIG = STATE / "prometheus.json"


class Prometheus:
    """One that can be stopped and started again, with its data."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind((NODE_ADDRESS, 0))
            self.url = f"http://{NODE_ADDRESS}:{free.getsockname()[1]}"
        self._folder = folder
        self.start()

    def start(self):
        listen = self.url.removeprefix("http://")
        words = [f"--config.file={CONFIG}", f"--storage.tsdb.path={self._folder}", f"--web.listen-address={listen}"]
        self._process = subprocess.Popen([PROMETHEUS.program("prometheus"), *words], stderr=subprocess.DEVNULL)
        eventually(self._ready, 60, why="Prometheus is ready")

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def has(self, query):
        found = requests.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=5).json()
        return found["data"]["result"]

    def _ready(self):
        try:
            return requests.get(f"{self.url}/-/ready", timeout=2).ok
        except requests.RequestException:
            return False


@pytest.fixture
def prometheus(tmp_path):
    made = Prometheus(tmp_path)
    yield made
    made.stop()


@contextmanager
def away(prometheus):
    prometheus.stop()
    yield
    prometheus.start()


def test_a_good_version_is_held_while_prometheus_is_away_and_goes_on_afterwards(space, service, prometheus):
    service.deploy()
    steps = Steps(service)
    with service.client() as client:
        eventually(lambda: prometheus.has(f'request_predict_seconds_count{{namespace="{space}"}} > 50'), 180)
        steps.begin(stages="50@8s", metrics=metrics(prometheus.url))
        steps.ready()
        ramp = steps.start("ramp", patience="2s")
        eventually(lambda: len(client.answered_by("v2")) > 20, 180)
        with away(prometheus):
            out, said = ramp.communicate(timeout=120)
            assert ramp.returncode == 0, said
            assert '"verdict": "hold"' in out, out
            assert "cannot be reached" in service.record()["results"][-1]["assessment"]["reason"]
            assert set(service.weights()) == {service.primary, service.candidate}, "the weights stay as they are"
        steps.verdict("promote")
        steps.run("promote")
    assert service.record()["outcome"] == "promoted"
    service.check("v2", client)
    assert client.failed() == []
