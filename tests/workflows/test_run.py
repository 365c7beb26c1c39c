"""The exit code of a release that never began: that of the container which failed.

Left out: all else that `fairway run` does (tests/e2e/test_run.py).
"""

import pytest

from fairway_workflows.local import Node, NodeType, Phase
from fairway_workflows.run import exit_code_of


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
