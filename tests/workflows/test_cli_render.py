"""``fairway render``: what it writes, what it says, its exit codes. Left out: the rendering itself (test_render.py)."""

import pytest
from click.testing import CliRunner

from fairway_steps.errors import UsageError
from fairway_workflows.cli.render import render


def fairway(*args):
    return CliRunner().invoke(render, args, standalone_mode=False)


def test_it_writes_and_tells_each_file_and_then_has_nothing_to_do(tmp_path):
    done = fairway(f"--out={tmp_path}")
    assert done.return_value == 0
    assert f"{tmp_path}/argo/canary-v1.yaml: written" in done.output.splitlines()
    assert fairway(f"--out={tmp_path}").output == ""


def test_check_names_what_differs_and_writes_nothing(tmp_path):
    fairway(f"--out={tmp_path}")
    path = tmp_path / "tekton/tasks/assess.yaml"
    path.write_text("other")
    done = fairway(f"--out={tmp_path}", "--check=true")
    assert (done.return_value, done.output) == (1, f"{path}: differs from a fresh rendering\n")
    assert path.read_text() == "other"


def test_check_is_content_with_a_fresh_rendering(tmp_path):
    fairway(f"--out={tmp_path}", "--images=registry.example/x-", "--tag=7")
    assert fairway(f"--out={tmp_path}", "--images=registry.example/x-", "--tag=7", "--check=true").return_value == 0
    assert fairway(f"--out={tmp_path}", "--check=true").return_value == 1


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path):
    (tmp_path / "tekton").write_text("in the way")
    with pytest.raises(UsageError):
        raise fairway(f"--out={tmp_path}").exception


def test_help_ends_in_an_example():
    assert fairway("--help").output.rstrip().endswith("fairway render --out manifests --check true")
