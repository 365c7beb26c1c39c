"""Covers: `fairway run` for servers that run already — promotion, approval, hold, a proxy that dies, a second run beside the first.

Leaves out: interruption (test_interrupted.py), what is refused (test_refused.py), bad candidates (test_demo.py), what steps do alone
(test_steps.py).
"""

import json
import os
import pty
import signal
import sys
import urllib.error
import urllib.request

import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.config import load_release
from fairway_steps.model import Outcome
from fairway_steps.routing.process import start
from fairway_workflows.canary import CanaryOptions
from fairway_workflows.local import NodeType, Phase
from fairway_workflows.traffic import client
from local_runs import until
from servers import PATIENCE

pytestmark = pytest.mark.local


@pytest.mark.carries("canary", "Envoy (files)")
def test_a_good_candidate_is_promoted_and_the_run_tells_so(place):
    run = place.fairway("run", str(place.release()), "--output=json")
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert (told["outcome"], told["lost"], told["failed"]) == ("promoted", 0, {"v1": {}, "v2": {}})
    assert [stage["verdict"] for stage in told["stages"]] == ["advance", "promote"]
    assert place.weights() == {"v2": 100}
    assert (place.folder / "fairway-report.html").stat().st_size > 10_000
    again = place.fairway("run", "release.yaml")
    assert again.returncode == 1
    assert "the primary v1 has no traffic" in again.stderr
    resumed = place.fairway("run", "release.yaml", "--resume=true", "--output=json")
    assert (resumed.returncode, json.loads(resumed.stdout)["outcome"]) == (0, "promoted")


def test_a_second_run_for_the_same_service_is_refused_and_disturbs_nothing(place):
    release = str(place.release(stages=[{"weight": 50, "duration": "60s"}]))
    run = place.start("run", release)
    place.under_way()
    before = place.record["release_id"]
    second = place.fairway("run", release, "--output=json")
    assert second.returncode in (1, 2)
    assert "held by" in second.stderr
    assert json.loads(second.stdout)["outcome"] == "broken"
    assert place.record["release_id"] == before
    assert place.record["outcome"] is None
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=300)


@pytest.mark.parametrize(("answer", "outcome", "code"), [("YES", "promoted", 0), ("NO", "held", 1)])
def test_a_person_is_asked_and_answers_from_another_terminal(place, answer, outcome, code):
    release = str(place.release(approval="before-promotion", stages=[{"weight": 50, "duration": "2s"}]))
    run = place.start("run", release, "--output=json")
    record = "--record=file:.fairway/digits.json"
    until(lambda: "approve (YES or NO)" in place.fairway("approve", record).stdout, PATIENCE)
    answered = place.fairway("approve", record, f"--answer={answer}", "--by=ann")
    assert answered.returncode == 0, answered.stderr
    out, err = run.communicate(timeout=300)
    assert (json.loads(out)["outcome"], run.returncode) == (outcome, code), err
    assert place.weights() == ({"v2": 100} if answer == "YES" else {"v1": 100})


@pytest.mark.parametrize(
    ("typed", "code", "outcome"), [(b"YES\n", 0, "promoted"), (b"NO\n", 1, "held"), (b"\x03", 130, "rolled-back")]
)
def test_a_person_answers_at_the_terminal_itself(place, typed, code, outcome):
    """In a terminal of its own, as a shell gives it: what is typed arrives as keys do, Ctrl-C as the signal that it is."""
    path = place.release(approval="before-promotion", stages=[{"weight": 50, "duration": "2s"}])
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place.folder)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-m", "fairway_steps", "run", str(path)])
    shown = b""
    while b"(YES/NO)" not in shown:
        shown += _typed_back(terminal) or pytest.fail(f"it ended without a question: {shown.decode()}")
    os.write(terminal, typed)
    while more := _typed_back(terminal):
        shown += more
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == code, shown.decode()
    assert b"Traceback" not in shown
    assert place.record["outcome"] == outcome
    assert place.weights() == ({"v2": 100} if code == 0 else {"v1": 100})


def _typed_back(terminal):
    """What a terminal shows next; nothing once its program has ended, which Linux tells by EIO."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_a_proxy_that_dies_and_comes_back_is_waited_for_and_what_was_lost_is_told(place):
    run = place.start("run", str(place.release(stages=[{"weight": 50, "duration": "6s"}])), "--output=json")
    place.under_way()
    place.proxy.kill()
    place.proxy.wait()
    until(lambda: not answers(place), PATIENCE)
    place.proxy = start(place.folder / "route", SystemClock())
    out, err = run.communicate(timeout=300)
    told = json.loads(out)
    assert (told["outcome"], run.returncode) == ("promoted", 0), err
    assert place.weights() == {"v2": 100}
    assert told["lost"] == sum(told["failed"]["no version"].values()) > 0
    assert set(told["failed"]["v1"]) <= {"truncated"}, (
        "what the proxy lost is nobody else's failure, but of answers that had begun to come"
    )


def answers(place):
    """Whether anybody listens where users come in."""
    try:
        urllib.request.urlopen(f"{place.address}/", timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_without_evidence_a_release_is_held_and_says_so(place, unused_port):
    away = f"envoy:./route?admin=http://127.0.0.1:{unused_port}"
    release = place.release(metrics=away, patience="1s", **{"hold-timeout": "1s"})
    run = place.fairway("run", str(release), "--output=json")
    told = json.loads(run.stdout)
    assert run.returncode == 1, run.stderr
    assert told["outcome"] != "promoted"
    assert "cannot be reached" in told["reason"]
    assert (told["lost"], place.weights()) == (0, {"v1": 100})


def test_the_whole_ramp_runs_in_one_pod(place):
    spec = load_release(place.release())
    with client(spec.traffic, lasting=120, folder=place.folder):
        ended, record = place.carry_out(CanaryOptions(granularity="release"))
    assert ended.phase is Phase.SUCCEEDED
    pods = [node.template for node in ended.entry.walk() if node.type is NodeType.POD]
    assert pods == ["begin", "ramp", "promote", "report"], "with room for a rehearsal between the first two"
    assert record.outcome is Outcome.PROMOTED
    assert [change.stage for change in record.timeline] == [0, 1, -1], "each stage is visible in the record"
    assert place.weights() == {"v2": 100}


def test_a_report_that_cannot_be_written_in_the_end_hides_no_outcome(place):
    (place.folder / "out").mkdir()
    run = place.start("run", str(place.release(report="out/report.html")), "--output=json")
    place.under_way()
    (place.folder / "out").rmdir()
    (place.folder / "out").write_text("")
    out, err = run.communicate(timeout=300)
    told = json.loads(out)
    assert (run.returncode, told["outcome"], told["report"]) == (0, "promoted", None), err
    assert "v2 was promoted" in err


def test_requests_that_reach_nobody_are_lost(place, unused_port):
    traffic = {"url": f"http://127.0.0.1:{unused_port}", "rate": 20}
    release = place.release(traffic=traffic, patience="1s", **{"hold-timeout": "1s"})
    told = json.loads(place.fairway("run", str(release), "--output=json").stdout)
    assert told["requests"] == told["lost"] == sum(told["failed"]["no version"].values()) > 0


def test_without_traffic_there_is_no_verdict_but_hold(place):
    release = str(
        place.release(traffic=None, patience="1s", stages=[{"weight": 50, "duration": "1s"}], **{"hold-timeout": "1s"})
    )
    run = place.fairway("run", release, "--output=json")
    assert run.returncode == 1, run.stderr
    assert json.loads(run.stdout)["outcome"] == "held"
    assert place.weights() == {"v1": 100}


def test_a_dead_candidate_url_is_the_worlds_fault(place, unused_port):
    release = str(place.release(candidate=f"v2=http://127.0.0.1:{unused_port}", ready={"timeout": "1s"}))
    run = place.fairway("run", release, "--output=json")
    assert run.returncode == 1
    told = json.loads(run.stdout)
    assert told["outcome"] == "rolled-back"
    assert "connection was refused" in told["reason"]
    assert place.weights() == {"v1": 100}
