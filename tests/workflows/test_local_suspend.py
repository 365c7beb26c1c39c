"""Steps that wait for a person: answers through the control folder and from a terminal, defaults when time is up, and calling off.

Terminals are pipes here, and one real pseudo-terminal. Left out: the ``fairway approve`` command itself.
"""

import io
import json
import os
import pty
import threading
import time

import pytest

from fairway_steps.cli.wiring import somebody
from fairway_steps.clock import SystemClock
from fairway_steps.errors import UsageError
from fairway_workflows.local import Node, NodeType, Phase, Question, answer, ask_on, waiting
from fairway_workflows.local.suspend import completed
from local_runs import Diary, engine, python, until, workflow

DECISION = {"name": "decision", "default": "NO", "enum": ["YES", "NO"], "description": "Go on?"}


def approval(duration="", default="NO", template="approve"):
    source = {"supplied": {}} | ({} if default is None else {"default": default})
    return {
        "name": template,
        "inputs": {"parameters": [DECISION]},
        "outputs": {"parameters": [{"name": "decision", "valueFrom": source}]},
        "suspend": {"duration": duration},
    }


def document(**more):
    return workflow(approval(**more), entrypoint="approve")


def in_thread(runner):
    results = []
    thread = threading.Thread(target=lambda: results.append(runner.run()))
    thread.start()

    def ended():
        thread.join(20)
        assert not thread.is_alive()
        return results[0]

    return ended


def test_a_waiting_step_can_be_seen_and_answered_from_elsewhere(tmp_path):
    ended = in_thread(engine(document(duration="300"), tmp_path, clock=SystemClock()))
    until(lambda: waiting(tmp_path / "control"))
    (one,) = waiting(tmp_path / "control")
    assert (one.node, one.step, one.template) == ("test", "test", "approve")
    assert one.until == pytest.approx(time.time() + 300, abs=20)
    assert one.parameters == (Question("decision", "Go on?", "NO", ("YES", "NO")),)
    answer(tmp_path / "control", "test", {"decision": "YES"}, "maria")
    node = ended().entry
    assert (node.type, node.phase, node.outputs) == (NodeType.SUSPEND, Phase.SUCCEEDED, {"decision": "YES"})
    assert node.message == "answered by maria"
    assert waiting(tmp_path / "control") == []


def test_an_answer_that_leaves_something_out_takes_its_default(tmp_path):
    ended = in_thread(engine(document(), tmp_path, clock=SystemClock()))
    until(lambda: waiting(tmp_path / "control"))
    answer(tmp_path / "control", "test", {}, "maria")
    assert ended().entry.outputs == {"decision": "NO"}


@pytest.mark.parametrize(
    ("node", "outputs", "said"),
    [
        ("other", {}, "'other' does not wait for an answer; waiting are: test"),
        ("test", {"decision": "MAYBE"}, "decision cannot be 'MAYBE'; use YES, NO"),
        ("test", {"verdict": "YES"}, "does not ask for 'verdict'"),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path, node, outputs, said):
    runner = engine(document(), tmp_path, clock=SystemClock())
    ended = in_thread(runner)
    until(lambda: waiting(tmp_path / "control"))
    with pytest.raises(UsageError, match=said):
        answer(tmp_path / "control", node, outputs, "maria")
    runner.stop("enough")
    ended()


def test_one_answer_is_enough(tmp_path):
    control = tmp_path / "control"
    control.mkdir()
    waits = {
        "node": "a",
        "step": "a",
        "template": "a",
        "since": 0.0,
        "until": None,
        "pid": os.getpid(),
        "parameters": [],
    }
    (control / "a.waiting.json").write_text(json.dumps(waits), encoding="utf-8")
    answer(control, "a", {}, "maria")
    with pytest.raises(UsageError, match="answered already"):
        answer(control, "a", {}, "eve")


def test_what_a_dead_run_left_is_not_waiting(tmp_path):
    waits = {"node": "a", "step": "a", "template": "a", "since": 0.0, "until": None, "pid": 2**22 + 1, "parameters": []}
    (tmp_path / "a.waiting.json").write_text(json.dumps(waits), encoding="utf-8")
    assert waiting(tmp_path) == []


def test_a_wrong_answer_written_by_hand_is_told_and_forgotten(tmp_path):
    diary = Diary()
    ended = in_thread(engine(document(), tmp_path, clock=SystemClock(), observer=diary))
    until(lambda: waiting(tmp_path / "control"))
    path = tmp_path / "control" / "test.answer.json"
    path.write_text('{"outputs": {"decision": "MAYBE"}}', encoding="utf-8")
    until(lambda: diary.lines)
    assert "cannot be 'MAYBE'" in diary.lines[0][1]
    assert not path.exists()
    path.write_text('{"outputs": {"decision": "YES"}}', encoding="utf-8")
    assert ended().entry.message == "answered by somebody"


def test_two_steps_of_one_group_wait_each_for_its_own(tmp_path):
    group = [{"name": name, "template": "approve"} for name in ("left", "right")]
    ended = in_thread(engine(workflow({"name": "main", "steps": [group]}, approval()), tmp_path, clock=SystemClock()))
    until(lambda: len(waiting(tmp_path / "control")) == 2)
    for one in waiting(tmp_path / "control"):
        answer(tmp_path / "control", one.node, {"decision": "YES" if one.step == "left" else "NO"}, "maria")
    result = ended()
    assert result.find("left")[0].outputs == {"decision": "YES"}
    assert result.find("right")[0].outputs == {"decision": "NO"}


def test_nobody_answers_in_time(tmp_path):
    diary = Diary()
    result = engine(document(duration="1h"), tmp_path, observer=diary).run()
    assert result.entry.outputs == {"decision": "NO"}
    assert result.entry.finished - result.entry.started == pytest.approx(3600, abs=1)
    assert [name for name, _ in diary.asked] == ["test"]


def test_no_default_and_nobody_there_is_an_error_without_exit_handler(tmp_path):
    runner = engine(
        workflow(approval("1s", None), python("pass", name="safe"), entrypoint="approve", onExit="safe"), tmp_path
    )
    result = runner.run()
    assert (result.phase, result.entry.phase, result.exit) == (Phase.ERROR, Phase.ERROR, None)
    assert result.message.startswith("error in entry template execution")


def test_the_terminal_may_answer(tmp_path):
    answers = iter([{"decision": "MAYBE"}, {"decision": "YES"}])
    diary = Diary()
    result = engine(document(), tmp_path, ask=lambda *_: next(answers), observer=diary, clock=SystemClock()).run()
    assert (result.entry.outputs, result.entry.message) == ({"decision": "YES"}, f"answered by {somebody()}")
    assert "cannot be 'MAYBE'" in diary.lines[0][1]


def test_the_terminal_is_called_off_when_the_answer_comes_from_elsewhere(tmp_path):
    called_off = threading.Event()

    def ask(node, parameters, is_called_off):
        until(is_called_off)
        called_off.set()

    ended = in_thread(engine(document(), tmp_path, ask=ask, clock=SystemClock()))
    until(lambda: waiting(tmp_path / "control"))
    answer(tmp_path / "control", "test", {"decision": "YES"}, "maria")
    assert ended().entry.outputs == {"decision": "YES"}
    assert called_off.wait(5)


def test_one_question_at_a_time_on_the_terminal(tmp_path):
    asking, most = [], []

    def ask(node, parameters, called_off):
        asking.append(node.display_name)
        most.append(len(asking))
        time.sleep(0.05)
        asking.remove(node.display_name)
        return {"decision": "YES" if node.display_name == "left" else "NO"}

    group = [{"name": name, "template": "approve"} for name in ("left", "right")]
    document = workflow({"name": "main", "steps": [group]}, approval())
    result = engine(document, tmp_path, ask=ask, clock=SystemClock()).run()
    assert most == [1, 1]
    assert [result.find(name)[0].outputs["decision"] for name in ("left", "right")] == ["YES", "NO"]


def test_stopping_calls_off_the_wait(tmp_path):
    runner = engine(document(), tmp_path, clock=SystemClock())
    ended = in_thread(runner)
    until(lambda: waiting(tmp_path / "control"))
    began = time.monotonic()
    runner.stop("enough")
    result = ended()
    assert time.monotonic() - began < 5
    assert (result.entry.phase, result.entry.message, result.stopped) == (Phase.FAILED, "stopped: enough", "enough")


def test_a_question_without_default_needs_a_value():
    with pytest.raises(UsageError, match="'a' has no default"):
        completed([Question("a")], {})


NODE = Node("wf[0].approve", "approve", "approve", NodeType.SUSPEND, Phase.RUNNING)
QUESTIONS = [Question("decision", "Go on?", "NO", ("YES", "NO")), Question("reason")]


def asked(typed, questions, *, called_off=lambda: False):
    reading, writing = os.pipe()
    os.write(writing, typed)
    os.close(writing)
    shown = io.StringIO()
    with os.fdopen(reading) as source:
        return ask_on(source, shown, look=0.01)(NODE, questions, called_off), shown.getvalue()


def test_each_question_is_asked_with_its_choices_and_default():
    given, shown = asked(b"YES\nbecause\n", QUESTIONS)
    assert given == {"decision": "YES", "reason": "because"}
    assert shown == "approve: Go on? (YES/NO) [NO]? approve: reason? "


def test_an_empty_line_is_the_default_and_asks_again_where_there_is_none():
    given, shown = asked(b"\n\n  \nbecause\n", QUESTIONS)
    assert given == {"reason": "because"}
    assert shown.count("reason?") == 3


def test_a_pause_without_questions_waits_for_the_return_key():
    assert asked(b"\n", [])[0] == {}


def test_the_end_of_input_is_no_answer():
    assert asked(b"YES", QUESTIONS)[0] is None


def test_a_terminal_lets_go_when_it_is_called_off():
    master, slave = pty.openpty()
    try:
        looks = iter([False, False, True])
        with os.fdopen(slave, closefd=False) as source:
            assert ask_on(source, io.StringIO(), look=0.01)(NODE, QUESTIONS, lambda: next(looks)) is None
            os.write(master, b"YES\n")
            assert ask_on(source, io.StringIO(), look=0.01)(NODE, QUESTIONS[:1], lambda: False) == {"decision": "YES"}
    finally:
        os.close(master)
        os.close(slave)
