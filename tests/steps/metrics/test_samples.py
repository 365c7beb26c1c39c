"""A load test's file as evidence: strata by version and second, exact at the limits, and when it is no evidence at all.

The files are written by ``loadtest.samples`` as in life. Left out: how load tests are run.
"""

import json
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.foreign import Entry, from_rows, rows_of
from fairway_steps.loadtest.adapters.samples import to_result
from fairway_steps.loadtest.client import Answer
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.plan import Plan
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.samples import read, write
from fairway_steps.metrics.base import MetricSource
from fairway_steps.metrics.samples import SamplesSource
from fairway_steps.model import Stratum
from load_records import records

MS = 1_000_000
START = 1_700_000_000.5


def save(path: Path, rows: list[tuple[float, float, str, str]], *, started: float = START, **meta) -> Path:
    """Rows are (scheduled in s, response in ms, error, version)."""
    records = Records.empty(Plan(array("q", [round(row[0] * 1e9) for row in rows]), 10.0), started)
    records.due = len(rows)
    for i, (_, response, error, version) in enumerate(rows):
        records.slip[i] = 0
        records.end(i, round(response * MS), Answer(200, error, version), 0)
    result = measured([records])
    write(replace(result, meta=replace(result.meta, **meta)), path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples.npz"


def below(stratum: Stratum, limit: float) -> int:
    """How many latencies the histogram has at or below an edge."""
    assert stratum.latency is not None
    upto = stratum.latency.edges.index(limit) + 1
    return sum(stratum.latency.counts[:upto])


def test_a_stratum_for_each_version_and_second(path: Path):
    save(
        path, [(0.0, 10, "", "v1"), (0.4, 20, "", "v2"), (0.9, 30, "", "v1"), (1.0, 40, "", "v1"), (3.2, 50, "", "v2")]
    )
    source: MetricSource = SamplesSource(path)
    reading = source.read(["v1", "v2"], {"v1": 90, "v2": 10}, "", 0.0)
    assert (reading.complete, reading.problem) == (True, "")
    assert [(s.version, s.start, s.end, s.weight, s.requests) for s in reading.strata] == [
        ("v1", START, START + 1, 90, 2),
        ("v2", START, START + 1, 10, 1),
        ("v1", START + 1, START + 2, 90, 1),
        ("v2", START + 3, START + 4, 10, 1),
    ]
    assert reading.strata[0].seconds == pytest.approx(0.04)


def test_failures_count_as_requests_and_not_as_latencies(path: Path):
    save(path, [(0, 10, "", ""), (0, 999, "http-500", ""), (0, 999, "timeout", ""), (0, 1, "timeout", "")])
    (stratum,) = SamplesSource(path).read(["v2"], {}, "", 0.0).strata
    assert (stratum.requests, stratum.failures) == (4, {"http-500": 1, "timeout": 2})
    assert stratum.latency is not None
    assert (stratum.latency.total, stratum.seconds, stratum.weight) == (1, 0.01, 0)


def test_what_was_cancelled_is_nobodys_failure(path: Path):
    save(path, [(0, 10, "", ""), (0, 10, "cancelled", "")])
    (stratum,) = SamplesSource(path).read(["v2"], {}, "", 0.0).strata
    assert (stratum.requests, stratum.failures) == (1, {})


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 200 * 10**9), min_size=1, max_size=30), st.lists(st.floats(1e-5, 150), max_size=4))
def test_counts_are_exact_at_every_limit(tmp_path_factory, nanoseconds: list[int], limits: list[float]):
    limits = [*limits, *(n / 1e9 for n in nanoseconds[:2])]
    path = save(tmp_path_factory.mktemp("s") / "s.npz", [(0, n / MS, "", "") for n in nanoseconds])
    exact = [int(v) for v in read(path).response]
    (stratum,) = SamplesSource(path, limits).read(["v2"], {}, "", 0.0).strata
    assert stratum.latency is not None
    assert stratum.latency.edges == tuple(sorted(stratum.latency.edges))
    assert stratum.latency.edges[-1] == float("inf")
    for limit in stratum.latency.edges[:-1]:
        assert below(stratum, limit) == sum(n <= round(limit * 1e9) for n in exact)
    assert stratum.latency.total == len(exact)


def test_all_strata_share_their_edges_so_that_they_can_be_merged(path: Path):
    save(path, [(0, 1, "", "v1"), (1, 90_000, "", "v2")])
    reading = SamplesSource(path, [0.25]).read(["v1", "v2"], {}, "", 0.0)
    assert len({s.latency.edges for s in reading.strata if s.latency}) == 1


def test_a_second_reading_gives_nothing_twice(path: Path):
    save(path, [(0, 10, "", "")])
    first = SamplesSource(path).read(["v2"], {}, "", 0.0)
    again = SamplesSource(path).read(["v2"], {}, first.cursor, 1.0)
    assert len(first.strata) == 1
    assert (again.strata, again.cursor, again.complete, again.problem) == ((), first.cursor, True, "")


def test_a_new_run_in_the_same_file_is_read_anew(path: Path):
    save(path, [(0, 10, "", "")])
    cursor = SamplesSource(path).read(["v2"], {}, "", 0.0).cursor
    save(path, [(0, 10, "", "")], started=START + 60)
    assert len(SamplesSource(path).read(["v2"], {}, cursor, 0.0).strata) == 1


def test_unlabelled_requests_are_the_sole_versions(path: Path):
    save(path, [(0, 10, "", "v2"), (0, 10, "connect", "")])
    (stratum,) = SamplesSource(path).read(["v2"], {}, "", 0.0).strata
    assert (stratum.requests, stratum.failures) == (2, {"connect": 1})


def test_unlabelled_requests_are_the_version_that_was_tested(path: Path):
    save(path, [(0, 10, "", ""), (0, 10, "connect", "")])
    reading = SamplesSource(path, version="v2").read(["v1", "v2"], {}, "", 0.0)
    assert [(s.version, s.requests, s.errors) for s in reading.strata] == [("v2", 2, 1)]
    assert reading.problem == ""


def test_unlabelled_requests_that_may_be_anyones_are_no_evidence(path: Path):
    save(path, [(0, 10, "", "v1"), (0, 10, "", "v2"), (0, 10, "connect", "")])
    for versions in (["v1", "v2"], ["v2"]):
        reading = SamplesSource(path).read(versions, {}, "", 0.0)
        assert "1 requests of the load test do not tell which version" in reading.problem
        assert all(s.requests == 1 for s in reading.strata)


def test_what_one_of_several_endpoints_answers_without_a_name_is_nobodys(path: Path):
    """A plain stable beside a canary, whose slow answers would be thinned out."""
    rows = [(0, 10, "", ""), (0, 900, "", "v2")]
    save(path, rows, endpoint_names=["stable", "canary"])
    reading = SamplesSource(path).read(["v2"], {}, "", 0.0)
    assert [stratum.requests for stratum in reading.strata] == [1]
    assert "1 requests of the load test do not tell which version" in reading.problem
    save(path, [(0, 10, "", ""), (0, 10, "connect", "")], endpoint_names=["a", "b"])
    assert [stratum.requests for stratum in SamplesSource(path).read(["v2"], {}, "", 0.0).strata] == [2]


def test_another_versions_requests_are_not_counted(path: Path):
    save(path, [(0, 10, "", "v1"), (0, 10, "", "v2")])
    reading = SamplesSource(path).read(["v2"], {}, "", 0.0)
    assert [(s.version, s.requests) for s in reading.strata] == [("v2", 1)]
    assert reading.problem == ""


def test_a_client_limited_run_is_no_evidence_and_says_why(path: Path):
    save(path, [(0, 10, "", "")], client_limited="it used 99% of its core; lower the rate")
    problem = SamplesSource(path).read(["v2"], {}, "", 0.0).problem
    assert problem.endswith("evidence of nothing: it used 99% of its core; lower the rate")


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"co_corrected": False}, "latencies count from the sending"),
        ({"closed_loop": True}, "its load was a closed loop"),
        ({}, ""),
    ],
)
def test_latencies_that_leave_out_the_waiting_are_said_to(path: Path, marks, said: str, caplog):
    save(path, [(0, 10, "", "")], **marks)
    reading = SamplesSource(path).read(["v2"], {}, "", 0.0)
    assert reading.strata
    assert [said in record.message for record in caplog.records] == [True] * bool(said)


@pytest.mark.parametrize(
    ("limits", "said", "evidence"),
    [
        (None, "late", False),
        ((), "late", True),
        ((0.25,), "late", True),
        ((0.05, 0.25), "", False),
        ((0.25,), "it used 99%", False),
    ],
)
def test_lateness_matters_where_it_moved_a_request_over_our_limits(path: Path, limits, said: str, evidence: bool):
    """60 ms from the scheduled moment, 45 from being sent, whatever the load test itself said of that."""
    records = Records.empty(Plan(array("q", [0]), 1.0), START)
    records.due, records.slip[0], records.took[0] = 1, 15 * MS, 60 * MS
    result = measured([records])
    write(replace(result, meta=replace(result.meta, late="late", client_limited=said)), path)
    reading = SamplesSource(path, limits).read(["v2"], {}, "", 0.0)
    assert (reading.problem == "") is evidence
    assert reading.problem.endswith("" if evidence else said or "late")
    assert SamplesSource(path, limits, others=True).read(["v2"], {}, "", 0.0).problem  # a mean, or a margin


@pytest.mark.parametrize(("hung", "evidence"), [(3, False), (2, True)])
def test_timeouts_of_requests_sent_late_are_the_clients(path: Path, hung: int, evidence: bool):
    """They had 600 ms of the second that is theirs, where only rates are judged, too."""
    records = Records.empty(Plan(array("q", [0] * 9), 1.0), START)
    records.due = 9
    for index in range(9):
        records.slip[index] = 400 * MS
        records.end(index, 1000 * MS, Answer(0, "timeout" if index < hung else ""), 0)
    write(measured([records], limits=[]), path)
    for limits in (None, (), (5.0,)):
        assert (SamplesSource(path, limits).read(["v2"], {}, "", 0.0).problem == "") is (
            evidence and limits is not None
        )


@pytest.mark.parametrize(("of_the_server", "evidence"), [(0, False), (40, True)])
def test_timeouts_that_are_mostly_the_clients_are_no_evidence_however_few(
    path: Path, of_the_server: int, evidence: bool
):
    """Ten in a thousand break a limit of 0.1 %; beside the server's own forty they change nothing."""
    slips = [900.0] * 10 + [0.1] * 990
    took = [1000.0] * (10 + of_the_server) + [300.0] * (990 - of_the_server)
    errors = dict.fromkeys(range(10 + of_the_server), "timeout")
    write(measured([records(took, slips=slips, errors=errors)], limits=[]), path)
    assert bool(SamplesSource(path, [], "v2").read(["v2"], {}, "", 0.0).problem) is not evidence


def test_what_another_tools_requests_waited_for_is_not_taken_for_its_clients(path: Path):
    """guidellm tells when each was due; that the server kept it from being sent is as likely as not."""
    entries = [Entry(at * MS, (at + 300) * MS, (at + 1300) * MS, "") for at in range(0, 400, 10)]
    started, rows = rows_of(entries)
    write(to_result(from_rows("guidellm 0.8", started, rows, corrected=True)), path)
    reading = SamplesSource(path, [1.2], "v2").read(["v2"], {}, "", 0.0)
    assert reading.problem == ""
    assert sum(each.latency.total - below(each, 1.2) for each in reading.strata) == 40


def test_a_file_that_is_not_there_is_a_mistake_of_the_caller(path: Path):
    with pytest.raises(UsageError, match=r"cannot be read: No such file.*load-test --samples"):
        SamplesSource(path).read(["v2"], {}, "", 0.0)


def test_an_empty_run_has_no_strata(path: Path):
    save(path, [])
    reading = SamplesSource(path).read(["v2"], {}, "", 0.0)
    assert (reading.strata, reading.problem) == ((), "")


def test_a_damaged_file_is_a_problem_in_one_sentence(path: Path):
    save(path, [(i / 100, 10, "", "v2") for i in range(500)])
    whole = path.read_bytes()
    np.savez(path.with_name("other.npz"), a=[1])
    np.savez(path.with_name("later.npz"), meta=np.frombuffer(json.dumps({"format": 99}).encode(), np.uint8))
    others = [path.with_name(name).read_bytes() for name in ("other.npz", "later.npz")]
    for data in (b"", b"nothing", whole[:200], whole[:-40], *others):
        path.write_bytes(data)
        reading = SamplesSource(path).read(["v2"], {}, "before", 0.0)
        assert (reading.strata, reading.cursor) == ((), "before")
        assert "is not the file of a load test" in reading.problem
        assert "\n" not in reading.problem


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damage_anywhere_is_never_a_traceback(tmp_path_factory, data):
    path = save(tmp_path_factory.mktemp("d") / "s.npz", [(i / 10, 10, "", "v2") for i in range(20)])
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    reading = SamplesSource(path).read(["v2"], {}, "", 0.0)
    assert reading.problem or sum(s.requests for s in reading.strata) == 20


def test_what_was_cancelled_after_every_limit_is_known_to_be_slow(path: Path):
    save(path, [(0, 10, "", ""), (0, 300, "cancelled", ""), (0, 100, "cancelled", "")])
    (stratum,) = SamplesSource(path, [0.05, 0.25]).read(["v2"], {}, "", 0.0).strata
    assert (stratum.requests, stratum.failures) == (2, {})
    assert below(stratum, 0.25) == 1
