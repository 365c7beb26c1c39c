"""Covers: each step alone, as the tutorial shows them, in front of the real Envoy and model servers; dry runs that do nothing; a record of
another release; the exit codes. And the wheel, installed with its runtime dependencies alone.

Leaves out: the whole of a release (test_run.py).
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fairway_workflows.demo.play import PAYLOAD
from servers import MODEL

pytestmark = pytest.mark.local
ROOT = Path(__file__).parents[2]
RECORD = "--record=file:r.json"


def begin(place, *more):
    return place.fairway(
        *("begin", f"--service={MODEL}", "--route=envoy:./route", "--stages=20@2s,50@2s", RECORD, "--output=json"),
        *(f"--primary=v1={place.versions['v1'].uri}", f"--candidate=v2={place.versions['v2'].uri}"),
        *("--slos=[{metric: error-rate, limit: 1%, min-requests: 5}]", "--holder=test", *more),
    )


def done(run):
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_steps_of_the_tutorial_by_hand(place):
    release = done(begin(place))
    ours = [RECORD, f"--release-id={release['release-id']}", f"--token={release['token']}", "--output=json"]
    ready = done(place.fairway("wait-for-ready", *ours, f"--model={MODEL}", f"--payload={PAYLOAD}"))
    assert [v["name"] for v in ready["versions"]] == ["v1", "v2"]
    assert done(place.fairway("set-weights", *ours, "--stage=0"))["weights"] == {"v1": 80, "v2": 20}
    assert place.weights() == {"v1": 80, "v2": 20}
    load = [
        "load-test",
        f"--url={place.address}/v2/models/{MODEL}/infer",
        f"--payload={PAYLOAD}",
        "--rate=40",
        "--duration=2s",
    ]
    summary = done(place.fairway(*load, "--output=json", "--limits=2s"))
    assert (summary["requests"], summary["errors"], summary["lost"]) == (80, {}, 0)
    assert summary["over_ms"] == {"2000": 0}
    judged = done(place.fairway("assess", *ours, "--stage=0", "--fail-on=rollback,hold"))
    assert judged["verdict"] == "advance"
    assert judged["samples"]["v2"] >= 5
    done(place.fairway("set-weights", *ours, "--stage=1"))
    place.fairway(*load)
    assert done(place.fairway("assess", *ours, "--stage=1"))["verdict"] == "promote"
    assert done(place.fairway("promote", *ours))["stable-version"] == "v2"
    assert place.weights() == {"v2": 100}
    told = done(place.fairway("report", RECORD, "--out=report.html", "--output=json"))
    assert told["outcome"] == "promoted"
    assert (place.folder / "report.html").exists()
    assert done(place.fairway("ensure-safe", RECORD, "--output=json"))["action"] == "confirmed"


def test_a_whole_release_in_a_row_of_steps_that_know_it_by_its_holder_alone(place):
    row = [RECORD, "--holder=test", "--output=json"]
    ramp = ["ramp", *row, "--end=true", "--patience=20s"]
    load = ["load-test", f"--url={place.address}/v2/models/{MODEL}/infer", f"--payload={PAYLOAD}", "--rate=40"]
    done(begin(place, "--once=true"))
    assert len(done(place.fairway("wait-for-ready", *row, f"--model={MODEL}"))["versions"]) == 2
    other = place.fairway("ramp", RECORD, "--holder=another")
    assert (other.returncode, place.weights()) == (1, {"v1": 100})
    place.start(*load, "--duration=110s")
    assert done(place.fairway(*ramp))["verdict"] == "promote"
    assert place.weights() == {"v2": 100}
    before = (place.folder / "r.json").read_text()
    done(begin(place, "--once=true"))
    assert done(place.fairway("wait-for-ready", *row))["versions"] == []
    assert done(place.fairway(*ramp))["verdict"] == "promote"
    assert ((place.folder / "r.json").read_text(), place.weights()) == (before, {"v2": 100}), (
        "repeated, it does nothing"
    )


def test_dry_runs_do_nothing(place):
    done(begin(place, "--dry-run=true"))
    assert not (place.folder / "r.json").exists()
    done(begin(place))
    before = (place.folder / "r.json").read_text()
    for call in (["set-weights", "--stage=0"], ["promote", "--unassessed=true"], ["rollback"], ["ensure-safe"]):
        run = place.fairway(*call, RECORD, "--dry-run=true")
        assert (run.returncode, "would" in run.stdout) == (0, True), run.stderr
    assert (place.folder / "r.json").read_text() == before
    assert place.weights() == {"v1": 100}


def test_a_record_of_another_release_is_refused(place):
    done(begin(place))
    run = place.fairway("set-weights", RECORD, "--stage=0", "--release-id=other-1")
    assert run.returncode == 2
    assert "not other-1" in run.stderr
    assert place.weights() == {"v1": 100}


def test_a_stale_token_is_fenced_off(place):
    release = done(begin(place))
    done(place.fairway("set-weights", RECORD, "--stage=0", "--output=json"))
    done(place.fairway("ensure-safe", RECORD, "--output=json"))
    late = place.fairway("set-weights", RECORD, "--stage=1", f"--token={release['token']}")
    assert late.returncode == 1
    assert place.weights() == {"v1": 100}


def test_a_new_record_on_a_route_that_has_had_releases_can_be_used(place):
    done(begin(place))
    done(place.fairway("set-weights", RECORD, "--stage=0", "--output=json"))
    done(place.fairway("ensure-safe", RECORD, "--output=json"))
    (place.folder / "r.json").unlink()
    again = done(begin(place))
    assert int(again["token"]) > 2
    done(place.fairway("set-weights", RECORD, "--stage=0", f"--token={again['token']}", "--output=json"))
    assert place.weights() == {"v1": 80, "v2": 20}


def test_a_record_that_is_not_there_is_no_safe_release(place):
    mistyped = place.fairway("ensure-safe", "--record=file:x.json")
    assert (mistyped.returncode, mistyped.stdout) == (2, "")
    assert "nothing was made safe" in mistyped.stderr
    for step in ("ensure-safe", "report"):
        handler = place.fairway(step, "--record=file:x.json", "--holder=me")
        assert (handler.returncode, handler.stderr) == (0, ""), "an exit handler has nothing to do, and is silent"
        assert handler.stdout.startswith("none: ")
    (place.folder / "x.json.control").mkdir()
    killed = place.fairway("ensure-safe", "--record=file:x.json")
    assert (killed.returncode, killed.stderr) == (0, ""), "a run that was killed before it began"
    done(begin(place))
    assert done(place.fairway("report", RECORD, "--holder=another", "--output=json")) == {"action": "none"}
    assert not list(place.folder.glob("*.html"))


def test_rollback_by_hand_says_why(place):
    done(begin(place))
    done(place.fairway("set-weights", RECORD, "--stage=1", "--output=json"))
    done(place.fairway("rollback", RECORD, "--reason=on-call said so", "--output=json"))
    assert place.weights() == {"v1": 100}
    run = place.fairway("report", RECORD, "--format=text", "--fail-on=rolled-back")
    assert run.returncode == 1
    assert "on-call said so" in run.stdout


def test_ready_gives_up_in_time(place, unused_port):
    run = place.fairway("wait-for-ready", f"--versions=v9=http://127.0.0.1:{unused_port}", "--timeout=1s")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("error: not ready within 1 s: v9")


def test_a_port_in_use_is_one_sentence(place):
    listen = place.address.removeprefix("http://")
    run = place.fairway("envoy", "other", f"--service={MODEL}", "--primary=v1=http://127.0.0.1:1", f"--listen={listen}")
    assert (run.returncode, "Traceback" in run.stderr) in ((1, False), (2, False))
    assert listen.rpartition(":")[2] in run.stderr
    demo = place.fairway("demo", f"--port={listen.rpartition(':')[2]}")
    assert demo.returncode == 1
    assert demo.stderr.startswith(f"error: Envoy cannot listen on {listen}: Address already in use")
    assert not (place.folder / "fairway-demo").exists()


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "1e9"])
def test_a_rate_the_demo_cannot_do_is_refused_before_anything_starts(place, rate):
    run = place.fairway("demo", f"--rate={rate}")
    assert run.returncode == 2
    assert run.stderr.startswith(f"error: --rate {float(rate):g} is not")
    assert not (place.folder / "fairway-demo").exists()


def test_the_demo_leaves_a_users_folder_alone(place):
    path = place.release()
    before = path.read_text()
    run = place.fairway("demo", f"--dir={place.folder}")
    assert run.returncode == 2
    assert "holds something that is no demo" in run.stderr
    assert path.read_text() == before
    assert place.weights() == {"v1": 100}


def test_a_port_that_is_none_is_refused(place):
    run = place.fairway("demo", "--port=99999")
    assert (run.returncode, run.stderr) == (2, "error: --port 99999 is not between 1 and 65535\n")


def test_the_wheel_runs_with_its_runtime_dependencies_alone(tmp_path):
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv, "make setup installs uv"
    python = tmp_path / "venv" / "bin" / "python"
    run = [
        uv,
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(run, check=True)
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*install, "--require-hashes", "-r", str(ROOT / "requirements" / "core.txt")], check=True)
    (wheel,) = tmp_path.glob("fairway-*.whl")
    subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    program = str(tmp_path / "venv" / "bin" / "fairway")
    shown = subprocess.run([program, "--help"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "ensure-safe" in shown.stdout
    for step in ("begin", "wait-for-ready", "set-weights", "promote", "rollback", "ensure-safe", "notify"):
        subprocess.run([program, step, "--help"], check=True, capture_output=True, cwd=tmp_path)
    lacking = subprocess.run([program, "render"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert lacking.returncode == 2
    assert "pip install 'fairway[workflows]'" in lacking.stderr


def test_a_job_that_goes_step_by_step_holds_the_service_between_its_steps(place):
    """No process of it lives from one step to the next; the lease does."""
    done(begin(place, "--holder="))
    done(begin(place, "--holder="))  # once more, as a job that is tried again does
    before = (place.folder / "r.json").read_text()
    second = begin(place, "--holder=", "--stages=5@1s")
    assert (second.returncode, "is held by" in second.stderr) == (1, True), second.stderr
    assert (place.folder / "r.json").read_text() == before


def test_nothing_is_promoted_that_no_assessment_promotes(place):
    done(begin(place))
    refused = place.fairway("promote", RECORD)
    assert (refused.returncode, "no assessment of release" in refused.stderr) == (1, True), refused.stderr
    assert place.weights() == {"v1": 100}
    done(place.fairway("promote", RECORD, "--unassessed=true", "--output=json"))
    assert place.weights() == {"v2": 100}


def test_the_advice_for_a_split_route_is_a_command_that_mends_it(place):
    versions = [f"--primary=v1={place.versions['v1'].uri}", f"--candidate=v2={place.versions['v2'].uri}"]
    done(
        place.fairway(
            *("set-weights", f"--service={MODEL}", "--route=envoy:./route", "--weights=v1=75,v2=25", "--output=json"),
            *versions,
        )
    )
    refused = begin(place)
    assert (refused.returncode, "the route is split" in refused.stderr) == (1, True), refused.stderr
    (advice,) = re.findall(r"`fairway (set-weights .*?)`", refused.stderr)
    done(place.fairway(*shlex.split(advice), "--output=json"))
    assert place.weights() == {"v1": 100}
    done(begin(place))
