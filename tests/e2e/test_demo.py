"""Covers: the demo's five endings, whole: real model servers, real Envoy, live traffic, the command as a user calls it; what it says,
what it exits with, what it reports, that no request is lost, and that it leaves no process behind.

Leaves out: how long things take (bench/).
"""

import json
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser

import pytest

from servers import processes_naming

pytestmark = pytest.mark.local

ENDINGS = {
    "good": ("promoted", 0, "v2 met every SLO in all stages"),
    "slow": ("rolled-back", 1, "p95 of v2 is"),
    "failing": ("rolled-back", 1, "v2 fails"),
    "crashing": ("rolled-back", 1, "v2"),
    "never-ready": ("rolled-back", 1, "not ready within"),
}


@pytest.fixture(scope="module", params=ENDINGS)
def ending(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "d"
    command = [
        sys.executable,
        "-m",
        "fairway_steps",
        "demo",
        "--dir",
        str(folder),
        "--candidate",
        request.param,
        "--output",
        "json",
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert run.stdout, run.stderr
    return request.param, folder, run, json.loads(run.stdout)


def test_the_ending_and_its_exit_code(ending):
    candidate, _, run, told = ending
    outcome, code, reason = ENDINGS[candidate]
    assert (told["outcome"], run.returncode) == (outcome, code), run.stderr
    assert told["reason"].startswith(reason)


def test_no_request_is_lost_and_no_failure_is_the_primarys(ending):
    candidate, _, run, told = ending
    assert told["lost"] == 0, run.stderr
    assert sum(told["failed"].get("v1", {}).values()) == 0
    assert set(told["failed"]) <= {"v1", "v2"}
    failures = Counter(told["failed"].get("v2", {}))
    if candidate == "failing":
        assert set(failures) <= {"http-500"}
    else:
        assert not failures, "a slow, crashing or absent candidate costs nobody an answer"
    if candidate in ("failing", "crashing"):  # on a busy machine attempts at the others may fail, too, and be repeated
        assert told["failed_attempts"]["v2"], "what the candidate failed at is told, whoever answered instead"


def test_what_it_tells_is_whole(ending):
    candidate, folder, _, told = ending
    assert told["requests"] > (2000 if candidate == "good" else 100)
    assert told["report"] == str(folder / "report.html")
    assert told["wall_s"] >= told["evidence_s"] >= 0
    for stage in told["stages"]:
        assert {"weight", "asked", "measured", "samples", "verdict"} <= set(stage)
    verdicts = [stage["verdict"] for stage in told["stages"]]
    expected = {"good": ["advance", "advance", "promote"], "never-ready": []}.get(candidate, ["rollback"])
    assert verdicts[-1:] == expected[-1:]
    assert len(verdicts) == 3 if candidate == "good" else len(verdicts) <= 3


def test_the_terminal_shows_what_happens(ending):
    candidate, _, run, _ = ending
    assert "users send" in run.stderr
    assert "report: " in run.stderr
    if candidate == "good":
        for said in (
            "v1 90 %, v2 10 %",
            "v1 50 %, v2 50 %",
            "stage 1/3 10 %",
            "advance: ",
            "promote: ",
            "(limit 1 %)",
            "(limit 1 s)",
        ):
            assert said in run.stderr


def test_the_report_says_so_without_scripts(ending):
    candidate, folder, _, told = ending
    page = (folder / "report.html").read_text()
    tags: Counter[str] = Counter()

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags[tag] += 1

    Tags().feed(page)
    assert tags["script"] == 0
    assert tags["svg"] >= 1
    assert ("was promoted" if candidate == "good" else "was rolled back") in page
    assert f"{told['requests']:,}" in page


def test_nothing_is_left_behind(ending):
    _, folder, _, _ = ending
    assert processes_naming(str(folder)) == []
    record = json.loads((folder / "record.json").read_text())
    assert record["outcome"] == ENDINGS[ending[0]][0]
    assert record["finished"]
    routes = json.loads((folder / "route" / "routes.json").read_text())
    stable = "v2" if ending[0] == "good" else "v1"
    assert f"digits/{stable}" in json.dumps(routes)
    assert f"digits/{'v1' if stable == 'v2' else 'v2'}" not in json.dumps(routes)
