"""Covers: the canary that is judged by its own load test, as rendered, with a real proxy and real model servers: the load test's summary,
a parameter, is all the evidence there is.

Leaves out: bad numbers in that summary (steps/cli/test_load_then_assess.py), the graph of other courses (workflows/test_canary.py).
"""

import json

import pytest

from fairway_steps.model import Outcome
from fairway_workflows.canary import CanaryOptions
from fairway_workflows.demo.play import PAYLOAD
from fairway_workflows.local import Phase
from servers import MODEL

pytestmark = pytest.mark.local

SLOS = [
    {"metric": "error-rate", "limit": "5%", "min-requests": 10},
    {"metric": "latency", "quantile": "p95", "limit": "2s", "min-requests": 10},
]


@pytest.fixture
def released(place):
    """Runs a release judged by its own load; gives how it ended, its record, and what the load test told."""

    def run(slos, **load):
        place.release(traffic=None, slos=slos, stages=[{"weight": 30, "duration": "10m"}])
        given = {"load-url": f"{place.address}/v2/models/{MODEL}/infer", "load-rate": "50", "hold-timeout": "1s"}
        ended, record = place.carry_out(CanaryOptions(load_test="judged"), **{"payload": PAYLOAD} | given | load)
        (told,) = [
            json.loads(node.outputs["summary"])
            for node in ended.entry.walk()
            if node.template == "load-test" and node.outputs
        ]
        if told["client_limited"]:  # on a machine too busy to judge by, it must not be judged
            assert record.outcome is Outcome.HELD
            pytest.skip(told["reason"])
        return ended, record, told

    return run


def test_the_load_tests_summary_alone_promotes_a_good_candidate(released, place):
    ended, record, told = released(SLOS, **{"load-duration": "4s"})
    assert len(json.dumps(told)) <= 1200
    assert told["requests"] == 200
    counted = {name: counts[0] for name, counts in told["by_version"].items()}
    assert {s.version: s.requests for s in record.strata} == counted
    assert ended.phase is Phase.SUCCEEDED
    assert record.outcome is Outcome.PROMOTED
    assert place.weights() == {"v2": 100}


def test_its_load_ends_as_soon_as_the_candidates_answers_decide(released):
    slos = [{"metric": "error-rate", "limit": "20%", "min-requests": 10}]
    _, record, told = released(slos, **{"load-duration": "10m", "load-stop-early": "true"})
    assert "every limit is kept" in told["decided"]
    assert told["requests"] < 30_000
    assert record.outcome is Outcome.PROMOTED
