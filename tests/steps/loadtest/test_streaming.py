"""TTFT, ITL, TPOT, tokens a second and goodput, from event times that can be checked by hand.

Left out: where the times come from (test_http.py, test_grpc.py), and how exact they are (bench/load_test.py).
"""

from array import array
from dataclasses import replace

import numpy as np
import pytest

from fairway_steps.loadtest.client import Stream
from fairway_steps.loadtest.fitting import SUMMARY_BYTES, to_json
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.records import Records
from fairway_steps.loadtest.result import Meta, Result, result_of
from fairway_steps.loadtest.samples import read, write
from fairway_steps.loadtest.streaming import Limit, Tokens, exceeded, goodput, over, tokens, unsure
from fairway_steps.loadtest.summary import summary
from fairway_steps.loadtest.table import table
from load_records import MS, records


def stream(begin: float, *moments: float, output: int = -1, prompt: int = -1, reasoning: int = 0) -> Stream:
    """Events ``moments`` ms after ``begin`` ms."""
    return Stream(array("q", [round((begin + at) * MS) for at in moments]), output, prompt, reasoning)


def three() -> Records:
    """Due at 0, 100 and 200 ms, sent 1 ms late; the second one has a single token, the third brings 8 in 4 events."""
    streams = {
        0: stream(0, 50, 60, 75, output=3, prompt=10),
        1: stream(100, 30, output=1, prompt=20),
        2: stream(200, 40, 40, 60, 80, output=8, prompt=30),
    }
    return records([80, 31, 90], gap=100, slips=[1, 1, 1], streams=streams)


def found(made: Records) -> tuple[Result, Tokens]:
    result = measured([made])
    values = tokens(result)
    assert values is not None
    return result, values


def test_every_measure_by_hand():
    _, values = found(three())
    assert list(values.ttft / MS) == [50, 30, 40]
    assert list(values.ttft_sent / MS) == [49, 29, 39]
    assert list(values.itl / MS) == [10, 15, 0, 20, 20]
    assert [None if np.isnan(v) else v / MS for v in values.tpot] == [12.5, None, pytest.approx(40 / 7)]
    assert list(values.normalized_tpot / MS) == [pytest.approx(80 / 3), 31, 90 / 8]
    assert (values.output_total, values.events, values.coalesced, values.counted) == (12, 8, 1, 0)
    assert values.per_second == pytest.approx(12 / 0.290)


PAUSED = array("q", [at * MS for at in (245, 265)])
"""Of ``three``: the third is sent at 201, and its events at 240, 240, 260 and 280 are the last but one read in a pause."""


def test_moments_that_a_held_up_client_read_late_are_none_of_the_models():
    """The gaps before and after one are left out; a first or last one takes TTFT and TPOT with it."""
    _, values = found(replace(three(), pauses=PAUSED))
    assert list(values.itl / MS) == [10, 15, 0]
    assert list(values.itl_weighted / MS) == [10, 15, 0, 0]
    assert list(values.ttft / MS) == [50, 30, 40]
    assert (values.held, values.coalesced) == (1, 1)
    _, values = found(replace(three(), pauses=array("q", [at * MS for at in (210, 250, 270, 290)])))
    assert [np.isnan(v) for v in values.ttft] == [np.isnan(v) for v in values.ttft_sent] == [False, False, True]
    assert [np.isnan(v) for v in values.tpot] == [False, True, True]
    assert list(values.itl / MS) == [10, 15]
    assert values.held == 3


@pytest.mark.parametrize(
    ("limit", "pauses", "broke", "moved"),
    [
        (Limit(0.035, "ttft"), (), 2, 0),
        (Limit(0.035, "ttft"), (205, 250), 1, 1),
        (Limit(0.020, "ttft"), (235, 250), 3, 0),
        (Limit(0.035, "ttft_sent"), (205, 250), 1, 1),
        (Limit(0.005, "tpot"), (), 2, 0),
        (Limit(0.005, "tpot"), (270, 290), 1, 1),
        (Limit(0.006, "tpot"), (220, 250), 1, 1),
        (Limit(0.009, "tpot"), (220, 250), 1, 0),
    ],
)
def test_a_limit_on_tokens_is_not_broken_by_the_client(limit: Limit, pauses: tuple[int, ...], broke: int, moved: int):
    """A first token that was read late may hide how slow the others were, too."""
    result = measured([replace(three(), pauses=array("q", [at * MS for at in pauses]))])
    assert over(result, [limit]) == {limit.name: broke}
    assert np.count_nonzero(unsure(result, limit)) == moved


def test_the_summary_says_how_many_events_the_client_read_late():
    assert summary(measured([replace(three(), pauses=PAUSED)]))["held"] == 1
    assert "held" not in summary(measured([three()]))


def test_a_file_keeps_what_was_read_late(tmp_path):
    write(measured([replace(three(), pauses=PAUSED)]), tmp_path / "s.npz")
    back = tokens(read(tmp_path / "s.npz"))
    assert back is not None
    assert list(back.itl / MS) == [10, 15, 0]


def test_a_stream_whose_tokens_were_read_late_is_late():
    """Its end was read in time. With two of a run neglected it takes three."""
    streams = {i: stream(100 * i, 50, 60, 75) for i in range(3)}
    made = records([80] * 3, gap=100, streams=streams)
    paused = array("q", [at * MS for i in range(3) for at in (100 * i + 20, 100 * i + 55)])
    assert not measured([made]).meta.late
    assert "3 of 3 requests were sent or their answers read" in measured([replace(made, pauses=paused)]).meta.late


def test_the_table_shows_every_measure():
    result, _ = found(three())
    lines = table(result, summary(result), []).splitlines()
    medians = {line[:10].strip(): line[10:20].strip() for line in lines[2:] if line[10:20].strip() not in ("", "-")}
    assert {name: medians[name] for name in ("TTFT", "TTFT sent", "ITL", "ITL/token", "TPOT", "TPOT norm")} == {
        "TTFT": "40.00",
        "TTFT sent": "39.00",
        "ITL": "15.00",
        "ITL/token": "10.00",
        "TPOT": "9.11",
        "TPOT norm": "26.67",
    }
    assert "12 output tokens in 8 events (1.5 each), 41.38 tokens/s" in lines
    plain = measured([records([80], streams={0: stream(0, 10, 20, 40, output=3)})])
    assert "ITL/token" not in table(plain, summary(plain), [])
    assert "3 output tokens in 3 events, " in table(plain, summary(plain), [])


def test_a_gap_before_several_tokens_is_shared_among_them():
    _, values = found(records([80], streams={0: stream(0, 10, 20, 40, output=6)}))
    assert list(values.itl_weighted / MS) == [5, 5, 10, 10]


def test_without_usage_events_are_counted_and_it_is_said():
    result, values = found(records([80], streams={0: stream(0, 10, 20, 30)}))
    assert (values.output_total, values.counted) == (3, 1)
    assert summary(result)["tokens_counted_by_events"] == 1


def test_an_answer_without_a_token_has_no_ttft_and_breaks_its_limit():
    made = records([80, 80, 80], streams={0: stream(0, 10, 20), 1: stream(10)}, errors={2: "stream-error"})
    result, values = found(made)
    assert list(values.ttft / MS) == [10]
    assert list(exceeded(result, Limit(0.05, "ttft"))) == [False, True, True]


def test_failed_streams_are_in_no_latency():
    made = records([80, 80], streams={0: stream(0, 10, 20), 1: stream(10, 70, 71)}, errors={1: "truncated"})
    assert list(found(made)[1].ttft / MS) == [10]


def test_goodput_counts_every_limit_and_every_request():
    made = three()
    result = measured([made])
    limits = [Limit(0.085), Limit(0.045, "ttft"), Limit(0.006, "tpot")]
    assert over(result, limits) == {"85": 1, "ttft:45": 1, "tpot:6": 1}
    good = goodput(result, limits)
    assert good is not None
    assert (good.kept, good.due, good.attainment) == (1, 3, pytest.approx(1 / 3))
    assert good.per_second == pytest.approx(1 / 0.290)
    assert goodput(result, []) is None


def test_what_we_cancelled_is_no_failure_unless_it_was_too_slow_already():
    result = measured([records([80, 20, 90], errors={1: "cancelled", 2: "cancelled"})])
    good = goodput(result, [Limit(0.085)])
    assert good is not None
    assert (good.kept, good.due) == (1, 2)


def test_the_summary_has_it_all_and_fits():
    values = summary(measured([three()]), [Limit(0.085), Limit(0.045, "ttft")])
    assert values["ttft_ms"]["p50"] == 40
    assert values["itl_ms"]["max"] == 20
    assert (values["output_tokens"], values["tokens_per_s"], values["coalesced"]) == (12, 41.379, 1)
    assert (values["goodput"], values["attainment"]) == (3.448, 0.33333)
    assert len(to_json(values)) <= SUMMARY_BYTES
    assert len(values["response_ms"]) == len(values["slip_ms"]) == 7


@pytest.mark.parametrize("letter", ["x", "漢", "😀"])
def test_the_summary_fits_with_all_there_is_to_say_at_once(letter: str):
    """Streams, versions of long names, failures of many kinds, a client at its limit and a decision: the counts stay."""
    n, errors = 600, ("", "grpc-resource-exhausted", "grpc-deadline-exceeded", "truncated", "timeout", "http-503")
    due = np.arange(n) * 12_345_678_901
    columns = {"scheduled_ns": due, "sent_ns": due + 98_765_432, "end_ns": due + 98_765_432_101, "status": np.zeros(n)}
    columns |= {
        "upstream": np.zeros(n),
        "endpoint": np.zeros(n),
        "error": np.arange(n) % 6,
        "version": np.arange(n) % 9,
    }
    columns |= dict.fromkeys(("events", "output_tokens", "prompt_tokens", "reasoning"), np.full(n, 2))
    columns["event_ns"] = np.sort(np.concatenate([due + 1_234_567_890, due + 2_345_678_901]))
    names = ("", *(str(number).rjust(63, "v") for number in range(8)))
    said = {"client_limited": letter * 300, "decided": letter * 300, "stopped": True, "warm_up": 1234567}
    result = result_of(columns, Meta(1795939820.55, 1234.5678, errors, names, **said))
    limits = [Limit(seconds) for seconds in (0.1, 0.2, 0.25, 0.5, 1.0)] + [Limit(0.2, "ttft"), Limit(0.05, "tpot")]
    values = summary(result, limits)
    assert len(to_json(values)) <= SUMMARY_BYTES
    assert values["over_ms"]["100"] == n
    assert values["by_version"]
    assert sum(values["errors"].values()) == n * 5 // 6
    assert values["client_limited"] is True


def test_event_times_survive_the_file_the_warm_up_and_being_put_together(tmp_path):
    made = three()
    made.plan = type(made.plan)(made.plan.offsets, 10, 1)
    write(measured([made]), tmp_path / "s.npz")
    back = read(tmp_path / "s.npz")
    values = tokens(back)
    assert values is not None
    assert list(values.ttft / MS) == [30, 40]
    assert list(back.streams.events) == [1, 4]
    assert list(back.streams.prompt_tokens) == [20, 30]


def test_streams_recorded_as_they_end_come_back_request_by_request():
    made = records([300, 50], gap=10)
    for index, moments in ((1, (20, 30)), (0, (5, 250))):  # the second one ended first
        made.stream_rows.append(index)
        made.stream_events.append(2)
        made.events.extend(at * MS for at in moments)
        for column in (made.output_tokens, made.prompt_tokens, made.reasoning):
            column.append(index)
    result = measured([made])
    assert [at / MS for at in result.streams.event_ns] == [5, 250, 20, 30]
    assert list(result.streams.output_tokens) == [0, 1]
