"""Covers: scales and ticks, and that every coordinate drawn is finite and inside the drawing, whatever the values;
words are escaped; limits, moments and tooltips are there.

Leaves out: looks.
"""

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway_steps.report import plots, svg
from fairway_steps.report.plots import FRAMES, Line, Mark, Plot, draw
from fairway_steps.report.scales import Scale, clock, fit, log_ticks, ticks, time_ticks, wide
from fairway_steps.report.wording import seconds

WILD = st.floats(allow_nan=True, allow_infinity=True)
TIMES = st.floats(-10, 1e6)
MARKS = st.builds(
    Mark, TIMES, WILD, st.text(max_size=5), st.booleans(), st.none() | st.tuples(TIMES, TIMES, WILD, WILD)
)
LINES = st.builds(
    Line,
    st.sampled_from(["primary", "candidate"]),
    st.lists(st.lists(MARKS, max_size=6), max_size=3),
    st.sampled_from(["main", "thin", "steps", "points"]),
)
PLOTS = st.builds(
    Plot,
    name=st.just("p"),
    title=st.text(max_size=10),
    description=st.text(max_size=10),
    span=WILD,
    lines=st.lists(LINES, max_size=3),
    unit=st.just(seconds),
    limits=st.lists(st.tuples(WILD, st.text(max_size=5)), max_size=2),
    bands=st.lists(st.tuples(TIMES, TIMES, st.text(max_size=5)), max_size=3),
    moments=st.lists(st.tuples(TIMES, st.text(max_size=5), st.just("good")), max_size=2),
    log=st.booleans(),
    filled=st.none() | LINES,
)


def numbers(root):
    """(what, value) of every coordinate: horizontal, vertical, or a size."""
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx", "y", "y1", "y2", "cy", "width", "height", "r"):
            if name in element.attrib:
                yield name, float(element.attrib[name])
        for command, rest in re.findall(r"([MLHVZ])([^MLHVZ]*)", element.attrib.get("d", "")):
            values = [float(v) for v in rest.split()]
            kinds = {"H": ["x"], "V": ["y"], "Z": []}.get(command, ["x", "y"])
            assert len(kinds) == len(values)
            yield from zip(kinds, values, strict=True)


def parse(drawing):
    printable = "".join(c for c in drawing if c in "\t\n\r" or ord(c) >= 32).replace("\ufffe", "").replace("\uffff", "")
    return ET.fromstring(printable)


@settings(deadline=None, max_examples=150)
@given(PLOTS, st.sampled_from(FRAMES))
def test_every_coordinate_is_finite_and_inside(plot, frame):
    for name, value in numbers(parse(draw(plot, frame))):
        assert math.isfinite(value)
        if name in ("width", "height", "r"):
            assert 0 <= value <= frame.width
        else:
            assert -10 <= value <= (frame.width if name.startswith(("x", "cx")) else frame.height) + 10


@given(WILD, WILD, st.booleans(), WILD)
def test_a_scale_never_leaves_its_range(low, high, log, value):
    assert 10 <= Scale(low, high, 10, 90, log=log)(value) <= 90


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ticks(0, 1), [0, 0.5, 1]),
        (ticks(0, 0.0575), [0, 0.02, 0.04]),
        (ticks(0, 0), []),
        (log_ticks(0.004, 2.5), [0.01, 0.03, 0.1, 0.3, 1.0]),
        (log_ticks(0, 1), []),
        (time_ticks(35.7, 8), [0, 5, 10, 15, 20, 25, 30, 35]),
        (time_ticks(math.nan), [0.0]),
        ([clock(t) for t in (0, 45, 200, 7500)], ["0 s", "45 s", "3:20", "2:05 h"]),
    ],
)
def test_ticks_are_round(found, expected):
    assert found == pytest.approx(expected)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_ticks_are_few_and_between_the_bounds(low, high):
    for found in (ticks(low, high), log_ticks(low, high), time_ticks(high)):
        assert len(found) <= 45
    assert all(low - (high - low) * 1e-6 <= t <= high + (high - low) * 1e-6 for t in ticks(low, high))


def test_axes_hold_all_values():
    assert fit([0.2, math.nan, math.inf]) == (0.0, pytest.approx(0.23))
    assert fit([]) == (0.0, 1.0)
    low, high = fit([0.01, 10.0], log=True)
    assert 0 < low < 0.01
    assert high > 10.0
    assert wide([0.01, 1.0])
    assert not wide([0.1, 1.0])


def simple(**changes):
    marks = [Mark(0.0, 0.1, "a <b> & c"), Mark(1.0, 0.2, hollow=True)]
    values = {
        "title": "T & <t>",
        "description": "d",
        "span": 2.0,
        "lines": [Line("candidate", [marks])],
        "unit": seconds,
    }
    return draw(Plot(name="p", **(values | changes)), FRAMES[0])


def test_words_are_escaped_and_tooltips_kept():
    drawing = simple(limits=[(0.3, '"<script>"')])
    assert "<script" not in drawing
    assert "a &lt;b&gt; &amp; c" in drawing
    titles = [t.text for t in ET.fromstring(drawing).iter("title")]
    assert titles == ["T & <t>", "a <b> & c"]


def test_a_drawing_says_what_it_is():
    root = ET.fromstring(simple())
    labelled = root.attrib["aria-labelledby"].split()
    assert [root.find(f"*[@id='{name}']").tag for name in labelled] == ["title", "desc"]
    assert root.attrib["role"] == "img"


def test_limits_moments_and_marks_are_drawn():
    root = ET.fromstring(simple(limits=[(0.15, "p95 limit")], moments=[(1.5, "promoted", "good")]))
    classes = [element.attrib.get("class", "") for element in root.iter()]
    assert {"limit", "moment good", "mark candidate full", "mark candidate hollow"} <= set(classes)
    assert {"p95 limit", "promoted"} <= {t.text for t in root.iter("text")}


def test_attributes_are_escaped():
    assert svg.element("a", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;"/>'


@given(WILD, WILD, WILD, WILD | st.none())
def test_an_interval_is_drawn_inside(low, high, rate, allowed):
    for name, value in numbers(ET.fromstring(plots.interval(low, high, rate, allowed, "good"))):
        assert math.isfinite(value), name
        assert 0 <= value <= 140
