"""Covers: comparisons in a process of their own: what they find is what ``compare`` finds, one that dies is no answer and is started
again, and its end.

Left out: what differs (test_compare.py).
"""

import asyncio
import json
import os
import signal

import pytest

from fairway_steps.collector.apart import Apart
from fairway_steps.collector.compare import Answer, Incomparable, Kind
from fairway_steps.collector.tensors import Tolerance


def label(value):
    body = {"outputs": [{"name": "o", "datatype": "INT64", "shape": [1], "data": [value]}]}
    return Answer(200, json.dumps(body).encode())


@pytest.fixture
def apart():
    made = Apart(Tolerance())
    yield made
    made.close()


def test_it_finds_what_compare_finds(apart):
    async def found():
        return await asyncio.gather(apart(label(1), label(1)), apart(label(1), label(2)), apart(label(1), Answer(500)))

    same, other, failed = asyncio.run(found())
    assert same is None
    assert (other.kind, failed.kind) == (Kind.LABEL, Kind.STATUS)


def test_what_cannot_be_compared_is_told_by_its_reason(apart):
    with pytest.raises(Incomparable, match="primary-failed"):
        asyncio.run(apart(Answer(500), label(1)))
    assert asyncio.run(apart(label(3), label(3))) is None


def test_one_that_dies_is_started_again(apart):
    assert asyncio.run(apart(label(1), label(1))) is None
    first = apart._process
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    with pytest.raises(Incomparable, match="died"):
        asyncio.run(apart(label(1), label(1)))
    assert asyncio.run(apart(label(1), label(2))).kind is Kind.LABEL
    second = apart._process
    apart.close()
    assert not second.is_alive()
