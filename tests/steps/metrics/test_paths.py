"""Paths into JSON: what each form gives, and that whatever leads nowhere is an error and never null."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.metrics.paths import Unfit, parse_path

ROWS = {
    "rows": [{"v": "v1", "n": 5, "t": "7"}, {"v": "v2", "n": 6, "t": "8.5"}],
    "a": {"b c": 1, 'q"': 2, "p|p": 3},
    "s": "text",
    "none": None,
    "yes": True,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".rows[0].n", 5),
        (".rows[-1].n", 6),
        (".rows.[1].v", "v2"),
        ('.a["b c"]', 1),
        ('.a."x"'.replace('."x"', '["q\\""]'), 2),
        ('.a["p|p"]', 3),
        (".rows[].n | add", 11),
        ('.rows[] | select(.v == "v2") | .n', 6),
        (".rows[] | select(.n == 5) | .v", "v1"),
        (".rows[0].t | tonumber", 7),
        (".rows[1].t|tonumber", 8.5),
        (".rows | length", 2),
        (".s", "text"),
        (".none", None),
    ],
)
def test_a_path_gives_the_value_it_leads_to(path, value):
    assert parse_path(path).one(ROWS) == value


def test_the_whole_document_is_a_path():
    assert parse_path(".").one(5) == 5


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (".nowhere", "there is no 'nowhere' in an object"),
        (".rows[7].n", "there is no item 7 in a list"),
        (".s.n", "there is no 'n' in text"),
        (".none.n", "there is no 'n' in nothing"),
        (".a[]", "expects a list, and finds an object"),
        (".rows[].n", "gives 2 values where one is expected"),
        ('.rows[] | select(.v == "v9") | .n', "gives 0 values"),
        (".rows[].v | add", "adds up what is no number"),
        (".yes | tonumber", "finds a truth value where a number is expected"),
        (".s | tonumber", "finds text where a number is expected"),
        (".yes | length", "asks for the length of a truth value"),
    ],
)
def test_what_leads_nowhere_is_an_error(path, says):
    with pytest.raises(Unfit, match=says):
        parse_path(path).one(ROWS)


@pytest.mark.parametrize(
    "path",
    ["", " ", "rows", ".rows[", ".rows[x]", ".a..b", ".a | map(.b)", ".a |", '."a', "$x", ".a // 1", "import os"],
)
def test_what_is_no_path_is_refused_when_it_is_read(path):
    with pytest.raises(Unfit, match="is no path"):
        parse_path(path)


@given(st.text(max_size=30))
def test_no_text_does_anything_but_lead_somewhere_or_be_refused(text):
    with suppress(Unfit):
        parse_path(text).all(ROWS)
