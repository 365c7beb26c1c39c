"""Covers: half of the users' requests mirrored through a collector, in front of two real models that read some digits differently: a release
rolled back by `difference-rate` before any user saw the candidate, and what is refused; the tutorial, whose second release goes on
into a canary.

Leaves out: what a difference is (tests/steps/collector), mirrors without a collector (test_strategies.py).
"""

import json
import re
import signal
from contextlib import contextmanager

import pytest
import requests
from sklearn.datasets import load_digits

from fairway_workflows.demo.servers import free_ports
from servers import MODEL
from tutorial import carried_out, section

pytestmark = pytest.mark.local
INFER = f"/v2/models/{MODEL}/infer"


@pytest.fixture
def users(place):
    """Users who ask about all the digits there are, one after another."""
    bodies = [
        {"inputs": [{"name": "pixels", "shape": [1, 64], "datatype": "FP64", "data": pixels.tolist()}]}
        for pixels in load_digits().data[:400]
    ]
    (place.folder / "digits.jsonl").write_text("\n".join(map(json.dumps, bodies)))
    asked = (f"--url={place.address}{INFER}", "--dataset=digits.jsonl", "--rate=40", "--duration=110s")
    return place.start("load-test", *asked, "--output=json")


def ended(users):
    """What the users have seen."""
    users.send_signal(signal.SIGINT)
    return json.loads(users.communicate(timeout=120)[0])


@contextmanager
def collecting(place, *more, candidate="v2"):
    """A collector that compares every mirrored request, and its address."""
    (port,) = free_ports(1)
    named = (f"--primary=v1={place.versions['v1'].uri}", f"--candidate={candidate}={place.versions['v2'].uri}")
    process = place.start(
        *("collector", *named, f"--listen=127.0.0.1:{port}", "--compare=100%", "--max-rate=1000", *more)
    )
    assert "collecting at" in process.stderr.readline()
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 143
    assert said.startswith("ended: "), said


def released(place, limit, stages):
    slos = [
        {"metric": "error-rate", "limit": "1%", "min-requests": 10},
        {"metric": "difference-rate", "limit": limit, "min-requests": 30},
    ]
    run = place.fairway(*("run", str(place.release(stages=stages, slos=slos, traffic=None)), "--output=json"))
    return run, json.loads(run.stdout) if run.stdout else {}


def test_a_candidate_that_reads_digits_otherwise_is_rolled_back_before_any_user_sees_it(place, users):
    with collecting(place, "--samples=differ.jsonl") as collector:
        run, told = released(place, "1%", f"mirror:50:{collector}@60s,50@2s")
        assert (run.returncode, told["outcome"]) == (1, "rolled-back"), run.stderr
        metrics = requests.get(f"{collector}/metrics", timeout=10).text
    assert "v2 differs from v1 in " in told["reason"]
    assert "label" in told["reason"]
    (only,) = told["stages"]
    assert (only["asked"], only["measured"]) == ({"v1": 100}, {"v1": 1.0})
    assert only["samples"]["v2"] > 0
    assert place.weights() == {"v1": 100}
    seen = ended(users)
    assert (set(seen["errors"]) - {"cancelled"}, set(seen["versions"])) == (set(), {"v1"}), (
        "none lost but under way at the end"
    )
    assert 'fairway_collector_requests_total{version="v2",code="200",error=""}' in metrics
    sample = json.loads((place.folder / "differ.jsonl").read_text().splitlines()[0])
    first, second = (sample[role]["body"]["outputs"][0]["data"] for role in ("primary", "candidate"))
    assert (sample["kind"], first != second) == ("label", True)
    asked = requests.post(f"{place.versions['v1'].uri}{INFER}", json=sample["request"], timeout=10).json()
    assert asked["outputs"][0]["data"] == first, "a sample can be asked again"


@pytest.mark.carries("mirror, answers compared", "Envoy (files)")
def test_the_tutorial_runs_as_it_is_written(tmp_path):
    said = carried_out([section("mirror.md", "Try it")], tmp_path)
    assert len(re.findall(r"v2 differs from v1 in [\d.]+ % of comparisons .* over the limit of 2 %", said)) >= 1
    assert "exit code 1" in said
    assert '"kind": "label"' in said
    compared = int(re.search(r'^fairway_collector_comparisons_total{version="v2"} (\d+)$', said, re.MULTILINE)[1])
    assert compared >= 50
    record = json.loads((tmp_path / ".fairway" / "digits.json").read_text())
    assert record["outcome"] == "promoted"
    found = [sum(s["comparisons"] for s in record["strata"] if s["weight"] == weight) for weight in (0, 50)]
    assert 50 <= found[0] <= compared
    assert found[1] < found[0] / 4, "stragglers at most: users' requests are not compared"
    assert "ended: " in (tmp_path / "collector.log").read_text()


def test_a_collector_that_is_not_there_or_in_front_of_another_version_is_refused(place):
    (port,) = free_ports(1)
    run, _ = released(place, "5%", f"mirror:50:http://127.0.0.1:{port}@4s,50@2s")
    assert run.returncode > 0
    assert f"http://127.0.0.1:{port}/metrics: it cannot be reached" in run.stderr
    with collecting(place, candidate="v3") as collector:
        run, _ = released(place, "5%", f"mirror:50:{collector}@4s,50@2s")
    assert run.returncode > 0
    assert "has no series of v2; its label version says v1, v3" in run.stderr
    run, _ = released(place, "5%", "mirror:50@4s,50@2s")
    assert run.returncode > 0
    assert "compares no answers, so difference-rate cannot be judged" in run.stderr
    run, _ = released(place, "5%", f"mirror:50:{place.versions['v2'].uri}@4s,50@2s")
    assert run.returncode == 2
    assert "of a stage is v2 itself" in run.stderr
    assert place.weights() == {"v1": 100}
