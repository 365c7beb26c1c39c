"""``fairway assess``: options and record to a verdict, its outputs and its exit code.

The metric source, the proxy and the clock are fakes; real ones are met in the end-to-end tests. Left out: when a verdict
is reached and what it rests on (test_judge.py, test_assess.py).
"""

import json
from types import SimpleNamespace

import pytest

from fairway_steps.cli import _run
from fairway_steps.cli.told import summary
from fairway_steps.clock import FakeClock
from fairway_steps.model import Assessment, Evidence, Metric, Result, Routes, Slo, Stage, Verdict
from fairway_steps.record import FileStore, StageResult, WeightChange
from fakes_assess import FakeRouter, FakeSource, FileSource, Version, stratum
from records import record

START = 1_700_000_000.0
SLOS = "[{metric: error-rate, limit: 1%}, {metric: latency, quantile: p95, limit: 100ms}]"


@pytest.fixture
def world(monkeypatch, tmp_path):
    """A service whose candidate is good, ten seconds after its first stage's weights were set."""
    clock = FakeClock(START)
    made = SimpleNamespace(
        clock=clock, source=FakeSource({"v1": Version(180.0), "v2": Version(20.0)}, START), opened=[]
    )
    made.probes = []

    def source(text, service, *versions, **options):
        made.opened.append((text, service))
        return made.source

    router = FakeRouter(made.source, clock.now)
    router.read = lambda: Routes({"v1": 90, "v2": 10})
    monkeypatch.setattr("fairway_steps.cli.task.source", source)
    monkeypatch.setattr("fairway_steps.cli.task.CLOCK", clock)
    monkeypatch.setattr("fairway_steps.cli.assess.CLOCK", clock)
    monkeypatch.setattr("fairway_steps.cli.task.router", lambda *_: router)
    monkeypatch.setattr(
        "fairway_steps.ready.HttpReach", lambda session, path: lambda version: made.probes.append(path) or ""
    )
    made.store = FileStore(tmp_path / "record.json")
    made.store.update(lambda _: record(stage=0, timeline=(WeightChange(START, 0, {"v1": 90, "v2": 10}),)))
    made.out = tmp_path / "out"
    return made


def assess(world, *options):
    return _run(["assess", f"--out-dir={world.out}", *options])


def alone(*options):
    return ["--service=iris", "--route=envoy:route", "--candidate=v2=http://h:1", f"--slos={SLOS}", *options]


def outputs(world):
    return {file.name: file.read_text() for file in world.out.iterdir()}


def test_with_a_record_everything_comes_from_it(world, capsys):
    assert assess(world, f"--record={world.store.uri}", "--release-id=iris-1", "--token=1", "--stage=0", "--slos=") == 0
    assert outputs(world)["verdict"] == "advance"
    assert world.opened == [("envoy:route", "iris")]
    assert world.store.load().results[0].assessment.verdict is Verdict.ADVANCE
    told = json.loads(outputs(world)["summary"])
    assert told == {
        "verdict": "advance",
        "reason": "v2 keeps its SLOs: error-rate 0 % (limit 1 %)",
        "slos": [{"slo": "error-rate", "result": "pass", "observed": 0.0, "limit": 0.01, "n": 80}],
    }
    captured = capsys.readouterr()
    assert captured.out.startswith("advance: v2 keeps its SLOs")
    assert "stage 1/3 10 %: 5/5 s, v2 100 requests" in captured.err


def test_alone_it_needs_no_record_and_no_schedule(world, capsys):
    assert assess(world, *alone("--duration=6s", "--metrics=scrape:http://h:9901/metrics", "--output=json")) == 0
    assert world.opened == [("scrape:http://h:9901/metrics", "iris")]
    assert world.clock.now() - START == 6
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["weight"], told["samples"]) == ("advance", 10, {"v2": 120})
    assert [item["result"] for item in told["evidence"]] == ["pass", "pass"]
    assert world.probes == ["/v2/health/ready"] * 7


def test_whether_it_is_the_last_stage_can_be_said(world):
    assert assess(world, *alone("--duration=25s", "--is-last=true")) == 0
    assert outputs(world)["verdict"] == "promote"
    assert assess(world, *alone("--stages=5@3s,10@25s", "--stage=1")) == 0
    assert outputs(world)["verdict"] == "promote"


def test_a_verdict_is_data_unless_fail_on_names_it(world):
    world.source = FakeSource({"v1": Version(180.0), "v2": Version(20.0, failing=0.2)}, START)
    assert assess(world, *alone("--duration=6s")) == 0
    assert outputs(world)["verdict"] == "rollback"
    assert assess(world, *alone("--duration=6s", "--fail-on=hold, rollback")) == 1
    assert outputs(world)["verdict"] == "rollback"
    assert assess(world, *alone("--duration=6s", "--fail-on=hold")) == 0


def test_nothing_to_assess_at_all_is_exit_1_and_noted(world, capsys):
    world.source.never_there = True
    assert assess(world, f"--record={world.store.uri}") == 1
    assert "error: no evidence could be read: no metrics at http://127.0.0.1:9901" in capsys.readouterr().err
    assert world.store.load().events[-1].step == "assess"


def test_a_file_of_samples_needs_no_route(world):
    world.source = FileSource([stratum(500, weight=0)])
    assert assess(world, "--candidate=v2=http://h:1", "--metrics=samples:run.npz", f"--slos={SLOS}") == 0
    assert outputs(world)["verdict"] == "advance"
    assert world.clock.now() == START
    assert world.probes == []


def test_a_candidate_that_cannot_be_asked_is_not(world):
    given = ["--service=iris", "--route=envoy:route", "--candidate=deployment/ns/v2", f"--slos={SLOS}", "--duration=3s"]
    assert assess(world, *given) == 0
    assert assess(world, *alone("--duration=3s", "--ready-path=none")) == 0
    assert world.probes == []


def test_the_summary_keeps_to_its_size_and_stays_json():
    slo = Slo(Metric.LATENCY, 0.25, 0.95)
    evidence = [Evidence(slo, Result.FAIL, "long " * 100, 10**9, 10**8, float("inf")) for _ in range(40)]
    result = StageResult(START, 0, 10, Assessment(Verdict.ROLLBACK, "ü very long reason; " * 100, tuple(evidence)))
    text = summary(result)
    assert len(text.encode()) <= 1024
    told = json.loads(text)
    assert told["verdict"] == "rollback"
    assert told["reason"].startswith("ü very long reason")
    assert told["slos"][0]["observed"] is None


def test_argo_is_told_of_the_progress(world, monkeypatch, tmp_path):
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "progress"))
    assert assess(world, *alone("--duration=6s")) == 0
    assert (tmp_path / "progress").read_text() == "6/6\n"


def test_a_progress_file_that_cannot_be_written_is_only_a_warning(world, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "gone" / "progress"))
    assert assess(world, *alone("--duration=6s")) == 0
    assert capsys.readouterr().err.count("progress cannot be written") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([f"--slos={SLOS}"], "--candidate is missing"),
        (["--candidate=v2=http://h:1", f"--slos={SLOS}"], "there is nothing to read evidence from"),
        (["--candidate=v2=http://h:1", "--metrics=samples:x"], "--slos is missing"),
        (["--candidate=v2=http://h:1", f"--slos={SLOS}", "--route=envoy:route"], "--service is missing"),
        (alone("--slos=[{metric: error-rat, limit: 1%}]"), "'--slos': slos:1: [0].metric: 'error-rat' is none of"),
        (alone("--stages=10@5s", "--stage=1"), "stage 1 is not in the schedule"),
        (alone("--fail-on=rollbak"), "'--fail-on': 'rollbak' is no verdict; did you mean 'rollback'?"),
        (alone("--interval=0s"), "an interval of 0 s is not above zero"),
        (alone("--interval=soon"), "'soon' is not a duration such as 500ms"),
        (alone("--on-inconclusive=advance"), "'advance' is not one of"),
        (["--record=file:/nowhere/record.json"], "there is no record at"),
    ],
)
def test_bad_options_are_one_sentence_and_exit_2(world, capsys, options, sentence):
    assert assess(world, *options) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("error: ")
    assert len(said.strip().splitlines()) == 1


def test_the_stage_is_judged_as_the_record_has_it(world):
    world.store.update(
        lambda _: record(stages=(Stage(10, 2.0),), timeline=(WeightChange(START, 0, {"v1": 90, "v2": 10}),))
    )
    assert assess(world, f"--record={world.store.uri}") == 0
    assert outputs(world)["verdict"] == "promote"
