"""Covers: `fairway run` for servers that run already — promotion, approval, hold, interruption by each signal, SIGKILL at ten
moments followed by `ensure-safe` and `--resume`, a second run beside the first, and what is refused before anything is touched.

Leaves out: bad candidates (test_demo.py), what steps do alone (test_steps.py).
"""

import json
import os
import pty
import random
import re
import shutil
import signal
import sys
import time
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
from servers import processes_naming

pytestmark = pytest.mark.local
LASTING = {
    "canary": ("50@60s", {"v1": 50, "v2": 50}),
    "blue-green": ("100@60s", {"v2": 100}),
    "mirror": ("mirror:50@60s", {"v1": 100}),
}
"""By strategy: a stage that lasts, and its weights."""


def eventually(condition, timeout=60.0):
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found


def under_way(place, stage=0):
    """Wait until the candidate has traffic in a stage."""
    eventually(lambda: (place.record or {}).get("stage", -1) >= stage)


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


@pytest.mark.parametrize(
    ("number", "hands", "code", "strategy"),
    [
        (signal.SIGINT, 1, 130, "canary"),
        (signal.SIGINT, 4, 130, "blue-green"),
        (signal.SIGTERM, 1, 143, "mirror"),
        (signal.SIGTERM, 1, 143, "canary"),
    ],
)
def test_a_signal_to_the_whole_group_puts_the_traffic_back_and_leaves_nothing(place, number, hands, code, strategy):
    """As a terminal sends Ctrl-C, and as often as an impatient hand does."""
    stages, asked = LASTING[strategy]
    run = place.start("run", str(place.release(strategy=strategy, stages=stages)), "--output=json")
    under_way(place)
    eventually(lambda: place.weights() == asked)
    for _ in range(hands):
        os.killpg(run.pid, number)
        time.sleep(0.2)
    out, err = run.communicate(timeout=60)
    assert run.returncode == code, err
    told = json.loads(out)
    assert (told["outcome"], told["lost"]) == ("rolled-back", 0)
    how = "interrupted" if number is signal.SIGINT else "terminated"
    assert told["reason"] == place.record["reason"] == f"the run was {how}"
    assert place.weights() == {"v1": 100}
    assert place.record["outcome"] == "rolled-back"
    assert processes_naming(str(place.folder / ".fairway")) == []
    assert not (place.folder / ".fairway" / "digits.json.control").exists()
    assert not (place.folder / "route" / "locks").exists()


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_any_moment_it_is_made_safe_and_can_be_resumed(place, seed):
    release = str(place.release())
    run = place.start("run", release)
    # Killed is a random moment of what a whole run takes; whatever state it is in, what follows must hold.
    time.sleep(random.Random(seed).uniform(0.2, 9.0))
    run.kill()
    run.communicate()
    ended_by_itself = run.returncode == 0
    eventually(lambda: not processes_naming(str(place.folder / ".fairway")))
    safe = place.fairway("ensure-safe", "--record=file:.fairway/digits.json")
    begun = any((place.folder / ".fairway").glob("digits.json*"))  # else it was killed before it looked at anything
    assert safe.returncode == (0 if begun else 2), safe.stderr
    stable = "v2" if (place.record or {}).get("outcome") == "promoted" else "v1"
    assert stable == "v1" or ended_by_itself or place.record["timeline"][-1]["why"] == "promoted"
    assert place.weights() == {stable: 100}
    finished = place.fairway("run", release, "--resume=true", "--output=json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["outcome"] == "promoted"
    assert place.weights() == {"v2": 100}


def test_after_a_kill_the_next_run_restores_and_goes_ahead(place):
    release = str(place.release(stages=[{"weight": 50, "duration": "60s"}]))
    run = place.start("run", release)
    under_way(place)
    run.kill()
    run.communicate()
    short = str(place.release())
    again = place.fairway("run", short, "--output=json")
    assert again.returncode == 0, again.stderr
    assert "was left unfinished" in again.stderr
    assert json.loads(again.stdout)["outcome"] == "promoted"


def test_a_second_run_for_the_same_service_is_refused_and_disturbs_nothing(place):
    release = str(place.release(stages=[{"weight": 50, "duration": "60s"}]))
    run = place.start("run", release)
    under_way(place)
    before = place.record["release_id"]
    second = place.fairway("run", release, "--output=json")
    assert second.returncode in (1, 2)
    assert "held by" in second.stderr
    assert json.loads(second.stdout)["outcome"] == "broken"
    assert place.record["release_id"] == before
    assert place.record["outcome"] is None
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)


@pytest.mark.parametrize(("answer", "outcome", "code"), [("YES", "promoted", 0), ("NO", "held", 1)])
def test_a_person_is_asked_and_answers_from_another_terminal(place, answer, outcome, code):
    release = str(place.release(approval="before-promotion", stages=[{"weight": 50, "duration": "2s"}]))
    run = place.start("run", release, "--output=json")
    record = "--record=file:.fairway/digits.json"
    eventually(lambda: "approve (YES or NO)" in place.fairway("approve", record).stdout)
    answered = place.fairway("approve", record, f"--answer={answer}", "--by=ann")
    assert answered.returncode == 0, answered.stderr
    out, err = run.communicate(timeout=60)
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
    under_way(place)
    place.proxy.kill()
    place.proxy.wait()
    eventually(lambda: not answers(place))
    place.proxy = start(place.folder / "route", SystemClock())
    out, err = run.communicate(timeout=120)
    told = json.loads(out)
    assert (told["outcome"], run.returncode) == ("promoted", 0), err
    assert place.weights() == {"v2": 100}
    assert told["lost"] == sum(told["failed"]["no version"].values()) > 0
    assert not told["failed"]["v1"], "what the proxy lost is nobody else's failure"


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
    under_way(place)
    (place.folder / "out").rmdir()
    (place.folder / "out").write_text("")
    out, err = run.communicate(timeout=120)
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


NOTICE = {"to": "http", "url": "http://127.0.0.1:1/"}
REFUSED = [
    ({"stages": [{"weight": 50, "duration": "1s"}, {"weight": 20, "duration": "1s"}]}, "rise"),
    ({"stages": [{"weight": 120, "duration": "1s"}]}, "weight"),
    ({"slos": [{"metric": "latencyy", "quantile": "p95", "limit": "1s"}]}, "latency"),
    ({"slos": [{"metric": "error-rate"}]}, "limit"),
    ({"slso": []}, "did you mean 'slos'"),
    ({"primary": "v1=http://127.0.0.1:1", "candidate": "v1=http://127.0.0.1:2"}, "like the primary"),
    ({"primary": "v1=http://127.0.0.1:1"}, "its users would be moved"),
    ({"candidate": "v2=http://127.0.0.1:2/path"}, "cannot be routed to by Envoy"),
    ({"candidate": "v2=ftp://127.0.0.1:2"}, "cannot be routed to by Envoy"),
    ({"route": "traefik:./x"}, "route: 'traefik:./x' is of no kind"),
    ({"route": "envoy:"}, "it names no folder"),
    ({"route": "envoy:./nowhere"}, "there is no folder"),
    ({"metrics": "carbon:./x"}, "carbon:"),
    ({"metrics": "prometheus:http://127.0.0.1:9"}, "a source without a preset needs requests"),
    ({"record": "digits.json"}, "record: 'digits.json' is not a reference"),
    ({"record": "configmap/digits"}, "names no ConfigMap"),
    ({"record": "configmap/models/digits"}, "this command works on one machine"),
    (
        {"notify": [{"to": "http", "url": "env:NOT_SET_ANYWHERE"}]},
        "notify[0].url: the environment variable NOT_SET_ANYWHERE",
    ),
    ({"notify": [dict(NOTICE), dict(NOTICE)]}, "notify[1]: it is notify[0] once more"),
    ({"report": "nowhere/report.html"}, "report: there is no folder"),
    ({"report": "route"}, "route cannot be written: it is a folder"),
    ({"report": "release.yaml/report.html"}, "report: there is no folder"),
    ({"record": "file:release.yaml/r.json"}, "release.yaml is no folder"),
    ({"record": "file:route"}, "route cannot be"),
    ({"record": "file:/proc/none/record.json"}, "takes no files"),
    ({"record": "file:release.yaml"}, "release.yaml is not a Fairway record"),
]


def everything(place):
    return {path for path in place.folder.rglob("*") if path.name != ".lock"}


@pytest.mark.parametrize(("changed", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_a_wrong_release_file_is_one_sentence_and_nothing_is_touched(place, changed, said):
    path = place.release(**changed)
    before = everything(place)
    run = place.fairway("run", str(path))
    assert run.returncode == 2, run.stderr
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    field = list(changed)[-1]
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if text.startswith(field))
    told = re.match(rf"error: {path}:(\d+): {field}\b", run.stderr.splitlines()[-1])
    assert told, run.stderr
    assert int(told[1]) in range(line, line + 5), "the line of the field, or of an item of it"
    assert everything(place) == before, "something half done is left"
    assert place.weights() == {"v1": 100}


@pytest.mark.parametrize("text", ["", "service: [", "just words", "service: a\nservice: b\n", "- 1"])
def test_a_file_that_is_no_release_is_named(place, text):
    (place.folder / "release.yaml").write_text(text)
    run = place.fairway("run", "release.yaml")
    assert run.returncode == 2
    assert run.stderr.startswith("error: release.yaml")
    assert run.stderr.count("\n") == 1


def test_what_the_run_has_for_itself_must_be_a_folder(place):
    (place.folder / "taken").write_text("")
    run = place.fairway("run", str(place.release()), "--dir=taken")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "taken is no folder" in run.stderr


def test_a_route_with_somebody_elses_backend_is_refused(place):
    routes = place.folder / "route" / "routes.json"
    routes.write_text(routes.read_text().replace("digits/v1", "somebody"))
    path = place.release()
    before = everything(place)
    run = place.fairway("run", str(path), "--output=json")
    assert run.returncode == 1
    assert "somebody" in json.loads(run.stdout)["reason"]
    assert run.stderr.count("\n") == 1
    assert everything(place) == before


def hit(run, *markers, number=signal.SIGINT, hands=1):
    """Read stderr until a line holds a marker, then signal the whole group; what was read, and the rest of it."""
    read = ""
    for marker in markers:
        while marker not in read.rpartition("\n")[2]:
            letter = run.stderr.read(1)
            assert letter, f"it ended before {marker!r}: {read}"
            read += letter
        for _ in range(hands):
            os.killpg(run.pid, number)
            time.sleep(0.01)
        read += "\n"
    out, err = run.communicate(timeout=60)
    return out, read + err


@pytest.mark.parametrize("hands", [1, 40])
def test_a_second_signal_while_it_is_made_safe_or_told_ends_in_one_object(place, hands):
    run = place.start("run", str(place.release(stages=[{"weight": 50, "duration": "60s"}])), "--output=json")
    out, err = hit(run, "next stage", "▸ ensure safe", "all traffic is back", hands=hands)
    assert run.returncode == 130, err
    assert json.loads(out)["outcome"] == "rolled-back"
    assert place.weights() == {"v1": 100}
    assert "Traceback" not in err
    assert (place.folder / "fairway-report.html").exists()


def test_a_signal_after_the_promotion_changes_nothing(place):
    run = place.start("run", str(place.release(stages=[{"weight": 50, "duration": "1s"}])), "--output=json")
    out, err = hit(run, "▸ ensure safe", hands=5)
    assert run.returncode == 0, err
    assert json.loads(out)["outcome"] == "promoted"
    assert place.weights() == {"v2": 100}


def test_a_signal_while_it_begins_has_the_signals_exit_code(place):
    run = place.start("run", str(place.release()), "--output=json")
    out, err = hit(run, "▸ begin", hands=3)
    assert run.returncode == 130, err
    assert json.loads(out)["reason"] == "interrupted"
    assert place.weights() == {"v1": 100}


def test_when_the_record_is_taken_away_the_traffic_goes_back_all_the_same(place):
    run = place.start("run", str(place.release(stages=[{"weight": 50, "duration": "60s"}])), "--output=json")
    under_way(place)
    eventually(lambda: place.weights().get("v2") == 50)
    shutil.rmtree(place.folder / ".fairway")
    out, err = run.communicate(timeout=90)
    told = json.loads(out)
    assert (run.returncode, told["outcome"]) == (1, "broken"), err
    assert "disappeared; all traffic is back on v1" in told["reason"]
    assert "Traceback" not in err
    assert place.weights() == {"v1": 100}
