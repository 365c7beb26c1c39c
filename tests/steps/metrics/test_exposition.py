"""The Prometheus text format: what is read, and that nothing else is taken for it.

Left out: which metrics mean what (test_scrape.py).
"""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.metrics.exposition import Sample, parse


def test_samples_with_and_without_labels_comments_and_timestamps():
    text = """# HELP a What it counts.
# TYPE a counter
a 3

a{x="1",y="two words"} 4.5e1 1700000000000
  a{x="1" , } +7
"""
    assert list(parse(text)) == [
        Sample("a", {}, 3.0),
        Sample("a", {"x": "1", "y": "two words"}, 45.0),
        Sample("a", {"x": "1"}, 7.0),
    ]


def test_special_values():
    values = [sample.value for sample in parse("a +Inf\na -Inf\na NaN\n")]
    assert values[:2] == [math.inf, -math.inf]
    assert math.isnan(values[2])


def test_openmetrics_exemplars_and_end_mark_are_passed_over():
    text = 'a_bucket{le="+Inf"} 3 # {trace="1"} 0.5\n# EOF\n'
    assert list(parse(text)) == [Sample("a_bucket", {"le": "+Inf"}, 3.0)]


@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True), st.text(max_size=8), max_size=3))
def test_any_label_value_survives_its_escaping(labels):
    pairs = (
        '{}="{}"'.format(name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
        for name, value in labels.items()
    )
    assert list(parse("m{" + ",".join(pairs) + "} 1\n")) == [Sample("m", labels, 1.0)]


@given(st.floats(allow_nan=False))
def test_any_number_is_read_exactly(value):
    assert [sample.value for sample in parse(f"m {value!r}")] == [value]


@pytest.mark.parametrize(
    "line", ["<html>", '{"a": 1}', "a", "a b", "a{x=1} 1", 'a{x="1} 1', "a 1 2 3", "a 0x1", "a 1_0", "1a 1", "a{ 1"]
)
def test_what_is_no_sample_is_an_error_with_its_line(line):
    with pytest.raises(ValueError, match="line 2 is no sample"):
        list(parse(f"ok 1\n{line}\n"))


@given(st.text(max_size=60))
def test_nothing_but_a_value_error_comes_of_nonsense(text):
    with suppress(ValueError):
        list(parse(text))
