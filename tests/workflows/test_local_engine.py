"""A whole run: who is told what, how it is stopped, what the exit handler may and may not do, locks, and failures of the runner itself.

What the scenarios show (phases, outputs) is not repeated. Signals to a real process are in test_local_signals.py.
"""

import json
import sys
import threading
import time

import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.errors import DomainError, Refused
from fairway_workflows.local import NodeType, Phase, run_workflow
from local_runs import Diary, QuickClock, engine, gone, python, until, workflow

SLEEP = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(600)"
SAFE = python("open('safe', 'w').write('{{workflow.status}}')", name="safe")


def steps(*groups, name="main", **more):
    return {"name": name, "steps": [[{"name": n, "template": n} for n in group] for group in groups], **more}


def in_thread(runner):
    results = []

    def work():
        try:
            results.append(runner.run())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()

    def ended():
        thread.join(20)
        assert not thread.is_alive()
        return results[0]

    return ended


def test_every_node_is_told_once_from_start_to_end(tmp_path):
    diary = Diary()
    document = workflow(
        steps(["a", "b"]), python("import sys; print('hello', file=sys.stderr)", name="a"), python("pass", name="b")
    )
    result = engine(document, tmp_path, observer=diary).run()
    assert sorted(diary.started) == sorted(diary.finished) == sorted(result.nodes)
    assert diary.started[0] == "test"
    assert diary.finished[-1] == "test"
    assert diary.lines == [("a", "hello")]


def test_the_result_is_a_tree_with_times(tmp_path):
    result = engine(workflow(steps(["a"]), python("print('data')", name="a")), tmp_path).run()
    (group,) = result.entry.children
    (leaf,) = group.children
    assert (leaf.name, leaf.display_name, leaf.template) == ("test[0].a", "a", "a")
    assert (leaf.type, leaf.phase, leaf.exit_code, leaf.stdout) == (NodeType.POD, Phase.SUCCEEDED, 0, "data\n")
    assert result.started <= result.entry.started <= leaf.started <= leaf.finished <= result.entry.finished
    assert result.find("a") == [leaf]


def test_steps_of_a_group_run_at_the_same_time(tmp_path):
    meet = "import os, time\nopen('{0}', 'w').close()\nwhile not os.path.exists('{1}'): time.sleep(0.01)"
    document = workflow(
        steps(["a", "b"]), python(meet.format("a", "b"), name="a"), python(meet.format("b", "a"), name="b")
    )
    assert engine(document, tmp_path).run().phase is Phase.SUCCEEDED


def test_our_own_program_is_the_one_installed_here(tmp_path):
    document = workflow({"name": "main", "container": {"command": ["fairway"], "args": ["--version"]}})
    assert "fairway" in engine(document, tmp_path).run().entry.stdout


def test_variables_are_literal_and_kubernetes_own_references_work(tmp_path):
    container = {
        "command": ["python3", "-c"],
        "args": ["import os, sys; print(os.environ['B'], sys.argv[1:])", "$(A)", "$$(A)", "$(UNKNOWN)", "$HOME"],
        "env": [{"name": "A", "value": "{{workflow.name}}"}, {"name": "B", "value": "<$(A)>"}],
    }
    result = engine(workflow({"name": "main", "container": container}), tmp_path, name="w").run()
    assert result.entry.stdout == "<w> ['w', '$(A)', '$(UNKNOWN)', '$HOME']\n"


def test_containers_inherit_the_environment_that_is_given(tmp_path):
    code = "import os; print(sorted(k for k in os.environ if k in ('GIVEN', 'HOME')))"
    environment = {"GIVEN": "x", "PATH": "/usr/bin:/bin"}
    assert engine(workflow(python(code)), tmp_path, environment=environment).run().entry.stdout == "['GIVEN']\n"


def test_stopping_ends_what_runs_and_then_runs_the_exit_handler(tmp_path):
    diary = Diary()
    diary.on_line = lambda node, text: runner.stop("enough")
    runner = engine(
        workflow(
            steps(["long"], ["never"]), python(SLEEP, name="long"), python("pass", name="never"), SAFE, onExit="safe"
        ),
        tmp_path,
        observer=diary,
    )
    result = runner.run()
    assert gone(int(diary.lines[0][1]))
    assert (result.phase, result.message, result.stopped) == (Phase.FAILED, "stopped: enough", "enough")
    assert (result.find("long")[0].phase, result.find("long")[0].exit_code) == (Phase.FAILED, 143)
    assert result.find("never") == []
    assert result.exit.phase is Phase.SUCCEEDED
    assert (tmp_path / "work" / "safe").read_text() == "Failed"


def test_nothing_new_is_started_after_a_stop(tmp_path):
    diary = Diary()
    diary.on_line = lambda node, text: runner.stop("enough")
    first = {"name": "long", "template": "long", "continueOn": {"failed": True}}
    document = workflow(
        {"name": "main", "steps": [[first], [{"name": "after", "template": "after"}]]},
        python(SLEEP, name="long"),
        python("open('after', 'w')", name="after"),
    )
    runner = engine(document, tmp_path, observer=diary)
    result = runner.run()
    assert result.find("after")[0].phase is Phase.FAILED
    assert not (tmp_path / "work" / "after").exists()


def test_a_stop_ends_the_wait_before_another_attempt(tmp_path):
    diary = Diary()
    diary.on_line = lambda node, text: runner.stop("enough")
    flaky = python(
        "import sys; print('x', file=sys.stderr); sys.exit(75)",
        retryStrategy={"limit": 3, "backoff": {"duration": "1h"}},
    )
    runner = engine(workflow(flaky), tmp_path, observer=diary, clock=SystemClock())
    result = runner.run()
    assert (result.entry.type, result.entry.phase, result.entry.retries) == (NodeType.RETRY, Phase.FAILED, 0)


SLOWLY_SAFE = python(
    "import os, sys, time\nprint('safing', file=sys.stderr, flush=True)\n"
    "while not os.path.exists('go'): time.sleep(0.01)\nopen('safe', 'w').close()",
    name="safe",
)


@pytest.mark.parametrize("before", [0, 1, 5])
def test_the_exit_handler_is_ended_by_no_stop(tmp_path, before):
    """Neither by those that came before it began nor by those that come while it runs."""
    diary = Diary()

    def on_line(node, text):
        if text == "safing":
            for _ in range(5):
                runner.stop("again")
            (tmp_path / "work" / "go").touch()
        else:
            for _ in range(before):
                runner.stop("enough")

    diary.on_line = on_line
    code = SLEEP if before else "import sys; print(1, file=sys.stderr)"
    runner = engine(workflow(python(code), SLOWLY_SAFE, onExit="safe"), tmp_path, observer=diary)
    result = runner.run()
    assert result.exit.phase is Phase.SUCCEEDED
    assert (tmp_path / "work" / "safe").exists()
    assert result.phase is (Phase.FAILED if before else Phase.SUCCEEDED)


def test_the_workflows_deadline_does_not_bind_the_exit_handler(tmp_path):
    document = workflow(
        steps(["long"], ["never"]),
        python(SLEEP, name="long"),
        python("pass", name="never"),
        SAFE,
        onExit="safe",
        activeDeadlineSeconds=1,
    )
    result = engine(document, tmp_path, clock=SystemClock()).run()
    assert (result.phase, result.find("long")[0].message) == (Phase.FAILED, "Step exceeded its deadline")
    assert result.exit.phase is Phase.SUCCEEDED


def test_a_template_over_its_timeout_fails_and_may_be_tried_again(tmp_path):
    clock, diary = QuickClock(), Diary()
    diary.on_line = lambda node, text: clock.sleep(100)
    code = "import sys, time\nif sys.argv[1] == '0':\n    print('waiting', file=sys.stderr, flush=True)\n    time.sleep(600)"
    document = workflow(python(code, "{{retries}}", timeout="1m", retryStrategy={"limit": 1}))
    result = engine(document, tmp_path, clock=clock, observer=diary).run()
    assert [child.phase for child in result.entry.children] == [Phase.FAILED, Phase.SUCCEEDED]
    assert result.phase is Phase.SUCCEEDED


def test_the_exit_handler_does_not_hide_a_failure_by_its_own_success_or_failure(tmp_path):
    failing = python("raise SystemExit(1)")
    for code, exit_phase in ((0, Phase.SUCCEEDED), (2, Phase.FAILED)):
        result = engine(
            workflow(failing, python(f"raise SystemExit({code})", name="safe"), onExit="safe"), tmp_path
        ).run()
        assert (result.phase, result.entry.phase, result.exit.phase) == (Phase.FAILED, Phase.FAILED, exit_phase)


def test_the_exit_handler_hears_what_failed(tmp_path):
    listener = python("print('''{{workflow.failures}}''')", name="safe")
    listener["container"]["args"] = ["import sys; print(sys.argv[1])", "{{workflow.failures}}"]
    result = engine(
        workflow(steps(["bad"]), python("raise SystemExit(3)", name="bad"), listener, onExit="safe"), tmp_path
    ).run()
    told = json.loads(json.loads(result.exit.stdout))
    bad = next(failure for failure in told if failure["displayName"] == "bad")
    assert (bad["templateName"], bad["phase"], bad["message"]) == ("bad", "Failed", "main: Error (exit code 3)")


def test_an_observer_that_fails_stops_the_run_and_is_raised_after_the_exit_handler(tmp_path):
    diary = Diary()

    def broken(node, text):
        raise ValueError("broken pipe")

    diary.on_line = broken
    runner = engine(workflow(python(SLEEP), SAFE, onExit="safe"), tmp_path, observer=diary)
    with pytest.raises(ValueError, match="broken pipe"):
        runner.run()
    assert (tmp_path / "work" / "safe").read_text() == "Failed"


def test_a_failure_of_the_runner_itself_is_raised_after_the_exit_handler(tmp_path):
    runner = engine(
        workflow(
            steps(["a"]),
            python(
                "pass",
                name="a",
                timeout="{{inputs.parameters.t}}",
                inputs={"parameters": [{"name": "t", "value": "soon"}]},
            ),
            SAFE,
            onExit="safe",
        ),
        tmp_path,
    )
    with pytest.raises(ValueError, match="'soon' is not a duration"):
        runner.run()
    assert (tmp_path / "work" / "safe").read_text() == "Error"


LOCKED = workflow(
    python(
        "{{workflow.parameters.service}}; "
        "import os, time\nopen('held', 'w').close()\nwhile not os.path.exists('go'): time.sleep(0.01)"
    ),
    arguments={"parameters": [{"name": "service", "value": "0"}]},
    synchronization={"mutexes": [{"name": "fairway-{{workflow.parameters.service}}"}]},
)


def test_a_held_mutex_refuses_a_second_run_by_its_holders_name(tmp_path):
    ended = in_thread(engine(LOCKED, tmp_path, name="first"))
    until((tmp_path / "work" / "held").exists)
    other = tmp_path / "control-2"
    with pytest.raises(Refused, match=r"mutex 'fairway-0' is held by workflow first \(process \d+\)"):
        engine(LOCKED, tmp_path, name="second", control=other).run()
    (tmp_path / "work" / "go").touch()
    assert engine(LOCKED, tmp_path, {"service": "1"}, name="third", control=other).run().phase is Phase.SUCCEEDED
    assert ended().phase is Phase.SUCCEEDED
    assert engine(LOCKED, tmp_path, name="fourth", control=other).run().phase is Phase.SUCCEEDED


def test_a_control_folder_belongs_to_one_run(tmp_path):
    ended = in_thread(engine(LOCKED, tmp_path))
    until((tmp_path / "work" / "held").exists)
    with pytest.raises(Refused, match=r"control folder .* is held by workflow this one"):
        engine(workflow(python("pass")), tmp_path).run()
    (tmp_path / "work" / "go").touch()
    ended()


def test_a_control_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DomainError, match="cannot be written"):
        engine(workflow(python("pass")), tmp_path, control=tmp_path / "file" / "control").run()


def test_what_a_killed_run_left_is_cleared(tmp_path):
    control = tmp_path / "control"
    (control / "pods" / "x").mkdir(parents=True)
    for name in ("a.waiting.json", "a.answer.json"):
        (control / name).write_text("{}", encoding="utf-8")
    engine(workflow(python("pass")), tmp_path).run()
    assert not control.exists()


def test_nothing_of_a_mutex_is_left_and_a_lock_that_is_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    from fairway_workflows.local import locks

    opened = locks._open

    def removed_at_once(path):
        file = opened(path)
        if not gone:
            gone.append(path)
            path.unlink()
        return file

    gone = []
    monkeypatch.setattr(locks, "_open", removed_at_once)
    with locks.held(tmp_path / "locks", ["m"], "first"):
        assert gone
        with (
            pytest.raises(Refused, match="mutex 'm' is held by workflow first"),
            locks.held(tmp_path / "locks", ["m"], "x"),
        ):
            pass
    assert not (tmp_path / "locks").exists()


def test_signals_are_the_callers_again_after_a_run(tmp_path):
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    run_workflow(
        workflow(python("pass")),
        {},
        workdir=tmp_path,
        observer=Diary(),
        control=tmp_path / "c",
        clock=SystemClock(),
        name="w",
        locks=tmp_path / "l",
    )
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_step_costs_little(tmp_path):
    """Starting a step through the launcher; the bound is wide, the number is for the log of a failing test."""
    began = time.monotonic()
    engine(workflow({"name": "main", "container": {"command": [sys.executable, "-S", "-c", "pass"]}}), tmp_path).run()
    assert time.monotonic() - began < 2
