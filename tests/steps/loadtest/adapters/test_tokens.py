"""Moments of tokens in the files of guidellm and inference-perf: TTFT, TPOT and inter-token latency, held against the tools' own numbers.

Left out: what else these files tell (test_tools.py).
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fairway_steps.cli.import_results import import_results
from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.registry import open_foreign
from fairway_steps.loadtest.adapters.samples import to_result
from fairway_steps.loadtest.adapters.summary import summary
from fairway_steps.loadtest.fitting import SUMMARY_BYTES, to_json
from fairway_steps.loadtest.samples import read, write
from fairway_steps.loadtest.streaming import tokens

FIXTURES = Path(__file__).parent / "fixtures"
GUIDELLM = FIXTURES / "guidellm-0.8.1.json"
MS = 1_000_000


def test_guidellm_tells_the_first_and_the_last_token():
    """Its own TTFT counts from the sending, and what it calls inter-token latency is one value a request: our TPOT."""
    run = open_foreign(f"guidellm:{GUIDELLM}")
    (benchmark,) = json.loads(GUIDELLM.read_text())["benchmarks"]
    theirs = sorted(benchmark["requests"]["successful"], key=lambda one: one["info"]["timings"]["targeted_start"])
    assert run.rows is not None
    assert run.tokens is not None
    fine = [place for place, error in enumerate(run.rows.error) if not error]
    ttft, tpot = run.tokens.ttft(run.rows.sent), run.tokens.tpot()
    assert [ttft[i] / MS for i in fine] == pytest.approx([one["time_to_first_token_ms"] for one in theirs], abs=0.001)
    assert [tpot[i] / MS for i in fine] == pytest.approx([one["inter_token_latency_ms"] for one in theirs], abs=0.001)
    told = summary(run, [0.25], [("ttft", 0.1), ("tpot", 0.004)])
    assert "itl_ms" not in told  # it keeps no moments between
    assert told["output_tokens"] == sum(one["output_tokens"] for one in theirs)
    due = run.tokens.ttft(run.rows.scheduled)
    assert told["over_ms"]["ttft:100"] == run.failed + sum(due[i] > 100 * MS for i in (*fine, *run.overdue([0.25])))
    assert told["over_ms"]["tpot:4"] == run.failed + sum(tpot[i] > 4 * MS for i in fine)
    assert len(to_json(told)) <= SUMMARY_BYTES


REQUESTS = [  # due and ended, the moments of tokens, seconds of a monotonic clock
    (10.0, 10.9, [10.3, 10.4, 10.8]),
    (11.0, 12.0, [11.1, 11.2]),
    (12.0, 12.5, []),
]


@pytest.fixture(params=["0.7", "before"])
def inference_perf(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """As the version that the other fixtures are of writes them, and as those before it did."""
    shutil.copytree(FIXTURES / "inference-perf-0.7.0", tmp_path / "run")
    told = []
    for begin, end, moments in REQUESTS:
        info = {"output_tokens": 2 * len(moments), "output_token_times": moments}
        nested = {"response_metrics": info} if request.param == "0.7" else info
        told.append({"start_time": begin, "end_time": end, "error": None, "info": {**nested, "input_tokens": 7}})
    (tmp_path / "run" / "per_request_lifecycle_metrics.json").write_text(json.dumps(told))
    return tmp_path / "run"


def test_inference_perf_tells_every_token(inference_perf: Path):
    run = open_foreign(f"inference-perf:{inference_perf}")
    assert run.rows is not None
    assert run.tokens is not None
    assert run.tokens.ttft(run.rows.sent)[:2] == pytest.approx([300 * MS, 100 * MS], abs=1000)
    assert run.tokens.ttft(run.rows.sent)[2] is None
    assert run.tokens.tpot()[:2] == pytest.approx([100 * MS, 33.3333 * MS], abs=1000)
    assert run.tokens.itl() == pytest.approx([100 * MS, 400 * MS, 100 * MS], abs=1000)
    told = summary(run, (), [("ttft", 0.2)])
    assert told["over_ms"] == {"ttft:200": 2}  # the slow one, and the one without a token
    assert told["output_tokens"] == 10
    ours = tokens(to_result(run))  # the samples file has them as our own load test would
    assert ours is not None
    assert sorted(ours.itl) == pytest.approx(sorted(run.tokens.itl()))
    assert np.allclose(ours.ttft, [300 * MS, 100 * MS], atol=1000)
    assert list(ours.prompt) == [7, 7]


def test_the_samples_have_the_tokens_of_guidellm_and_no_moments_that_it_does_not_tell(tmp_path: Path):
    write(to_result(open_foreign(f"guidellm:{GUIDELLM}")), tmp_path / "s.npz")
    back = read(tmp_path / "s.npz")
    (benchmark,) = json.loads(GUIDELLM.read_text())["benchmarks"]
    theirs = sorted(benchmark["requests"]["successful"], key=lambda one: one["info"]["timings"]["targeted_start"])
    assert list(back.streams.output_tokens[back.ok]) == [one["output_tokens"] for one in theirs]
    assert list(back.streams.prompt_tokens[back.ok]) == [one["prompt_tokens"] for one in theirs]
    assert back.streams.events.sum() == len(back.streams.event_ns) == 0


def test_tokens_of_answers_that_were_not_streamed_are_counted_and_not_timed(tmp_path: Path):
    data = json.loads(GUIDELLM.read_text())
    for one in (one for kind in data["benchmarks"][0]["requests"].values() for one in kind or ()):
        one["info"]["timings"] |= {"first_token_iteration": None, "last_token_iteration": None}
    (tmp_path / "unary.json").write_text(json.dumps(data))
    run = open_foreign(f"guidellm:{tmp_path}/unary.json")
    told = summary(run)
    assert told["output_tokens"] == sum(one["output_tokens"] for one in data["benchmarks"][0]["requests"]["successful"])
    assert "ttft_ms" not in told
    with pytest.raises(UsageError, match="does not tell ttft of single requests"):
        summary(run, (), [("ttft", 0.1)])
    for one in data["benchmarks"][0]["requests"]["successful"]:
        one["output_tokens"] = None
    (tmp_path / "unary.json").write_text(json.dumps(data))
    assert "output_tokens" not in summary(open_foreign(f"guidellm:{tmp_path}/unary.json"))


def test_a_tool_that_tells_no_tokens_is_not_asked_for_them():
    run = open_foreign(f"ghz:{FIXTURES}/ghz-0.121.0.json")
    assert "ttft_ms" not in summary(run)
    with pytest.raises(UsageError, match="does not tell ttft of single requests"):
        summary(run, (), [("ttft", 0.1)])


def test_the_command_counts_over_limits_of_tokens():
    done = CliRunner().invoke(import_results, ["--from", f"guidellm:{GUIDELLM}", "--limits", "ttft:100ms"])
    assert done.exit_code == 0, done.output
    assert "ttft" in done.output
    assert "over ttft:100 ms:" in done.output
