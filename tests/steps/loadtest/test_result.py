"""From records to columns, file and summary: exact numbers, the judgement of the client itself, the limit of 1 kB.

Left out: where the records come from (test_engine.py), what assessments make of the file (metrics/test_samples.py).
"""

import json
import statistics
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway_steps.errors import DomainError, UsageError
from fairway_steps.loadtest.client import Stream
from fairway_steps.loadtest.exports import write_exceedances
from fairway_steps.loadtest.fitting import SUMMARY_BYTES, to_json
from fairway_steps.loadtest.labels import label_of
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.records import UNSEEN, Records
from fairway_steps.loadtest.result import COLUMNS, Result
from fairway_steps.loadtest.samples import read, write
from fairway_steps.loadtest.streaming import METRICS, Limit
from fairway_steps.loadtest.summary import summary
from fairway_steps.metrics.samples import SamplesSource
from fairway_steps.metrics.summary import SummarySource
from fairway_steps.model import Histogram
from load_records import MS, records


def of(*arguments, **fields) -> Result:
    return measured([records(*arguments, **fields)])


def test_three_latencies_with_exact_quantiles():
    result = of([float(i) for i in range(1, 101)], slips=[0.5] * 100)
    assert summary(result)["response_ms"] == {
        "p50": 50.5,
        "p90": 90.1,
        "p95": 95.05,
        "p99": 99.01,
        "p99.9": 99.901,
        "max": 100.0,
        "mean": 50.5,
    }
    assert summary(result)["service_ms"]["p50"] == 50.0
    assert set(summary(result)["slip_ms"].values()) == {0.5}


@given(st.lists(st.integers(1, 10**10), min_size=2, max_size=50))
def test_quantiles_are_definition_7(nanoseconds: list[int]):
    result = of([n / MS for n in nanoseconds])
    ours = summary(result)["response_ms"]
    theirs = statistics.quantiles([int(v) for v in result.response], n=1000, method="inclusive")
    for name, at in (("p50", 500), ("p90", 900), ("p95", 950), ("p99", 990), ("p99.9", 999)):
        assert ours[name] == pytest.approx(theirs[at - 1] / MS, rel=1e-4, abs=1e-3)


def test_failed_requests_are_counted_and_kept_out_of_latencies():
    result = of([10, 10, 5000, 5000, 1], errors={2: "timeout", 3: "http-500", 4: "http-500"})
    values = summary(result, [Limit(0.005), Limit(0.02)])
    assert values["requests"] == 5
    assert values["errors"] == {"http-500": 2, "timeout": 1}
    assert values["response_ms"]["max"] == 10
    assert values["over_ms"] == {"5": 5, "20": 3}


def test_a_limit_is_broken_above_it_not_at_it():
    result = of([100, 100.0001, 99.9999])
    assert list(result.exceeded(0.1)) == [False, True, False]


def test_without_a_success_there_are_no_quantiles_but_counts():
    values = summary(of([1, 1], errors={0: "connect", 1: "connect"}), [Limit(0.1)])
    assert set(values["response_ms"].values()) == {None}
    assert values["over_ms"] == {"100": 2}


def test_the_achieved_rate_counts_gaps_not_requests():
    assert summary(of([1] * 11, gap=100))["achieved_rate"] == 10
    assert summary(of([1]))["achieved_rate"] is None


def test_the_warm_up_is_reported_and_left_out():
    values = summary(of([1000.0] * 3 + [10.0] * 7, warm_up=3))
    assert (values["requests"], values["warm_up"], values["response_ms"]["max"]) == (7, 3, 10)


def test_a_run_stopped_in_its_warm_up_has_nothing_to_say():
    made = records([10.0] * 10, warm_up=5)
    made.due, made.stopped = 2, True
    values = summary(measured([made]))
    assert (values["requests"], values["warm_up"], values["stopped"], values["client_limited"]) == (0, 2, True, False)


def test_requests_never_tried_are_no_rows():
    made = records([10.0] * 10)
    made.due = 4
    assert len(measured([made])) == 4


def test_who_answered_and_whether_nobody_did():
    labels, errors = {0: "v1", 1: "v1", 2: "v2"}, {3: "http-503", 4: "cancelled"}
    values = summary(of([1] * 5, versions=labels, errors=errors))
    assert (values["versions"], values["lost"]) == ({"v1": 2, "v2": 1}, 1)
    upstreams = {0: 1, 1: 1, 2: 0, 3: 0}  # a proxy labels an answer that it made up
    assert summary(of([1] * 5, versions=labels, errors=errors, upstreams=upstreams))["lost"] == 2
    assert "lost" not in summary(of([1] * 5))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (records([50.0] * 200), ""),
        (records([50.0] * 200, slips=[0.1] * 198 + [40.0] * 2), ""),
        (records([50.0] * 10, slips=[0.1] * 8 + [40.0] * 2), ""),
        (records([500.0] * 200, slips=[9.0] * 200), ""),
        (records([50.0] * 200, slips=[0.1] * 197 + [5.0] * 3), "3 of 200 requests were sent more than 1 ms late"),
        (records([50.0] * 200, slips=[9.0] * 200), "lower the rate or give it more CPU"),
        (records([50.0] * 200, slips=[9.0] * 200, backlog=7, connections=2), "all 2 connections were busy and up to 7"),
        (records([9000.0] * 200, slips=[i * 0.4 for i in range(200)]), ""),
        (
            records([99000.0] * 200, slips=[i * 8.0 for i in range(200)]),
            "sent 55.56 requests per second of the planned",
        ),
        (records([2000.0] * 200, slips=[9.0] * 200, errors=dict.fromkeys(range(200), "timeout")), ""),
        (records([0.1] * 200, slips=[9.0] * 200, errors=dict.fromkeys(range(200), "connect")), "more than 1 ms late"),
        (records([50.0] * 200, cpu=0.81), "it used 81% of its core"),
        (records([50.0], slips=[50.0]), ""),
    ],
)
def test_a_client_that_shaped_the_numbers_says_so_and_why(made: Records, reason: str):
    result = measured([made])
    assert reason in result.meta.client_limited
    assert bool(reason) == bool(result.meta.client_limited) == summary(result)["client_limited"]
    assert summary(result).get("reason", "") == result.meta.client_limited


def test_a_request_that_was_never_sent_is_the_clients_limit():
    made = records([50.0] * 10, errors={9: "timeout"}, connections=3, backlog=5)
    made.slip[9] = -1
    assert "1 requests were never sent: all 3 connections were busy" in measured([made]).meta.client_limited


def hanging(hung: int, answered: int, *, slip: float = 4000.0) -> Records:
    """``hung`` requests with a connection each but no answer within 5 s, ``answered`` at once, two sent ``slip`` ms late, three never."""
    sent = hung + answered
    errors = {i: "timeout" for i in range(sent + 5) if not hung <= i < sent}
    slips = [0.1] * sent + [slip] * 2 + [0.1] * 3
    made = records(
        [5.0 if hung <= i < sent else 5000.0 for i in range(sent + 5)],
        slips=slips,
        errors=errors,
        connections=hung,
        backlog=5,
    )
    for never in range(sent + 2, sent + 5):
        made.slip[never] = -1
    return made


def test_a_server_that_answers_nothing_is_no_limit_of_the_client():
    """What had a connection is the evidence; what found none tells nothing, however long it waited."""
    result = measured([hanging(20, 9)], limits=[0.1])
    assert (result.meta.client_limited, result.meta.unsent) == ("", 5)
    told = summary(result, [Limit(0.1)])
    assert (told["errors"], told["over_ms"]) == ({"timeout": 20, "cancelled": 5}, {"100": 20})


@pytest.mark.parametrize("made", [hanging(9, 9), hanging(2, 20), hanging(0, 5)])
def test_a_server_that_answers_most_is_not_what_kept_the_client(made: Records):
    result = measured([made], limits=[0.1])
    assert "were never sent" in result.meta.client_limited
    assert result.meta.unsent == 0


def test_lateness_that_moves_no_request_over_a_limit_does_not_matter():
    late = records([50.0] * 200, slips=[5.0] * 200)
    assert measured([late]).meta.client_limited
    assert not measured([late], limits=[0.25, 0.04]).meta.client_limited
    assert measured([late], limits=[0.25, 0.048]).meta.client_limited
    assert not measured([late], limits=[]).meta.client_limited  # judged by rates alone
    assert measured([late], limits=[0.25]).meta.late  # kept for whoever knows other limits


@pytest.mark.parametrize(
    ("pauses", "limits", "limited"),
    [
        ([1000, 3010], None, True),
        ([1000, 3010], [2.0], True),
        ([1000, 3010], [4.0], False),
        ([100, 200, 1000, 3010, 3050, 3090], [2.0], True),
        ([100, 200, 1000, 1100], [2.0], False),
        ([], [2.0], False),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_answers_that_a_held_up_client_read_late_are_no_evidence(
    pauses: list[int], limits: list[float] | None, limited: bool, workers: int, tmp_path: Path
):
    """All are read at 3 s, 2 s and more after their moments; without the pause none would have taken that."""
    shares = [
        records([3000.0 - 10 * i for i in range(100)], pauses=array("q", [at * 1_000_000 for at in pauses]))
        for _ in range(workers)
    ]
    result = measured(shares, limits=limits)
    assert ("sent or their answers read" in result.meta.client_limited) is limited
    assert summary(result)["client_limited"] is limited
    write_exceedances(result, [Limit(2.0)], tmp_path / "e.json")
    assert bool(json.loads((tmp_path / "e.json").read_text())["client_limited"]) is limited
    if limits is not None:  # whatever limits the load test itself was told
        write(measured(shares, limits=[9.0]), tmp_path / "s.npz")
        reading = SamplesSource(tmp_path / "s.npz", limits, "v2").read(["v2"], {}, "", 0.0)
        assert bool(reading.problem) is limited


@pytest.mark.parametrize("own", [0, 36, 200])
@pytest.mark.parametrize("limits", [[1.2], [1.2, 1.25], [2.0]])
def test_whom_the_client_alone_moved_over_a_limit_is_neither_over_nor_under_it(
    own: int, limits: list[float], tmp_path: Path
):
    """38 of 4000 are sent late, too few to be many; ``own`` took too long without that. Versions are judged as if nobody had timed the 38."""
    slips = [300.0] * 38 + [0.1] * 3962
    made = records([1300.0] * (38 + own) + [1000.0] * (3962 - own), slips=slips)
    result = measured([made], limits=limits)
    known, broke = (4000, 0) if limits == [2.0] else (3962, own)
    assert not result.meta.client_limited
    told = summary(result, [Limit(limit) for limit in limits])
    assert told["over_ms"] == {f"{limit * 1000:g}": broke for limit in limits}
    assert told.get("moved", {}) == ({"": 4000 - known} if known < 4000 else {})
    write_exceedances(result, [Limit(limit) for limit in limits], tmp_path / "e.json")
    strata = json.loads((tmp_path / "e.json").read_text())["strata"]
    assert [sum(each["over"][name] for each in strata) for name in told["over_ms"]] == [broke] * len(limits)
    assert sum(each.get("moved", 0) for each in strata) == 4000 - known
    write(result, tmp_path / "s.npz")
    sources = [SamplesSource(tmp_path / "s.npz", limits, "v2"), SummarySource(json.dumps(told), limits, "v2")]
    for source in sources:
        reading = source.read(["v2"], {}, "", 0.0)
        assert reading.problem == ""
        assert sum(each.requests for each in reading.strata) == 4000
        assert sum(each.latency.total for each in reading.strata) == known
        assert sum(over_edge(each.latency, limits[0]) for each in reading.strata) == broke


def over_edge(histogram: Histogram, limit: float) -> int:
    return sum(count for edge, count in zip(histogram.edges, histogram.counts, strict=True) if edge > limit)


def test_whom_the_client_moved_is_counted_version_by_version():
    """The summary's ``requests`` of each version stay; of one of v2's ten nobody knows whether it took too long."""
    made = records(
        [100.0] * 9 + [400.0] + [100.0] * 10,
        slips=[0.1] * 9 + [350.0] + [0.1] * 10,
        versions={i: f"v{1 + i % 2}" for i in range(20)},
    )
    told = summary(measured([made], limits=[0.25]), [Limit(0.25)])
    assert (told["by_version"], told["moved"]) == ({"v1": [10, 0, 0], "v2": [10, 0, 0]}, {"v2": 1})
    for name, known in (("v1", 10), ("v2", 9)):
        (stratum,) = SummarySource(json.dumps(told), [0.25]).read([name], {}, "", 0.0).strata
        assert (stratum.requests, stratum.latency.total) == (10, known)


def test_what_was_read_in_pieces_may_have_waited_in_every_pause():
    """The second answer began to come before the pause, and ended after it."""
    made = records([900.0, 900.0], pauses=array("q", [200_000_000, 500_000_000]), waits={1: 300_000_000})
    assert list(measured([made]).held_ns) == [0, 300_000_000]


def test_a_pause_of_one_process_is_not_the_others():
    pauses = array("q", [1_000_000_000, 3_010_000_000])
    held = measured([records([2500.0] * 100, pauses=pauses), records([2500.0] * 100)]).held_ns
    assert np.count_nonzero(held) == 52  # read between 2.5 and 3.01 s


@pytest.mark.parametrize("limits", [[], [5.0]])
@pytest.mark.parametrize(("slip", "hung", "limited"), [(400.0, 20, True), (400.0, 2, False), (15.0, 20, False)])
def test_timeouts_of_requests_sent_late_are_the_clients(limits: list[float], slip: float, hung: int, limited: bool):
    """The server had less than the second that ``--timeout`` gives it: they are nobody's, and too many of them no evidence; 2 % of it are neglected."""
    made = records(
        [1000.0] * hung + [50.0 + slip] * 5 + [50.0] * (195 - hung),
        slips=[slip] * (hung + 5) + [0.1] * (195 - hung),
        errors=dict.fromkeys(range(hung), "timeout"),
    )
    result = measured([made], limits=limits)
    assert result.meta.late
    assert bool(result.meta.client_limited) is limited
    assert result.failures == {"cancelled" if slip > 20 else "timeout": hung}


@pytest.mark.parametrize(("of_the_server", "limited"), [(0, True), (40, False)])
def test_timeouts_that_are_mostly_the_clients_are_no_evidence_however_few(of_the_server: int, limited: bool):
    """Ten in a thousand break a limit of 0.1 %; beside the server's own forty they change nothing."""
    slips = [900.0] * 10 + [0.1] * 990
    took = [1000.0] * (10 + of_the_server) + [300.0] * (990 - of_the_server)
    made = records(took, slips=slips, errors=dict.fromkeys(range(10 + of_the_server), "timeout"))
    result = measured([made], limits=[])
    assert ("was held up" in result.meta.client_limited) is limited
    assert summary(result)["errors"] == {"cancelled": 10} | ({"timeout": of_the_server} if of_the_server else {})


@pytest.mark.parametrize(
    ("unseen", "timeouts", "limited"),
    [(2, 0, False), (3, 2, True), (3, 3, False), (11, 40, True), (10, 40, False), (20, 500, False)],
)
def test_timeouts_that_a_client_saw_late_count_for_nothing_and_many_make_it_the_limit(
    unseen: int, timeouts: int, limited: bool
):
    errors = dict.fromkeys(range(unseen), "cancelled") | dict.fromkeys(range(unseen, unseen + timeouts), "timeout")
    made = records([300.0] * 1000, errors=errors)
    for index in range(unseen):
        made.took[index] = UNSEEN
    result = measured([made], limits=[0.25])
    assert ("was held up" in result.meta.client_limited) is limited
    assert summary(result, [Limit(0.25)])["over_ms"] == {"250": 1000 - unseen}


@pytest.mark.parametrize("count", [1, 30, 300])
def test_the_summary_fits_a_parameter_whatever_went_wrong(count: int):
    made = records(
        [12345.678901] * 900,
        errors={i: f"http-{100 + i % count}" for i in range(600)},
        versions={i: f"v{i % count}-".ljust(63, "x") for i in range(900)},
        slips=[9999.0] * 900,
    )
    values = summary(measured([made]), [Limit(0.1), Limit(0.25)])
    assert len(to_json(values).encode()) <= SUMMARY_BYTES
    assert sum(values["errors"].values()) == 600
    assert sum(values["versions"].values()) == 900


@settings(max_examples=20)
@given(st.data())
def test_no_names_counts_or_limits_make_the_summary_longer(data: Any):
    """Names as answers may give them, limits as ``--limits`` takes them; the counts of a version that is still listed are its own."""
    letters = st.sampled_from(["v", '"', "\\", "\x01", "é", "一"])
    stem, rng = data.draw(st.text(letters, max_size=70)), np.random.default_rng(data.draw(st.integers(0, 99)))
    names = [label_of(f"{number}{stem}") for number in range(data.draw(st.integers(1, 40)))]
    kinds = [f"http-{300 + number}" for number in range(data.draw(st.integers(0, 60)))]
    limit = st.builds(Limit, st.floats(1e-3, 3600), st.sampled_from(METRICS))
    limits = data.draw(st.lists(limit, max_size=20, unique=True))
    streamed, late, count = data.draw(st.booleans()), data.draw(st.sampled_from([0, 1, 9_999])), 4 * len(names)
    made = records(
        list(rng.lognormal(6, 3, count)),
        slips=list(rng.uniform(0, 2 * late + 0.1, count)),
        errors={3 * number: kind for number, kind in enumerate(kinds) if 3 * number < count},
        versions={i: names[i % len(names)] for i in range(count)},
        waits=dict.fromkeys(range(0, count, 3), late * MS),
        streams={1: Stream(array("q", [MS, 2 * MS]), output_tokens=10**9)} if streamed else None,
    )
    result = measured([made], limits=data.draw(st.sampled_from([None, [limit.seconds for limit in limits]])))
    values = summary(result, limits)
    assert len(to_json(values).encode()) <= SUMMARY_BYTES
    told = summary_before_fitting(result, limits)
    assert values.get("moved", {}).items() <= told.get("moved", {}).items()
    for name, row in values.get("by_version", {}).items():
        assert row == told["by_version"][name][: len(row)]
        assert values.get("moved", {}).get(name) == told.get("moved", {}).get(name)


def summary_before_fitting(result: Result, limits: list[Limit]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fairway_steps.loadtest.summary.fitted", lambda values: values)
        return summary(result, limits)


def test_many_limits_fit_too():
    values = summary(of([1.0] * 10), [Limit(i / 1000) for i in range(1, 400)])
    assert len(to_json(values)) <= SUMMARY_BYTES


def same(a: Result, b: Result) -> bool:
    return a.meta == b.meta and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in COLUMNS)


def test_the_file_gives_back_what_was_written(tmp_path):
    result = of([10, 20, 30], errors={1: "http-500"}, versions={0: "v1"}, cpu=0.25)
    path = tmp_path / "new" / "samples.npz"
    write(result, path)
    assert same(read(path), result)
    assert [p.name for p in path.parent.iterdir()] == ["samples.npz"]


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "samples.npz"
    write(of([10.0] * 500), path)
    write(of([10.0]), path)
    assert len(read(path)) == 1


def test_a_file_that_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DomainError, match=r"samples .* cannot be written"):
        write(of([10.0]), tmp_path / "file" / "samples.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DomainError, match=r"samples .* cannot be written"):
        write(of([10.0]), tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_that_is_none_is_one_sentence(tmp_path):
    path = tmp_path / "samples.npz"
    with pytest.raises(UsageError, match="cannot be read"):
        read(path)
    write(of([10.0] * 50), path)
    whole = path.read_bytes()
    np.savez(tmp_path / "other.npz", a=[1])
    meta = np.frombuffer(json.dumps({"format": 99}).encode(), np.uint8)
    np.savez(tmp_path / "later.npz", meta=meta)
    for data in (b"", b"nothing", whole[:100], whole[:-40], *(p.read_bytes() for p in tmp_path.glob("[ol]*.npz"))):
        path.write_bytes(data)
        with pytest.raises(UsageError, match="not the file of a load test"):
            read(path)
