"""``fairway approve``: whose answers it takes when nobody asks. Left out: questions that wait (test_local_suspend, e2e)."""

import json

import pytest
from click.testing import CliRunner

from fairway_steps.codec import encode
from fairway_steps.errors import UsageError
from fairway_workflows.cli.approve import approve
from sample_records import running


def fairway_approve(*arguments):
    return CliRunner().invoke(approve, arguments, standalone_mode=False)


@pytest.mark.parametrize("more", [(), ("--answer", "YES")])
def test_a_mistyped_record_is_refused(tmp_path, more):
    done = fairway_approve("--record", f"file:{tmp_path}/iriss.json", *more)
    assert isinstance(done.exception, UsageError)
    assert f"there is no release at file:{tmp_path}/iriss.json" in str(done.exception)


def test_a_release_that_asks_nothing_says_so(tmp_path):
    (tmp_path / "iris.json").write_text(json.dumps(encode(running())))
    assert fairway_approve("--record", f"file:{tmp_path}/iris.json").output == "nothing waits for an answer\n"
