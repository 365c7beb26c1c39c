"""The exit code of a release that never began: that of the container which failed. Who is told of an end, and what is said of a
notice that could not be delivered.

Left out: all else that `fairway run` does (tests/e2e/test_run.py).
"""

import io
import json

import pytest

from fairway_steps.codec import encode
from fairway_steps.config import Notice
from fairway_steps.model import Outcome
from fairway_steps.record import FileStore
from fairway_workflows.console import Console
from fairway_workflows.local import Node, NodeType, Phase
from fairway_workflows.run import exit_code_of, notify
from sample_records import failing


def pod(*codes):
    made = (Node(str(i), str(i), "begin", NodeType.CONTAINER, Phase.FAILED, exit_code=c) for i, c in enumerate(codes))
    return Node("retry", "begin", "begin", NodeType.RETRY, Phase.FAILED, children=tuple(made))


@pytest.mark.parametrize(
    ("codes", "code"), [((2, 64), 2), ((0, 75), 75), ((0, 0), 1), ((), 1), ((None, 64), 1), ((143, 64), 143)]
)
def test_the_container_that_failed_tells_not_the_one_that_never_started(codes, code):
    assert exit_code_of(pod(*codes)) == code


def test_a_pod_that_never_was_failed():
    assert exit_code_of(None) == 1


def told_of(tmp_path, *notices):
    """What the console says while a failed release is told to others."""
    path = tmp_path / "iris.json"
    path.write_text(json.dumps(encode(failing())))
    store, stream = FileStore(path), io.StringIO()
    notify(notices, store, store.load(), Console(stream, now=lambda: 0.0, titles={}))
    return stream.getvalue()


def test_who_wants_to_know_is_told(tmp_path, httpserver):
    httpserver.expect_oneshot_request("/told", method="POST").respond_with_data("")
    notices = Notice("http", httpserver.url_for("/told")), Notice("http", "http://nobody", on=(Outcome.PROMOTED,))
    assert told_of(tmp_path, *notices) == "▸ notify http\n"
    httpserver.check()
    assert len(httpserver.log) == 1


def test_a_notice_that_nobody_takes_is_said_on_the_console(tmp_path, httpserver):
    httpserver.expect_request("/told").respond_with_data("", 403)
    where = httpserver.url_for("/told")
    assert "undelivered: the receiver answered 403 (tried once)" in told_of(tmp_path, Notice("http", where))
