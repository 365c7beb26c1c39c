"""Streamed answers of a simulated LLM server, end to end: the OpenAI chat and completion APIs and V2's generate stream over HTTP.

The server writes down when it wrote each event, by the same monotonic clock, so the error of every single moment is known.
Left out: the arithmetic of the measures (test_streaming.py), the events' text (test_sse.py), figures on a quiet machine (bench/).
"""

import asyncio
import itertools
import json
import time
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.loadtest.crew import Here, Task
from fairway_steps.loadtest.http import Request
from fairway_steps.loadtest.loops import run_in_loop
from fairway_steps.loadtest.measured import measured
from fairway_steps.loadtest.payloads import Payloads
from fairway_steps.loadtest.plan import constant
from fairway_steps.loadtest.result import Result
from fairway_steps.loadtest.streaming import tokens
from known_server import known_server
from raw_server import always, answer, serving

MS = 1_000_000
STATED = 0.5 * MS


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with known_server() as url:
        yield url


def load(
    url: str, *, requests: int = 10, rate: float = 50, ids: str = "", expect: bytes = b"", method: str = "POST"
) -> tuple[Result, int]:
    """The result, and the moment of its start by the monotonic clock."""
    bodies = tuple(json.dumps({"stream": True, "id": f"{ids}{i}"}).encode() for i in range(requests))
    zero: list[int] = []

    async def main():
        target = Request(url, method, expect=expect)
        crew = Here([Task(target, constant(rate, requests=requests), Payloads(bodies))], SystemClock())
        zero.append(crew._runs[0].zero)
        return await crew.result()

    return measured(run_in_loop(main())[0]), zero[0]


PATHS = ["v1/chat/completions", "v1/completions", "v2/models/m/generate_stream"]


@pytest.mark.parametrize("path", PATHS)
def test_every_event_is_seen_after_it_was_written_and_in_its_order(server: str, path: str):
    result, _ = load(f"{server}/{path}?ttft=20&itl=4&tokens=10")
    assert result.failures == {}
    assert list(result.streams.events) == [10] * 10
    found = tokens(result)
    assert found is not None
    assert not any(found.ttft_sent < 20 * MS)  # a busy machine may leave it open
    assert all(result.service >= (20 + 9 * 4) * MS)
    usage = path.startswith("v1")
    assert (found.output_total, found.counted) == (100, 0 if usage else 10)
    assert set(result.streams.prompt_tokens) == ({7} if usage else {-1})


@pytest.mark.parametrize("media", ["text/event-stream", "Text/Event-Stream; charset=utf-8"])
def test_a_stream_is_known_by_its_media_type_in_any_case(media: str):
    with serving(always(answer(body=b'data: {"text_output": "a"}\n\n' * 2, Content_Type=media))) as server:
        result, _ = load(server.url, requests=2)
    assert list(result.streams.events) == [2, 2]


@pytest.mark.parametrize(("expect", "failures"), [("one two th", {}), ("four", {"content-check": 2})])
def test_what_is_expected_is_looked_for_in_the_text_of_a_stream(expect: str, failures: dict[str, int]):
    events = b"".join(b'data: {"text_output": "%s"}\n\n' % word for word in (b"one", b" two", b" three"))
    with serving(always(answer(body=events, Content_Type="text/event-stream"))) as server:
        result, _ = load(server.url, requests=2, expect=expect.encode())
    assert result.failures == failures


def test_ttft_and_itl_are_within_the_stated_error(server: str):
    """Each event is compared with its own writing, as the server recorded it.

    None may be seen before it was written. What a busy machine adds to most of them proves nothing of the client, so we repeat until a
    quarter of the events of a run is within the stated error; a client that stamps events late, or reads them in pairs, never gets there.
    """
    deadline, best = time.monotonic() + 120, float("inf")
    for attempt in itertools.count():
        result, zero = load(
            f"{server}/v1/chat/completions?ttft=20&itl=20&tokens=20", requests=50, rate=500, ids=f"a{attempt}-"
        )
        with urllib.request.urlopen(f"{server}/written") as answer:
            written = json.load(answer)
        truth = np.array([written[f"a{attempt}-{i}"] for i in range(50)])
        seen = result.streams.event_ns.reshape(50, 20) + zero
        error = seen - truth
        assert (error >= 0).all()
        ttft = np.quantile(error[:, 0], 0.25)
        itl = np.quantile(np.abs(np.diff(seen) - np.diff(truth)), 0.25)
        best = min(best, float(max(ttft, itl)))
        if best <= STATED:
            break
        assert time.monotonic() < deadline, f"the best was {best / MS:.2f} ms"


def test_several_tokens_an_event(server: str):
    result, _ = load(f"{server}/v1/completions?ttft=5&itl=5&tokens=20&per=4", requests=3)
    found = tokens(result)
    assert found is not None
    assert (found.events, found.output_total) == (15, 60)


@pytest.mark.parametrize(
    ("query", "path", "error"),
    [
        ("cut=3", PATHS[0], "truncated"),
        ("cut=3", PATHS[2], "truncated"),
        ("fail=3", PATHS[0], "stream-error"),
        ("fail=1", PATHS[2], "stream-error"),
    ],
)
def test_streams_that_end_badly_are_failures(server: str, query: str, path: str, error: str):
    result, _ = load(f"{server}/{path}?ttft=1&itl=1&{query}", requests=3)
    assert result.failures == {error: 3}
    assert tokens(result) is None


@pytest.mark.parametrize(
    ("events", "error"),
    [
        (b"", "truncated"),
        (b": alive\n\n", "truncated"),
        (b"data: [DONE]\n\n", "truncated"),
        (b'event: error\ndata: {"message": "oom"}\n\ndata: [DONE]\n\n', "stream-error"),
    ],
)
def test_streams_without_an_answer_are_failures(events: bytes, error: str):
    with serving(always(answer(body=events, Content_Type="text/event-stream"))) as server:
        result, _ = load(server.url, requests=2)
    assert result.failures == {error: 2}


def test_a_usage_that_no_answer_has_takes_nothing_else_away():
    events = b'data: {"text_output": "a", "usage": {"completion_tokens": 2147483648}}\n\n'
    with serving(always(answer(body=events, Content_Type="text/event-stream"))) as server:
        result, _ = load(server.url, requests=2)
    found = tokens(result)
    assert found is not None
    assert (result.failures, found.output_total, found.counted) == ({}, 2, 2)


def test_streams_of_one_length_are_each_read_for_themselves():
    """Answers without a stream whose heads are alike are taken for the same."""
    said = [b'data: {"text_output": "a"}\n\n', b'data: {"error": "oom!!!!"}\n\n']
    assert len(said[0]) == len(said[1])

    async def by_turns(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(body=said[number % 2], Content_Type="text/event-stream"))

    with serving(by_turns) as server:
        result, _ = load(server.url, requests=6)
    assert result.failures == {"stream-error": 3}


def test_an_answer_to_head_has_no_stream_that_could_be_cut():
    with serving(always(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")) as server:
        result, _ = load(server.url, requests=2, method="HEAD")
    assert result.failures == {}
