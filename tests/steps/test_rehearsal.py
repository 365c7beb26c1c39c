"""The rehearsal: a load test's numbers become a verdict in the record, before any stage and beside the schedule.

Left out: the load itself (loadtest/), the workflow around it (workflows/test_release.py, e2e/test_strategies.py).
"""

import json
from dataclasses import replace

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import Fenced, UsageError
from fairway_steps.intervention import Intervention
from fairway_steps.metrics.summary import SummarySource
from fairway_steps.model import Metric, Slo, Verdict
from fairway_steps.record import FileStore, Lease
from fairway_steps.rehearsal import rehearse, rehearsed
from fairway_steps.release import told
from records import record

ERRORS = Slo(Metric.ERROR_RATE, 0.05, min_requests=20)
MARGIN = Slo(Metric.LATENCY, 0.1, 0.95, relative=True)


def load(requests=300, failed=0):
    """What `fairway load-test` tells of a run without a fault of its own."""
    return SummarySource(
        json.dumps(
            {
                "started": 1_700_000_000.0,
                "requests": requests,
                "achieved_rate": 50.0,
                "requested_rate": 50.0,
                "errors": {"http-500": failed} if failed else {},
                "over_ms": {},
                "response_ms": {},
                "client_limited": False,
                "versions": {},
            }
        )
    )


@pytest.fixture
def store(tmp_path):
    store = FileStore(tmp_path / "r.json")
    store.update(lambda _: record(slos=(ERRORS, MARGIN)))
    return store


@pytest.mark.parametrize(
    ("requests", "failed", "verdict", "said"),
    [(300, 0, Verdict.ADVANCE, "v2 "), (300, 150, Verdict.ROLLBACK, "50 %"), (10, 0, Verdict.HOLD, "10")],
)
def test_its_verdict_and_its_evidence_are_in_the_record(store, requests, failed, verdict, said):
    result = rehearse(store, Lease("iris-1", 1), load(requests, failed), FakeClock())
    held = store.load()
    assert result.assessment.verdict is verdict
    assert held.rehearsal == result
    assert (held.results, held.strata, held.stage) == ((), (), -1), "the schedule is not touched"
    (event,) = held.events
    assert (event.step, event.failed) == ("rehearsal", verdict is not Verdict.ADVANCE)
    assert said in event.message
    if event.failed:
        assert told(held) == event.message, "it is why the release ends"


def test_margins_are_left_to_the_stages(store):
    result = rehearse(store, Lease(), load(), FakeClock())
    assert [item.slo for item in result.assessment.evidence] == [ERRORS]


def test_a_release_that_compares_alone_cannot_be_rehearsed():
    with pytest.raises(UsageError, match="no SLO can be judged by a load test of the candidate alone"):
        rehearsed([MARGIN, replace(ERRORS, metric=Metric.DIFFERENCE_RATE)])


def test_somebody_elses_release_is_not_judged(store):
    store.update(lambda held: replace(held, token=2, holder="other"))
    with pytest.raises(Fenced):
        rehearse(store, Lease("iris-1", 1), load(), FakeClock())
    assert store.load().rehearsal is None


def test_a_person_who_aborts_the_release_meanwhile_stands_above_the_load_test(store):
    store.update(lambda held: replace(held, intervention=Intervention(Verdict.ROLLBACK, "alice", 1.0, "wrong model")))
    result = rehearse(store, Lease("iris-1", 1), load(), FakeClock())
    assert result.assessment.verdict is Verdict.ROLLBACK
    assert result.assessment.reason.endswith("on the word of alice, not of the evidence: wrong model")
    assert store.load().rehearsal == result
