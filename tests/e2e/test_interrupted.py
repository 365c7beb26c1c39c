"""Covers: `fairway run` that is interrupted by each signal, once and again, at its start, in a stage, and while it ends; killed at ten moments, followed by
`ensure-safe` and `--resume`; and without its record.

Leaves out: the whole of a release (test_run.py).
"""

import json
import os
import random
import shutil
import signal
import time

import pytest

from local_runs import until
from servers import PATIENCE, processes_naming

pytestmark = pytest.mark.local
LASTING = {
    "canary": ("50@60s", {"v1": 50, "v2": 50}),
    "blue-green": ("100@60s", {"v2": 100}),
    "mirror": ("mirror:50@60s", {"v1": 100}),
}
"""By strategy: a stage that lasts, and its weights."""


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
    place.under_way()
    until(lambda: place.weights() == asked, PATIENCE)
    for _ in range(hands):
        os.killpg(run.pid, number)
        time.sleep(0.2)
    out, err = run.communicate(timeout=300)
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
    until(lambda: not processes_naming(str(place.folder / ".fairway")), PATIENCE)
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
    place.under_way()
    run.kill()
    run.communicate()
    short = str(place.release())
    again = place.fairway("run", short, "--output=json")
    assert again.returncode == 0, again.stderr
    assert "was left unfinished" in again.stderr
    assert json.loads(again.stdout)["outcome"] == "promoted"


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
    out, err = run.communicate(timeout=300)
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


@pytest.mark.parametrize(
    ("fate", "said"),
    [
        (shutil.rmtree, "disappeared"),
        (lambda folder: next(folder.glob("*.json")).write_text("{"), "is not a Fairway record"),
    ],
    ids=["taken away", "spoilt"],
)
def test_when_the_record_is_taken_away_the_traffic_goes_back_all_the_same(place, fate, said):
    run = place.start("run", str(place.release(stages=[{"weight": 50, "duration": "60s"}])), "--output=json")
    place.under_way()
    until(lambda: place.weights().get("v2") == 50, PATIENCE)
    fate(place.folder / ".fairway")
    out, err = run.communicate(timeout=300)
    told = json.loads(out)
    assert (run.returncode, told["outcome"]) == (1, "broken"), err
    assert said in told["reason"]
    assert "; all traffic is back on v1" in told["reason"]
    assert "Traceback" not in err
    assert place.weights() == {"v1": 100}
