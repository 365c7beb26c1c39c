"""One container as a process group: its output, its end, and that nothing of it is left. Real processes throughout.

Left out: that a container dies with a killed runner, which is seen in test_local_signals.py.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairway_workflows.local import process
from local_runs import gone, until


def run(code, *, halted=lambda: "", grace=5.0, folder=Path(), lines=None, **environment):
    told = [] if lines is None else lines
    return process.run(
        [sys.executable, "-c", code],
        environment={"PATH": os.environ["PATH"], **environment},
        folder=folder,
        line=told.append,
        halted=halted,
        grace=grace,
        look=0.02,
    )


@pytest.mark.parametrize("code", [0, 1, 75])
def test_the_exit_code_is_the_programs_own(code):
    assert run(f"raise SystemExit({code})").code == code


def test_a_signal_gives_its_number_above_128():
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGUSR1)").code == 138


def test_stdout_is_kept_and_stderr_told_line_by_line():
    lines = []
    ended = run(
        "import sys; print('data'); print('one\\ntwo', file=sys.stderr); sys.stderr.write('no end')", lines=lines
    )
    assert ended.stdout == "data\n"
    assert lines == ["one", "two", "no end"]


def test_lines_are_told_while_the_program_runs(tmp_path):
    go = tmp_path / "go"
    code = f"import os, sys, time\nprint('ready', file=sys.stderr, flush=True)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    lines = []

    def told(line):
        lines.append(line)
        go.touch()

    process.run([sys.executable, "-c", code], environment={}, folder=tmp_path, line=told, halted=lambda: "", grace=1.0)
    assert lines == ["ready"]


def test_only_the_end_of_a_long_output_is_kept():
    ended = run("for n in range(60_000): print(n)")
    assert len(ended.stdout) <= process.KEPT + 10
    assert ended.stdout.endswith("59999\n")


def test_bytes_that_are_no_text_do_no_harm():
    lines = []
    ended = run("import os; os.write(1, b'\\xff\\n'); os.write(2, b'\\xfe\\n')", lines=lines)
    assert (ended.stdout, lines) == ("\ufffd\n", ["\ufffd"])


def test_folder_and_environment_are_the_callers(tmp_path):
    ended = run("import os; print(os.getcwd(), os.environ.get('A'), os.environ.get('HOME'))", folder=tmp_path, A="b")
    assert ended.stdout.split() == [str(tmp_path), "b", "None"]


def test_a_program_that_cannot_be_started_ends_with_64():
    lines = []
    ended = process.run(
        ["no-such-program"], environment={}, folder=Path(), line=lines.append, halted=lambda: "", grace=1.0
    )
    assert ended.code == 64
    assert "no-such-program cannot be started" in lines[0]


POLITE = """
import signal, sys, time
def bye(*_):
    print('bye', flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, bye)
open('ready', 'w').close()
time.sleep(600)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w').close(); time.sleep(600)"
)


def when_ready(folder):
    return lambda: "enough" if (folder / "ready").exists() else ""


def test_a_program_is_asked_to_end_first(tmp_path):
    ended = run(POLITE, halted=when_ready(tmp_path), folder=tmp_path)
    assert (ended.code, ended.stdout, ended.why) == (0, "bye\n", "enough")


def test_a_program_that_will_not_end_is_killed_after_its_grace(tmp_path):
    began = time.monotonic()
    ended = run(STUBBORN, halted=when_ready(tmp_path), folder=tmp_path, grace=0.3)
    assert (ended.code, ended.why) == (137, "enough")
    assert time.monotonic() - began < 5


def test_what_a_program_leaves_behind_goes_with_it(tmp_path):
    code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print(p.pid)"
    ended = run(code, folder=tmp_path)
    until(lambda: gone(int(ended.stdout)))


def test_a_program_that_left_the_group_does_not_hold_up_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE", 0.1)
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], "
        "start_new_session=True); print(p.pid, flush=True)"
    )
    ended = run(code, folder=tmp_path)
    assert ended.code == 0
    os.kill(int(ended.stdout), 9)


PRESSED = """
import os, signal, subprocess, sys
from fairway_workflows.local import process
popen = subprocess.Popen
signal.signal(signal.SIGINT, lambda *_: None)

def interrupted(*given, **named):
    # What a Ctrl-C does that comes between fork and exec.
    def hit():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return popen(*given, preexec_fn=hit, **named)

subprocess.Popen = interrupted
ended = process.run(
    [sys.executable, "-c", "print('whole')"],
    environment=dict(os.environ), folder=".", line=print, halted=lambda: "", grace=1.0,
)
print(ended.code, ended.stdout.strip())
"""


def test_a_signal_to_our_group_does_not_reach_a_program_that_is_just_starting(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PRESSED], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "0 whole", done.stderr
