"""``fairway plan``: what it says as text and as JSON, its exit codes, and what it refuses.

Leaves out: the figures (test_planning.py).
"""

import json

import pytest

from fairway_steps.cli import _run

RELEASE = """\
service: iris
route: envoy:./route
primary: v1=http://127.0.0.1:8001
candidate: v2=http://127.0.0.1:8002
stages: 10@60s,50@60s
slos:
- {metric: error-rate, limit: 1%}
- {metric: latency-mean, limit: 100ms}
"""


@pytest.fixture
def release(tmp_path):
    def write(text=RELEASE):
        path = tmp_path / "release.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_the_plan_says_what_each_slo_takes(release, capsys):
    assert _run(["plan", release(), "--rate=20"]) == 0
    out = capsys.readouterr().out
    assert "at 20 requests/s: 720 requests of v2 in 2 min" in out
    assert "  stage 2, 50 % for 60 s: 600 requests, 720 in all" in out
    assert "harm, 2 times what is allowed: takes " in out
    assert "more than the 720 of this release" in out
    assert "takes as many requests, or windows of time for unit: stratum, as its values scatter" in out
    assert "error-rate (limit 1 %), min-requests 50, 417 in all" in out
    assert "stages to find that harm in 9 releases of 10: 10@" in out


def test_the_release_files_own_traffic_is_taken_and_json_has_it_all(release, capsys):
    text = RELEASE + "mode: guard\ntraffic: {url: 'http://127.0.0.1:1', rate: 200}\n"
    assert _run(["plan", release(text), "--output=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["requests"] == 7200
    assert told["slos"][0]["name"] == "error-rate"
    assert told["slos"][0]["find"] < 7200
    assert told["problems"] == []
    assert [stage["weight"] for stage in told["proposed"]] == [10, 50]


def test_what_can_never_be_decided_is_exit_code_1(release, capsys):
    assert _run(["plan", release(), "--rate=1"]) == 1
    assert "! error-rate (limit 1 %) can never be decided: stage 1 brings 12 requests" in capsys.readouterr().out


def test_other_stages_and_slos_can_be_tried(release, capsys):
    slos = "{mode: prove, slos: [{metric: latency, quantile: p90, limit: 1s}]}"
    assert _run(["plan", release(), "--rate=20", "--stages=20@30s", f"--slos={slos}"]) == 0
    out = capsys.readouterr().out
    assert "stage 1, 20 % for 30 s: 120 requests" in out
    assert "to prove that health" in out


def test_rewards_and_series_say_what_they_take_once_it_is_known_how_they_scatter(release, capsys):
    slos = "{slos: [{metric: reward, margin: 10%}, {metric: series, of: gpu, method: mann-whitney}]}"
    assert _run(["plan", release(), "--rate=20", f"--slos={slos}"]) == 0
    out = capsys.readouterr().out
    assert "--reward-variation tells how many, and --users how long" in out
    assert "--series-variation tells how many values that takes" in out
    known = ["--reward-variation=0.5", "--series-variation=0.2"]
    assert _run(["plan", release(), "--rate=20", f"--slos={slos}", *known]) == 0
    assert "users; --users tells how long" in capsys.readouterr().out
    assert _run(["plan", release(), "--rate=20", f"--slos={slos}", *known, "--users=20"]) == 0
    out = capsys.readouterr().out
    assert "harm, 20 % worse than the primary's: takes " in out
    assert "health, as good as the primary: takes " in out
    assert "harm, 10 % different from the primary's: takes " in out
    assert "of its longest stage" in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "how much traffic the service has is not known; give --rate"),
        (["--rate=0"], "--rate 0 is no number above zero"),
        (["--rate=5", "--harmful=0.5"], "do not lie on the two sides of the limit"),
        (["--rate=5", "--healthy=1"], "do not lie on the two sides of the limit"),
        (["--rate=5", "--error-rate=5"], "--error-rate: 5 without a unit"),
        (["--rate=5", "--error-rate=0%"], "leaves nothing to compare"),
        (["--rate=5", "--users=0"], "--users 0 is not above zero; leave it out where it is not known"),
        (["--rate=5", "--reward-variation=inf"], "--reward-variation inf is not above zero"),
        (["--rate=inf"], "--rate inf is no number above zero"),
        (["--rate=nan"], "--rate nan is no number above zero"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_sentence(release, capsys, options, sentence):
    assert _run(["plan", release(), *options]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err
