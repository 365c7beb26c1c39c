"""Covers: the terminal's and the Markdown form word for word, the one-line form, the JSON object, and that nothing in a
record can steer a terminal or break out of a Markdown cell.

Leaves out: the figures themselves (test_view, test_counts).
"""

import json
from dataclasses import replace

import pytest

from fairway_steps.report.counts import ClientCount
from fairway_steps.report.text import line, markdown, result, text
from sample_records import START, all_records, failing, held, promoted, running

HELD = """\
! The release of v2 is on hold
  The evidence stayed too thin for a verdict in stage 1.

  service               iris  (envoy:/var/lib/fairway/iris)
  primary               v1  http://127.0.0.1:8001
  candidate             v2  http://127.0.0.1:8002
  release               iris-20261123-090412-1, held by fairway-1
  started               2026-11-23 09:04:12 UTC, took 13.5 s
  requests              422  (as the proxy counted; v1 343, v2 79)
  failed requests       0  (in the assessed intervals; v1: 0; v2: 0)
  lost requests         0  (answered by no version)
  stages passed         0 of 3  (10 % → 25 % → 50 %)
  waiting for evidence  10 s  (74 % of 13.5 s)

  stage   asked  measured  requests       waited  verdict
  1 of 3  10 %   15.6 %    v1 103, v2 19  10 s    hold

  stage 1, error rate: 0 of 19 requests to v2 failed; 31 more requests are needed.
  stage 1, p95 latency: 0 of 19 requests to v2 took longer than 50 ms; 31 more requests are needed.

  ✕ +21 s notify: Notice to slack undelivered: the receiver did not answer within 10 s."""

FAILING = """\
## ✕ v2 was rolled back

v2 breaks its SLO: 29 of 113 requests to v2 failed.

|  |  |  |
| --- | --- | --- |
| **Requests** | 1,600 | as the client saw it; 1,496 as the proxy counted; v1 1,323, v2 173 |
| **Failed requests** | 31 | as the client saw it; v1: 0; v2: http-500 31; failed attempts in the assessed intervals: v2 http-500 29 |
| **Lost requests** | 0 | answered by no version |
| **Stages passed** | 0 of 3 | 10 % → 25 % → 50 % |
| **Waiting for evidence** | 10 s | 74 % of 13.5 s |

iris: primary v1 (http://127.0.0.1:8001), candidate v2 (http://127.0.0.1:8002); iris-20261123-090412-1, 2026-11-23 09:04:12 UTC, took 13.5 s.

### Stages

| Stage | Asked | Measured | Requests | Waited | Verdict |
| --- | --- | --- | --- | --- | --- |
| 1 of 3 | 10 % | 9.45 % | v1 1,083, v2 113 | 10 s | rollback |

- stage 1, error rate: 29 of 113 requests to v2 failed.
"""


def test_the_text_form():
    assert text(held()) == HELD


def test_the_markdown_form():
    assert markdown(failing(), ClientCount(1600, {"v2": {"http-500": 31}})) == FAILING


def test_the_outcome_in_one_line():
    told = line(failing())
    assert told == (
        "v2 was rolled back (iris): 1,496 requests, 29 failed, 0 lost, 13.5 s. "
        "v2 breaks its SLO: 29 of 113 requests to v2 failed."
    )


@pytest.mark.parametrize("name", all_records())
def test_every_ending_has_every_form(name):
    record = all_records()[name]
    for told in (text(record), markdown(record), line(record), json.dumps(result(record), allow_nan=False)):
        assert told
        assert "nan" not in told


def test_the_json_object():
    record = failing()
    told = result(record)
    assert {k: told[k] for k in ("outcome", "requests", "lost", "counted_by", "evidence_s", "started", "finished")} == {
        "outcome": "rolled-back",
        "requests": 1496,
        "lost": 0,
        "counted_by": "proxy",
        "evidence_s": 10.0,
        "started": "2026-11-23T09:04:12.000Z",
        "finished": "2026-11-23T09:04:25.500Z",
    }
    assert told["failed"] == told["failed_attempts"] == {"v1": {}, "v2": {"http-500": 29}}
    seen = result(record, ClientCount(1600, {}, 0))
    assert (seen["failed"], seen["failed_attempts"]) == ({"v1": {}, "v2": {}}, told["failed"])
    (stage,) = told["stages"]
    assert stage["asked"] == {"v1": 90, "v2": 10}
    assert stage["samples"] == {"v1": 1083, "v2": 113}
    assert (stage["verdict"], stage["weight"], stage["waited_s"]) == ("rollback", 10, 10.0)


def test_a_running_release_lists_the_stage_it_is_in():
    told = result(running())
    assert (told["outcome"], told["finished"]) == ("running", None)
    assert [stage["verdict"] for stage in told["stages"]] == ["advance", None]


def test_a_stage_assessed_twice_is_listed_once_with_its_last_verdict():
    first = held().results[0]
    record = replace(promoted(), results=(first, *promoted().results))
    stages = result(record)["stages"]
    assert [stage["verdict"] for stage in stages] == ["advance", "advance", "promote"]
    assert stages[0]["waited_s"] == 20.0


def test_a_record_cannot_steer_a_terminal():
    told = text(replace(failing(), reason="\x1b[2J\x07gone\r").noted(START, "x\x1b]0;", "a\nb", failed=True))
    assert not [c for c in told if not c.isprintable() and c != "\n"]


def test_a_record_cannot_break_out_of_markdown():
    told = markdown(replace(failing(), reason="a | b <img src=x> [c](d) `e`\n# f"))
    assert "a \\| b &lt;img src=x&gt; \\[c\\](d) \\`e\\` \\# f." in told.replace("A \\|", "a \\|")


def test_a_rehearsal_has_a_row_of_its_own_and_says_what_it_found():
    record = promoted()
    short = replace(record.results[0], assessment=held().results[0].assessment, samples={"v2": 19}, waited=0.0)
    told, plain = text(replace(record, rehearsal=short)), text(record)
    assert [row.split()[:3] for row in told.splitlines() if row.startswith("  rehearsal ")] == [["rehearsal", "0", "%"]]
    assert "rehearsal, error rate: 0 of 19 requests to v2 failed" in told
    assert "| rehearsal | 0 % |" in markdown(replace(record, rehearsal=short))
    assert result(replace(record, rehearsal=short))["rehearsal"]["verdict"] == "hold"
    assert "rehearsal" not in plain
    assert "rehearsal" not in result(record)
