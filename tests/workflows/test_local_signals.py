"""Signals to a process that runs a workflow: no child or grandchild is left, and the exit handler ran, SIGKILL excepted."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from local_runs import gone, until

TESTS = str(Path(__file__).parents[1])
PROGRAM = textwrap.dedent(
    """
    import sys
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from local_runs import Diary, python, workflow
    from fairway_steps.clock import SystemClock
    from fairway_steps.cli import Terminated
    from fairway_workflows.local import Engine, run_workflow

    SLEEP = '''
    import os, subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(f"{{sys.argv[1]}}.tmp", "w").write(f"{{os.getpid()}} {{child.pid}}")
    os.rename(f"{{sys.argv[1]}}.tmp", sys.argv[1])
    time.sleep(600)
    '''
    def sleeper(name):
        return python(SLEEP, name + ".pids", name=name)
    group = [{{"name": name, "template": name}} for name in ("one", "two")]
    document = workflow(
        {{"name": "main", "steps": [group]}},
        sleeper("one"),
        sleeper("two"),
        python("open('safe', 'w').write('{{{{workflow.status}}}}')", name="safe"),
        onExit="safe",
    )
    here = Path.cwd()
    common = dict(workdir=here, observer=Diary(), control=here / "control", clock=SystemClock(), name="w", locks=here / "locks")
    if sys.argv[1] == "raising":  # as the command line does: signals raise in the main thread
        import signal
        def raising(*_):
            raise Terminated
        signal.signal(signal.SIGTERM, raising)
        result = Engine(document, {{}}, **common).run()
    else:
        result = run_workflow(document, {{}}, **common)
    print(result.phase, result.stopped)
    """
).format(tests=TESTS)


def begin(folder, how="handled"):
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how], cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    until(lambda: all((folder / f"{name}.pids").exists() for name in ("one", "two")))
    pids = [int(pid) for name in ("one", "two") for pid in (folder / f"{name}.pids").read_text().split()]
    assert len(pids) == 4
    assert not any(gone(pid) for pid in pids)
    return running, pids


@pytest.mark.parametrize(
    ("number", "how", "told"),
    [
        (signal.SIGTERM, "handled", "Failed terminated"),
        (signal.SIGINT, "handled", "Failed interrupted"),
        (signal.SIGHUP, "handled", "Failed hung up"),
        (signal.SIGTERM, "raising", "Failed terminated"),
        (signal.SIGINT, "raising", "Failed interrupted"),
    ],
)
def test_a_signal_stops_the_run_in_order(tmp_path, number, how, told):
    running, pids = begin(tmp_path, how)
    os.kill(running.pid, number)
    assert running.communicate(timeout=300)[0].strip() == told
    assert running.returncode == 0
    assert (tmp_path / "safe").read_text() == "Failed"
    assert all(gone(pid) for pid in pids)


def test_a_killed_runner_takes_its_steps_with_it(tmp_path):
    running, pids = begin(tmp_path)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate(timeout=300)
    until(lambda: all(gone(pid) for pid in pids))
    assert not (tmp_path / "safe").exists()
