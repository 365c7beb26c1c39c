"""Covers: requests, failures and losses from each witness, counters that began anew, a client's count read from JSON.

Leaves out: how the figures are set (test_view, test_text).
"""

from dataclasses import replace

import pytest

from fairway_steps.errors import UsageError
from fairway_steps.report.counts import ClientCount, Witness, counted, measured
from sample_records import failing, never_ready, promoted


def test_the_proxys_counters_are_taken_from_where_the_release_began():
    record = replace(
        promoted(),
        baseline={"requests": 100, "lost": 2, "version:v1": 100},
        counted={"requests": 350, "lost": 3, "version:v1": 300, "version:v2": 50},
    )
    counts = measured(record)
    assert (counts.witness, counts.requests, counts.lost) == (Witness.PROXY, 250, 1)
    assert counts.by_version == {"v1": 200, "v2": 50}


def test_a_counter_that_began_anew_counts_from_zero():
    record = replace(promoted(), baseline={"requests": 100, "lost": 5}, counted={"requests": 30, "lost": 1})
    assert (measured(record).requests, measured(record).lost) == (30, 1)


def test_without_counters_the_strata_count_and_nobody_knows_of_losses():
    record = replace(failing(), counted={})
    counts = measured(record)
    assert counts.witness is Witness.STRATA
    assert counts.requests == sum(s.requests for s in record.strata)
    assert counts.lost is None


def test_failures_are_told_by_version_and_class():
    record = failing()
    assert measured(record).failed == {"v1": {}, "v2": {"http-500": sum(s.errors for s in record.strata)}}
    assert measured(record).failures > 10


def test_the_client_leads_and_a_loss_seen_by_either_is_a_loss():
    record = replace(promoted(), baseline={}, counted={"requests": 10, "lost": 4})
    counts = counted(record, ClientCount(1000, {"v2": {"timeout": 3}}, 1))
    assert (counts.witness, counts.requests, counts.lost, counts.failures) == (Witness.CLIENT, 1000, 4, 3)
    assert counts.failed == {"v1": {}, "v2": {"timeout": 3}}
    assert counted(never_ready(), ClientCount(7, lost=2)).lost == 2


def test_a_clients_count_is_read():
    data = {"requests": 20, "failed": {"v2": {"http-500": 12}}, "lost": 0}
    assert ClientCount.parse(data, "x") == ClientCount(20, {"v2": {"http-500": 12}}, 0)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"requests": "many"},
        {"requests": -1},
        {"requests": True},
        {"requests": 1, "failed": {"v2": 3}},
        {"requests": 1, "failed": {"v2": {"x": 0.5}}},
        {"requests": 1, "lots": 2},
    ],
)
def test_anything_else_is_refused_in_one_sentence(data):
    with pytest.raises(UsageError, match=r"--client c\.json is not a client's count"):
        ClientCount.parse(data, "--client c.json")
