"""A file of endpoints: options that it leaves empty, that take the place of the command's, that are not its own, and headers. Left out: the load itself (test_load_test.py)."""

from pathlib import Path

import pytest

from fairway_steps.cli.endpoints import OWN, _endpoints, headers, tasks
from fairway_steps.cli.load_test import load_test
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.crew import Task

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


def only(*args: str) -> Task:
    """The task of the command's only endpoint."""
    (found,) = tasks(load_test.make_context("load-test", list(args)).params, load_test).values()
    return found


BODIES = {
    "payload": "[0]",
    "payload-file": "body",
    "dataset": "rows",
    "template": "[{{ index }}]",
    "tensors": "a:FP32[2]",
}


@pytest.mark.parametrize("own", BODIES)
@pytest.mark.parametrize("common", BODIES)
def test_a_body_of_its_own_takes_the_place_of_the_commands_of_any_kind(
    own: str, common: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("body").write_text("[1]")
    Path("rows").write_text("[2]\n[3]\n")
    found = only(f"--{common}={BODIES[common]}", f"--endpoints=b: {{url: 'http://b', {own}: '{BODIES[own]}'}}")
    pair = {own, common} == {"dataset", "template"}  # the rows of a template
    alone = [f"--{name}={BODIES[name]}" for name in ({own, common} if pair else {own})]
    assert found.payloads == only("--url=http://b", *alone).payloads


def test_a_rate_of_its_own_takes_the_place_of_the_commands_trace(tmp_path: Path):
    (tmp_path / "moments").write_text("0\n")
    trace, endpoints = f"--trace={tmp_path}/moments", "--endpoints=b: {url: 'http://b', rate: 5, duration: 1s}"
    assert only(trace, endpoints).plan == only("--url=http://b", "--rate=5", "--duration=1s").plan


@pytest.mark.parametrize(
    ("endpoints", "sentence"),
    [
        ("a: {}", "endpoint a: it has no url; give it one, or --url for all"),
        ("a: {stage: 1}", "'stage' is of the whole load test, not of an endpoint; give it as an option"),
        ("a: {ur: x}", "'ur' is no option of an endpoint; did you mean 'url'?"),
    ],
)
def test_what_an_endpoint_may_not_have_or_must_is_one_sentence(endpoints: str, sentence: str):
    with pytest.raises(UsageError) as refused:
        only(f"--endpoints={endpoints}")
    assert str(refused.value).endswith(sentence)


@pytest.mark.parametrize("written", ["'A: b'", "['A: b']", "{A: b}"])
def test_headers_are_a_line_a_list_or_a_mapping(written: str):
    assert _endpoints(f"b: {{header: {written}}}", load_test) == {"b": {"header": ("A: b",)}}


@pytest.mark.parametrize("written", ["5", "true", "[5]", "[{A: b}]"])
def test_headers_of_another_form_are_refused(written: str):
    with pytest.raises(UsageError, match=r"--endpoints: b: .* is no header; write 'NAME: VALUE'"):
        _endpoints(f"b: {{header: {written}}}", load_test)


@pytest.mark.parametrize("again", ["Cookie: b", "cookie: b"])
def test_no_header_takes_the_place_of_another(again: str, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    assert headers(["Cookie: a", "X: b"], "env:TOKEN") == {"Cookie": "a", "X": "b", "Authorization": "Bearer secret"}
    with pytest.raises(UsageError, match=r"--header (Cookie|cookie) is given twice"):
        headers(["Cookie: a", again])
    with pytest.raises(UsageError, match="--bearer-token and --header Authorization exclude each other"):
        headers([f"authorization: {again}"], "env:TOKEN")
