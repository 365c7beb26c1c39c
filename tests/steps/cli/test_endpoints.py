"""A file of endpoints: an option that it leaves empty. Left out: the load itself (test_load_test.py)."""

from fairway_steps.cli.endpoints import _endpoints
from fairway_steps.cli.load_test import load_test


def test_an_empty_option_is_as_if_it_had_not_been_given():
    given = _endpoints("b: {url: 'http://b', duration: null, requests: '', rate: null, loop: null}", load_test)
    assert given["b"] == {"url": "http://b", "duration": None, "requests": None, "rate": "10", "loop": "open"}
