"""Covers: which requests may be mirrored, by default and by patterns; what a server might read as another path; patterns that are none."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.collector.paths import INFERENCE, Allowed
from fairway_steps.errors import UsageError

DEFAULT = Allowed.of(INFERENCE)


@pytest.mark.parametrize(
    "target",
    [
        "/v2/models/iris/infer",
        "/v2/models/iris/versions/3/infer?trace=1",
        "/v2/models/llm/generate_stream",
        "/v1/chat/completions",
        "/openai/v1/embeddings",
    ],
)
def test_inference_may_be_mirrored(target):
    assert DEFAULT.permits("POST", target)
    assert not DEFAULT.permits("GET", target)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "*",
        "/v2/repository/models/iris/unload",
        "/v2/models/iris/infer/more",
        "/v2/models/a/b/infer",
        "/v2/models//infer",
        "/v2/models/../infer",
        "/v2/models/./infer",
        "/v2/models/x%2f..%2fy/infer",
        "/v2/models/%2E%2e/infer",
        "/v2/models/x%252f/infer",
        "/v2/models/x\\y/infer",
        "/v1/files",
        "/v1/responses",
        "http://elsewhere/v1/completions",
    ],
)
def test_nothing_else_may(target):
    assert not DEFAULT.permits("POST", target)


def test_a_pattern_may_name_its_method():
    allowed = Allowed.of(["GET /lookup/*", "/score-*/now"])
    assert allowed.permits("GET", "/lookup/7?of=me")
    assert allowed.permits("POST", "/score-a.b/now")
    assert not allowed.permits("POST", "/lookup/7")
    assert not allowed.permits("POST", "/score-/now")
    assert not allowed.permits("POST", "/score-axb/now/then")


@given(st.text(st.sampled_from("ab/.%2fe\\*"), max_size=12))
def test_one_segment_is_all_that_a_star_takes(text):
    permitted = Allowed.of(["/m/*/infer"]).permits("POST", f"/m/{text}/infer")
    readings = {text, unquote(text), unquote(unquote(text))}
    assert not (permitted and any("/" in one or "\\" in one or one in ("", ".", "..") for one in readings))


@pytest.mark.parametrize("text", ["", "v2/infer", "/a/**", "/a/../b", "/a?b", "post /a", "/a b", "/ä"])
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(UsageError, match="--allow-path"):
        Allowed.of([text])
