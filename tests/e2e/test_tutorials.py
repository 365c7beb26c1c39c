"""The tutorial of each strategy, carried out as it is written, with real model servers and a real Envoy, while users go on asking: none of
their requests is lost, and the bad version never answers one.

Left out: mirroring (test_mirror.py), the page's demo and release files (test_demo.py, docs/test_docs.py), clusters (cluster/).
"""

import json

import pytest

from tutorial import carried_out, section

pytestmark = pytest.mark.local
SET_UP = section("canary.md", "Two servers, a proxy and users")
END = "kill $users; wait $users || true; kill $(jobs -p)"


@pytest.fixture
def tutorial(tmp_path):
    """Runs a page; gives what it said, the record at its end if there is one, and what users saw by version."""

    def run(page, title="Try it"):
        said = carried_out([SET_UP, section(page, title)], tmp_path, END)
        users = json.loads((tmp_path / "users.json").read_text())
        assert users["requests"] > 0
        assert set(users["errors"]) <= {"cancelled"}, "no request of a user was lost but those under way at the end"
        path = tmp_path / ".fairway" / "digits.json"
        return said, json.loads(path.read_text()) if path.exists() else None, set(users["versions"])

    return run


def test_blue_green(tutorial):
    said, record, seen = tutorial("blue-green.md")
    assert (record["outcome"], record["candidate"]["name"]) == ("rolled-back", "v3")
    assert record["rehearsal"]["assessment"]["verdict"] == "rollback"
    assert [change["asked"] for change in record["timeline"]] == [{"v2": 100}], "its first stage was never entered"
    assert "stage 1 of 2, 3 s: v1 50 %, v2 50 %" in said
    assert "v2 met every SLO in all stages" in said
    assert "exit code 1" in said.splitlines()
    assert seen == {"v1", "v2"}


def test_performance(tutorial, tmp_path):
    said, record, seen = tutorial("performance.md")
    assert record is None
    passed, failed = (json.loads((tmp_path / name).read_text()) for name in ("passed.json", "failed.json"))
    assert (passed["verdict"], passed["load"]["requests"]) == ("promote", 200)
    assert failed["verdict"] == "rollback"
    assert "error-rate" in {slo["slo"] for slo in failed["slos"] if slo["result"] == "fail"}
    assert said.splitlines().count("exit code 1") == 1, "the page's own word; the good version ends with 0"
    assert seen == {"v1"}


@pytest.mark.carries("none", "Envoy (files)")
def test_none(tutorial):
    said, record, seen = tutorial("none.md")
    assert "v2 is ready; strategy none asks for no more" in said
    assert "not ready within 5 s: v3" in said
    assert (record["outcome"], record["results"], seen) == ("rolled-back", [], {"v1", "v2"})


def test_a_canary_is_steered_by_the_people_it_names(tutorial):
    said, record, seen = tutorial("canary.md", "While it runs")
    assert record["outcome"] == "promoted"
    assert [result["assessment"]["verdict"] for result in record["results"]] == ["advance", "promote"]
    assert record["reason"] == "the candidate was promoted on the word of bob, not of the evidence: seen enough"
    assert "alice says advance" in said.lower()
    assert record["intervention"] is None
    assert seen == {"v1", "v2"}
