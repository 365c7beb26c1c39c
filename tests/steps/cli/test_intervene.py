"""`fairway intervene`: a person's verdict is written into the record of a running release, and nowhere else.

Left out: who carries it out (test_judge.py), whole releases that are steered (e2e/test_tutorials.py).
"""

from dataclasses import replace

import pytest

from fairway_steps.cli import _run
from fairway_steps.model import Assessment, Outcome, Verdict, Version
from fairway_steps.record import Event, FileStore, StageResult, WeightChange
from fairway_steps.strategy import Strategy
from records import record


@pytest.fixture
def store(tmp_path):
    store = FileStore(tmp_path / "r.json")
    store.update(lambda _: record())
    return store


def said(store, *options):
    return _run(["intervene", f"--record={store.uri}", *options])


@pytest.mark.parametrize("verdict", ["advance", "promote", "rollback"])
def test_the_last_word_waits_in_the_record_and_every_word_is_told(store, verdict, capsys):
    assert said(store, "--verdict=rollback", "--by=bob") == 0
    assert said(store, f"--verdict={verdict}", "--by=alice", "--reason=late") == 0
    held = store.load()
    assert (held.intervention.verdict, held.intervention.by) == (Verdict(verdict), "alice")
    assert [event.message for event in held.events] == ["bob says rollback", f"alice says {verdict}: late"]
    assert capsys.readouterr().out.endswith(f"release iris-1: {verdict}, at the next look\n")


def test_whoever_does_not_say_is_named_by_user_and_host(store):
    assert said(store, "--verdict=promote") == 0
    assert "@" in store.load().intervention.by


@pytest.mark.parametrize(
    ("outcome", "options", "code", "sentence"),
    [
        (Outcome.PROMOTED, ("--verdict=rollback",), 1, "release iris-1 has ended: promoted; begin a new one"),
        (None, ("--verdict=hold",), 2, "'hold' is not one of 'advance', 'promote', 'rollback'"),
        (None, (), 2, "Missing option '--verdict'"),
    ],
)
def test_what_cannot_be_said_is_refused(store, outcome, options, code, sentence, capsys):
    store.update(lambda held: held.ended(1.0, outcome, "") if outcome else held)
    assert said(store, *options) == code
    assert sentence in capsys.readouterr().err
    assert store.load().intervention is None


V2, V3 = (Version(name, f"http://127.0.0.1:{port}") for port, name in ((8002, "v2"), (8003, "v3")))
HELD = StageResult(5.0, 2, 50, Assessment(Verdict.HOLD, "10 requests"))
AGAIN = Event(6.0, "set-weights", "stage 3: on the word of bob")
PASSED = StageResult(1.0, 2, 50, Assessment(Verdict.PROMOTE, "all is well"))


@pytest.mark.parametrize("verdict", ["advance", "promote"])
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"strategy": Strategy.NONE, "stages": ()}, "has no stage to end: v2 is promoted as soon as it is ready"),
        ({"primary": V2}, "has no stage to end"),
        ({"results": (PASSED,)}, "have ended with the verdict promote: there is none to skip"),
        ({"results": (HELD,)}, "has decided nothing, and nobody assesses it until a person has answered"),
        ({"rehearsal": HELD}, "has decided nothing, and nobody assesses it until a person has answered"),
    ],
)
def test_what_nobody_would_heed_is_refused_but_an_abort_is_not(store, verdict, changed, sentence, capsys):
    store.update(lambda held: replace(held, **changed))
    assert said(store, f"--verdict={verdict}") == 1
    assert sentence in capsys.readouterr().err
    assert store.load().intervention is None
    assert said(store, "--verdict=rollback") == 0


@pytest.mark.parametrize("verdict", ["advance", "promote"])
@pytest.mark.parametrize(
    "changed",
    [
        {"results": (HELD,), "events": (AGAIN,)},
        {"rehearsal": HELD, "timeline": (WeightChange(6.0, 0, {"v1": 90, "v2": 10}),)},
    ],
)
def test_a_stage_that_is_repeated_after_it_was_held_can_be_ended(store, verdict, changed):
    store.update(lambda held: replace(held, **changed))
    assert said(store, f"--verdict={verdict}") == 0
    assert store.load().intervention.verdict == Verdict(verdict)


def test_of_several_candidates_one_is_promoted_only_where_it_is_the_last(store, capsys):
    store.update(lambda held: replace(held, strategy=Strategy.AB, rivals=(V3,)))
    assert said(store, "--verdict=promote") == 1
    assert "which of v2 and v3 to promote is not said" in capsys.readouterr().err
    store.update(lambda held: replace(held, dropped={"v2": "it is slow"}))
    assert said(store, "--verdict=promote") == 0


def test_without_a_record_there_is_nobody_to_tell(tmp_path, capsys):
    assert _run(["intervene", f"--record=file:{tmp_path}/none.json", "--verdict=promote"]) == 2
    assert "there is no record" in capsys.readouterr().err
