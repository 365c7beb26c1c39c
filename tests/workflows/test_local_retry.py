"""Durations as Go reads them, and what follows a failed attempt. The waiting itself is seen in the scenarios."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_workflows.local.model import Phase
from fairway_workflows.local.retry import Attempt, RetryStrategy, seconds

FAILED = Attempt(Phase.FAILED, 75, 1.0, "main: Error (exit code 75)")


def strategy(**section):
    return RetryStrategy.parse("template 't'", section)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", 30),
        ("-1", -1),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("300ms", 0.3),
        (".5h", 1800),
        ("1m0.5s", 60.5),
    ],
)
def test_durations(text, expected):
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "soon", "1 m", "5d", "1.5", "m5", "1h 30m"])
def test_no_durations(text):
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@given(st.integers(0, 10**6))
def test_whole_numbers_are_seconds(number):
    assert seconds(str(number)) == seconds(f"{number}s") == number


def test_one_attempt_more_than_the_limit():
    three = strategy(limit="2")
    assert [three.decide(FAILED, n, 0.0).again for n in (1, 2, 3)] == [True, True, False]
    assert three.decide(FAILED, 3, 0.0).why == "No more retries left"


@pytest.mark.parametrize(
    ("section", "failed", "error"),
    [
        ({}, True, False),
        ({"expression": "true"}, True, True),
        ({"expression": "true", "retryPolicy": "OnError"}, False, True),
        ({"retryPolicy": "Always"}, True, True),
        ({"retryPolicy": "OnFailure", "expression": "true"}, True, False),
    ],
)
def test_the_policy_says_which_ends_are_repeated(section, failed, error):
    one = strategy(limit=1, **section)
    assert one.decide(FAILED, 1, 0.0).again is failed
    assert one.decide(Attempt(Phase.ERROR, 0, 1.0, "output missing"), 1, 0.0).again is error


def test_waits_grow_by_the_factor_up_to_the_cap():
    growing = strategy(limit=9, backoff={"duration": "5s", "factor": "2", "cap": "1m"})
    assert [growing.decide(FAILED, n, 0.0).wait for n in range(1, 7)] == [5, 10, 20, 40, 60, 60]


def test_waits_without_a_factor_stay_and_without_a_limit_are_none():
    assert [strategy(limit=9, backoff={"duration": "5"}).decide(FAILED, n, 0.0).wait for n in (1, 2)] == [5, 5]
    assert strategy(backoff={"duration": "5"}).decide(FAILED, 1, 0.0).wait == 0


def test_no_attempt_begins_beyond_the_whole_duration():
    bounded = strategy(limit=9, backoff={"duration": "5s", "factor": 2, "maxDuration": "30s"})
    assert bounded.decide(FAILED, 2, 19.0).again
    assert not bounded.decide(FAILED, 2, 21.0).again


def test_the_expression_sees_the_last_attempt():
    transient = strategy(limit=3, expression='lastRetry.status == "Error" || asInt(lastRetry.exitCode) == 75')
    assert transient.decide(FAILED, 1, 0.0).again
    assert not transient.decide(Attempt(Phase.FAILED, 1, 1.0, ""), 1, 0.0).again
    assert transient.decide(Attempt(Phase.ERROR, None, 1.0, ""), 1, 0.0).again


def test_no_exit_code_is_minus_one():
    assert (
        strategy(expression="asInt(lastRetry.exitCode) == -1")
        .decide(Attempt(Phase.FAILED, None, 0.0, ""), 1, 0.0)
        .again
    )


@pytest.mark.parametrize("section", [{"limit": "many"}, {"backoff": {"duration": "soon"}}, {"expression": "((("}])
def test_what_cannot_be_read_is_refused(section):
    with pytest.raises(UsageError, match="template 't'"):
        strategy(**section)
