"""Covers: the report of a release of several candidates: who won, and one sentence for each, in every form.

Leaves out: the sentences (tests/steps/assess/test_contest.py), and reports of one candidate (the other files here).
"""

from dataclasses import replace

import pytest

from fairway_steps.model import Arm, Assessment, Outcome, Stage, Verdict, Version
from fairway_steps.record import StageResult, WeightChange
from fairway_steps.report import text, view
from fairway_steps.report.html import html
from records import record

ARMS = (
    Arm("v2", Verdict.ROLLBACK, "v2 is out: v2 fails 20 % of requests"),
    Arm("v3", Verdict.PROMOTE, "v3 wins: a user of v3 is worth more"),
)
RESULT = StageResult(
    1.7e9 + 9, 0, 60, Assessment(Verdict.PROMOTE, ARMS[1].sentence, arms=ARMS, winner="v3"), {"v1": 0.7, "v3": 0.3}
)
SPLIT = record(
    rivals=(Version("v3", "http://127.0.0.1:8003"),),
    stages=(Stage(60, 9.0, weights={"v2": 30, "v3": 30}),),
    timeline=(
        WeightChange(1.7e9, 0, {"v1": 40, "v2": 30, "v3": 30}),
        WeightChange(1.7e9 + 3, -1, {"v1": 70, "v3": 30}, why="v2 dropped"),
        WeightChange(1.7e9 + 9, -1, {"v3": 100}, why="promoted"),
    ),
    results=(RESULT,),
    outcome=Outcome.PROMOTED,
    finished=1.7e9 + 10,
    reason=ARMS[1].sentence,
)


@pytest.mark.parametrize("form", [text.text, text.markdown, html])
def test_each_candidate_has_its_sentence_and_the_winner_its_headline(form):
    told = form(SPLIT)
    assert "v3 was promoted" in told
    for arm in ARMS:
        assert f"{arm.sentence}." in told
    assert "http://127.0.0.1:8002" in told
    assert "http://127.0.0.1:8003" in told
    assert "v2 30 %, v3 30 %" in told


def test_the_result_as_json_says_what_became_of_each():
    told = text.result(SPLIT)
    assert told["candidate"] == "v3"
    assert told["candidates"] == {
        "v2": {"verdict": "rollback", "reason": ARMS[0].sentence},
        "v3": {"verdict": "promote", "reason": ARMS[1].sentence},
    }
    assert "candidates" not in text.result(record())


def test_without_a_winner_each_was_rolled_back():
    nobody = Assessment(Verdict.ROLLBACK, "no candidate is proved better than v1, which stays", arms=ARMS[:1])
    ended = replace(SPLIT, results=(replace(RESULT, assessment=nobody),), outcome=Outcome.ROLLED_BACK)
    assert view.headline(ended) == "Each of v2 and v3 was rolled back"
    assert view.headline(replace(ended, outcome=Outcome.HELD)) == "The release of v2 and v3 is on hold"
    assert "v2 dropped" in html(ended)
