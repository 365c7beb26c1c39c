"""Covers: who is asked, how often answers are compared at most, what is counted, and what a sample holds and must never hold.

Versions are fakes here. Leaves out: the comparison itself (test_compare.py), sockets (test_upstream.py, test_server.py).
"""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.collector.collect import SHOWN, WAITING, Budget, Collector
from fairway_steps.collector.compare import Kind, compare
from fairway_steps.collector.counts import Counts
from fairway_steps.collector.inbound import Head
from fairway_steps.collector.paths import INFERENCE, Allowed
from fairway_steps.collector.ring import Ring
from fairway_steps.collector.tensors import Tolerance
from fairway_steps.collector.upstream import Reply

SECRET = "Bearer s3cr3t"
HEADERS = {b"authorization": SECRET.encode(), b"cookie": b"s3cr3t"}
INFER = Head("POST", "/v2/models/m/infer?key=s3cr3t", HEADERS, 2, keep_alive=True)


class Fake:
    def __init__(self, name, reply):
        self.name, self.reply, self.kept = name, reply, []

    async def ask(self, method, target, headers, body, *, keep):
        self.kept.append(keep)
        return self.reply


def label(value, **headers):
    body = {"outputs": [{"name": "o", "datatype": "INT64", "shape": [1], "data": [value]}]}
    told = {name.replace("_", "-").encode(): text for name, text in headers.items()}
    return Reply(0.01, 200, "", {b"content-type": b"application/json", **told}, json.dumps(body).encode())


async def compared(old, new):
    return compare(old, new, Tolerance())


def collector(old, new, **changed):
    primary, candidate = Fake("v1", old), Fake("v2", new)
    options = {
        "allowed": Allowed.of(INFERENCE),
        "share": 1.0,
        "budget": Budget(1e9),
        "compare": compared,
        "samples": None,
    }
    return Collector(primary, candidate, Counts("v1", "v2", 0.0), **{**options, **changed})


def take(made, times=1, body=b"{}"):
    async def all_of_them():
        for _ in range(times):
            await made.take(INFER, body)

    asyncio.run(all_of_them())
    return made.counts


def test_both_are_asked_and_compared():
    made = collector(label(1), label(2))
    counts = take(made, 3)
    assert (counts.comparisons, counts.differences) == (3, {Kind.LABEL: 3})
    assert counts.requests == {("v1", "200", ""): 3, ("v2", "200", ""): 3}
    assert made.primary.kept == made.candidate.kept == [True] * 3


@given(st.floats(0, 1), st.lists(st.floats(0, 1, exclude_max=True), max_size=30))
def test_the_primary_is_asked_for_the_share_alone_and_the_candidate_always(share, drawn):
    chances = iter(drawn)
    made = collector(label(1), label(1), share=share, chance=lambda: next(chances))
    counts = take(made, len(drawn))
    assert counts.comparisons == sum(chance < share for chance in drawn) == len(made.primary.kept)
    assert len(made.candidate.kept) == len(drawn)


@given(st.floats(0.1, 20), st.lists(st.floats(0, 2), min_size=1, max_size=50))
def test_no_stretch_of_time_has_more_comparisons_than_the_rate_allows(rate, gaps):
    budget, now, taken = Budget(rate), 0.0, []
    for gap in gaps:
        now += gap
        taken += [now] if budget.take(now) else []
    for index, begin in enumerate(taken):
        for number, end in enumerate(taken[index:], start=1):
            assert number <= rate * (end - begin) + max(1.0, rate) + 1e-6


def test_what_the_rate_leaves_out_is_counted():
    made = collector(label(1), label(1), budget=Budget(2), now=lambda: 7.0)
    counts = take(made, 5)
    assert (counts.comparisons, counts.not_compared) == (1, {"rate": 4})
    assert counts.attempts == 1, "what is no part of the sample was not to be compared"
    assert len(made.candidate.kept) == 5


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (Reply(0.1, 500), label(1), "primary-failed"),
        (Reply(0.1, error="timeout"), label(1), "primary-failed"),
        (label(1, content_encoding=b"gzip"), label(1), "encoded"),
        (label(1), label(1, inference_header_content_length=b"10"), "binary"),
        (Reply(0.1, 200, cut=True), label(1), "too-large"),
    ],
)
def test_what_cannot_be_compared_is_counted_by_its_reason(old, new, reason):
    counts = take(collector(old, new))
    assert (counts.attempts, counts.comparisons, counts.not_compared) == (1, 0, {reason: 1})


def test_a_candidate_that_gives_no_answer_differs():
    counts = take(collector(label(1), Reply(30.0, error="timeout")))
    assert (counts.comparisons, counts.differences) == (1, {Kind.STATUS: 1})
    assert counts.requests[("v2", "", "timeout")] == 1


def test_a_request_that_went_in_a_circle_or_may_write_is_refused():
    made = collector(label(1), label(1))
    assert made.refusal(INFER) == ""
    assert made.refusal(Head("POST", INFER.target, {b"x-fairway-collector": b"1"}, 0, keep_alive=True)) == "loop"
    assert made.refusal(Head("POST", "/v2/repository/index", {}, 0, keep_alive=True)) == "path"
    assert made.refusal(Head("DELETE", INFER.target, {}, 0, keep_alive=True)) == "path"


def test_a_sample_shows_both_answers_and_neither_header_nor_query(tmp_path):
    path = tmp_path / "samples.jsonl"
    made = collector(label(1), label(2, set_cookie=b"s3cr3t"), samples=Ring(path, 100_000))
    take(made, body=b'{"inputs": []}')
    (line,) = path.read_text().splitlines()
    assert "s3cr3t" not in line
    sample = json.loads(line)
    assert sample.pop("at")
    outputs = [json.loads(label(value).body) for value in (1, 2)]
    assert sample == {
        "kind": "label",
        "difference": "output o: 1 is 2 at 0",
        "method": "POST",
        "path": "/v2/models/m/infer",
        "request": {"inputs": []},
        "primary": {"version": "v1", "status": 200, "body": outputs[0]},
        "candidate": {"version": "v2", "status": 200, "body": outputs[1]},
    }


def test_a_pair_that_agrees_leaves_no_sample_and_a_long_body_is_cut(tmp_path):
    path = tmp_path / "samples.jsonl"
    take(collector(label(1), label(1), samples=Ring(path, 100_000)))
    assert path.read_text() == ""
    take(collector(label(1), label(2), samples=Ring(path, 100_000)), body=b"\xff" * 3 * SHOWN)
    assert len(json.loads(path.read_text())["request"]) == SHOWN + 1


def test_a_sample_that_cannot_be_written_ends_nothing(tmp_path):
    ring = Ring(tmp_path / "gone" / "samples.jsonl", 100_000)
    (tmp_path / "gone" / "samples.jsonl").unlink()
    (tmp_path / "gone").rmdir()
    assert take(collector(label(1), label(2), samples=ring)).differences == {Kind.LABEL: 1}


def test_more_comparisons_than_may_be_under_way_are_not_made():
    ends = asyncio.Event()

    async def slow(old, new):
        await ends.wait()
        return await compared(old, new)

    made = collector(label(1), label(1), compare=slow)

    async def all_of_them():
        taking = [asyncio.create_task(made.take(INFER, b"{}")) for _ in range(WAITING + 3)]
        while made.counts.not_compared["busy"] < 3:  # noqa: ASYNC110 - what the collector counts is no event
            await asyncio.sleep(0)
        ends.set()
        await asyncio.gather(*taking)
        await made.take(INFER, b"{}")

    asyncio.run(all_of_them())
    assert (made.counts.comparisons, made.counts.attempts) == (WAITING + 1, WAITING + 1)
    assert dict(made.counts.not_compared) == {"busy": 3}
