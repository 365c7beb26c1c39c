"""A file of endpoints: options that it leaves empty. Left out: the load itself (test_load_test.py)."""

import pytest

from fairway_steps.cli.endpoints import OWN, _endpoints
from fairway_steps.cli.load_test import load_test

DEFAULTS = load_test.make_context("load-test", []).params


@pytest.mark.parametrize("empty", ["null", "''"])
@pytest.mark.parametrize("name", sorted(OWN - {"url", "header"}))
def test_an_empty_option_is_as_the_command_has_it_by_itself(name: str, empty: str):
    given = _endpoints(f"b: {{url: 'http://b', {name.replace('_', '-')}: {empty}}}", load_test)
    assert given["b"] == {"url": "http://b", name: DEFAULTS[name]}


@pytest.mark.parametrize("empty", ["null", "[]", "{}"])
def test_an_empty_list_of_headers_is_none(empty: str):
    assert _endpoints(f"b: {{header: {empty}}}", load_test) == {"b": {"header": ()}}


def test_an_empty_url_is_the_commands():
    assert _endpoints("b: {url: ''}", load_test) == {"b": {}}
