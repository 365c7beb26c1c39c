"""``fairway check``: what it reads, what it prints, its exit codes. Left out: what is found (test_check.py)."""

import json

import pytest
import yaml
from click.testing import CliRunner

from fairway_steps.errors import UsageError
from fairway_workflows.canary import build
from fairway_workflows.cli.check import check
from fairway_workflows.render import render


def fairway(*paths):
    return CliRunner().invoke(check, [str(path) for path in paths], standalone_mode=False)


@pytest.fixture
def broken(tmp_path):
    body = build().to_dict()
    ramp = next(one for one in body["spec"]["templates"] if one["name"] == "ramp")
    ramp["steps"][0][0]["arguments"]["parameters"][0]["name"] = "stge"
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def test_our_own_manifests_are_clean(tmp_path):
    render(tmp_path)
    done = fairway(tmp_path)
    assert (done.return_value, done.stdout) == (0, "")
    assert "nothing found" in done.stderr


def test_a_finding_is_a_line_with_file_template_and_sentence(broken):
    done = fairway(broken)
    assert done.return_value == 1
    assert done.stdout.splitlines() == [
        f"{broken}: ramp: step stage: argument 'stge' is not an input of template stage; did you mean 'stage'?",
    ]
    assert "1 found" in done.stderr


def test_json_and_several_documents_are_read_and_empty_ones_passed_over(tmp_path, broken):
    (tmp_path / "one.json").write_text(json.dumps(build().to_dict()))
    (tmp_path / "two.yaml").write_text("---\n---\nkind: ConfigMap\n---\nkind: Secret\n")
    done = fairway(tmp_path / "one.json", tmp_path / "two.yaml")
    assert done.return_value == 0
    assert done.stderr.splitlines()[:2] == [
        f"{tmp_path}/two.yaml: ConfigMap: note: not a kind that is checked here",
        f"{tmp_path}/two.yaml: Secret: note: not a kind that is checked here",
    ]


def test_kinds_that_are_not_checked_prove_nothing(tmp_path):
    (tmp_path / "map.yaml").write_text("kind: ConfigMap\n")
    error = fairway(tmp_path).exception
    assert isinstance(error, UsageError)
    assert f"{tmp_path}: nothing was proved" in str(error)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1\nb: 2\n", "line 2: it is not YAML"),
        ("- a\n- b\n", "a document in it is not a mapping"),
        ("just words", "a document in it is not a mapping"),
        ("a: !!python/object:os.system x\n", "it is not YAML"),
    ],
)
def test_unreadable_input_is_a_usage_error(tmp_path, text, sentence):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    error = fairway(path).exception
    assert isinstance(error, UsageError)
    assert sentence in str(error)
    assert str(path) in str(error)


def test_a_missing_file_and_one_that_is_no_text_are_usage_errors(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    for path, sentence in ((tmp_path / "none.yaml", "no such file"), (tmp_path / "bytes.yaml", "cannot be read")):
        error = fairway(path).exception
        assert isinstance(error, UsageError)
        assert sentence in str(error)


@pytest.mark.parametrize("text", [None, "", "# nothing\n---\n"])
def test_nothing_to_check_proves_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "empty.yaml").write_text(text)
    error = fairway(tmp_path).exception
    assert isinstance(error, UsageError)
    assert "nothing was proved" in str(error)


def test_help_ends_in_an_example():
    assert fairway("--help").output.rstrip().endswith("fairway check manifests my-workflow.yaml")
