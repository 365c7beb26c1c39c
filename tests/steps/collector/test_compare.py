"""Covers: what a difference between two answers is, of which kind, and what there is nothing to compare with; by properties, an answer
never differs from itself, and numbers within the tolerance never drift.

Leaves out: who asks for the answers (test_collect.py).
"""

import copy
import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairway_steps.collector.compare import Answer, Incomparable, Kind, compare, types
from fairway_steps.collector.tensors import Tolerance

TOLERANCE = Tolerance(absolute=1e-6, relative=0.01)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)


def answered(value, status=200, **more):
    return Answer(status, json.dumps(value).encode(), **more)


def v2(data, datatype="INT64", shape=None, name="output-0", **more):
    output = {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}
    return answered({"model_name": "iris", "outputs": [output], **more})


def stream(*events):
    body = "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events)
    return Answer(200, body.encode(), "text/event-stream; charset=utf-8")


def kind(primary, candidate, tolerance=TOLERANCE):
    found = compare(primary, candidate, tolerance)
    return found and found.kind.value


def said(primary, candidate):
    return compare(primary, candidate, TOLERANCE).sentence


@given(JSON)
def test_no_answer_differs_from_itself(value):
    assert compare(answered(value), answered(value), TOLERANCE) is None


@given(JSON)
def test_a_body_that_is_no_json_differs_from_any_that_is(value):
    assert kind(answered(value), Answer(200, b"<html>")) == "schema"


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.floats(-1, 1))
def test_numbers_within_the_tolerance_are_no_drift(numbers, part):
    moved = [x + part * 0.99 * (TOLERANCE.absolute + TOLERANCE.relative * abs(x)) for x in numbers]
    assert kind(v2(numbers, "FP32"), v2(moved, "FP32")) is None


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.data())
def test_a_number_beyond_the_tolerance_is_drift_wherever_it_stands(numbers, data):
    at = data.draw(st.integers(0, len(numbers) - 1))
    moved = list(numbers)
    moved[at] += data.draw(st.sampled_from([-1.1, 1.1])) * (TOLERANCE.absolute + TOLERANCE.relative * abs(numbers[at]))
    assume(moved[at] != numbers[at])
    assert kind(v2(numbers, "FP32"), v2(moved, "FP32")) == "drift"


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.data())
def test_any_label_that_changes_is_one(labels, data):
    at = data.draw(st.integers(0, len(labels) - 1))
    changed = [*labels[:at], labels[at] + 1, *labels[at + 1 :]]
    assert kind(v2(labels), v2(labels)) is None
    assert kind(v2(labels), v2(changed)) == "label"


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=5), st.randoms())
def test_scores_that_keep_the_largest_by_more_than_the_tolerance_change_no_label(rows, chance):
    moved = [[x * 2 if x == max(row) > 0 else x for x in row] for row in rows]
    primary, candidate = (v2([x for row in side for x in row], "FP64", [len(rows), 3]) for side in (rows, moved))
    assert kind(primary, candidate) in (None, "drift")


@given(st.lists(JSON, max_size=3))
def test_nested_data_is_the_same_as_flat(values):
    rows = [[1.0, 2.0], [3.0, 4.0]]
    assert kind(v2([1.0, 2.0, 3.0, 4.0], "FP32", [2, 2]), v2(rows, "FP32", [2, 2])) is None
    assert kind(v2([1.0, 2.0, 3.0, 5.0], "FP32", [2, 2]), v2(rows, "FP32", [2, 2])) == "drift"
    assert types(values) == types(copy.deepcopy(values))


@pytest.mark.parametrize(
    ("primary", "candidate", "expected"),
    [
        (v2([1, 2]), v2([1, 2], model_version="2", id="x"), None),
        (v2([1, 2]), v2([1, 3]), "label"),
        (v2([True], "BOOL"), v2([False], "BOOL"), "label"),
        (v2(["cat"], "BYTES"), v2(["dog"], "BYTES"), "label"),
        (v2(["1"], "BYTES"), v2([1], "BYTES"), "label"),
        (v2([1]), v2([1], "INT32"), "schema"),
        (v2([1]), v2([1], name="other"), "schema"),
        (v2([1, 2]), v2([1, 2], shape=[2, 1]), "schema"),
        (v2([1, 2]), v2([1], shape=[2]), "schema"),
        (v2([0.2, 0.8], "FP32", [1, 2]), v2([0.8, 0.2], "FP32", [1, 2]), "label"),
        (v2([0.2, 0.8], "FP32", [1, 2]), v2([0.3, 0.7], "FP32", [1, 2]), "drift"),
        (v2([0.5, 0.5000001], "FP32", [1, 2]), v2([0.5000001, 0.5], "FP32", [1, 2]), None),
        (v2([0.2, 0.8], "FP32", [2]), v2([0.8, 0.2], "FP32", [2]), "drift"),
        (v2([math.nan], "FP32"), v2([math.nan], "FP32"), None),
        (v2([math.nan], "FP32"), v2([None], "FP32"), None),
        (v2([1.0], "FP32"), v2([math.nan], "FP32"), "drift"),
        (v2([math.nan, 1.0], "FP32", [1, 2]), v2([2.0, 1.0], "FP32", [1, 2]), "drift"),
        (v2([math.inf], "FP32"), v2([math.inf], "FP32"), None),
        (v2([math.inf], "FP32"), v2([-math.inf], "FP32"), "drift"),
        (v2([math.inf], "FP32"), v2([10**400], "FP32"), None),
        (v2([1]), answered({"predictions": [1]}), "schema"),
        (v2([1]), Answer(500), "status"),
        (v2([1]), Answer(0), "status"),
        (v2([1]), answered({"error": "no"}, status=400), "status"),
        (v2([1]), Answer(200, b"[" * 100_000), "schema"),
    ],
)
def test_outputs_of_open_inference(primary, candidate, expected):
    assert kind(primary, candidate) == expected


def test_the_gravest_kind_is_told_whichever_output_has_it():
    def two(first, second):
        outputs = [
            {"name": "score", "datatype": "FP32", "shape": [1], "data": [first]},
            {"name": "label", "datatype": "INT64", "shape": [1], "data": [second]},
        ]
        return answered({"outputs": outputs})

    assert kind(two(1.0, 1), two(2.0, 2)) == "label"
    assert kind(two(1.0, 1), two(2.0, 1)) == "drift"
    assert list(Kind) == ["status", "schema", "label", "drift"]


CHAT = {
    "id": "a",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "logprobs": None}],
    "usage": {"total_tokens": 3},
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"id": "b", "usage": {"total_tokens": 900.5}}, None),
        ({"choices": [{"index": 0, "message": {"role": "assistant", "content": None}, "logprobs": None}]}, None),
        ({"choices": [{"index": 0, "message": {"role": "assistant", "content": "no"}}]}, None),
        ({"choices": []}, None),
        ({"usage": None}, None),
        ({"usage": {}}, "schema"),
        ({"usage": {"total_tokens": "3"}}, "schema"),
        ({"choices": [{"index": 0, "message": {"role": "assistant"}}]}, "schema"),
        ({"choices": {"index": 0}}, "schema"),
        ({"added": 1}, "schema"),
    ],
)
def test_other_json_is_compared_by_its_fields_and_their_types(changed, expected):
    assert kind(answered(CHAT), answered(CHAT | changed)) == expected


def test_the_tokens_that_top_logprobs_name_are_data():
    first, second = ({"choices": [{"logprobs": {"top_logprobs": [tokens]}}]} for tokens in ({"a": -0.1}, {"b": -0.2}))
    assert kind(answered(first), answered(second)) is None


def test_streams_are_compared_over_all_of_their_events():
    delta = {"choices": [{"delta": {"content": "x"}}]}
    last = {"choices": [], "usage": {"total_tokens": 3}}
    assert kind(stream(delta, delta, last, "[DONE]"), stream(delta, last, "[DONE]")) is None
    assert kind(stream(delta, last), stream(delta, {"choices": []})) == "schema"
    assert kind(stream(delta), stream("nonsense")) == "schema"
    assert kind(stream(delta), answered(delta)) == "schema"
    assert kind(answered(delta), stream(delta)) == "schema"


@pytest.mark.parametrize(
    ("primary", "reason"),
    [
        (Answer(500), "primary-failed"),
        (Answer(0), "primary-failed"),
        (answered({"error": "no"}, status=404), "primary-failed"),
        (Answer(200, b"\x00\x01"), "no-json"),
        (stream("nonsense"), "no-json"),
        (v2([1], shape=[2]), "not-its-shape"),
    ],
)
def test_without_a_good_answer_of_the_primary_there_is_nothing_to_compare(primary, reason):
    with pytest.raises(Incomparable, match=reason):
        compare(primary, primary, TOLERANCE)


def test_a_sentence_says_where():
    assert said(v2([1, 2]), v2([1, 3])) == "output output-0: 2 is 3 at 1"
    assert said(v2([1.0], "FP32"), v2([2.0], "FP32")) == "output output-0: 1 is 2 at 0"
    assert said(v2([1]), v2([1], "INT32")) == "output output-0 is INT32[1], not INT64[1]"
    assert (
        said(answered(CHAT), answered(CHAT | {"choices": [{"index": "0"}]})) == "choices[].index is string, not number"
    )
    assert said(answered([1]), answered({})) == "the body is object, not array"
