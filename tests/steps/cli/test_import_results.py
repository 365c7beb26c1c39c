"""``fairway import-results``: summary, samples that assess can read, and refusals; and assess on such a file itself.

Left out: the files of each tool (loadtest/adapters/test_tools.py).
"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fairway_steps.cli import _run
from fairway_steps.cli.import_results import import_results
from fairway_steps.errors import UsageError
from fairway_steps.metrics.samples import SamplesSource

FIXTURES = Path(__file__).parents[1] / "loadtest/adapters/fixtures"


def run(*args: str) -> dict:
    result = CliRunner().invoke(
        import_results, [*args, "--output", "json"], catch_exceptions=False, standalone_mode=False
    )
    return json.loads(result.stdout)


def test_a_raw_file_becomes_samples_that_assess_reads(tmp_path):
    told = run(
        "--from", f"ghz:{FIXTURES}/ghz-0.121.0-failing.json", "--limits", "8ms", "--samples", f"{tmp_path}/s.npz"
    )
    assert (told["requests"], told["errors"], told["quantiles"]) == (30, {"grpc-resource-exhausted": 10}, "exact")
    reading = SamplesSource(tmp_path / "s.npz", [0.008], version="v2").read(["v2"], {}, "", 0.0)
    assert reading.problem == ""
    assert sum(stratum.requests for stratum in reading.strata) == 30
    slow = sum(
        count
        for stratum in reading.strata
        for edge, count in zip(stratum.latency.edges, stratum.latency.counts, strict=True)
        if edge > 0.008
    )
    assert slow + 10 == told["over_ms"]["8"]


def test_a_run_that_its_client_limited_is_so_in_its_samples_too(tmp_path):
    told = run("--from", f"k6:{FIXTURES}/k6-0.57.0-dropped.json", "--samples", f"{tmp_path}/s.npz")
    assert told["client_limited"] is True
    assert "limited by its own client" in SamplesSource(tmp_path / "s.npz").read(["v2"], {}, "", 0.0).problem


def test_the_summary_is_for_people_by_default():
    result = CliRunner().invoke(import_results, ["--from", f"fortio:{FIXTURES}/fortio-1.57.3.json", "--limits", "20ms"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("fortio 1.57.3: ")
    assert lines[1] == "latencies count from the sending, not from the moment they were due; quantiles are bucketed"
    assert lines[-1].startswith("over 20 ms: ")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--from", "fortio:{}/fortio-1.57.3.json", "--limits", "21ms"], "lies across the limit of 21 ms"),
        (["--from", "fortio:{}/fortio-1.57.3.json", "--samples", "x.npz"], "has no single requests"),
        (["--from", "wrk:x"], "is no result of a tool"),
        (["--from", "ghz:{}/ghz-0.121.0.json", "--limits", "soon"], "--limits"),
    ],
)
def test_what_cannot_be_is_one_sentence(args, says):
    with pytest.raises(UsageError) as caught:
        run(*(arg.format(FIXTURES) for arg in args))
    assert says in str(caught.value)


def assess(capsys, metrics: str, slo: str) -> tuple[int, str, str]:
    code = _run(
        [
            "assess",
            f"--metrics={metrics}",
            "--candidate=v2=http://127.0.0.1:1",
            f"--slos=[{slo}]",
            "--ready-path=none",
            "--output=json",
        ]
    )
    told = capsys.readouterr()
    return code, told.out, told.err


def test_assess_judges_by_such_a_file(capsys):
    code, out, err = assess(capsys, f"ghz:{FIXTURES}/ghz-0.121.0.json", "{metric: latency, quantile: p90, limit: 5s}")
    assert (code, json.loads(out)["samples"]) == (0, {"v2": 60})
    assert json.loads(out)["evidence"][0]["result"] == "pass"
    assert "ghz counts latencies from the sending" in err


def test_assess_refuses_a_limit_that_such_a_file_cannot_count_at(capsys):
    slo = "{metric: latency, quantile: p95, limit: 21ms}"
    code, _, err = assess(capsys, f"fortio:{FIXTURES}/fortio-1.57.3.json", slo)
    assert code == 2
    assert "lies across the limit of 21 ms; use a limit on an edge, such as 20 ms or 25 ms" in err
