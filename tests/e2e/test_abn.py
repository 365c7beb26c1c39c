"""Covers: an A/B/n split with a real Envoy and real model servers, under users who are told apart by a header: the tutorial, whose best version is
promoted; one version that fails, and is taken off while the others go on. No request is unanswered, nobody moves but the users of the one that leaves.

Leaves out: what the evidence means (tests/steps/assess/test_contest.py), the ends without a winner (tests/steps/test_abn.py).
"""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fairway_workflows.demo.servers import free_ports, model_servers
from servers import MODEL
from tutorial import moved, run

pytestmark = pytest.mark.local
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ab.md"
USERS = ROOT / "examples" / "ab_users.py"
PORTS = (8001, 8002, 8003, 9001, 9002, 9003, 8080, 9901, 8099)
"""Those that the page names."""


def shown() -> str:
    """The release of the page."""
    return re.search(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]


@pytest.mark.carries("A/B/n split", "Envoy (files)")
@pytest.mark.carries("A/B split, users kept on their version", "Envoy (files)")
def test_the_tutorial_runs_as_it_is_written(tmp_path):
    script, release = PAGE.read_text().partition("## Try it")[2], shown()
    script, release = moved(PORTS, script, release)
    (tmp_path / "release.yaml").write_text(release)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    lines = "\n".join(re.findall(r"^```\n(.*?)^```", script, re.MULTILINE | re.DOTALL))
    code, said = run(lines, tmp_path)
    assert code == 0, said
    assert "v3 was promoted" in said
    assert re.search(r"v2 .*: the mean reward of a user of v2 is 0\.\d+ and of v1 0\.\d+ at the same time", said)
    assert re.search(r"same  stage 1 at v2 30 %, v3 30 %: promote: v3 wins", said)
    seen = json.loads((tmp_path / "users.json").read_text())
    assert seen["users"] > 300
    assert (seen["unanswered"], seen["moved"]) == (0, 0) or seen["moved"] <= 16, (
        "who was served just as the split began and ended"
    )
    record = json.loads((tmp_path / ".fairway" / "digits.json").read_text())
    assert (record["outcome"], record["results"][-1]["assessment"]["winner"]) == ("promoted", "v3")


def test_one_that_fails_is_taken_off_while_the_others_go_on(place, tmp_path):
    port, warehouse = free_ports(2)
    (tmp_path / "more").mkdir()
    with model_servers(tmp_path / "more", {"v4": "failing"}, {"v4": port}) as servers:
        users = subprocess.Popen(
            [sys.executable, str(USERS), f"{place.address}/v2/models/{MODEL}/infer", str(warehouse)],
            stdout=subprocess.PIPE,
            text=True,
        )
        place.started.append(users)
        described = yaml.safe_load(shown())
        slos = [described["slos"][0], {"metric": "reward", "margin": "60%", "min-requests": 40}]
        run = place.fairway(
            "run",
            str(
                place.release(
                    strategy="ab",
                    candidate=[f"v2={place.versions['v2'].uri}", f"v4={servers['v4'].uri}"],
                    stages="v2=30+v4=30@20s",
                    sticky="header:x-user",
                    slos=slos,
                    metrics=described["metrics"] | {"url": f"http://127.0.0.1:{warehouse}/$version"},
                    traffic=None,
                )
            ),
            "--output=json",
            timeout=500,
        )
        users.send_signal(signal.SIGTERM)
        seen = json.loads(users.communicate(timeout=120)[0])
    assert run.stdout, run.stderr
    told = json.loads(run.stdout)
    assert told["candidates"]["v4"]["reason"].startswith("v4 is out: v4 fails "), told
    assert told["candidates"]["v2"]["reason"].startswith("v2 "), told
    asked = [stage["asked"] for stage in told["stages"]]
    assert asked == [{"v1": 40, "v2": 30, "v4": 30}]
    record = json.loads((place.folder / ".fairway" / f"{MODEL}.json").read_text())
    assert record["dropped"].keys() == {"v4"}
    assert [change["asked"] for change in record["timeline"]][:2] == [*asked, {"v1": 70, "v2": 30}]
    assert place.weights() == ({"v1": 100} if told["outcome"] != "promoted" else {"v2": 100})
    assert (seen["unanswered"], told["lost"]) == (0, 0)
    assert place.fairway("assess", f"--from=file:.fairway/{MODEL}.json").returncode == 0
