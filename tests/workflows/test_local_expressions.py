"""Conditions: ``when`` against what govaluate itself gave for the same texts, retry expressions against their rules.

``govaluate.json`` holds the results of govaluate at the commit that Argo 3.7 pins, with bare words made strings as Argo does;
null is an error. Left out there: regular expressions, arithmetic but ``-``, ternaries and ``in``, which are errors here.
"""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_workflows.local.expressions import evaluate_retry, evaluate_when, parse_retry, parse_when
from fairway_workflows.local.lexers import ExpressionError
from fairway_workflows.local.retry import VARIABLES

GOVALUATE = json.loads((Path(__file__).parent / "govaluate.json").read_text(encoding="utf-8"))
LAST = {
    "lastRetry.exitCode": "75",
    "lastRetry.status": "Failed",
    "lastRetry.duration": "1.5",
    "lastRetry.message": 'main: Error (exit code 64): dependency "weights" exited with non-zero code: 75',
    "retries": "1",
}


@pytest.mark.parametrize(("text", "given_result"), GOVALUATE.items())
def test_when_gives_what_govaluate_gives(text, given_result):
    if given_result is None:
        with pytest.raises(ExpressionError):
            evaluate_when(text)
    else:
        assert evaluate_when(text) is given_result


def test_no_condition_is_true():
    assert evaluate_when("")


@pytest.mark.parametrize("text", ["'a' =~ 'b'", "a in (b, c)", "a == b ? c : d", "1 + 1 == 2", "[a b] == c"])
def test_what_we_do_not_know_of_when_is_refused(text):
    with pytest.raises(ExpressionError):
        parse_when(text)


@given(st.text(alphabet="ab1.'\"&|=!()<>- \\{}é", max_size=30))
def test_any_text_gives_a_boolean_or_one_kind_of_error(text):
    for evaluate in (evaluate_when, lambda one: evaluate_retry(one, LAST)):
        with contextlib.suppress(ExpressionError):
            assert isinstance(evaluate(text), bool)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="'\"\\"), max_size=20))
def test_a_quoted_value_equals_itself(value):
    assert evaluate_when(f"'{value}' == \"{value}\"")
    assert not evaluate_when(f"'{value}' != '{value}'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('lastRetry.status == "Error" || lastRetry.exitCode == "75"', True),
        ('lastRetry.status == "Error" || asInt(lastRetry.exitCode) == 75', True),
        ("asInt(lastRetry.exitCode) != 75", False),
        ("lastRetry.exitCode == 75", False),  # a text is no number
        ("not (lastRetry.status == 'Failed') or int(lastRetry.exitCode) > 70 and true", True),
        ('lastRetry.message contains "non-zero code: 75"', True),
        ('lastRetry.message contains "non-zero code: 1"', False),
        ("asFloat(lastRetry.duration) < 1", False),
        ("asInt(retries) < 3 && !false", True),
        (r'lastRetry.message contains "\"weights\""', True),
    ],
)
def test_retry_expressions(text, expected):
    assert evaluate_retry(text, LAST) is expected


@pytest.mark.parametrize(
    "text",
    ["lastRetry.code == 1", "sprig.int(retries) == 1", "lastRetry.exitCode", "asInt(lastRetry.status) == 1", "a ="],
)
def test_retry_expressions_that_argo_or_we_cannot_evaluate(text):
    with pytest.raises(ExpressionError):
        evaluate_retry(text, LAST)


def test_a_retry_expression_is_read_before_there_is_an_attempt():
    parse_retry('lastRetry.status == "Error"', dict.fromkeys(VARIABLES, "0"))
    with pytest.raises(ExpressionError, match="lastTry"):
        parse_retry("lastTry.status == 1", dict.fromkeys(VARIABLES, "0"))()
