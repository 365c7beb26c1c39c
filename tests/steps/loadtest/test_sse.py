"""Server-sent events, and what those of a generated answer say. Left out: how they come over HTTP (test_http.py)."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.loadtest.generation import TRIES, Generation
from fairway_steps.loadtest.sse import MAX_EVENT, EventStream


def events(*pieces: bytes) -> list[bytes]:
    taken: list[bytes] = []
    stream = EventStream(taken.append)
    for piece in pieces:
        stream.feed(piece)
    return taken


WHATWG = [
    # The examples of the standard's own section 9.2.6, and its rules on line ends.
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
    (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [b"first event", b"second event", b" third event"],
    ),
    (b"data\n\ndata\ndata\n\ndata:", [b"", b"\n"]),
    (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
    (b"\xef\xbb\xbfdata: a\r\n\r\ndata: b\r\rdata: c\n\n", [b"a", b"b", b"c"]),
    (b"event: ping\n\n:\n\nretry: 10\n\n", []),
]


@pytest.mark.parametrize(("whole", "expected"), WHATWG)
def test_events_as_the_standard_has_them(whole: bytes, expected: list[bytes]):
    assert events(whole) == expected


@given(st.sampled_from(WHATWG), st.lists(st.integers(0, 120), max_size=6))
def test_where_reads_end_makes_no_difference(case: tuple[bytes, list[bytes]], cuts: list[int]):
    whole, expected = case
    edges = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    assert events(*(whole[a:b] for a, b in pairwise(edges))) == expected


def test_a_byte_order_mark_may_come_in_pieces():
    assert events(b"\xef", b"\xbb", b"\xbfdata: a\n\n") == [b"a"]


def test_an_event_without_an_end_is_refused_before_it_fills_the_memory():
    stream = EventStream(lambda data: None)
    stream.feed(b"data: ".ljust(MAX_EVENT, b"x"))
    with pytest.raises(ValueError, match="longer than"):
        stream.feed(b"x")


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b'event: error\ndata: {"message": "oom"}\n\n', b'{"message": "oom"}'),
        (b"data: a\ndata: b\nevent:error\n\n", b"a\nb"),
        (b"event: error\r\n\r\n", b""),
    ],
)
def test_an_event_that_is_named_an_error_is_told_apart(event: bytes, data: bytes):
    taken: list[bytes] = []
    failed: list[bytes] = []
    EventStream(taken.append, failed.append).feed(b"event: token\ndata: a\n\n" + event)
    assert (taken, failed) == ([b"a"], [data])


def generation(*told: object) -> Generation:
    made = Generation()
    for at, event in enumerate(told):
        made.take(event if isinstance(event, bytes) else json.dumps(event).encode(), at)
    return made


def chat(finish: str | None = None, **delta: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def test_a_chat_counts_what_brings_output():
    made = generation(
        chat(role="assistant", content=""),
        chat(content="Hel"),
        chat(content="lo"),
        chat(content=None),
        chat(tool_calls=[{"function": {"arguments": "{"}}]),
        chat("stop"),
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}},
        b"[DONE]",
    )
    assert list(made.stream.events) == [1, 2, 4]
    assert made.stream[1:] == (5, 7, 0)
    assert (made.cut, made.error, made.garbled) == (False, "", "")


SAID = st.sampled_from(["", "a", "\ud800", "?", "é", "ab", 'say "a"', "\\", " ", "content", "text", "\n", "stop"])
EVENT = st.one_of(
    st.builds(lambda text, ends: chat("stop" if ends else None, content=text), SAID, st.booleans()),
    st.builds(lambda text: chat(reasoning=text), SAID),
    st.builds(lambda text: chat(content=text, tool_calls=[{"index": 0}]), SAID),
    st.builds(lambda text, n: chat(content=text) | {"usage": {"completion_tokens": n}}, SAID, st.integers(0, 3)),
    st.builds(lambda text, index: {"choices": [{"index": index, "text": text}]}, SAID, st.integers(0, 1)),
    st.builds(lambda a, b: {"choices": [{"text": a}, {"text": b}]}, SAID, SAID),
    st.builds(lambda text: {"text_output": text}, SAID),
    st.builds(lambda text: {"error": text}, SAID),
)


@given(st.lists(EVENT, max_size=8), st.booleans())
def test_what_events_have_in_common_changes_nothing_of_what_they_say(told: list[object], ascii_only: bool):
    raw = [json.dumps(event, ensure_ascii=ascii_only).encode(errors="surrogatepass") for event in told * 2]
    plain = Generation()
    plain._tries = TRIES
    for at, data in enumerate(raw):
        plain.take(data, at)
    quick = generation(*raw)
    assert quick.stream == plain.stream
    assert (quick.cut, quick.error, quick.garbled) == (plain.cut, plain.error, plain.garbled)


def test_events_that_differ_in_their_text_alone_are_not_parsed(monkeypatch: pytest.MonkeyPatch):
    made = generation(chat(content="one"), chat(content="two"))
    monkeypatch.setattr(json, "loads", None)
    made.take(json.dumps(chat(content="three")).encode(), 9)
    assert list(made.stream.events) == [0, 1, 9]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_counts_and_is_told_apart(field: str):
    made = generation(chat(**{field: "hm"}), chat(**{field: "so"}), chat(content="42"), b"[DONE]")
    assert (list(made.stream.events), made.stream.reasoning) == ([0, 1, 2], 2)


def test_completions_and_the_generate_stream():
    made = generation({"choices": [{"text": "a"}]}, {"choices": [{"text": "", "finish_reason": "length"}]})
    assert (list(made.stream.events), made.cut) == ([0], False)
    made = generation({"model_name": "m", "text_output": "a"}, {"text_output": ""}, {"text_output": "b"})
    assert (list(made.stream.events), made.cut, made.stream.output_tokens) == ([0, 2], False, -1)


def test_usage_so_far_is_replaced_by_the_last():
    made = generation(*(chat(content="x") | {"usage": {"completion_tokens": n, "prompt_tokens": 3}} for n in (1, 2, 3)))
    assert made.stream.output_tokens == 3


def test_a_stream_that_does_not_say_that_it_ended_was_cut():
    assert generation(chat(content="x")).cut
    assert not generation(chat(content="x"), chat("stop")).cut


@pytest.mark.parametrize("told", [(), (b"[DONE]",)])
def test_a_stream_that_brought_nothing_was_cut(told: tuple[bytes, ...]):
    assert generation(*told).cut
    assert not generation({"text_output": ""}, *told).cut


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"message": "oom", "code": 500}', "oom"),
        (b'{"error": {"message": "oom"}}', "oom"),
        (b'"\\ud800oom"', "?oom"),
        (b"oom \xff", "oom \ufffd"),
        (b"[" * 50_000, "[" * 200),
        (b"", "it does not say which"),
    ],
)
def test_an_event_named_an_error_is_one_whatever_it_says(data: bytes, error: str):
    made = generation(chat(content="x"), chat("stop"))
    made.fail(data)
    assert made.error == error


@pytest.mark.parametrize("number", [2**31, 10**12, -7, True, 1.5, "3"])
def test_a_usage_that_no_answer_has_tells_nothing(number: object):
    made = generation({"choices": [], "usage": {"prompt_tokens": number, "completion_tokens": number}})
    assert made.stream[1:3] == (-1, -1)


def test_half_a_character_is_text():
    made = generation(chat(content="\ud800"), chat(content="\U0001f600"), chat(content="\ud800"), chat("stop"))
    assert (list(made.stream.events), made.garbled) == ([0, 1, 2], "")


@pytest.mark.parametrize(
    ("event", "error", "garbled"),
    [
        ({"error": {"message": "out of memory", "code": 500}}, "out of memory", ""),
        ({"error": "busy"}, "busy", ""),
        ({"object": "error", "message": "out of memory", "code": 500}, "out of memory", ""),
        (chat("error"), "its answer finished by 'error'", ""),
        (chat("abort", content="x"), "its answer finished by 'abort'", ""),
        (b"{", "", "event 1 of the stream is not JSON"),
        (b"[" * 50_000, "", "event 1 of the stream is not JSON"),
        (b"3", "", "is no JSON object"),
        ({"choices": ["x"]}, "", "not one of a generated answer"),
        ({"choices": 3}, "", "not one of a generated answer"),
        ({"choices": [{"delta": "x"}]}, "", "not one of a generated answer"),
        ({"usage": 3}, "", "not one of a generated answer"),
    ],
)
def test_what_is_wrong_is_said(event: object, error: str, garbled: str):
    made = generation(event)
    assert made.error == error
    assert garbled in made.garbled
    assert bool(garbled) == bool(made.garbled)
